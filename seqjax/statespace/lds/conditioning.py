"""What an observation says about a state, in factors of covariances: no variance is ever subtracted."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops.small_matrices import (
    above,
    beside,
    identity,
    product,
    solve_triangular,
    transpose,
    triangularize,
)
from seqjax.types import Array


class Conditioned(NamedTuple):
    """What `condition` gives.

    Attributes:
      rows: `[R, N, *L]`, the rows of the conditional covariance's factor.
      gain: `[R, M, *L]`, of residuals into the mean of the variables: made of regressions on each observation
        and not of `rows`, whose products cancel where the prior is wide and the observation precise.
      variances: `[M, *L]`, of each observation given those before it, their noise included.
      whitener: `[M, M, *L]`, unit lower triangular: innovations are this times residuals.
    """

    rows: Array
    gain: Array
    variances: Array
    whitener: Array


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
      >>> given = jax.jit(condition)(jnp.array([[3.0, 4.0]]), jnp.eye(2))
      >>> (given.rows @ given.rows.T).round(3).tolist()
      [[0.65..., -0.46...], [-0.46..., 0.38...]]
    """
    num_observed = observed.shape[0]
    stacked = above(observed, rows)
    if num_observed == 1:
        stacked, column, variance = _absorb(stacked, 0)
        columns, variances = column[None], variance[None]
    else:

        def step(stacked: Array, place: Array) -> tuple[Array, tuple[Array, Array]]:
            stacked, *results = _absorb(stacked, place)
            return stacked, (results[0], results[1])

        stacked, (columns, variances) = jax.lax.scan(step, stacked, jnp.arange(num_observed))
    coefficients = transpose(columns)
    below = jnp.tril(jnp.ones((num_observed, num_observed), bool), -1)
    below = below.reshape(below.shape + (1,) * (coefficients.ndim - 2))
    eye = identity(num_observed, coefficients)
    lower = jnp.where(below, coefficients[:num_observed], 0) + eye
    gain, whitener = coefficients[num_observed:], lower
    if num_observed > 1:
        whitener = solve_triangular(lower, eye)
        gain = product(gain, whitener)  # from innovations to residuals
    return Conditioned(rows=stacked[num_observed:], gain=gain, variances=variances, whitener=whitener)


def _absorb(stacked: Array, place: Array | int) -> tuple[Array, Array, Array]:
    """Takes in the observation in this row: all rows times `C`, their regression on it, and its variance."""
    size = stacked.shape[1]
    row = jax.lax.dynamic_index_in_dim(stacked, place, keepdims=False)
    further = jnp.tril(jnp.ones((size, size), stacked.dtype), -1)
    further = further.reshape(size, size, *(1,) * (stacked.ndim - 2))
    terms = stacked * row
    # Sums over the columns further on, without and with the column itself.
    beyond = product(terms, further)
    others = 1 + jax.lax.dynamic_index_in_dim(beyond, place, keepdims=False)
    variances = others + row * row
    scale = 1 / (jnp.sqrt(variances) * jnp.sqrt(others))
    covariances = beyond[:, 0] + terms[:, 0]
    return stacked * (others * scale) - beyond * (row * scale), covariances / variances[0], variances[0]


class Update(NamedTuple):
    """What the observations of a step do to its belief, whatever their values.

    Attributes:
      whitened: `[N, N, *L]`: the filtered factor is the predicted one times this.
      filtered: `[N, N, *L]`, the factor.
      whitened_gain: `[N, M, *L]`: the gain is the predicted factor times this.
      gain: `[N, M, *L]`, of residuals into the mean.
      variances: `[M, *L]`, of the innovations.
      whitener: `[M, M, *L]`: innovations are this times residuals.
    """

    whitened: Array
    filtered: Array
    whitened_gain: Array
    gain: Array
    variances: Array
    whitener: Array


def update(predicted: Array, emission: Array) -> Update:
    """Conditions predicted states on the observations of their steps.

    Args:
      predicted: `[N, N, *L]`, factors of the predicted covariances.
      emission: `[M, N, *L]`, whitened.

    Returns:
      `Update`.

    Example:
      >>> jax.jit(update)(jnp.array([[2.0]]), jnp.array([[1.0]])).gain.round(3).tolist()  # 4 / (4 + 1)
      [[0.80...]]
    """
    given = condition(product(emission, predicted), identity(predicted.shape[0], predicted))
    return Update(
        whitened=given.rows,
        filtered=product(predicted, given.rows),
        whitened_gain=given.gain,
        gain=product(predicted, given.gain),
        variances=given.variances,
        whitener=given.whitener,
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
