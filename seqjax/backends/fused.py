"""One gradient for every gated cell: keeps what gates read, and sums weight gradients outside the loop."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.backends.loops import ON_ACCELERATORS, ON_CPU, Loops, RecurrentProducts, joint_parts
from seqjax.cell import Cell, Gated
from seqjax.checks import check_size
from seqjax.types import Array, Carry, Params, PyTree


def fused(
    cell: Cell,
    params: Params,
    carry: Carry,
    xs: Any,
    *,
    chunk_size: int | str | None = "auto",
    unroll: int | str = "auto",
) -> tuple[Carry, Any]:
    """Runs a gated cell over time, with a gradient derived from its structure.

    Differentiating `lax.scan` of a step keeps every intermediate value and updates each weight gradient once
    a step. Here the forward pass keeps only carries and what the gates read. The backward pass goes through
    chunks of steps, last to first: it walks back through a chunk with the vector-Jacobian product of `gate`,
    and sums the weight gradients of the chunk in one product each.

    `jax.grad` and derivatives of that gradient work; forward mode (`jax.jvp`, `jax.jacfwd`) does not, because
    a custom gradient has none: use `scan` for it.

    Args:
      cell: a cell with a `Gated` structure.
      params: its params.
      carry: the carry before the first step, floating leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      chunk_size: steps a chunk; `None` for the whole sequence, which also computes the inputs' part of the
        gates before the loop instead of inside it. `"auto"` is 16 on a CPU, 100 for up to 32 rows, and `None`
        elsewhere, by the platform that the program is lowered for.
      unroll: steps that one turn of a loop takes, forward and backward: more of them help where starting the
        next turn takes longer than its work, and take longer to compile. `"auto"` is 1 on a CPU, else 4.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if the cell is not gated, or `chunk_size` or `unroll` is not positive.
      TypeError: if `chunk_size` or `unroll` is not an integer.

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
    sizes: dict[str, Any] = {"chunk_size": chunk_size, "unroll": unroll}
    for name, size in sizes.items():
        if size != "auto" and (name, size) != ("chunk_size", None):
            check_size(name, size)
    if unroll == "auto" and not isinstance(jax.tree.leaves(xs)[0].shape[0], int):
        unroll = 1  # Of a length that is not known yet `scan` cannot take several steps a turn.
    return _run(cell.structure, _Plan(chunk_size, unroll), params, carry, xs)


class _Plan(NamedTuple):
    """The options of `fused`."""

    chunk_size: Any
    unroll: Any

    def run(self, function: Callable[..., PyTree], *arguments: PyTree) -> PyTree:
        """Calls `function(loops, *arguments)` with the loops that suit the platform that runs it."""
        chosen = {name: size for name, size in self._asdict().items() if size != "auto"}
        if "chunk_size" in chosen:
            chosen["long_chunk_size"] = chosen["chunk_size"]
        on_cpu, elsewhere = (loops._replace(**chosen) for loops in (ON_CPU, ON_ACCELERATORS))
        if on_cpu == elsewhere:
            return function(on_cpu, *arguments)
        return jax.lax.platform_dependent(
            *arguments, cpu=partial(function, on_cpu), default=partial(function, elsewhere)
        )


class _Parts(NamedTuple):
    """The two parts of what gates read, as the loops hold them: merged where gates read only their sum."""

    structure: Gated
    kernel_shape: tuple[int, ...]

    def join(self, x_part: Any, h_part: Array) -> PyTree:
        """Of one step, or of many at once."""
        merge = self.structure.merge
        return (x_part, h_part) if merge is None else merge(x_part, h_part)

    def kept(self, parts: PyTree) -> list[Array]:
        """What of both is kept for the gradient: the inputs' part, where it is apart, is computed again."""
        return [parts[1]] if self.structure.merge is None else _split(parts)[0]

    def x_part(self, parts: PyTree) -> Any:
        """What `feedback` reads."""
        return parts[0] if self.structure.merge is None else parts

    def gate(self, gate_params: PyTree, parts: PyTree, carry: Carry) -> Carry:
        """The carry after a step."""
        if self.structure.merge is None:
            x_part, h_part = parts
            return self.structure.gate(gate_params, x_part, h_part, carry)
        return self.structure.gate(gate_params, parts, self.nothing(carry), carry)

    def nothing(self, carry: Carry) -> Array:
        """Zeros like the hidden vector's part, of one step or of many."""
        h = self.structure.hidden(carry)
        return jnp.zeros((*h.shape[:-1], *self.kernel_shape[1:]), h.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(0, 1))
