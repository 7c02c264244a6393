"""The ways to run `h_t = a_t h_{t-1} + b_t` that are plain array operations.

All take `a[T or 1, ...]`, `b[T, ...]` and `initial[...]` as `linear_recurrence` has checked them, and return
`h` in the dtype of `initial`. Axes of `a` may have size one where those of `b` have not.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

from seqjax.types import Array, PyTree

Form = Callable[..., Array]
"""`(a, b, initial, *, reverse, dense) -> h`."""

SMALL = 16
"""Up to this size a matrix product is faster as multiplications and a sum than as a call of a library."""


def sequential(a: Array, b: Array, initial: Array, *, reverse: bool, dense: bool) -> Array:
    """One step after the other.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      b: `[T, ...]`.
      initial: `[...]`.
      reverse: whether the last step runs first.
      dense: whether `a` are matrices.

    Returns:
      `h[T, ...]`.

    Example:
      >>> a, b = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> sequential(a, b, jnp.zeros(1), reverse=False, dense=False)[:, 0].tolist()
      [1.0, 1.5, 1.75]
    """

    def step(h: Array, a_t: Array, b_t: Array) -> tuple[Array, Array]:
        h = apply(a_t, h, dense) + b_t
        return h, h

    return scan_steps(step, initial, a, b, reverse=reverse)[1]


def associative(a: Array, b: Array, initial: Array, *, reverse: bool, dense: bool) -> Array:
    """All steps at once by doubling (Blelloch, 1990), about `2 log2(T)` operations one after another.

    Equation: step 2 after step 1 is `(a_2, b_2)(a_1, b_1) = (a_2 a_1, a_2 b_1 + b_2)`, which is associative.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      b: `[T, ...]`.
      initial: `[...]`.
      reverse: whether the last step runs first.
      dense: whether `a` are matrices.

    Returns:
      `h[T, ...]`.

    Example:
      >>> a, b = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> associative(a, b, jnp.zeros(1), reverse=False, dense=False)[:, 0].tolist()
      [1.0, 1.5, 1.75]
    """
    a, b = a.astype(initial.dtype), b.astype(initial.dtype)
    a = jnp.broadcast_to(a, (b.shape[0], *a.shape[1:]))
    first = -1 if reverse else 0
    b = b.at[first].add(apply(a[first], initial, dense))

    def combine(one: tuple[Array, Array], two: tuple[Array, Array]) -> tuple[Array, Array]:
        return compose(two[0], one[0], dense), apply(two[0], one[1], dense) + two[1]

    return jax.lax.associative_scan(combine, (a, b), reverse=reverse)[1]


def chunked(
    a: Array, b: Array, initial: Array, *, reverse: bool, dense: bool, chunk_size: int | None = None
) -> Array:
    """Loops over all chunks of time side by side, and the associative form across chunks.

    A first loop finds what each chunk does to the carry that enters it, the associative form which carry that
    is, and a second loop the result. Both loops read `a` and `b`, but products of `a` are never stored.

    Args:
      a: `[T or 1, ...]`, or `[T or 1, ..., N, N]` if `dense`.
      b: `[T, ...]`.
      initial: `[...]`.
      reverse: whether the last step runs first.
      dense: whether `a` are matrices.
      chunk_size: steps a chunk; `None` for the square root of `T`, rounded up.

    Returns:
      `h[T, ...]`.

    Example:
      >>> a, b = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> chunked(a, b, jnp.zeros(1), reverse=False, dense=False)[:, 0].tolist()
      [1.0, 1.5, 1.75]
    """
    num_steps = b.shape[0]
    size = min(num_steps, chunk_size or math.ceil(math.sqrt(num_steps)))
    num_chunks = -(-num_steps // size)
    missing = num_chunks * size - num_steps

    def cut(leaf: Array) -> Array:
        if missing:
            # What fills the last chunk up stands where the loops arrive last, and its results are cut off.
            filler = jnp.zeros((missing, *leaf.shape[1:]), leaf.dtype)
            leaf = jnp.concatenate([filler, leaf] if reverse else [leaf, filler])
        return leaf.reshape(num_chunks, size, *leaf.shape[1:])

    def effect(a: Array, b: Array) -> tuple[Array, Array]:
        def step(state: tuple[Array, Array], a_t: Array, b_t: Array) -> tuple[tuple[Array, Array], None]:
            return (compose(a_t, state[0], dense), apply(a_t, state[1], dense) + b_t), None

        state = (_one(a.shape[1:], initial.dtype, dense), jnp.zeros_like(initial))
        return scan_steps(step, state, a, b, reverse=reverse)[0]

    def run(a: Array, b: Array, entering: Array) -> Array:
        return sequential(a, b, entering, reverse=reverse, dense=dense)

    axis = None if is_constant(a, b) else 0
    a, b = a if axis is None else cut(a), cut(b)
    left = associative(*jax.vmap(effect, (axis, 0))(a, b), initial, reverse=reverse, dense=dense)
    hs = jax.vmap(run, (axis, 0, 0))(a, b, steps_before(left, initial, reverse))
    hs = hs.reshape(num_chunks * size, *hs.shape[2:])
    return hs[missing:] if reverse else hs[:num_steps]


def scan_steps(
    step: Callable, state: PyTree, a: Array, *sequences: Array, reverse: bool
) -> tuple[PyTree, PyTree]:
    """`lax.scan` of `step(state, a_t, *steps)`, where one `a` may serve all steps.

    Args:
      step: `(state, a_t, *steps) -> (state, output)`.
      state: the state before the first step.
      a: `[T or 1, ...]`.
      *sequences: `[T, ...]` each.
      reverse: whether the last step runs first.

    Returns:
      The last state and the outputs `[T, ...]`.

    Example:
      >>> def step(total, a_t, b_t):
      ...     return total + a_t * b_t, None
      >>> scan_steps(step, 0.0, jnp.array([2.0]), jnp.arange(4.0), reverse=False)[0].tolist()
      12.0
    """
    constant = is_constant(a, sequences[0])

    def body(state: PyTree, inputs: tuple) -> tuple[PyTree, PyTree]:
        return step(state, a[0] if constant else inputs[0], *inputs[1:])

    return jax.lax.scan(body, state, (None if constant else a, *sequences), reverse=reverse)


def steps_before(hs: Array, initial: Array, reverse: bool) -> Array:
    """What each step started from.

    Args:
      hs: `[T, ...]`, what each step gave.
      initial: `[...]`, what the first one started from.
      reverse: whether the last step ran first.

    Returns:
      `[T, ...]`.

    Example:
      >>> steps_before(jnp.array([1, 2, 3]), jnp.array(0), False).tolist()
      [0, 1, 2]
    """
    return jnp.concatenate([hs[1:], initial[None]] if reverse else [initial[None], hs[:-1]])


def is_constant(a: Array, b: Array) -> bool:
    """Whether one coefficient serves all steps.

    Args:
      a: `[T or 1, ...]`.
      b: `[T, ...]`.

    Returns:
      A boolean.

    Example:
      >>> is_constant(jnp.ones((1, 2)), jnp.ones((3, 2)))
      True
    """
    return a.shape[0] == 1 and b.shape[0] != 1


def apply(a: Array, h: Array, dense: bool) -> Array:
    """`a h`: a product of elements, or of a matrix and a vector.

    Args:
      a: `[...]`, or `[..., N, N]` if `dense`; batch axes may have size one.
      h: `[...]`.
      dense: whether `a` are matrices.

    Returns:
      `[...]` like `h`.

    Example:
      >>> apply(jnp.array([[0.0, 1.0], [1.0, 0.0]]), jnp.array([1.0, 2.0]), True).tolist()
      [2.0, 1.0]
    """
    if not dense:
        return a * h
    if h.shape[-1] <= SMALL:
        return jnp.sum(a * h[..., None, :], -1)
    return jnp.matmul(a, h[..., None], precision="highest")[..., 0]


def compose(second: Array, first: Array, dense: bool) -> Array:
    """The coefficient of one step after another: `second first`.

    Args:
      second: `[...]`, or `[..., N, N]` if `dense`.
      first: likewise.
      dense: whether they are matrices.

    Returns:
      Their product.

    Example:
      >>> compose(jnp.array([2.0]), jnp.array([3.0]), False).tolist()
      [6.0]
    """
    return jnp.matmul(second, first, precision="highest") if dense else second * first


def _one(shape: tuple[int, ...], dtype: jnp.dtype, dense: bool) -> Array:
    """The coefficient that changes nothing."""
    return jnp.broadcast_to(jnp.eye(shape[-1], dtype=dtype), shape) if dense else jnp.ones(shape, dtype)
