"""What is known about the states of a hidden Markov model: before, at and after each step."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.checks import check_size, kind_of
from seqjax.ops import markov
from seqjax.statespace.hmm.checks import Arguments, chain_of, check_params, checked_arguments, floating
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array


@struct.dataclass
class HMMPosterior:
    """What is known about the states; every probability is zero in the padding.

    Where the observations are impossible, `log_normalizer` is -inf, and a probability given something
    impossible is
    zero: `filtered` and `predicted` after it, `smoothed` everywhere.

    Attributes:
      log_normalizer: `[*B]`, `log p(y_1 ... y_T)`, the log-likelihood.
      filtered: `[T, *B, K]`, `p(z_t | y_1 ... y_t)`.
      log_predicted: `[T, *B, K]`, `log p(z_t | y_1 ... y_{t-1})`.
      smoothed: `[T, *B, K]`, `p(z_t | y_1 ... y_T)`; `None` from `filter`.
      carry: `[*B, K]`, `log p(z_{T+1} | y_1 ... y_T)`, with which the next piece of the sequence goes on.
        With lengths, `T` is the row's own.
    """

    log_normalizer: Array
    filtered: Array
    log_predicted: Array
    smoothed: Array | None
    carry: Array

    @property
    def predicted(self) -> Array:
        """`[T, *B, K]`, `p(z_t | y_1 ... y_{t-1})`."""
        return jnp.exp(self.log_predicted)


def filter(
    params: HMMParams, log_likelihoods: Any, *, lengths: Any = None, carry: Any = None, method: str = "scan"
) -> HMMPosterior:
    """Probabilities of the states given the observations so far, and the log-likelihood of all of them.

    Equations (Rabiner, 1989, eqs. 19-21, 91-92): `filtered_t = predicted_t * exp(log_likelihoods_t) / c_t`,
    where `c_t = p(y_t | y_1 ... y_{t-1})` makes it sum to one, `predicted_{t+1} = filtered_t transition_t`,
    `log_normalizer = sum_t log c_t`.

    It is exact: numbers are scaled at each step, and where one that matters would fall out of the range of
    the dtype, as can happen where transitions are forbidden, everything is done again in logarithms.

    Args:
      params: the chain.
      log_likelihoods: `[T, *B, K]`, `log p(y_t | z_t)`, of an emission or of any network; -inf for what
        cannot be. With scores that are no log-likelihoods, `log_normalizer` is that of the weights
        `exp(score)`.
      lengths: `[*B]` integers, or `None`. What stands at and after the length is never read.
      carry: `[*B, K]`, where the piece of the sequence before has ended; `None` starts with `params.initial`.
      method: `"scan"`, or `"associative"`, in parallel over time: `K` times the work in `log T` times the
        depth (Särkkä & García-Fernández, 2021, section IV), for devices with many cores.

    Returns:
      An `HMMPosterior`, in at least float32.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      The umbrella world (Russell & Norvig, 2010, section 15.2):

      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> umbrella = jnp.log(jnp.array([[0.9, 0.2], [0.9, 0.2]]))
      >>> posterior = filter(rain, umbrella)
      >>> posterior.filtered[:, 0].round(3).tolist()
      [0.818..., 0.883...]
    """
    return _posterior(checked_arguments(params, log_likelihoods, lengths, carry, method), method, False)


def smooth(
    params: HMMParams, log_likelihoods: Any, *, lengths: Any = None, carry: Any = None, method: str = "scan"
) -> HMMPosterior:
    """Probabilities of the states given all observations, and all that `filter` gives.

    Equation (Rabiner, 1989, eqs. 25 and 27): `smoothed_t = filtered_t * later_t / sum`, where
    `later_t(i) = sum_j transition_t(i, j) exp(log_likelihoods_{t+1}(j)) later_{t+1}(j)` is what the
    observations after step `t` say about its state. `pairwise` gives the probabilities of two states in a
    row.

    A sequence that is smoothed in pieces is not smoothed as a whole: each piece knows only what came before
    it.

    Args:
      params: the chain.
      log_likelihoods: `[T, *B, K]`, as for `filter`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]`, or `None`.
      method: `"scan"` or `"associative"`.

    Returns:
      An `HMMPosterior`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> smooth(rain, jnp.log(jnp.array([[0.9, 0.2], [0.9, 0.2]]))).smoothed[:, 0].round(3).tolist()
      [0.883..., 0.883...]
    """
    return _posterior(checked_arguments(params, log_likelihoods, lengths, carry, method), method, True)


def log_normalizer(
    params: HMMParams, log_likelihoods: Any, *, lengths: Any = None, carry: Any = None, method: str = "scan"
) -> Array:
    """The log-likelihood of the observations, `log p(y_1 ... y_T)`, whatever the states.

    Its error does not grow with `T`: steps are normalised one by one, and their logarithms summed up with
    compensation. Its gradient is finite wherever it is itself.

    Args:
      params: the chain.
      log_likelihoods: `[T, *B, K]`, as for `filter`.
      lengths: `[*B]` integers, or `None`.
      carry: `[*B, K]`, or `None`: given that, `log p(y_1 ... y_T |` what came before`)`.
      method: `"scan"` or `"associative"`.

    Returns:
      `[*B]`; -inf where the observations are impossible, 0 where there are none.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> chain = hmm.params(initial=[1.0, 0.0], transition=[[0.5, 0.5], [0.0, 1.0]])
      >>> scores = jnp.log(jnp.array([[1.0, 0.0], [0.5, 0.25]])), jnp.log(jnp.array([[0.0, 1.0], [1.0, 1.0]]))
      >>> [float(jnp.exp(log_normalizer(chain, each)).round(3)) for each in scores]
      [0.37..., 0.0]
    """
    return _log_normalizer(checked_arguments(params, log_likelihoods, lengths, carry, method), method)


# Compiled once for shapes and a method, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=(1, 2))
def _posterior(arguments: Arguments, method: str, smoothed: bool) -> HMMPosterior:
    chain = chain_of(arguments)
    found, share = (
        markov.forward_backward(chain, method) if smoothed else (markov.forward(chain, method), None)
    )
    return HMMPosterior(
        log_normalizer=found.log_normalizer,
        filtered=found.filtered,
        log_predicted=found.log_predicted,
        smoothed=share,
        carry=found.log_carry,
    )


@partial(jax.jit, static_argnums=1)
def _log_normalizer(arguments: Arguments, method: str) -> Array:
    return markov.forward(chain_of(arguments), method).log_normalizer


def predict(params: HMMParams, carry: Any, num_steps: int) -> Array:
    """Probabilities of the states ahead, of which nothing is observed yet.

    Equation: `p_0 = exp(carry)`, `p_{h+1} = p_h transition_h`.

    Args:
      params: the chain; a matrix a step is one for each step ahead, `[num_steps, *B, K, K]`.
      carry: `[*B, K]`, of `filter`: the first step ahead is the one after the last observed.
      num_steps: how many steps.

    Returns:
      `[num_steps, *B, K]`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> carry = filter(rain, jnp.log(jnp.array([[0.9, 0.2], [0.9, 0.2]]))).carry
      >>> predict(rain, carry, 3)[:, 0].round(3).tolist()
      [0.653..., 0.561..., 0.525...]
    """
    check_size("num_steps", num_steps)
    nothing = jnp.zeros((int(num_steps), *jnp.shape(floating("carry", carry))))
    return _predict(checked_arguments(params, nothing, None, carry, "scan"))


@jax.jit
def _predict(arguments: Arguments) -> Array:
    chain = chain_of(arguments)
    transition = jnp.exp(chain.transition)

    def step(now: Array, matrix: Array | None) -> tuple[Array, Array]:
        matrix = transition if matrix is None else matrix
        return jnp.sum(now[..., None] * matrix, -2), now

    matrices = None if chain.matrices is None else transition
    return jax.lax.scan(step, jnp.exp(chain.initial), matrices, length=chain.num_steps)[1]


def pairwise(params: HMMParams, posterior: HMMPosterior) -> Array:
    """Probabilities of two states in a row given all observations.

    Equation (Rabiner, 1989, eq. 37, arranged so that nothing is divided by what can be too small):
    `p(z_t = i, z_{t+1} = j | y) = smoothed_t(i) transition(i, j) r(j) / sum_k transition(i, k) r(k)`, where
    `r = smoothed_{t+1} / predicted_{t+1}` is what the step after and all later ones say about a state.

    Args:
      params: the chain.
      posterior: of `smooth`, with the same params.

    Returns:
      `[T - 1, *B, K, K]`, which is zero from the last valid step on. `expected_transitions` gives the sum
      over time without this array.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if the posterior is one of `filter`, or its shapes do not fit.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> pairwise(rain, hmm.smooth(rain, jnp.log(jnp.array([[0.9, 0.2], [0.9, 0.2]])))).round(3).tolist()
      [[[0.8..., 0.07...], [0.07..., 0.04...]]]
    """
    _check_smoothed(params, posterior)
    return _pairwise(params, posterior)


@jax.jit
def _pairwise(params: HMMParams, posterior: HMMPosterior) -> Array:
    log_transition = jax.nn.log_softmax(params.transition_logits)
    smoothed, log_ratio = _smoothed_and_ratio(posterior)
    return markov.pairs(
        smoothed, log_transition if log_transition.ndim == 2 else log_transition[:-1], log_ratio
    )


def _smoothed_and_ratio(posterior: HMMPosterior) -> tuple[Array, Array]:
    """`smoothed` but for the last step, and `log(smoothed / predicted)` of the steps after."""
    smoothed = jnp.asarray(posterior.smoothed)
    # The derivative of the logarithm of less is infinite.
    reached = smoothed >= jnp.finfo(smoothed.dtype).tiny
    log_smoothed = jnp.log(jnp.where(reached, smoothed, 1))
    log_ratio = jnp.where(reached, log_smoothed - jnp.where(reached, posterior.log_predicted, 0), -jnp.inf)
    return smoothed[:-1], log_ratio[1:]


def expected_transitions(params: HMMParams, posterior: HMMPosterior) -> Array:
    """Expected numbers of transitions given all observations: `pairwise`, summed over time.

    Args:
      params: the chain.
      posterior: of `smooth`, with the same params.

    Returns:
      `[*B, K, K]`; zero where the observations are impossible.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if the posterior is one of `filter`, or its shapes do not fit.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
      >>> expected_transitions(rain, hmm.smooth(rain, jnp.zeros((2, 2)))).round(2).tolist()
      [[0.3..., 0.1...], [0.1..., 0.3...]]
    """
    _check_smoothed(params, posterior)
    return _expected_transitions(params, posterior)


@jax.jit
def _expected_transitions(params: HMMParams, posterior: HMMPosterior) -> Array:
    log_transition = jax.nn.log_softmax(params.transition_logits)
    smoothed, log_ratio = _smoothed_and_ratio(posterior)
    if log_transition.ndim > 2:
        return jnp.sum(markov.pairs(smoothed, log_transition[:-1], log_ratio), 0)
    return markov.sum_of_pairs(smoothed, log_transition, log_ratio)


def _check_smoothed(params: Any, posterior: Any) -> None:
    """Refuses what is not the result of `smooth`."""
    check_params(params)
    if not isinstance(posterior, HMMPosterior):
        raise TypeError(
            f"posterior is {kind_of(posterior)}, expected an HMMPosterior, as hmm.smooth gives it."
        )
    if posterior.smoothed is None:
        raise ValueError(
            "posterior has no smoothed probabilities: pass what hmm.smooth gives, not hmm.filter."
        )
    shape, matrices = posterior.smoothed.shape, params.transition_logits.shape
    if shape[-1] != params.num_states or (len(matrices) > 2 and matrices[0] != shape[0]):
        raise ValueError(
            f"posterior has smoothed of shape {shape}, expected what hmm.smooth gives with these params, "
            f"whose transition_logits have shape {matrices}."
        )