def _run(structure: Gated, plan: _Plan, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Any]:
    carry, (ys, _) = plan.run(partial(_forward, structure, False), params, carry, xs)
    return carry, ys


def _forward(
    structure: Gated, keep: bool, loops: Loops, params: Params, carry: Carry, xs: Any
) -> tuple[Carry, tuple[Any, tuple[Carry, list[Array]] | None]]:
    """The loop over time; with `keep`, also the carry before each step and what is kept of its parts."""
    gate_params, kernel = structure.gate_params(params), structure.recurrent(params)
    products = RecurrentProducts.of(kernel, structure.hidden(carry), loops)
    both = _Parts(structure, kernel.shape)
    ahead = loops.chunk_size is None
    x_parts = structure.project(params, xs) if ahead else None
    joint = None if ahead else joint_parts(structure, params, structure.hidden(carry), loops)

    def parts_of(x: Any, x_part: Any, hidden: Array) -> PyTree:
        if joint:
            return joint(x, hidden)
        x_part = x_part if ahead else structure.project(params, x)
        return both.join(x_part, products.forward(structure.feedback(gate_params, x_part, hidden)))

    def step(carry: Carry, inputs: tuple[Any, Any]) -> tuple[Carry, Any]:
        x, x_part = inputs
        parts = parts_of(x, x_part, structure.hidden(carry))
        after = both.gate(gate_params, parts, carry)
        return after, (structure.readout(params, after, x), (carry, both.kept(parts)) if keep else None)

    return jax.lax.scan(step, carry, (xs, x_parts), unroll=loops.unroll)


def _run_keeping(
    structure: Gated, plan: _Plan, params: Params, carry: Carry, xs: Any
) -> tuple[tuple[Carry, Any], tuple]:
    last, (ys, kept) = plan.run(partial(_forward, structure, True), params, carry, xs)
    return (last, ys), (params, kept, last, xs)


def _backward(
    structure: Gated, plan: _Plan, kept: tuple, cotangents: tuple[Carry, Any]
) -> tuple[Params, Carry, Any]:
    d_params, d_carry, d_xs = plan.run(partial(_backward_loops, structure), kept, cotangents)
    _, fixed_xs, join_xs = _split(kept[-1])
    return d_params, d_carry, join_xs(d_xs, [None] * len(fixed_xs))


_run.defvjp(_run_keeping, _backward)


