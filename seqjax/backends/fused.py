"""One gradient for every gated cell: saves the carries alone, and sums weight gradients outside the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.cell import Cell, Gated
from seqjax.checks import check_size
from seqjax.types import Array, Carry, Params, PyTree

CHUNK_SIZE = 16
"""Steps whose weight gradients are summed in one product: few enough that they stay in a CPU's cache."""


def fused(
    cell: Cell, params: Params, carry: Carry, xs: Any, *, chunk_size: int | None = CHUNK_SIZE
) -> tuple[Carry, Any]:
    """Runs a gated cell over time, with a gradient derived from its structure.

    Differentiating `lax.scan` of a step keeps every intermediate value and updates each weight gradient once
    a step. Here the forward pass keeps only the carries. The backward pass goes through chunks of steps, last
    to first: it computes the gates' inputs of a chunk again in one product, walks back through the chunk with
    the vector-Jacobian product of `gate`, and sums the weight gradients of the chunk in one product each.

    `jax.grad` and derivatives of that gradient work; forward mode (`jax.jvp`, `jax.jacfwd`) does not, because
    a custom gradient has none: use `scan` for it.

    Args:
      cell: a cell with a `Gated` structure.
      params: its params.
      carry: the carry before the first step, floating leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      chunk_size: steps a chunk; `None` for the whole sequence, which also computes the inputs' part of the
        gates before the loop instead of inside it, as accelerators like it.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if the cell is not gated, or `chunk_size` is not positive.
      TypeError: if `chunk_size` is not an integer.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = fused(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 2)
    """
    if not isinstance(cell.structure, Gated):
        kind = "no structure" if cell.structure is None else f"structure {type(cell.structure).__name__}"
        raise ValueError(
            f"cell has {kind}, but method 'fused' runs Gated cells: use method='scan', which runs any cell."
        )
    if chunk_size is not None:
        check_size("chunk_size", chunk_size)
    return _run(cell.structure, chunk_size, params, carry, xs)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(
    structure: Gated, chunk_size: int | None, params: Params, carry: Carry, xs: Any
) -> tuple[Carry, Any]:
    carry, (ys, _) = _forward(structure, chunk_size, params, carry, xs, keep=False)
    return carry, ys


def _forward(
    structure: Gated, chunk_size: int | None, params: Params, carry: Carry, xs: Any, *, keep: bool
) -> tuple[Carry, tuple[Any, Carry | None]]:
    """The loop over time; with `keep`, also the carry before each step."""
    gate_params, kernel = structure.gate_params(params), structure.recurrent(params)
    ahead = chunk_size is None
    x_parts = structure.project(params, xs) if ahead else None

    def step(carry: Carry, inputs: tuple[Any, Any]) -> tuple[Carry, tuple[Any, Carry | None]]:
        x, x_part = inputs
        x_part = x_part if ahead else structure.project(params, x)
        fed_back = structure.feedback(gate_params, x_part, structure.hidden(carry))
        h_part = ops.product(fed_back, kernel, name="carry", size_name="hidden_size")
        after = structure.gate(gate_params, x_part, h_part, carry)
        return after, (structure.readout(params, after, x), carry if keep else None)

    return jax.lax.scan(step, carry, (xs, x_parts))


def _run_keeping(
    structure: Gated, chunk_size: int | None, params: Params, carry: Carry, xs: Any
) -> tuple[tuple[Carry, Any], tuple[Params, Carry, Carry, Any]]:
    last, (ys, carries) = _forward(structure, chunk_size, params, carry, xs, keep=True)
    return (last, ys), (params, carries, last, xs)


def _backward(
    structure: Gated,
    chunk_size: int | None,
    kept: tuple[Params, Carry, Carry, Any],
    cotangents: tuple[Carry, Any],
) -> tuple[Params, Carry, Any]:
    params, carries, last, xs = kept
    d_last, d_ys = cotangents
    num_steps = jax.tree.leaves(xs)[0].shape[0]
    size = _divisor_near(num_steps, chunk_size or num_steps)
    num_chunks = num_steps // size
    whole = num_chunks * size

    shared, of_shared = jax.vjp(
        lambda params: (structure.gate_params(params), structure.recurrent(params)), params
    )
    chunk = partial(_chunk_backward, structure, params, *shared)
    state = (d_last, last, jax.tree.map(_zero_sum, (params, *shared)))

    sequences, d_tail = (carries, xs, d_ys), None
    if whole < num_steps:
        state, d_tail = chunk(state, jax.tree.map(lambda leaf: leaf[whole:], sequences))
    chunks = jax.tree.map(lambda leaf: leaf[:whole].reshape(num_chunks, size, *leaf.shape[1:]), sequences)
    state, d_xs = jax.lax.scan(chunk, state, chunks, reverse=True)
    d_xs = [leaf.reshape(whole, *leaf.shape[2:]) for leaf in d_xs]
    if d_tail is not None:
        d_xs = [jnp.concatenate([head, tail]) for head, tail in zip(d_xs, d_tail, strict=True)]

    d_carry, _, (d_params, *d_shared) = state
    (d_through_shared,) = of_shared(_cast_like(tuple(d_shared), shared))
    d_params = _cast_like(_add(d_params, d_through_shared), params)
    _, fixed_xs, join_xs = _split(xs)
    return d_params, d_carry, join_xs(d_xs, [np.zeros(x.shape, jax.dtypes.float0) for x in fixed_xs])


_run.defvjp(_run_keeping, _backward)


