"""Vectors of real numbers, normal in each state."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size, shown
from seqjax.statespace.hmm.emissions.covariance import (
    NormalPrior,
    check_form,
    checked_covariances,
    checked_prior,
    covariance_shape,
    in_dtype,
    log_normal_prior,
    maximal_covariance,
    maximal_mean,
    num_covariance_parameters,
    prior_covariance,
)
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.normal import cholesky_of, covariances_of, log_density, moments
from seqjax.statespace.hmm.emissions.observations import (
    check_params,
    known_states,
    pooled_mean_and_variances,
    readable,
    real_numbers,
    seeds,
    shape_of,
    weighed,
)
from seqjax.types import Array, Key


@struct.dataclass
class GaussianParams:
    """A normal distribution for each state.

    Attributes:
      means: `[K, M]`.
      log_cholesky: the lower triangular factors `L` of the covariances, with the logarithms of their
        diagonals in place of these, `[K, M, M]`; `[1, M, M]` where all states share one; or, for diagonal
        covariances, the logarithms of the standard deviations, `[K, M]`.
    """

    means: Array
    log_cholesky: Array

    @property
    def covariances(self) -> Array:
        """`[K, M, M]`, whatever their form."""
        return covariances_of(self.log_cholesky, self.means)


def gaussian(
    num_states: int,
    size: int,
    covariance: str = "full",
    *,
    mean_pseudo_count: float = 0.0,
    prior_mean: Any = 0.0,
    covariance_pseudo_count: float = 1e-3,
    prior_covariance: Any = None,
) -> Emission:
    """`M` real numbers a step, normal with a mean and a covariance of its own for each state.

    Equations (Bilmes, 1998, section 4, with a normal-inverse-Wishart prior as in Gauvain & Lee, 1994, section
    III):

    - `log p(y | k) = -‖L_k⁻¹ (y - mean_k)‖² / 2 - log |L_k| - M log(2 pi) / 2`, `Sigma_k = L_k L_kᵀ`;
    - `log_prior = -1/2 sum_k [c_m ‖L_k⁻¹ (mean_k - m_0)‖² + c (log |Sigma_k| + tr(S_0 Sigma_k⁻¹))]`: as if
      each state had seen `c` observations of covariance `S_0`, and `c_m` of mean `m_0`;
    - `maximize`: `mean_k = (sum_t w_tk y_t + c_m m_0) / (n_k + c_m)`, `n_k = sum_t w_tk`, and
      `Sigma_k = (sum_t w_tk r_tk r_tkᵀ + c_m d_k d_kᵀ + c S_0) / (n_k + c)`, where `r_tk = y_t - mean_k` and
      `d_k = mean_k - m_0`; of diagonal covariances the diagonal, and for a tied one, which has one prior,
      sums over all states. A state without weight gets the covariance `S_0`, and keeps its mean where `c_m`
      is zero.
    - `init`: means are observations far apart (k-means++), variances the pooled ones by `K^(2 / M)`.

    Args:
      num_states: `K`.
      size: `M`.
      covariance: `"full"`, `"diagonal"`, or `"tied"`: one full matrix for all states.
      mean_pseudo_count: `c_m`.
      prior_mean: `m_0`, a number or `[M]`.
      covariance_pseudo_count: `c`, positive: without a prior the likelihood has no maximum, because a state
        may shrink around one observation.
      prior_covariance: `S_0`: a number, `[M]` variances, `[M, M]`; `None` for the pooled variances of the
        observations, so that learning does not depend on their units.

    Returns:
      An `Emission` with `GaussianParams`; observations are real numbers `[T, *B, M]`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if an argument is out of range. The functions raise it for values that are concrete, read
        and not finite; under `jit` those give NaN.

    Example:
      >>> emission = gaussian(2, 1)
      >>> params = gaussian_params(means=[[0.0], [3.0]], covariances=1.0)
      >>> emission.log_likelihoods(params, jnp.array([[0.0], [3.0]])).round(3).tolist()
      [[-0.91..., -5.41...], [-5.41..., -0.91...]]
    """
    check_size("num_states", num_states)
    check_size("size", size)
    form = check_form(covariance)
    prior = checked_prior(size, covariance_pseudo_count, prior_covariance, mean_pseudo_count, prior_mean)
    check = partial(check_params, expected=params_shapes(form, (num_states,), size))

    def init(key: Key, ys: Any, lengths: Any = None, observed: Any = None) -> GaussianParams:
        check_key(key)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        return start(form, key, real_numbers(ys, size, mask), mask, num_states)

    def log_likelihoods(params: GaussianParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        check(params)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        values = log_densities(form, params, real_numbers(ys, size, mask))
        return values if mask is None else ops.zero_padding(values, mask)

    def sample(params: GaussianParams, key: Key, states: Any) -> Array:
        check_key(key)
        check(params)
        states, exists = known_states(states, num_states)
        noise = jax.random.normal(key, (*states.shape, size), params.means.dtype)
        return exists[..., None] * (
            params.means[states] + scaled_noise(form, params.log_cholesky, states, noise)
        )

    def maximize(params: GaussianParams, ys: Any, weights: Any) -> GaussianParams:
        check(params)
        weights, mask = weighed(weights, shape_of(ys)[:-1], num_states)
        return maximized(form, in_dtype(prior), params, real_numbers(ys, size, mask), weights)

    def log_prior(params: GaussianParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        return log_prior_of(form, in_dtype(prior), params, real_numbers(ys, size, mask), mask)

    def check_observations(ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        real_numbers(ys, size, readable(shape_of(ys)[:-1], lengths, observed))
        return jnp.asarray(ys)

    return Emission(
        num_states=num_states,
        num_parameters=num_states * size + num_covariance_parameters(form, num_states, size),
        init=init,
        log_likelihoods=log_likelihoods,
        sample=sample,
        maximize=maximize,
        log_prior=log_prior,
        check=check_observations,
    )


def gaussian_params(means: Any, covariances: Any, covariance: str = "full") -> GaussianParams:
    """Params from means and covariances.

    Args:
      means: `[K, M]`, concrete and finite.
      covariances: concrete matrices `[K, M, M]` or `[M, M]`, or for all states `[M]` variances or one number.
      covariance: the form of the emission, `"full"`, `"diagonal"` or `"tied"`. Diagonal matrices must be so,
        and the matrices of all states the same where tied.

    Returns:
      `GaussianParams` of the default dtype.

    Raises:
      TypeError: if the arguments are not numbers.
      ValueError: if a shape does not fit, a covariance is not symmetric and positive definite, or not of the
        form.

    Example:
      >>> gaussian_params([[0.0, 1.0]], [[[4.0, 2.0], [2.0, 5.0]]]).covariances.round(2).tolist()
      [[[4.0, 2.0], [2.0, 5.0]]]
    """
    form = check_form(covariance)
    try:
        centres = np.asarray(means, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"means is {shown(means)}, expected numbers [K, M].") from error
    if centres.ndim != 2 or not centres.size or not np.isfinite(centres).all():
        raise ValueError(f"means is {shown(means)} of shape {centres.shape}, expected finite numbers [K, M].")
    matrices = checked_covariances("covariances", covariances, (*centres.shape, centres.shape[1]))
    diagonals = np.diagonal(matrices, axis1=-2, axis2=-1)
    if form == "diagonal" and (matrices != diagonals[..., None] * np.eye(centres.shape[1])).any():
        raise ValueError("covariances has entries off the diagonal, expected none: covariance is 'diagonal'.")
    if form == "tied" and (matrices != matrices[:1]).any():
        raise ValueError("covariances differ between states, expected one for all: covariance is 'tied'.")
    factor = np.linalg.cholesky(matrices[:1] if form == "tied" else matrices)
    logs = np.log(np.diagonal(factor, axis1=-2, axis2=-1))
    log_cholesky = (
        logs if form == "diagonal" else np.tril(factor, -1) + logs[..., None] * np.eye(centres.shape[1])
    )
    dtype = ops.default_dtype()
    return GaussianParams(means=jnp.asarray(centres, dtype), log_cholesky=jnp.asarray(log_cholesky, dtype))


def params_shapes(form: str, states: tuple[int, ...], size: int) -> dict[str, tuple[int, ...]]:
    """The shapes of the fields of `GaussianParams`.

    Args:
      form: the form of the covariance.
      states: `*S`.
      size: `M`.

    Returns:
      A shape for each field.

    Example:
      >>> params_shapes("tied", (3,), 2)
      {'means': (3, 2), 'log_cholesky': (1, 2, 2)}
    """
    return {"means": (*states, size), "log_cholesky": covariance_shape(form, states, size)}


@partial(jax.jit, static_argnums=(0, 4))
def start(form: str, key: Key, ys: Array, mask: Array | None, num_states: int) -> GaussianParams:
    """Means far apart, and variances such that the states cover the data.

    Args:
      form: the form of the covariance.
      key: a random key.
      ys: `[T, *B, M]`.
      mask: `[T, *B]`, which steps are read, or `None` for all.
      num_states: `K`.

    Returns:
      `GaussianParams`.

    Example:
      >>> start("full", jax.random.key(0), jnp.array([[1.0], [5.0]]), None, 2).means.sort(axis=0).tolist()
      [[1.0], [5.0]]
    """
    size = ys.shape[-1]
    _, variances = pooled_mean_and_variances(ys, mask)
    logs = 0.5 * jnp.log(variances / num_states ** (2 / size)).astype(ops.default_dtype())
    if form != "diagonal":
        logs = logs[:, None] * jnp.eye(size, dtype=logs.dtype)
    return GaussianParams(
        means=seeds(key, ys, mask, num_states).astype(logs.dtype),
        log_cholesky=jnp.broadcast_to(logs, covariance_shape(form, (num_states,), size)),
    )


@partial(jax.jit, static_argnums=0)
def log_densities(form: str, params: GaussianParams, ys: Array) -> Array:
    """The normal log-density of each observation in each state.

    Args:
      form: the form of the covariance.
      params: of `S` states.
      ys: `[..., M]`.

    Returns:
      `[..., S]`, at least float32.

    Example:
      >>> log_densities("full", gaussian_params([[0.0]], 1.0), jnp.zeros((1,))).round(3).tolist()
      [-0.91...]
    """
    params = jax.tree.map(lambda leaf: leaf.astype(ops.accumulation_dtype(leaf.dtype)), params)
    return log_density(form, params.log_cholesky, ys[..., None, :] - params.means)


def scaled_noise(form: str, log_cholesky: Array, states: Array, noise: Array) -> Array:
    """Noise with the covariance of each state.

    Args:
      form: the form of the covariance.
      log_cholesky: as in `GaussianParams`.
      states: `[...]` integers.
      noise: `[..., M]`, standard normal.

    Returns:
      `[..., M]`.

    Example:
      >>> scaled_noise("diagonal", jnp.log(jnp.array([[3.0]])), jnp.array([0]), jnp.ones((1, 1))).round(
      ...     2
      ... ).tolist()
      [[3.0]]
    """
    if form == "diagonal":
        return jnp.exp(log_cholesky)[states] * noise
    factor = cholesky_of(log_cholesky)[jnp.zeros_like(states) if form == "tied" else states]
    return jnp.sum(factor * noise[..., None, :], axis=-1)


@partial(jax.jit, static_argnums=0)
def maximized(
    form: str, prior: NormalPrior, params: GaussianParams, ys: Array, weights: Array
) -> GaussianParams:
    """The M-step of `gaussian`.

    Args:
      form: the form of the covariance.
      prior: the prior.
      params: `GaussianParams` of `S` states.
      ys: `[T, *B, M]`, zero where no weight reads it.
      weights: `[T, *B, S]`.

    Returns:
      `GaussianParams`.

    Example:
      >>> params, prior = gaussian_params([[0.0]], 1.0), checked_prior(1, 1e-3, 1.0)
      >>> maximized("full", prior, params, jnp.array([[1.0], [3.0]]), jnp.ones((2, 1))).means.tolist()
      [[2.0]]
    """
    covariance = prior_covariance(prior, ys, jnp.sum(weights, axis=-1))
    found = moments(form, ys.reshape(-1, ys.shape[-1]), weights.reshape(-1, weights.shape[-1]))
    means, scatter = maximal_mean(prior, found, params.means.astype(ys.dtype))
    log_cholesky = maximal_covariance(form, prior.covariance_count, covariance, found.counts, scatter)
    return GaussianParams(
        means=means.astype(params.means.dtype), log_cholesky=log_cholesky.astype(params.log_cholesky.dtype)
    )


@partial(jax.jit, static_argnums=0)
def log_prior_of(
    form: str, prior: NormalPrior, params: GaussianParams, ys: Array, mask: Array | None
) -> Array:
    """The log-prior of `gaussian`.

    Args:
      form: the form of the covariance.
      prior: the prior.
      params: `GaussianParams`.
      ys: `[T, *B, M]`, from which the prior takes what it does not know.
      mask: `[T, *B]`, which steps are read, or `None` for all.

    Returns:
      `[]`.

    Example:
      >>> params, prior = gaussian_params([[0.0]], 1.0), checked_prior(1, 2.0, 1.0)
      >>> float(log_prior_of("full", prior, params, jnp.zeros((1, 1)), None))
      -1.0
    """
    covariance = prior_covariance(prior, ys, mask)
    return log_normal_prior(form, prior, covariance, params.means, params.log_cholesky)
