"""The most probable path of states."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.ops import paths
from seqjax.ops.chain import path_terms
from seqjax.ops.summation import compensated_sum
from seqjax.statespace.hmm.checks import Arguments, chain_of, checked_arguments
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array


def viterbi(
    params: HMMParams, log_likelihoods: Any, *, lengths: Any = None, carry: Any = None, method: str = "scan"
) -> tuple[Array, Array]:
    """The most probable path of states (Viterbi, 1967), and its log-probability with the observations.

    Equations (Rabiner, 1989, eqs. 32-35, in logarithms): `delta_0 = log initial + log_likelihoods_0`,
    `delta_{t+1}(j) = max_i(delta_t(i) + log transition_t(i, j)) + log_likelihoods_{t+1}(j)`.

    Among equally probable paths, the last state is the lowest, and so is then each state before it, whatever
    the method; paths that only rounding tells apart are not equal. `delta` is kept near zero by a shift at
    each step, so that a long sequence has as many digits as a short one.

    A sequence that is decoded in pieces is not decoded as a whole: the best path so far may not go on.

    Args:
      params: the chain.
      log_likelihoods: `[T, *B, K]`, as for `hmm.filter`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]` log-probabilities of the first state in place of `params.initial`, or `None`.
      method: `"scan"` or `"associative"`.

    Returns:
      The path `[T, *B]`, int32, -1 in the padding, and its log-probability `[*B]`. Where the observations are
      impossible, that is -inf and the path -1. Its gradient is that of the path found.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> import jax.numpy as jnp
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> umbrella = jnp.log(jnp.array([[0.9, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.2], [0.9, 0.2]]))
      >>> states, log_probability = viterbi(rain, umbrella)
      >>> states.tolist(), float(log_probability.round(3))
      ([0, 0, 1, 0, 0], -4.459...)
    """
    return _viterbi(checked_arguments(params, log_likelihoods, lengths, carry, method), method)


@partial(jax.jit, static_argnums=1)
def _viterbi(arguments: Arguments, method: str) -> tuple[Array, Array]:
    chain = chain_of(arguments)
    states, peak = paths.best_path(jax.lax.stop_gradient(chain), method)
    log_probability = compensated_sum(path_terms(chain, states))
    return states, jnp.where(jnp.isnan(peak), jnp.nan, log_probability)