def _backward_loops(
    structure: Gated, loops: Loops, kept: tuple, cotangents: tuple[Carry, Any]
) -> tuple[Params, Carry, list[Array]]:
    """The loop over chunks of steps; the cotangents of the inputs are those of their floating leaves."""
    params, (carries, parts), last, xs = kept
    d_last, d_ys = cotangents
    num_steps = jax.tree.leaves(xs)[0].shape[0]
    size = _divisor_near(num_steps, loops.steps_of_chunk(structure.hidden(last), num_steps))
    num_chunks = num_steps // size
    whole = num_chunks * size

    shared, of_shared = jax.vjp(
        lambda params: (structure.gate_params(params), structure.recurrent(params)), params
    )
    products = RecurrentProducts.of(shared[1], structure.hidden(last), loops)
    chunk = partial(_chunk_backward, structure, loops, params, shared[0], products)
    state = (d_last, last, jax.tree.map(_zero_sum, (params, *shared)))

    sequences, d_tail = (carries, parts, xs, d_ys), None
    if whole < num_steps:
        state, d_tail = chunk(state, jax.tree.map(lambda leaf: leaf[whole:], sequences))
    chunks = jax.tree.map(lambda leaf: leaf[:whole].reshape(num_chunks, size, *leaf.shape[1:]), sequences)
    state, d_xs = jax.lax.scan(chunk, state, chunks, reverse=True)
    d_xs = [leaf.reshape(whole, *leaf.shape[2:]) for leaf in d_xs]
    if d_tail is not None:
        d_xs = [jnp.concatenate([head, tail]) for head, tail in zip(d_xs, d_tail, strict=True)]

    d_carry, _, (d_params, *d_shared) = state
    (d_through_shared,) = of_shared(_cast_like(tuple(d_shared), shared))
    return _cast_like(_add(d_params, d_through_shared), params), d_carry, d_xs


def _chunk_backward(
    structure: Gated,
    loops: Loops,
    params: Params,
    gate_params: PyTree,
    products: RecurrentProducts,
    state: tuple[Carry, Carry, PyTree],
    sequences: tuple[Carry, list[Array], Any, Any],
) -> tuple[tuple[Carry, Carry, PyTree], list[Array]]:
    """Back through one chunk of steps.

    Args:
      structure: the cell's structure.
      loops: how time is cut, and which form products take.
      params: the cell's params.
      gate_params: what `structure.gate_params` gives.
      products: with what `structure.recurrent` gives, `[H, G, H']`.
      state: the cotangent of the carry after the chunk, that carry, and the sums so far of the cotangents of
        params (through `project` and `readout`), gate params and kernel.
      sequences: the carries before each step, what was kept of the parts, the inputs, and the cotangents of
        the outputs.

    Returns:
      The state for the chunk before this one, and the cotangents of the floating leaves of the inputs.
    """
    d_carry, following, (d_params, d_gate_params, d_kernel) = state
    carries, kept, xs, d_ys = sequences
    both = _Parts(structure, products.kernel.shape)
    after = jax.tree.map(lambda before, last: jnp.concatenate([before[1:], last[None]]), carries, following)
    rows = _Rows(structure.hidden(carries).shape[:-1], is_flat=loops.chunk_size is not None)
    all_carries, all_kept, all_xs, all_d_ys, all_after = map(rows.flat, (carries, kept, xs, d_ys, after))
    x_leaves, x_fixed, join_x = _split(all_xs)

    def project(params: Params, x_leaves: list[Array]) -> tuple[list[Array], Any]:
        x_parts = structure.project(params, join_x(x_leaves, x_fixed))
        return _split(x_parts)[0], x_parts

    def readout(params: Params, carries: Carry, x_leaves: list[Array]) -> Any:
        return structure.readout(params, carries, join_x(x_leaves, x_fixed))

    # Where parts are merged, this is computed again only for its leaves that are not floating, such as masks.
    _, of_project, x_parts = jax.vjp(project, params, x_leaves, has_aux=True)
    x_part_leaves, x_part_fixed, join_x_part = _split(x_parts)

    def join_parts(x_part_leaves: list[Array], h_parts: Array) -> tuple[list[Array], PyTree]:
        parts = both.join(join_x_part(x_part_leaves, x_part_fixed), h_parts)
        return _split(parts)[0], parts

    _, of_parts, parts = jax.vjp(join_parts, x_part_leaves, both.nothing(all_carries), has_aux=True)
    _, fixed, join = _split(parts)
    leaves = [*x_part_leaves, *all_kept] if structure.merge is None else all_kept
    fed_back = structure.feedback(
        gate_params, both.x_part(join(leaves, fixed)), structure.hidden(all_carries)
    )
    _, of_kernel = jax.vjp(lambda kernel: ops.product(fed_back, kernel), products.kernel)
    _, of_readout = jax.vjp(readout, params, all_after, x_leaves)
    d_params_read, d_after, d_x_read = of_readout(all_d_ys)

    back = partial(_step_backward, both, gate_params, products, join)
    (d_carry, d_gate_params), d_leaves = jax.lax.scan(
        back,
        (d_carry, d_gate_params),
        (carries, *map(rows.by_step, (leaves, fixed, d_after))),
        reverse=True,
        unroll=loops.unroll,
    )
    d_x_parts, d_h_parts = of_parts(rows.flat(d_leaves))
    d_params_project, d_x_project = of_project(d_x_parts)
    sums = (
        _add(d_params, _add(d_params_project, d_params_read)),
        d_gate_params,
        _add(d_kernel, of_kernel(d_h_parts)[0]),
    )
    first = jax.tree.map(lambda leaf: leaf[0], carries)
    return (d_carry, first, sums), rows.by_step(_add(d_x_project, d_x_read))


