"""A count a step."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.observations import (
    check_params,
    check_pseudo_count,
    known_states,
    pooled_mean_and_variances,
    readable,
    seeds,
    shape_of,
    weighed,
    whole_numbers,
)
from seqjax.types import Array, Key


@struct.dataclass
class PoissonParams:
    """A rate for each state.

    Attributes:
      log_rates: `[K]`; -inf for a state that shows nothing but zeros.
    """

    log_rates: Array

    @property
    def rates(self) -> Array:
        """`[K]`, the mean counts."""
        return jnp.exp(self.log_rates)


def poisson(num_states: int, *, pseudo_count: float = 0.0, prior_rate: float | None = None) -> Emission:
    """A count a step, Poisson with a rate of its own for each state.

    Equations (Zucchini & MacDonald, 2009, section 1.2, with a gamma prior):

    - `log p(y | k) = y log(rate_k) - rate_k - log(y!)`, computed as a deviance, so that large counts keep
      their digits in float32;
    - `log_prior = pseudo_count sum_k (prior_rate log(rate_k) - rate_k)`;
    - `maximize`: `rate_k = (sum_t w_tk y_t + pseudo_count prior_rate) / (sum_t w_tk + pseudo_count)`. A state
      without weight keeps its rate where there is no pseudo-count.
    - `init`: the rates are counts that lie far apart (k-means++ on their square roots), drawn a tenth of the
      way to the mean count.

    Args:
      num_states: `K`.
      pseudo_count: how many counts each state is taken to have seen before.
      prior_rate: the mean of those; `None` for the mean of the observations.

    Returns:
      An `Emission` with `PoissonParams`; observations are counts `[T, *B]`, whole and not negative.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if an argument is out of range. The functions raise it for values that are concrete, read
        and no counts; under `jit` those give NaN.

    Example:
      >>> emission = poisson(2)
      >>> params = PoissonParams(log_rates=jnp.log(jnp.array([1.0, 5.0])))
      >>> emission.log_likelihoods(params, jnp.array([0, 5])).round(3).tolist()
      [[-1.0, -5.0], [-5.78..., -1.74...]]
    """
    check_size("num_states", num_states)
    pseudo_count = check_pseudo_count("pseudo_count", pseudo_count)
    if prior_rate is not None:
        prior_rate = check_pseudo_count("prior_rate", prior_rate)
    shapes = {"log_rates": (num_states,)}

    def init(key: Key, ys: Any, lengths: Any = None, observed: Any = None) -> PoissonParams:
        check_key(key)
        mask = readable(shape_of(ys), lengths, observed)
        counts, known = whole_numbers(ys, None, mask)
        return _start(key, counts * known, mask, num_states)

    def log_likelihoods(params: PoissonParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        check_params(params, shapes)
        mask = readable(shape_of(ys), lengths, observed)
        return _log_likelihoods(params, *whole_numbers(ys, None, mask), mask)

    def sample(params: PoissonParams, key: Key, states: Any) -> Array:
        check_key(key)
        check_params(params, shapes)
        states, exists = known_states(states, num_states)
        counts = jax.random.poisson(key, params.rates[states])
        return jnp.where(exists == 1, counts, jnp.where(exists == 0, 0, -1))

    def maximize(params: PoissonParams, ys: Any, weights: Any) -> PoissonParams:
        check_params(params, shapes)
        weights, mask = weighed(weights, shape_of(ys), num_states)
        counts, known = whole_numbers(ys, None, mask)
        return _maximize(params, counts * known, weights, pseudo_count, prior_rate)

    def log_prior(params: PoissonParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        if pseudo_count == 0:
            return jnp.zeros((), params.log_rates.dtype)
        mask = readable(shape_of(ys), lengths, observed)
        counts, known = whole_numbers(ys, None, mask)
        rate = _prior_rate(prior_rate, counts * known, mask)
        # A rate of zero is impossible only under a prior that has seen something.
        log_rates = jnp.where(rate > 0, params.log_rates, 0)
        return pseudo_count * jnp.sum(rate * log_rates - jnp.exp(params.log_rates))

    def check(ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        whole_numbers(ys, None, readable(shape_of(ys), lengths, observed))
        return jnp.asarray(ys)

    return Emission(
        num_states=num_states,
        num_parameters=num_states,
        init=init,
        log_likelihoods=log_likelihoods,
        sample=sample,
        maximize=maximize,
        log_prior=log_prior,
        check=check,
    )


@jax.jit
def _log_likelihoods(params: PoissonParams, counts: Array, known: Array, mask: Array | None) -> Array:
    """`[T, *B, K]`, NaN for what is no count."""
    log_rates = params.log_rates.astype(ops.accumulation_dtype(params.log_rates.dtype))
    counts = counts.astype(log_rates.dtype)
    values = _log_density(log_rates, counts[..., None]) - _remainder(counts)[..., None]
    values = values * known[..., None].astype(log_rates.dtype)
    return values if mask is None else ops.zero_padding(values, mask)


@jax.custom_jvp
def _log_density(log_rates: Array, counts: Array) -> Array:
    """Minus half the deviance, `y log(rate / y) - rate + y` (Loader, 2000): large terms cancel."""
    rates = jnp.exp(log_rates)
    some = jnp.where(counts > 0, counts, 1)
    # A rate that overflows makes every count nearly impossible; inf - inf would make it unknown.
    excess = jnp.minimum((rates - counts) / some, jnp.finfo(log_rates.dtype).max)
    # `1 + excess` has few digits where the rate is much less than the count, but there nothing cancels.
    logs = jnp.where(excess < -0.5, log_rates - jnp.log(some), jnp.log1p(excess))
    return jnp.where(counts > 0, counts * (logs - excess), -rates)


@_log_density.defjvp
def _log_density_jvp(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    """The derivative by the log-rate is `y - rate`, finite also where the rate is zero."""
    log_rates, counts = primals
    return _log_density(log_rates, counts), (counts - jnp.exp(log_rates)) * tangents[0]


def _remainder(counts: Array) -> Array:
    """`log(y!) - y log(y) + y`: exact below 16, Stirling's series from there."""
    small = np.arange(16)
    logs = np.array([math.lgamma(y + 1) - (y * math.log(y) - y if y else 0) for y in small])
    large = jnp.maximum(counts, 16)
    inverse = 1 / jnp.square(large)
    series = (1 / 12 - inverse * (1 / 360 - inverse * (1 / 1260 - inverse / 1680))) / large
    exact = jnp.asarray(logs, counts.dtype)[jnp.minimum(counts, 15).astype(jnp.int32)]
    return jnp.where(counts < 16, exact, series + 0.5 * jnp.log(2 * math.pi * large))


