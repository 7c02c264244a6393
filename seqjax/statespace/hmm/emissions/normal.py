"""Normal densities from log-Cholesky factors, and weighted moments, for covariances of three forms."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops import linear_algebra
from seqjax.types import Array

UNROLLED = 8
"""Up to so many features the density is unrolled over pairs of features, which XLA fuses into one pass."""


class Moments(NamedTuple):
    """Weighted sums over observations, for each state.

    Attributes:
      counts: `[S]`, summed weights; exactly zero for a state with hardly any.
      means: `[S, M]`.
      scatter: `[S, M, M]`, or its diagonal `[S, M]`: weighted squares about the means.
    """

    counts: Array
    means: Array
    scatter: Array


def cholesky_of(log_cholesky: Array) -> Array:
    """The lower triangular factor of a covariance (Pinheiro & Bates, 1996, section 2.2).

    Equation: `L_ij = log_cholesky_ij` below the diagonal, `L_ii = exp(log_cholesky_ii)`, and zero above it,
    so that every matrix of real numbers gives a covariance `L Lᵀ`, and each covariance has one.

    Args:
      log_cholesky: `[..., M, M]`. What stands above the diagonal is not read.

    Returns:
      `[..., M, M]`.

    Example:
      >>> cholesky_of(jnp.array([[0.0, 9.0], [3.0, 0.0]])).tolist()
      [[1.0, 0.0], [3.0, 1.0]]
    """
    scales = jnp.exp(jnp.diagonal(log_cholesky, axis1=-2, axis2=-1))
    return jnp.tril(log_cholesky, -1) + scales[..., None] * jnp.eye(
        log_cholesky.shape[-1], dtype=scales.dtype
    )


def log_cholesky_of(covariances: Array) -> Array:
    """The log-Cholesky factors of covariances.

    Args:
      covariances: `[..., M, M]`, symmetric and positive definite, but for rounding.

    Returns:
      `[..., M, M]`, zero above the diagonal.

    Example:
      >>> cholesky_of(log_cholesky_of(jnp.array([[4.0, 2.0], [2.0, 5.0]]))).round(3).tolist()
      [[2.0, 0.0], [1.0, 2.0]]
    """
    factor = linear_algebra.cholesky(covariances)
    # What rounding leaves of a variance that other features explain is at least a rounding of it.
    least = jnp.finfo(factor.dtype).eps * jnp.diagonal(covariances, axis1=-2, axis2=-1)
    squares = jnp.square(jnp.diagonal(factor, axis1=-2, axis2=-1))
    logs = 0.5 * jnp.log(jnp.where(squares < least, least, squares))
    return jnp.tril(factor, -1) + logs[..., None] * jnp.eye(factor.shape[-1], dtype=factor.dtype)


def covariances_of(log_cholesky: Array, means: Array) -> Array:
    """The covariance of each state.

    Args:
      log_cholesky: `[*S, M, M]`, with ones for `*S` where tied, or `[*S, M]` where diagonal: one axis less.
      means: `[*S, M]`.

    Returns:
      `[*S, M, M]`.

    Example:
      >>> covariances_of(jnp.log(jnp.array([[2.0, 3.0]])), jnp.zeros((1, 2))).round(3).tolist()
      [[[4.0, 0.0], [0.0, 9.0]]]
    """
    size = means.shape[-1]
    if log_cholesky.ndim == means.ndim:
        matrices = jnp.exp(2 * log_cholesky)[..., None] * jnp.eye(size, dtype=log_cholesky.dtype)
    else:
        factor = cholesky_of(log_cholesky)
        matrices = jnp.sum(factor[..., :, None, :] * factor[..., None, :, :], axis=-1)
    return jnp.broadcast_to(matrices, (*means.shape, size))


def log_density(form: str, log_cholesky: Array, residuals: Array) -> Array:
    """Normal log-densities.

    Equation: `-‖L⁻¹ r‖² / 2 - sum_i log L_ii - M log(2 pi) / 2`.

    Args:
      form: `"full"`, `"diagonal"` or `"tied"`.
      log_cholesky: `[S, M, M]`, `[S, M]` or `[1, M, M]`.
      residuals: `[..., S, M]`, observations without their means.

    Returns:
      `[..., S]`.

    Example:
      >>> log_density("diagonal", jnp.zeros((1, 1)), jnp.zeros((1, 1))).round(3).tolist()
      [-0.91...]
    """
    size = residuals.shape[-1]
    if form == "diagonal":
        logs, squares = log_cholesky, jnp.sum(jnp.square(residuals * jnp.exp(-log_cholesky)), axis=-1)
    else:
        logs = jnp.diagonal(log_cholesky, axis1=-2, axis2=-1)
        squares = squared_norm(log_cholesky, residuals)
    return -0.5 * squares - (jnp.sum(logs, axis=-1) + 0.5 * size * math.log(2 * math.pi))


def squared_norm(log_cholesky: Array, residuals: Array) -> Array:
    """How far residuals lie from zero in units of a covariance, `‖L⁻¹ r‖²`.

    Args:
      log_cholesky: `[S, M, M]`, or `[1, M, M]` for all.
      residuals: `[..., S, M]`.

    Returns:
      `[..., S]`.

    Example:
      >>> squared_norm(jnp.zeros((1, 2, 2)), jnp.array([[3.0, 4.0]])).tolist()
      [25.0]
    """
    num_states, size = residuals.shape[-2:]
    if size <= UNROLLED:
        whitened: list[Array] = []
        for i in range(size):
            rest = residuals[..., i]
            for j, known in enumerate(whitened):
                rest = rest - log_cholesky[..., i, j] * known
            whitened.append(rest * jnp.exp(-log_cholesky[..., i, i]))
        return sum((jnp.square(z) for z in whitened[1:]), jnp.square(whitened[0]))
    factor = cholesky_of(log_cholesky)
    inverse = linear_algebra.solve_triangular(
        factor, jnp.broadcast_to(jnp.eye(size, dtype=factor.dtype), factor.shape)
    )
    flat = jnp.moveaxis(residuals.reshape(-1, num_states, size), 1, 0)

    def one(of_state: tuple[Array, Array]) -> Array:
        matrix, rest = of_state
        return jnp.sum(jnp.square(jnp.matmul(rest, matrix.T, precision="highest")), axis=-1)

    # One product a state: a batched one is several times slower on a CPU.
    squares = jax.lax.map(one, (jnp.broadcast_to(inverse, (num_states, size, size)), flat))
    return jnp.moveaxis(squares, 0, 1).reshape(residuals.shape[:-1])


def shares(weight: Array) -> tuple[Array, Array]:
    """The sum of weights, and the weights divided by it; both zero where there is hardly any.

    Args:
      weight: `[N]`.

    Returns:
      `[]` and `[N]`.

    Example:
      >>> [x.tolist() for x in shares(jnp.array([1.0, 3.0]))]
      [4.0, [0.25, 0.75]]
    """
    count = jnp.sum(weight)
    # Shares of less than this would be made of rounding. NaN is not less than anything, and stays.
    none = count < jnp.sqrt(jnp.finfo(weight.dtype).tiny)
    return jnp.where(none, 0, count), jnp.where(none, 0, weight / jnp.where(none, 1, count))


def moments(form: str, ys: Array, weights: Array) -> Moments:
    """Weighted means and scatter, centred before squaring, so that means far from zero cost no digits.

    Equations: `n_k = sum_t w_tk`, `mean_k = sum_t w_tk y_t / n_k`,
    `S_k = sum_t w_tk (y_t - mean_k)(y_t - mean_k)ᵀ`. What rounding did to the means is found from the
    residuals and mended before these are squared (Chan, Golub & LeVeque, 1983, section 2), so that nothing is
    subtracted from the squares, and no variance can become negative.

    Args:
      form: `"full"`, `"diagonal"` or `"tied"`.
      ys: `[N, M]`.
      weights: `[N, S]`.

    Returns:
      `Moments`.

    Example:
      >>> found = moments("full", jnp.array([[1.0], [3.0]]), jnp.ones((2, 1)))
      >>> found.counts.tolist(), found.means.tolist(), found.scatter.tolist()
      ([2.0], [[2.0]], [[[2.0]]])
    """

    def one(weight: Array) -> Moments:
        count, share = shares(weight)
        mean = jnp.matmul(share, ys, precision="highest")
        mean = mean + jnp.sum(share[:, None] * (ys - mean), axis=0)
        residuals = ys - mean
        weighted = share[:, None] * residuals
        if form == "diagonal":
            scatter = jnp.sum(weighted * residuals, axis=0)
        else:
            scatter = jnp.matmul(weighted.T, residuals, precision="highest")
        return Moments(counts=count, means=mean, scatter=count * scatter)

    return jax.lax.map(one, weights.T.astype(ys.dtype))
