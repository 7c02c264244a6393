"""Products with the Jacobians of a trajectory, for carries whose Jacobians do not fit into memory."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cell import Cell
from seqjax.checks import check_key, check_size
from seqjax.diagnostics.jacobians import trajectory
from seqjax.ops.rows import Rows
from seqjax.types import Array, Carry, Key, Params, Shifted
from seqjax.unroll import checked_xs, sequence_shape, unroll


def push_forward(cell: Cell, params: Params, xs: Any, tangent: Carry, *, carry: Carry | None = None) -> Carry:
    """How a small change of the carry before the first step changes the carry after each.

    Equation: `(d h_t / d h_{-1}) tangent` for every `t`, by one derivative in forward mode.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`.
      tangent: the change, with the structure of the carry, leaves `[*B, ...]`.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      The changes after each step, leaves `[T, *B, ...]`.

    Raises:
      ValueError: as `seqjax.unroll`, also for a `tangent` that is no carry of this cell.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.irnn(2, initial_carry="zeros")  # starts as the identity
      >>> params = cell.init(jax.random.key(0), 3)
      >>> change = push_forward(cell, params, jnp.zeros((5, 3)), jnp.array([2.0, 0.0]), carry=jnp.ones(2))
      >>> change[-1].tolist()
      [2.0, 0.0]
    """
    start = _start(cell, params, xs, carry)
    _check_like_a_carry(cell, params, xs, "tangent", tangent)

    def after(carry: Carry) -> Carry:
        return unroll(cell, params, xs, carry=carry, method=trajectory)[1][1]

    tangent = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), tangent, start)
    return jax.jvp(after, (start,), (tangent,))[1]


def pull_back(cell: Cell, params: Params, xs: Any, cotangent: Carry, *, carry: Carry | None = None) -> Carry:
    """How a weighted sum of the last carry depends on the carry after each step.

    Equation: `(d h_{T-1} / d h_k)' cotangent` for every `k`, by one derivative in reverse mode: with
    `cotangent = dE / dh_{T-1}` what the last step's error says to each step before it.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`.
      cotangent: the weights, with the structure of the carry, leaves `[*B, ...]`; of complex leaves as
        `jax.vjp` takes them.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      What reaches each step, leaves `[T, *B, ...]`; the last is `cotangent`.

    Raises:
      ValueError: as `seqjax.unroll`, also for a `cotangent` that is no carry of this cell.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.irnn(2, initial_carry="zeros")
      >>> params = cell.init(jax.random.key(0), 3)
      >>> reached = pull_back(cell, params, jnp.zeros((5, 3)), jnp.array([2.0, 0.0]), carry=jnp.ones(2))
      >>> reached[0].tolist(), reached.shape
      ([2.0, 0.0], (5, 2))
    """
    start = _start(cell, params, xs, carry)
    _check_like_a_carry(cell, params, xs, "cotangent", cotangent)
    num_steps, _ = sequence_shape(checked_xs(xs))
    shifts = jax.tree.map(lambda leaf: jnp.zeros((num_steps, *leaf.shape), leaf.dtype), start)

    def last(shifts: Carry) -> Carry:
        return unroll(cell, Shifted(params, carries=shifts), xs, carry=start, method="scan")[0]

    cotangent = jax.tree.map(lambda leaf, like: jnp.asarray(leaf, like.dtype), cotangent, start)
    return jax.vjp(last, shifts)[1](cotangent)[0]


def largest_singular_value(
    cell: Cell, params: Params, xs: Any, key: Key, *, carry: Carry | None = None, num_iterations: int = 50
) -> Array:
    """The spectral norm of `d h_{T-1} / d h_{-1}`, by power iteration, without any matrix.

    Equation: `v' = J' J v / |J' J v|` from a random `v`, and the norm is `|J v|`: each iteration is one
    product with the Jacobian of all steps together and one with its transpose. The estimate is never above
    the norm but for rounding, and its error falls as `(s_2 / s_1)^(4 n)` after `n` iterations, with `s_2` the
    second singular value. For steps `k + 1 ... t`, pass `xs[k + 1 : t + 1]` and the carry after step `k`.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`.
      key: a random key, for the direction to start from.
      carry: the carry before the first step, or `None` for the initial one.
      num_iterations: how often.

    Returns:
      `[*B]`.

    Raises:
      ValueError: as `seqjax.unroll`, or if `num_iterations` is not positive.
      TypeError: as `seqjax.unroll`, or if `key` is not a typed key or `num_iterations` no integer.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.irnn(2, initial_carry="zeros")
      >>> params = cell.init(jax.random.key(0), 3)
      >>> largest_singular_value(cell, params, jnp.zeros((5, 3)), jax.random.key(1), carry=jnp.ones(2)).item()
      1.0
    """
    check_key(key)
    check_size("num_iterations", num_iterations)
    start = _start(cell, params, xs, carry)
    rows = Rows.of(start, jax.tree.leaves(xs)[0].ndim - 2)

    def last(flat: Array) -> Array:
        return rows.flat(unroll(cell, params, xs, carry=rows.tree(flat), method="scan")[0])

    flat = rows.flat(start)
    _, times = jax.linearize(last, flat)
    transposed = jax.linear_transpose(times, flat)

    def iterate(_: Array, direction: Array) -> Array:
        return _unit(transposed(times(direction))[0])

    direction = _unit(jax.random.normal(key, flat.shape, flat.dtype))
    direction = jax.lax.fori_loop(0, num_iterations, iterate, direction)
    return _length(times(direction))


def _unit(vectors: Array) -> Array:
    """Vectors of length one; one of zeros stays."""
    # Divided by the largest number first, whose square may be too small for the dtype.
    largest = jnp.max(jnp.abs(vectors), -1, keepdims=True)
    vectors = vectors / jnp.where(largest > 0, largest, 1)
    length = jnp.sqrt(jnp.sum(vectors * vectors, -1, keepdims=True))
    return vectors / jnp.where(length > 0, length, 1)


def _length(vectors: Array) -> Array:
    largest = jnp.max(jnp.abs(vectors), -1, keepdims=True)
    scaled = vectors / jnp.where(largest > 0, largest, 1)
    return largest[..., 0] * jnp.sqrt(jnp.sum(scaled * scaled, -1))


def _start(cell: Cell, params: Params, xs: Any, carry: Carry | None) -> Carry:
    """The carry before the first step, after `unroll` has looked at the arguments."""
    no_steps = jax.tree.map(lambda leaf: leaf[:0], checked_xs(xs))
    return unroll(cell, params, no_steps, carry=carry, method="scan")[0]


def _check_like_a_carry(cell: Cell, params: Params, xs: Any, name: str, value: Carry) -> None:
    """Refuses what is no carry of this cell, in the words of `unroll`."""
    try:
        _start(cell, params, xs, value)
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("carry", name, 1)) from None
