"""Sums and products of logarithms: the arithmetic in which chains of potentials are summed up."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from seqjax.types import Array

Reduce = Callable[[Array, int], Array]
"""The sum of a semiring over an axis: `log_sum_exp` for all paths, `jnp.max` for the best; `+` multiplies."""


def log_sum_exp(values: Array, axis: int = -1) -> Array:
    """The logarithm of a sum of exponentials.

    -inf stands for zero: a sum of nothing but zeros is -inf, and every gradient is finite even there, where
    `jax.nn.logsumexp` has NaN. A NaN comes out as one.

    Args:
      values: `[...]`, logarithms.
      axis: over which to sum.

    Returns:
      `values` without that axis.

    Example:
      >>> log_sum_exp(jnp.log(jnp.array([[1.0, 3.0], [0.0, 0.0]]))).round(3).tolist()
      [1.386..., -inf]
    """
    largest = finite(jnp.max(values, axis, keepdims=True))
    total = jnp.sum(jnp.exp(values - largest), axis)
    none = total == 0
    return jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)) + jnp.squeeze(largest, axis))


def log_normalize(values: Array) -> tuple[Array, Array]:
    """Logarithms of numbers that sum to one, and the logarithm of their sum before; -inf stays.

    Args:
      values: `[..., K]`.

    Returns:
      `[..., K]` and `[...]`.

    Example:
      >>> normalized, total = log_normalize(jnp.log(jnp.array([1.0, 3.0])))
      >>> jnp.exp(normalized).round(3).tolist(), float(jnp.exp(total).round(3))
      ([0.25, 0.75...], 4.0)
    """
    total = log_sum_exp(values)
    return values - jnp.where(jnp.isneginf(total), 0, total)[..., None], total


def finite(values: Array) -> Array:
    """What may be subtracted from logarithms to scale them: zero in place of -inf, and no gradient.

    Args:
      values: `[...]`, largest logarithms.

    Returns:
      The same, detached.

    Example:
      >>> finite(jnp.array([2.0, -jnp.inf])).tolist()
      [2.0, 0.0]
    """
    values = jax.lax.stop_gradient(values)
    return jnp.where(jnp.isneginf(values), 0, values)


def apply(reduce: Reduce, vector: Array, matrix: Array) -> Array:
    """A row vector times a matrix.

    Args:
      reduce: the sum.
      vector: `[..., K]`.
      matrix: `[..., K, K]`.

    Returns:
      `[..., K]`.

    Example:
      >>> apply(jnp.max, jnp.array([0.0, 1.0]), jnp.array([[5.0, 1.0], [0.0, 2.0]])).tolist()
      [5.0, 3.0]
    """
    return reduce(vector[..., :, None] + matrix, -2)


def multiply(reduce: Reduce, earlier: Array, later: Array) -> Array:
    """A product of matrices up to a factor: its largest entry is one, whose logarithm is zero.

    Args:
      reduce: the sum.
      earlier: `[..., K, K]`.
      later: `[..., K, K]`.

    Returns:
      `[..., K, K]`.

    Example:
      >>> multiply(jnp.max, jnp.array([[5.0, 1.0], [0.0, 2.0]]), jnp.array([[0.0, 1.0], [1.0, 0.0]])).tolist()
      [[-1.0, 0.0], [-3.0, -4.0]]
    """
    product = reduce(earlier[..., :, :, None] + later[..., None, :, :], -2)
    return product - finite(jnp.max(product, (-2, -1), keepdims=True))
