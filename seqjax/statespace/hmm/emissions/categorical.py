"""One of several symbols a step."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.emissions.observations import (
    check_params,
    check_pseudo_count,
    known_states,
    readable,
    shape_of,
    weighed,
    whole_numbers,
)
from seqjax.types import Array, Key


@struct.dataclass
class CategoricalParams:
    """A distribution over symbols for each state.

    Attributes:
      logits: `[K, V]`, log-probabilities up to a constant a row; -inf makes a symbol impossible.
    """

    logits: Array

    @property
    def probabilities(self) -> Array:
        """`[K, V]`, rows that sum to one."""
        return jax.nn.softmax(self.logits, axis=-1)


def categorical(num_states: int, num_symbols: int, *, pseudo_count: float = 0.0) -> Emission:
    """One of `V` symbols a step, with probabilities of its own for each state.

    Equations (Rabiner, 1989, eq. 40c, with a Dirichlet prior):

    - `log p(y | k) = log_softmax(logits_k)_y`;
    - `log_prior = pseudo_count sum_kv log p_kv`, over the symbols that are possible;
    - `maximize`: `p_kv = (n_kv + pseudo_count) / sum_v (n_kv + pseudo_count)`, `n_kv` the weight with which
      state `k` saw the symbol `v`. A symbol whose logit is -inf stays impossible, and a state that saw
      nothing keeps its row where there is no pseudo-count.
    - `init`: each row the observed frequencies times exponential noise, normalised.

    Args:
      num_states: `K`.
      num_symbols: `V`.
      pseudo_count: how often each state is taken to have seen each symbol before. Zero gives maximum
        likelihood, which makes a symbol that a state never saw impossible in it.

    Returns:
      An `Emission` with `CategoricalParams`; observations are integers `[T, *B]` from 0 to `V - 1`.

    Raises:
      TypeError: if a size is no integer, or `pseudo_count` no number.
      ValueError: if an argument is out of range. The functions raise it for symbols that are concrete, read
        and do not exist; under `jit` those give NaN.

    Example:
      >>> coin = categorical(2, 2)
      >>> params = CategoricalParams(logits=jnp.log(jnp.array([[0.5, 0.5], [0.75, 0.25]])))
      >>> jnp.exp(coin.log_likelihoods(params, jnp.array([0, 1]))).round(3).tolist()
      [[0.5, 0.75...], [0.5, 0.25]]
    """
    check_size("num_states", num_states)
    check_size("num_symbols", num_symbols)
    pseudo_count = check_pseudo_count("pseudo_count", pseudo_count)
    shapes = {"logits": (num_states, num_symbols)}

    def init(key: Key, ys: Any, lengths: Any = None, observed: Any = None) -> CategoricalParams:
        check_key(key)
        mask = readable(shape_of(ys), lengths, observed)
        symbols, known = whole_numbers(ys, num_symbols, mask)
        once = known if mask is None else jnp.where(mask, known, 0)
        return _start(key, symbols, once, num_states, num_symbols)

    def log_likelihoods(
        params: CategoricalParams, ys: Any, lengths: Any = None, observed: Any = None
    ) -> Array:
        check_params(params, shapes)
        mask = readable(shape_of(ys), lengths, observed)
        return _log_likelihoods(params, *whole_numbers(ys, num_symbols, mask), mask)

    def sample(params: CategoricalParams, key: Key, states: Any) -> Array:
        check_key(key)
        check_params(params, shapes)
        states, exists = known_states(states, num_states)
        symbols = jax.random.categorical(key, params.logits[states]).astype(jnp.int32)
        return jnp.where(exists == 1, symbols, jnp.where(exists == 0, 0, -1))

    def maximize(params: CategoricalParams, ys: Any, weights: Any) -> CategoricalParams:
        check_params(params, shapes)
        weights, mask = weighed(weights, shape_of(ys), num_states)
        return _maximize(params, *whole_numbers(ys, num_symbols, mask), weights, pseudo_count)

    def log_prior(params: CategoricalParams, ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        return log_dirichlet(params.logits, pseudo_count)

    def check(ys: Any, lengths: Any = None, observed: Any = None) -> Array:
        whole_numbers(ys, num_symbols, readable(shape_of(ys), lengths, observed))
        return jnp.asarray(ys)

    return Emission(
        num_states=num_states,
        num_parameters=num_states * (num_symbols - 1),
        init=init,
        log_likelihoods=log_likelihoods,
        sample=sample,
        maximize=maximize,
        log_prior=log_prior,
        check=check,
    )


def log_dirichlet(logits: Array, pseudo_counts: Any) -> Array:
    """A Dirichlet prior on rows of probabilities, up to a constant: `sum_ij c_ij log p_ij`.

    What is impossible, and what has no pseudo-count, adds nothing.

    Args:
      logits: `[..., V]`.
      pseudo_counts: `c`, a number or an array that broadcasts against `logits`.

    Returns:
      `[]`.

    Example:
      >>> round(float(log_dirichlet(jnp.log(jnp.array([0.5, 0.5, 0.0])), 2.0)), 4)
      -2.7726
    """
    log_probabilities = jax.nn.log_softmax(logits, axis=-1)
    counted = (jnp.asarray(pseudo_counts) > 0) & ~jnp.isneginf(logits)
    return jnp.sum(jnp.where(counted, pseudo_counts * jnp.where(counted, log_probabilities, 0), 0))


def log_frequencies(logits: Array, counts: Array, pseudo_counts: Any) -> Array:
    """The rows of probabilities that counts and pseudo-counts make most probable, as logits.

    Args:
      logits: `[..., V]`, what to keep where a row counts nothing; what is impossible there stays so.
      counts: `[..., V]`, not negative.
      pseudo_counts: a number or an array that broadcasts against `counts`.

    Returns:
      `[..., V]`, normalised where a row counts something.

    Example:
      >>> jnp.exp(log_frequencies(jnp.zeros((2, 2)), jnp.array([[1.0, 3.0], [0.0, 0.0]]), 0.0)).tolist()
      [[0.25, 0.75], [1.0, 1.0]]
    """
    counts = jnp.where(jnp.isneginf(logits), 0, counts + pseudo_counts)
    total = jnp.sum(counts, axis=-1, keepdims=True)
    empty = total == 0
    share = counts / jnp.where(empty, 1, total)
    nothing = share == 0
    logs = jnp.where(nothing, -jnp.inf, jnp.log(jnp.where(nothing, 1, share)))
    return jnp.where(empty, logits, logs)


@jax.jit
def _log_likelihoods(params: CategoricalParams, symbols: Array, known: Array, mask: Array | None) -> Array:
    """`[T, *B, K]`, NaN for symbols that are not known."""
    table = jax.nn.log_softmax(params.logits.astype(ops.accumulation_dtype(params.logits.dtype)), axis=-1)
    values = table.T[symbols] * known[..., None].astype(table.dtype)
    return values if mask is None else ops.zero_padding(values, mask)


@jax.jit
def _maximize(
    params: CategoricalParams, symbols: Array, known: Array, weights: Array, pseudo_count: float
) -> CategoricalParams:
    """Weighted frequencies of the symbols."""
    counts = _counts(symbols, weights * known[..., None].astype(weights.dtype), params.logits.shape[-1])
    logits = log_frequencies(params.logits, counts.T.astype(params.logits.dtype), pseudo_count)
    return CategoricalParams(logits=logits)


def _counts(symbols: Array, weights: Array, num_symbols: int) -> Array:
    """The summed weights of each symbol, `[V, K]`."""
    flat = weights.reshape(-1, weights.shape[-1])
    # In several sums side by side: one float32 sum of millions of ones would stand still.
    which = jnp.arange(flat.shape[0]) % 16
    counts = jnp.zeros((16, num_symbols, flat.shape[-1]), flat.dtype).at[which, symbols.reshape(-1)].add(flat)
    return jnp.sum(counts, axis=0)


def _start(key: Key, symbols: Array, once: Array, num_states: int, num_symbols: int) -> CategoricalParams:
    """Observed frequencies times noise."""
    counts = _counts(symbols, once[..., None], num_symbols)[:, 0] + 0.5
    noise = jax.random.exponential(key, (num_states, num_symbols), counts.dtype)
    # Noise of exactly zero would make a symbol impossible for ever.
    shares = counts * (noise + jnp.finfo(counts.dtype).eps)
    return CategoricalParams(logits=jax.nn.log_softmax(jnp.log(shares), axis=-1))
