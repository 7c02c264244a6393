"""Vectors of real numbers, a mixture of normal distributions in each state."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.statespace.hmm.emissions.categorical import log_dirichlet, log_frequencies
from seqjax.statespace.hmm.emissions.covariance import (
    NormalPrior,
    check_form,
    checked_prior,
    in_dtype,
    num_covariance_parameters,
)
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.gaussian import (
    GaussianParams,
    log_densities,
    log_prior_of,
    maximized,
    params_shapes,
    scaled_noise,
    start,
)
from seqjax.statespace.hmm.emissions.normal import covariances_of
from seqjax.statespace.hmm.emissions.observations import (
    check_params,
    check_pseudo_count,
    known_states,
    pooled_mean_and_variances,
    readable,
    real_numbers,
    shape_of,
    weighed,
)
from seqjax.types import Array, Key


@struct.dataclass
class MixtureParams:
    """A mixture of `C` normal distributions for each state.

    Attributes:
      weight_logits: `[K, C]`, log-weights up to a constant a row.
      means: `[K, C, M]`.
      log_cholesky: `[K, C, M, M]`; `[1, 1, M, M]` where all share one covariance; or for diagonal covariances
        `[K, C, M]`: as in `GaussianParams`.
    """

    weight_logits: Array
    means: Array
    log_cholesky: Array

    @property
    def weights(self) -> Array:
        """`[K, C]`, rows that sum to one."""
        return jax.nn.softmax(self.weight_logits, axis=-1)

    @property
    def covariances(self) -> Array:
        """`[K, C, M, M]`, whatever their form."""
        return covariances_of(self.log_cholesky, self.means)


def mixture(
    num_states: int,
    num_components: int,
    size: int,
    covariance: str = "full",
    *,
    weight_pseudo_count: float = 0.0,
    mean_pseudo_count: float = 0.0,
    prior_mean: Any = 0.0,
    covariance_pseudo_count: float = 1e-3,
    prior_covariance: Any = None,
) -> Emission:
    """`M` real numbers a step, in each state a mixture of `C` normal distributions.

    Equations (Bilmes, 1998, section 4.2):

    - `log p(y | k) = log sum_c weight_kc N(y; mean_kc, Sigma_kc)`;
    - `log_prior = weight_pseudo_count sum_kc log weight_kc`, and that of `gaussian` for each component;
    - `maximize`: each weight is shared among the components by `p(c | y_t, k)` under the given params, then
      the components are maximised as in `gaussian`, and `weight_kc` is the part of state `k` that went to
      `c`. That is one EM step for the components, which never decreases the weighted log-likelihood and its
      prior; repeat it to find a maximum. A component without weight keeps its mean, and gets the covariance
      of the prior.
    - `init`: as `gaussian`, with the means of the components at random about that of their state.

    Args:
      num_states: `K`.
      num_components: `C`.
      size: `M`.
      covariance: `"full"`, `"diagonal"`, or `"tied"`: one full matrix for all states and components.
      weight_pseudo_count: how many observations each component is taken to have seen before.
      mean_pseudo_count: as in `gaussian`, of each component.
      prior_mean: as in `gaussian`.
      covariance_pseudo_count: as in `gaussian`, of each component.
      prior_covariance: as in `gaussian`.

    Returns:
      An `Emission` with `MixtureParams`; observations are real numbers `[T, *B, M]`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if an argument is out of range. The functions raise it for values that are concrete, read
        and not finite; under `jit` those give NaN.

    Example:
      >>> emission = mixture(2, 3, 1)
      >>> ys = jnp.array([[0.0], [1.0], [5.0], [6.0]])
      >>> params = emission.init(jax.random.key(0), ys)
      >>> emission.log_likelihoods(params, ys).shape, emission.num_parameters
      ((4, 2), 16)
    """
    for name, value in {"num_states": num_states, "num_components": num_components, "size": size}.items():
        check_size(name, value)
    form = check_form(covariance)
    prior = checked_prior(size, covariance_pseudo_count, prior_covariance, mean_pseudo_count, prior_mean)
    pseudo_count = check_pseudo_count("weight_pseudo_count", weight_pseudo_count)
    states = (num_states, num_components)
    num_all = num_states * num_components
    check = partial(check_params, expected={"weight_logits": states, **params_shapes(form, states, size)})

    def init(key: Key, ys: Any, lengths: Any = None, observed: Any = None) -> MixtureParams:
        check_key(key)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        return _start(form, key, real_numbers(ys, size, mask), mask, states)

    def log_likelihoods(params: MixtureParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        check(params)
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        values = jax.nn.logsumexp(_joint(form, params, real_numbers(ys, size, mask)), axis=-1)
        return values if mask is None else ops.zero_padding(values, mask)

    def sample(params: MixtureParams, key: Key, states: Any) -> Array:
        check_key(key)
        check(params)
        states, exists = known_states(states, num_states)
        key_component, key_noise = jax.random.split(key)
        which = states * num_components + jax.random.categorical(key_component, params.weight_logits[states])
        flat = _flat(params)
        noise = jax.random.normal(key_noise, (*states.shape, size), flat.means.dtype)
        return exists[..., None] * (flat.means[which] + scaled_noise(form, flat.log_cholesky, which, noise))

    def maximize(params: MixtureParams, ys: Any, weights: Any) -> MixtureParams:
        check(params)
        weights, mask = weighed(weights, shape_of(ys)[:-1], num_states)
        return _maximize(form, in_dtype(prior), params, real_numbers(ys, size, mask), weights, pseudo_count)

    def log_prior(params: MixtureParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        mask = readable(shape_of(ys)[:-1], lengths, observed)
        components = log_prior_of(form, in_dtype(prior), _flat(params), real_numbers(ys, size, mask), mask)
        return components + log_dirichlet(params.weight_logits, pseudo_count)

    def check_observations(ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        real_numbers(ys, size, readable(shape_of(ys)[:-1], lengths, observed))
        return jnp.asarray(ys)

    free = num_all * size + num_covariance_parameters(form, num_all, size)
    return Emission(
        num_states=num_states,
        num_parameters=free + num_states * (num_components - 1),
        init=init,
        log_likelihoods=log_likelihoods,
        sample=sample,
        maximize=maximize,
        log_prior=log_prior,
        check=check_observations,
    )


def _flat(params: MixtureParams) -> GaussianParams:
    """The components of all states in a row."""
    factors = params.log_cholesky
    return GaussianParams(
        means=params.means.reshape(-1, params.means.shape[-1]),
        log_cholesky=factors.reshape(-1, *factors.shape[2:]),
    )


@partial(jax.jit, static_argnums=0)
def _joint(form: str, params: MixtureParams, ys: Array) -> Array:
    """`log weight_kc N(y; mean_kc, Sigma_kc)`, `[..., K, C]`."""
    densities = log_densities(form, _flat(params), ys)
    weights = jax.nn.log_softmax(params.weight_logits.astype(densities.dtype), axis=-1)
    return densities.reshape(*densities.shape[:-1], *weights.shape) + weights


@partial(jax.jit, static_argnums=0)
def _maximize(
    form: str, prior: NormalPrior, params: MixtureParams, ys: Array, weights: Array, pseudo_count: float
) -> MixtureParams:
    """One EM step for the components."""
    shape = params.weight_logits.shape
    shares = jax.nn.softmax(_joint(form, params, ys), axis=-1).astype(weights.dtype)
    # An observation that is impossible in all components of a state has no shares there, and no weight.
    parts = jnp.where(weights[..., None] > 0, weights[..., None] * shares, 0)
    flat = parts.reshape(*parts.shape[:-2], -1)
    components = maximized(form, prior, _flat(params), ys, flat)
    counts = jnp.sum(parts.reshape(-1, *shape), axis=0).astype(params.weight_logits.dtype)
    return MixtureParams(
        weight_logits=log_frequencies(params.weight_logits, counts, pseudo_count),
        means=components.means.reshape(params.means.shape),
        log_cholesky=components.log_cholesky.reshape(params.log_cholesky.shape),
    )


@partial(jax.jit, static_argnums=(0, 4))
def _start(form: str, key: Key, ys: Array, mask: Array | None, states: tuple[int, int]) -> MixtureParams:
    """States as in `gaussian`, each split into components about its mean."""
    num_states, num_components = states
    key_states, key_components = jax.random.split(key)
    wide = start(form, key_states, ys, mask, num_states)
    _, variances = pooled_mean_and_variances(ys, mask)
    spread = jnp.sqrt(variances / num_states ** (2 / ys.shape[-1])).astype(wide.means.dtype)
    noise = jax.random.normal(key_components, (*states, ys.shape[-1]), spread.dtype)
    factors = wide.log_cholesky[:, None]
    lead = factors.shape[:1] if form == "tied" else states
    columns = 1 if form == "tied" else num_components
    return MixtureParams(
        weight_logits=jnp.zeros(states, spread.dtype),
        means=wide.means[:, None] + spread * noise,
        log_cholesky=jnp.broadcast_to(factors, (lead[0], columns, *factors.shape[2:])),
    )