class _Rows(NamedTuple):
    """The rows of all steps of a chunk, as axes `[S, *B]` or as one: products of matrices need no copies.

    Where a chunk is the whole sequence, as on accelerators, they stay as they are: several devices may share
    the batch, and one axis over steps and rows could not be cut as theirs is.
    """

    shape: tuple[int, ...]
    is_flat: bool

    def flat(self, tree: PyTree) -> PyTree:
        if not self.is_flat:
            return tree
        return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[len(self.shape) :]), tree)

    def by_step(self, tree: PyTree) -> PyTree:
        if not self.is_flat:
            return tree
        return jax.tree.map(lambda leaf: leaf.reshape(*self.shape, *leaf.shape[1:]), tree)


def _step_backward(
    both: _Parts,
    gate_params: PyTree,
    products: RecurrentProducts,
    join: Callable[[list[Array], list[Array]], PyTree],
    state: tuple[Carry, PyTree],
    inputs: tuple[Carry, list[Array], list[Array], Carry],
) -> tuple[tuple[Carry, PyTree], list[Array]]:
    """Back through one step: everything of it but the sums over time."""
    d_carry, d_gate_params = state
    carry, leaves, fixed, d_read = inputs
    structure = both.structure

    def gate(gate_params: PyTree, leaves: list[Array], carry: Carry) -> Carry:
        return both.gate(gate_params, join(leaves, fixed), carry)

    def feedback(gate_params: PyTree, leaves: list[Array], carry: Carry) -> Array:
        return structure.feedback(gate_params, both.x_part(join(leaves, fixed)), structure.hidden(carry))

    def join_h_part(h_part: Array) -> list[Array]:
        return _split(both.join(both.x_part(join(leaves, fixed)), h_part))[0]

    _, of_gate = jax.vjp(gate, gate_params, leaves, carry)
    d_gate, d_leaves, d_direct = of_gate(_add(d_carry, d_read))
    _, of_parts = jax.vjp(join_h_part, both.nothing(carry))
    (d_h_part,) = of_parts(d_leaves)
    fed_back, of_feedback = jax.vjp(feedback, gate_params, leaves, carry)
    d_feedback, d_leaves_fed, d_hidden = of_feedback(products.backward(d_h_part, fed_back.dtype))
    d_gate_params = _add(d_gate_params, _add(d_gate, d_feedback))
    return (_add(d_direct, d_hidden), d_gate_params), _add(d_leaves, d_leaves_fed)


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
    """A divisor of the length within a factor of two of `chunk_size`, so that no remainder is compiled.

    A length that is not known yet, as in a program that is exported for any, is one chunk.
    """
    if not isinstance(num_steps, int):
        return num_steps
    chunk_size = max(1, min(chunk_size, num_steps))
    near = range(chunk_size // 2 + 1, 2 * chunk_size)
    divisors = [size for size in near if num_steps % size == 0]
    return min(divisors, key=lambda size: abs(size - chunk_size), default=chunk_size)
