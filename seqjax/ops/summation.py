"""Sums over time whose rounding error does not grow with the number of steps."""

from __future__ import annotations

import jax.numpy as jnp

from seqjax.types import Array


def compensated_sum(values: Array) -> Array:
    """The sum over the first axis, as if computed with twice the digits and rounded once.

    Halves are added to each other, and what an addition rounds away is kept beside its result by TwoSum
    (Knuth, 1997, section 4.2.2, theorem B), so that a million float32 terms lose no more than one rounding.
    Infinities and NaN come out as an ordinary sum gives them.

    Args:
      values: `[T, ...]`, floating.

    Returns:
      `[...]`, in the dtype of `values`; zero where T is zero.

    Example:
      >>> float(compensated_sum(jnp.array([1e8, 1.0, -1e8, 1.0])))
      2.0
    """
    if values.shape[0] == 0:
        return jnp.zeros(values.shape[1:], values.dtype)
    total, error = values, jnp.zeros_like(values)
    while total.shape[0] > 1:
        if total.shape[0] % 2:
            pad = jnp.zeros((1, *total.shape[1:]), total.dtype)
            total, error = jnp.concatenate([total, pad]), jnp.concatenate([error, pad])
        half = total.shape[0] // 2
        first, second = total[:half], total[half:]
        total = first + second
        part = total - first
        lost = (first - (total - part)) + (second - part)
        # An infinite total has no error: inf - inf would make it NaN.
        lost = jnp.where(jnp.isfinite(total), lost, 0)
        error = error[:half] + error[half:] + lost
    return total[0] + error[0]
