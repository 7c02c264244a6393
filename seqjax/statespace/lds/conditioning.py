"""What an observation says about a state, in factors of covariances: no variance is ever subtracted."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops.small_matrices import above, beside, identity, product, transpose, triangularize
from seqjax.types import Array

UNROLLED = 32
"""Observed features up to this number are written out one after the other; more of them run in a loop."""


class Conditioned(NamedTuple):
    """What `condition` gives.

    Attributes:
      rows: `[R, N, *L]`, the rows of the conditional covariance's factor.
      observed: `[M, N, *L]`, the same for the rows of the observations.
      variances: `[M, *L]`, of each observation given those before it, their noise included.
      lower: `[M, M, *L]`, unit lower triangular: innovations are what solves `lower innovations = residuals`.
    """

    rows: Array
    observed: Array
    variances: Array
    lower: Array


def condition(observed: Array, rows: Array) -> Conditioned:
    """Conditions `z ~ N(0, I)` on observations `observed z + v`, `v ~ N(0, I)`.

    The observations are taken in one by one. For a row `f` of `observed` the conditional covariance
    `I - f f' / (1 + f' f)` is `C C'` with the lower triangular factor (Carlson, 1973, equation 12)

    `a_j = 1 + sum_{l >= j} f_l^2`, `C_jj = sqrt(a_{j+1} / a_j)`,
    `C_ij = -f_i f_j / sqrt(a_{j+1} a_j)` for `i > j`,

    whose diagonal has no subtraction, however precise an observation is. The update by Potter of the same
    cost subtracts there, and loses all digits where an observation is better than the prior by that many.

    Args:
      observed: `[M, N, *L]`.
      rows: `[R, N, *L]`, the matrix `A` of the variables `A z` of interest; its lanes broadcast with those of
        `observed`.

    Returns:
      `A C` for the product `C` of all these factors, and the rest of `Conditioned`.

    Example:
      >>> given = condition(jnp.array([[3.0, 4.0]]), jnp.eye(2))
      >>> (given.rows @ given.rows.T).round(3).tolist()
      [[0.65..., -0.46...], [-0.46..., 0.38...]]
    """
    num_observed = observed.shape[0]
    stacked = above(observed, rows)
    if num_observed <= UNROLLED:
        kept = []
        for m in range(num_observed):
            stacked, *result = _absorb(stacked, stacked[m])
            kept.append(result)
        columns, variances = (jnp.stack(parts) for parts in zip(*kept, strict=True))
    else:

        def step(stacked: Array, m: Array) -> tuple[Array, tuple[Array, Array]]:
            stacked, column, variance = _absorb(stacked, stacked[m])
            return stacked, (column, variance)

        stacked, (columns, variances) = jax.lax.scan(step, stacked, jnp.arange(num_observed))
    coefficients = transpose(columns)[:num_observed]
    below = jnp.tril(jnp.ones((num_observed, num_observed), bool), -1)
    below = below.reshape(below.shape + (1,) * (coefficients.ndim - 2))
    return Conditioned(
        rows=stacked[num_observed:],
        observed=stacked[:num_observed],
        variances=variances,
        lower=jnp.where(below, coefficients, 0) + identity(num_observed, coefficients),
    )


def _absorb(stacked: Array, row: Array) -> tuple[Array, Array, Array]:
    """Takes in one observation: all rows times `C`, their regression on its innovation, and its variance."""
    here = _sums_from(stacked * row)
    variances = 1 + _sums_from((row * row)[None])
    # What stands to the right of each column.
    beyond = _shifted(here, 1)
    others = 1 + _shifted(variances - 1, 1)
    scale = 1 / (jnp.sqrt(variances) * jnp.sqrt(others))
    stacked = stacked * (others * scale) - beyond * (row * scale)
    return stacked, here[:, 0] / variances[0, 0], variances[0, 0]


def _sums_from(terms: Array) -> Array:
    """`[R, N, *L]` -> sums over the second axis from each column to the last."""
    shift = 1
    while shift < terms.shape[1]:
        terms = terms + _shifted(terms, shift)
        shift *= 2
    return terms


def _shifted(terms: Array, count: int) -> Array:
    """The columns `count` places further on, and zeros after the last."""
    return jnp.concatenate([terms[:, count:], jnp.zeros_like(terms[:, :count])], axis=1)


class Update(NamedTuple):
    """What the observations of a step do to its belief, whatever their values.

    Attributes:
      whitened: `[N, N, T, B]`: the filtered factor is the predicted one times this.
      filtered: `[N, N, T, B]`, the factor.
      whitened_gain: `[N, M, T, B]`: the gain is the predicted factor times this.
      gain: `[N, M, T, B]`, of residuals into the mean.
      variances: `[M, T, B]`, of the innovations.
      lower: `[M, M, T, B]`: innovations are what solves `lower innovations = residuals`.
    """

    whitened: Array
    filtered: Array
    whitened_gain: Array
    gain: Array
    variances: Array
    lower: Array


def update(predicted: Array, emission: Array) -> Update:
    """The update of all steps at once.

    Args:
      predicted: `[N, N, T, B]`, factors of the predicted covariances.
      emission: `[M, N, T, B]`, whitened.

    Returns:
      `Update`, of which what is not used is not computed under `jit`.
    """
    given = condition(product(emission, predicted), identity(predicted.shape[0], predicted))
    filtered = product(predicted, given.rows)
    observed = transpose(given.observed)
    return Update(
        whitened=given.rows,
        filtered=filtered,
        whitened_gain=product(given.rows, observed),
        gain=product(filtered, observed),
        variances=given.variances,
        lower=given.lower,
    )


def predict(dynamics: Array, factor: Array, noise: Array) -> Array:
    """The factor of the next state's covariance.

    Equation: `P' = F P F' + Q`.

    Args:
      dynamics: `[N, N, *L]`.
      factor: `[N, N, *L]`, of the covariance of the state.
      noise: `[N, N, *L]`, a factor of the covariance that the step adds.

    Returns:
      `[N, N, *L]`, lower triangular.

    Example:
      >>> predict(jnp.array([[3.0]]), jnp.array([[1.0]]), jnp.array([[4.0]])).tolist()
      [[5.0]]
    """
    return triangularize(beside(product(dynamics, factor), noise))