@partial(jax.jit, static_argnums=(3, 4))
def _maximize(
    params: PoissonParams, counts: Array, weights: Array, pseudo_count: float, prior_rate: float | None
) -> PoissonParams:
    """Weighted means of the counts."""
    flat = weights.reshape(-1, weights.shape[-1])
    prior: Any = 0
    if pseudo_count:
        prior = pseudo_count * _prior_rate(prior_rate, counts, jnp.sum(weights, axis=-1))
    weight = jnp.sum(flat, axis=0) + pseudo_count
    events = jnp.sum(flat * counts.reshape(-1, 1).astype(flat.dtype), axis=0) + prior
    enough = ~(weight < jnp.sqrt(jnp.finfo(flat.dtype).tiny))
    rates = events / jnp.where(enough, weight, 1)
    log_rates = jnp.where(rates == 0, -jnp.inf, jnp.log(jnp.where(rates == 0, 1, rates)))
    return PoissonParams(
        log_rates=jnp.where(enough, log_rates, params.log_rates).astype(params.log_rates.dtype)
    )


def _prior_rate(prior_rate: float | None, counts: Array, weights: Array | None) -> Any:
    """The rate of the pseudo-observations."""
    if prior_rate is not None:
        return prior_rate
    return pooled_mean_and_variances(counts.astype(ops.default_dtype())[..., None], weights)[0][0]


def _start(key: Key, counts: Array, mask: Array | None, num_states: int) -> PoissonParams:
    """Counts far apart, and a little of the mean in each."""
    counts = counts.astype(ops.default_dtype())
    mean = pooled_mean_and_variances(counts[..., None], mask)[0][0]
    chosen = jnp.square(seeds(key, jnp.sqrt(counts)[..., None], mask, num_states)[:, 0])
    return PoissonParams(log_rates=jnp.log(0.9 * chosen + 0.1 * mean))