def _chunk_backward(
    structure: Gated,
    params: Params,
    gate_params: PyTree,
    kernel: Array,
    state: tuple[Carry, Carry, PyTree],
    sequences: tuple[Carry, Any, Any],
) -> tuple[tuple[Carry, Carry, PyTree], list[Array]]:
    """Back through one chunk of steps.

    Args:
      structure: the cell's structure.
      params: the cell's params.
      gate_params: what `structure.gate_params` gives.
      kernel: what `structure.recurrent` gives.
      state: the cotangent of the carry after the chunk, that carry, and the sums so far of the cotangents of
        params (through `project` and `readout`), gate params and kernel.
      sequences: the carries before each step, the inputs, and the cotangents of the outputs.

    Returns:
      The state for the chunk before this one, and the cotangents of the floating leaves of the inputs.
    """
    d_carry, following, (d_params, d_gate_params, d_kernel) = state
    carries, xs, d_ys = sequences
    x_leaves, x_fixed, join_x = _split(xs)

    def project(params: Params, leaves: list[Array]) -> tuple[list[Array], Any]:
        x_parts = structure.project(params, join_x(leaves, x_fixed))
        return _split(x_parts)[0], x_parts

    def readout(params: Params, carries: Carry, leaves: list[Array]) -> Any:
        return structure.readout(params, carries, join_x(leaves, x_fixed))

    _, of_project, x_parts = jax.vjp(project, params, x_leaves, has_aux=True)
    fed_back = structure.feedback(gate_params, x_parts, structure.hidden(carries))
    h_parts, of_kernel = jax.vjp(lambda kernel: ops.product(fed_back, kernel), kernel)
    after = jax.tree.map(lambda before, last: jnp.concatenate([before[1:], last[None]]), carries, following)
    _, of_readout = jax.vjp(readout, params, after, x_leaves)
    d_params_read, d_after, d_x_read = of_readout(d_ys)

    leaves, fixed, join = _split(x_parts)
    back = partial(_step_backward, structure, gate_params, kernel, join)
    (d_carry, d_gate_params), (d_leaves, d_h_parts) = jax.lax.scan(
        back, (d_carry, d_gate_params), (carries, leaves, fixed, h_parts, d_after), reverse=True
    )
    d_params_project, d_x_project = of_project(d_leaves)
    sums = (
        _add(d_params, _add(d_params_project, d_params_read)),
        d_gate_params,
        _add(d_kernel, of_kernel(d_h_parts)[0]),
    )
    first = jax.tree.map(lambda leaf: leaf[0], carries)
    return (d_carry, first, sums), _add(d_x_project, d_x_read)


def _step_backward(
    structure: Gated,
    gate_params: PyTree,
    kernel: Array,
    join: Callable[[list[Array], list[Array]], Any],
    state: tuple[Carry, PyTree],
    inputs: tuple[Carry, list[Array], list[Array], Array, Carry],
) -> tuple[tuple[Carry, PyTree], tuple[list[Array], Array]]:
    """Back through one step: everything of it but the sums over time."""
    d_carry, d_gate_params = state
    carry, leaves, fixed, h_part, d_read = inputs

    def gate(gate_params: PyTree, leaves: list[Array], h_part: Array, carry: Carry) -> Carry:
        return structure.gate(gate_params, join(leaves, fixed), h_part, carry)

    def multiply(gate_params: PyTree, leaves: list[Array], carry: Carry) -> Array:
        h = structure.feedback(gate_params, join(leaves, fixed), structure.hidden(carry))
        return ops.product(h, kernel)

    _, of_gate = jax.vjp(gate, gate_params, leaves, h_part, carry)
    d_gate, d_leaves, d_h_part, d_direct = of_gate(_add(d_carry, d_read))
    _, of_product = jax.vjp(multiply, gate_params, leaves, carry)
    d_feedback, d_leaves_fed, d_fed_back = of_product(d_h_part)
    d_gate_params = _add(d_gate_params, _add(d_gate, d_feedback))
    return (_add(d_direct, d_fed_back), d_gate_params), (_add(d_leaves, d_leaves_fed), d_h_part)


def _split(tree: PyTree) -> tuple[list[Array], list[Array], Callable[[list, list], PyTree]]:
    """The floating leaves, which have gradients; the others (masks, tokens); and how to join them again."""
    leaves, structure = jax.tree.flatten(tree)
    is_floating = [jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves]

    def join(floating: list, fixed: list) -> PyTree:
        sources = {True: iter(floating), False: iter(fixed)}
        return jax.tree.unflatten(structure, [next(sources[chosen]) for chosen in is_floating])

    floating = [leaf for leaf, chosen in zip(leaves, is_floating, strict=True) if chosen]
    fixed = [leaf for leaf, chosen in zip(leaves, is_floating, strict=True) if not chosen]
    return floating, fixed, join


def _zero_sum(leaf: Array) -> Array:
    return jnp.zeros(leaf.shape, ops.accumulation_dtype(leaf.dtype))


def _add(a: PyTree, b: PyTree) -> PyTree:
    return jax.tree.map(jnp.add, a, b)


def _cast_like(tree: PyTree, like: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf, other: leaf.astype(other.dtype), tree, like)


def _divisor_near(num_steps: int, chunk_size: int) -> int:
    """A divisor of the length within a factor of two of `chunk_size`, so that no remainder is compiled."""
    chunk_size = max(1, min(chunk_size, num_steps))
    near = range(chunk_size // 2 + 1, 2 * chunk_size)
    divisors = [size for size in near if num_steps % size == 0]
    return min(divisors, key=lambda size: abs(size - chunk_size), default=chunk_size)
