"""Sequences of varying length in one array: masks, selection, reversal within the length."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array, PyTree


def length_mask(lengths: Array, num_steps: int) -> Array:
    """Which steps lie before the length.

    Equation: `mask[t, b] = t < lengths[b]`.

    Args:
      lengths: `[*B]` integers.
      num_steps: `T`, the size of the time axis.

    Returns:
      `[T, *B]` booleans.

    Example:
      >>> length_mask(jnp.array([0, 2]), 3).astype(int).tolist()
      [[0, 1], [0, 1], [0, 0]]
    """
    steps = jnp.arange(num_steps).reshape((num_steps,) + (1,) * jnp.ndim(lengths))
    return steps < lengths


def expand_like(mask: Array, leaf: Array) -> Array:
    """Adds trailing axes of size one to `mask`, so that it broadcasts against `leaf`.

    Args:
      mask: `[*B]`.
      leaf: `[*B, ...]`.

    Returns:
      `mask` with the rank of `leaf`.

    Example:
      >>> expand_like(jnp.ones((5,), bool), jnp.ones((5, 3, 2))).shape
      (5, 1, 1)
    """
    return mask.reshape(mask.shape + (1,) * (leaf.ndim - mask.ndim))


def select(mask: Array, on_true: PyTree, on_false: PyTree) -> PyTree:
    """Chooses between two pytrees row by row.

    Args:
      mask: `[*B]` booleans.
      on_true: a pytree of arrays that broadcast against `[*B, ...]`.
      on_false: the same structure.

    Returns:
      The structure of both; each leaf is `on_true`'s where `mask` is true, else `on_false`'s.

    Example:
      >>> select(jnp.array([True, False]), jnp.ones((2, 1)), jnp.zeros((2, 1))).tolist()
      [[1.0], [0.0]]
    """

    def choose(true: Array, false: Array) -> Array:
        wider = true if jnp.ndim(true) >= jnp.ndim(false) else false
        return jnp.where(expand_like(mask, wider), true, false)

    return jax.tree.map(choose, on_true, on_false)


def zero_padding(xs: PyTree, mask: Array) -> PyTree:
    """Sets what the mask leaves out to zero, whatever stood there (NaN included).

    A product with a mask would hand NaN on, and so would the gradient of a selection *after* a
    computation with NaN: padding is cleared before anything reads it.

    Args:
      xs: a pytree of arrays `[T, *B, ...]`.
      mask: `[T, *B]` booleans.

    Returns:
      The structure of `xs`.

    Example:
      >>> zero_padding(jnp.array([[1.0], [jnp.nan]]), jnp.array([True, False])).tolist()
      [[1.0], [0.0]]
    """
    return jax.tree.map(lambda leaf: jnp.where(expand_like(mask, leaf), leaf, jnp.zeros_like(leaf)), xs)


def reverse(xs: PyTree, lengths: Array | None = None) -> PyTree:
    """Reverses time within each sequence's length; padding stays where it is.

    Args:
      xs: a pytree of arrays `[T, *B, ...]`.
      lengths: `[*B]` integers, or `None` where every sequence has all `T` steps.

    Returns:
      The structure of `xs`. `reverse(reverse(xs, n), n)` is `xs`.

    Example:
      >>> reverse(jnp.array([[1, 1], [2, 2], [3, 3]]), jnp.array([3, 2])).tolist()
      [[3, 2], [2, 1], [1, 3]]
    """
    if lengths is None:
        return jax.tree.map(lambda leaf: jnp.flip(leaf, 0), xs)

    def gather(leaf: Array) -> Array:
        steps = jnp.arange(leaf.shape[0]).reshape((-1,) + (1,) * jnp.ndim(lengths))
        index = jnp.where(steps < lengths, lengths - 1 - steps, steps)
        return jnp.take_along_axis(leaf, expand_like(index, leaf), axis=0)

    return jax.tree.map(gather, xs)


def boundaries_backward(resets: Array, lengths: Array | None = None) -> Array:
    """Where a run from the last step to the first crosses the boundaries that `resets` marks.

    A reset before step `t` is a boundary between `t - 1` and `t`. Run backwards, it is crossed before
    step `t - 1`, so the flag moves by one. A boundary in the padding, or at its edge, is crossed by no step.

    Args:
      resets: `[T, *B]` booleans, true where a forward run resets before the step.
      lengths: `[*B]` integers, or `None`.

    Returns:
      `[T, *B]` booleans in the same order of time, true where a backward run resets before the step.

    Example:
      >>> boundaries_backward(jnp.array([False, True, False])).astype(int).tolist()
      [1, 0, 0]
    """
    later = jnp.concatenate([resets[1:], jnp.zeros_like(resets[:1])], axis=0)
    if lengths is None:
        return later
    return later & length_mask(lengths - 1, resets.shape[0])
