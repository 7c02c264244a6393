"""Sums over time whose rounding error does not grow with the number of steps."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from seqjax.types import Array


@jax.custom_jvp
def compensated_sum(values: Array) -> Array:
    """The sum over the first axis, as if computed with twice the digits and rounded once.

    What an addition rounds away is kept beside its result by TwoSum (Knuth, 1997, section 4.2.2, theorem B),
    so that a million float32 terms lose no more than one rounding. About sqrt(T) columns are added up side by
    side, then their sums. Infinities and NaN come out as an ordinary sum gives them.

    Args:
      values: `[T, ...]`, floating.

    Returns:
      `[...]`, in the dtype of `values`; zero where T is zero.

    Example:
      >>> float(compensated_sum(jnp.array([1e8, 1.0, -1e8, 1.0])))
      2.0
    """
    count = values.shape[0]
    width = max(math.isqrt(count), 1)
    missing = -count % width
    padded = jnp.concatenate([values, jnp.zeros((missing, *values.shape[1:]), values.dtype)])
    columns = padded.reshape((count + missing) // width, width, *values.shape[1:])
    total, error = _accumulate(columns, jnp.zeros_like(columns))
    total, error = _accumulate(total, error)
    return total + error


@compensated_sum.defjvp
def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return compensated_sum(*primals), jnp.sum(tangents[0], 0)


def _accumulate(values: Array, errors: Array) -> tuple[Array, Array]:
    """The sum over the first axis of values that lack errors, and what it lacks."""

    def add(sums: tuple[Array, Array], terms: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        (first, error), (second, more) = sums, terms
        total = first + second
        part = total - first
        lost = (first - (total - part)) + (second - part)
        # An infinite total has no error: inf - inf would make it NaN.
        return (total, error + more + jnp.where(jnp.isfinite(total), lost, 0)), None

    start = jnp.zeros_like(values, shape=values.shape[1:])
    return jax.lax.scan(add, (start, start), (values, errors))[0]
