"""Burg's estimate of a scalar autoregression."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array


def burg(rows: Array, valid: Array, order: int) -> tuple[Array, Array]:
    """The autoregression that predicts a series best from both sides at once (Burg, 1975).

    Equation: for `m = 1 ... p`, with the errors `f` of predicting forwards and `b` of predicting backwards,
    the reflection `k_m = 2 Σ_t f_t b_{t-1} / Σ_t (f_t² + b_{t-1}²)` is the last coefficient of order `m`, and
    the others follow from `a_j ← a_j - k_m a_{m-j}` (Brockwell & Davis, 2016, section 5.1.2). As no
    reflection exceeds one, the result is stable. Several series share their reflections.

    Args:
      rows: `[T, B]`, each series a column, zeros in the padding.
      valid: `[T, B]` booleans, false in the padding.
      order: `p`.

    Returns:
      The coefficients `[p]`, and the variance of the noise: the mean square of both errors at order `p`.

    Example:
      >>> coefficients, variance = burg(jnp.array([[1.0], [0.5], [0.25]]), jnp.ones((3, 1), bool), 1)
      >>> round(float(coefficients[0]), 4), round(float(variance), 4)
      (0.8, 0.1406)
    """
    lags = jnp.arange(order)

    def reflect(state: tuple[Array, Array, Array], m: Array) -> tuple[tuple, None]:
        coefficients, forwards, backwards = state
        backwards = jnp.concatenate([jnp.zeros_like(backwards[:1]), backwards[:-1]])
        both = jnp.where(_known(valid, m + 1), 1, 0)
        products = jnp.sum(both * forwards * backwards)
        squares = jnp.sum(both * (forwards**2 + backwards**2))
        # A series that is predicted without error has nothing left to reflect.
        reflection = jnp.where(squares > 0, 2 * products / jnp.where(squares > 0, squares, 1), 0)
        before = jnp.where(lags < m, coefficients[jnp.clip(m - 1 - lags, 0)], 0)
        coefficients = (coefficients - reflection * before).at[m].set(reflection)
        return (coefficients, forwards - reflection * backwards, backwards - reflection * forwards), None

    start = jnp.zeros((order,), rows.dtype), rows, rows
    (coefficients, forwards, backwards), _ = jax.lax.scan(reflect, start, lags)
    known = _known(valid, order)
    squares = jnp.sum(jnp.where(known, forwards**2 + backwards**2, 0))
    return coefficients, squares / (2 * jnp.sum(known))


def _known(valid: Array, lag: Array | int) -> Array:
    """Which steps have a step of the same series that many before them."""
    return valid & (jnp.arange(valid.shape[0])[:, None] >= lag)
