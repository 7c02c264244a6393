"""Paths of states at random: of the chain alone, or given what was observed."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.checks import check_key, check_size
from seqjax.ops import markov, paths
from seqjax.ops.chain import rows
from seqjax.statespace.hmm.checks import Arguments, chain_of, check_params, checked_arguments
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array, Key


def sample(params: HMMParams, key: Key, num_steps: int, batch_shape: tuple[int, ...] = ()) -> Array:
    """Paths of states, of which nothing is observed; `Emission.sample` draws what they show.

    Args:
      params: the chain; with a matrix a step, as many as `num_steps`.
      key: a random key.
      num_steps: `T`.
      batch_shape: `*B`, how many paths.

    Returns:
      `[T, *B]` int32.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> there_and_back = hmm.params(initial=[1.0, 0.0], transition=[[0.0, 1.0], [1.0, 0.0]])
      >>> sample(there_and_back, jax.random.key(0), 5).tolist()
      [0, 1, 0, 1, 0]
    """
    check_key(key)
    check_size("num_steps", num_steps)
    check_params(params)
    nothing = jnp.zeros((int(num_steps), *batch_shape, params.num_states), params.initial_logits.dtype)
    return _sample(checked_arguments(params, nothing, None, None, "scan"), key)


@jax.jit
def _sample(arguments: Arguments, key: Key) -> Array:
    chain = chain_of(arguments)
    noise = jax.random.gumbel(key, chain.scores.shape, chain.scores.dtype)

    def step(logits: Array, x: tuple) -> tuple[Array, Array]:
        gumbel, matrix = x
        state = jnp.argmax(logits + gumbel, -1).astype(jnp.int32)
        return rows(chain.transition if matrix is None else matrix, state), state

    return jax.lax.scan(step, chain.initial, (noise, chain.matrices))[1]


def posterior_sample(
    params: HMMParams,
    key: Key,
    log_likelihoods: Any,
    *,
    lengths: Any = None,
    carry: Any = None,
    method: str = "scan",
) -> Array:
    """A path of states drawn from its distribution given all observations.

    The last state is drawn from its filtered distribution, then each state given the one after it:
    `p(z_t | z_{t+1}, y) ~ filtered_t(z_t) transition_t(z_t, z_{t+1})` (Chib, 1996, eq. 6).

    Args:
      params: the chain.
      key: a random key. The same key gives the same path by each method, but where rounding decides.
      log_likelihoods: `[T, *B, K]`, as for `hmm.filter`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]`, or `None`.
      method: `"scan"` or `"associative"`.

    Returns:
      `[T, *B]` int32, one path a row, -1 in the padding and where the observations are impossible. For more
      paths, `jax.vmap` over keys.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> seen = jnp.log(jnp.array([[0.9, 0.2], [0.0, 0.2]]))
      >>> int(posterior_sample(rain, jax.random.key(0), seen)[1])
      1
    """
    check_key(key)
    return _posterior_sample(checked_arguments(params, log_likelihoods, lengths, carry, method), key, method)


@partial(jax.jit, static_argnums=2)
def _posterior_sample(arguments: Arguments, key: Key, method: str) -> Array:
    chain = chain_of(arguments)
    noise = jax.random.gumbel(key, chain.scores.shape, chain.scores.dtype)
    return paths.drawn_path(chain, markov.forward(chain, method), noise, method)
