"""Choosing between hidden Markov models: information criteria, and the likelihood of what was held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import check_key, kind_of, shown
from seqjax.statespace.hmm.arguments import (
    check_chain,
    check_emission,
    checked_fixed,
    checked_observations,
    num_observations,
)
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.inference import log_normalizer
from seqjax.statespace.hmm.learning import HMMFit, fit
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array, Key, Params

CRITERIA = ("bic", "aic", "held_out")
"""What candidates can be chosen by."""


class Selection(NamedTuple):
    """Candidates side by side, in the order in which they were given.

    Attributes:
      best: the index of the candidate that was chosen.
      fits: what learning each came to.
      num_parameters: how many numbers each leaves free.
      log_likelihood: `[candidates]`, of the observations learned from.
      aic: `[candidates]`, less is better.
      bic: `[candidates]`, less is better.
      held_out: `[candidates]`, nats per observation of what was held out, more is better; `None` where
        nothing was.
    """

    best: int
    fits: tuple[HMMFit, ...]
    num_parameters: np.ndarray
    log_likelihood: np.ndarray
    aic: np.ndarray
    bic: np.ndarray
    held_out: np.ndarray | None


def num_parameters(emission: Emission, *, params: HMMParams | None = None, fixed: Sequence[str] = ()) -> int:
    """How many numbers a model leaves free.

    Equation: `K - 1` for the first state, `K (K - 1)` for the transitions, and the emission's; with `params`,
    only what is possible in them counts.

    Args:
      emission: as a factory such as `hmm.poisson` returns it.
      params: the chain, concrete, where it has states or transitions of probability zero; `None` for none.
      fixed: which of `"initial"`, `"transition"` and `"emission"` were not learned.

    Returns:
      The number.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if `params` has another number of states, or `fixed` an unknown name.

    Example:
      >>> from seqjax.statespace import hmm
      >>> num_parameters(hmm.poisson(3)), num_parameters(hmm.poisson(3), fixed=("initial",))
      (11, 9)
    """
    check_emission(emission)
    fixed = checked_fixed(tuple(fixed) if isinstance(fixed, list) else fixed)
    num_states = emission.num_states
    free = {"initial": num_states - 1, "transition": num_states * (num_states - 1)}
    if params is not None:
        check_chain(params, num_states)
        free["initial"] = int((np.asarray(params.initial_logits) > -np.inf).sum()) - 1
        free["transition"] = int((np.asarray(params.transition_logits) > -np.inf).sum()) - num_states
    free["emission"] = emission.num_parameters
    return sum(count for part, count in free.items() if part not in fixed)


def aic(log_likelihood: Any, num_parameters: Any) -> Array:
    """Akaike's information criterion (Akaike, 1974): less is better.

    Equation: `-2 log_likelihood + 2 num_parameters`.

    Args:
      log_likelihood: `[...]`, of all observations.
      num_parameters: how many numbers were learned; `[...]` or one for all.

    Returns:
      `[...]`.

    Example:
      >>> round(float(aic(-341.8787, 5)), 2)
      693.76
    """
    return -2 * jnp.asarray(log_likelihood) + 2 * num_parameters


def bic(log_likelihood: Any, num_parameters: Any, num_observations: int) -> Array:
    """The Bayesian information criterion (Schwarz, 1978): less is better.

    Equation: `-2 log_likelihood + num_parameters log(num_observations)`.

    Args:
      log_likelihood: `[...]`, of all observations.
      num_parameters: how many numbers were learned; `[...]` or one for all.
      num_observations: how many steps, over all sequences.

    Returns:
      `[...]`.

    Raises:
      ValueError: if there is no observation.

    Example:
      >>> round(float(bic(-341.8787, 5, 107)), 2)
      707.12
    """
    if num_observations < 1:
        raise ValueError(f"num_observations is {num_observations}, expected at least one.")
    return -2 * jnp.asarray(log_likelihood) + num_parameters * math.log(num_observations)


def held_out(
    emission: Emission,
    params: HMMParams,
    emission_params: Params,
    ys: Any,
    *,
    lengths: Any = None,
    observed: Any = None,
) -> Array:
    """The log-likelihood per observation of sequences that were not learned from: more is better.

    Args:
      emission: as a factory such as `hmm.poisson` returns it.
      params: the chain.
      emission_params: of `emission`.
      ys: observations `[T, *B, ...]`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`.

    Returns:
      `[]`, nats.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong, or, outside of `jit`, no step is read.

    Example:
      >>> from seqjax.statespace import hmm
      >>> rate = hmm.PoissonParams(log_rates=jnp.zeros(1))
      >>> round(float(held_out(hmm.poisson(1), hmm.params([1.0], [[1.0]]), rate, jnp.array([0, 1]))), 3)
      -1.0
    """
    check_emission(emission)
    check_chain(params, emission.num_states)
    ys, lengths, observed = checked_observations(emission, ys, lengths, observed)
    shape = jax.eval_shape(emission.log_likelihoods, emission_params, ys).shape
    count = num_observations(shape[0], shape[1:-1], lengths, observed)
    if not isinstance(count, jax.core.Tracer) and count == 0:
        raise ValueError("ys has no step that is read, expected at least one: look at lengths and observed.")
    log_likelihoods = emission.log_likelihoods(emission_params, ys, lengths, observed)
    return jnp.sum(log_normalizer(params, log_likelihoods, lengths=lengths)) / count


def select(
    emissions: Sequence[Emission],
    key: Key,
    ys: Any,
    *,
    lengths: Any = None,
    observed: Any = None,
    criterion: str = "bic",
    held_out_ys: Any = None,
    held_out_lengths: Any = None,
    held_out_observed: Any = None,
    **options: Any,
) -> Selection:
    """Learns one model for each emission, and chooses among them: over numbers of states, or families.

    Each is learned by `fit` with a key of its own. All see the same observations, so that their criteria can
    be compared; the log-likelihood in the criteria is that of the learned params, without prior.

    Args:
      emissions: the candidates, such as `[hmm.poisson(k) for k in range(1, 6)]`.
      key: a random key.
      ys: observations `[T, *B, ...]`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`.
      criterion: `"bic"`, `"aic"` or `"held_out"`.
      held_out_ys: observations that are not learned from, `[T', *B', ...]`; for the criterion `"held_out"`.
      held_out_lengths: their lengths, or `None`.
      held_out_observed: which of their steps were observed, or `None`.
      **options: what `fit` takes besides, such as `num_restarts`.

    Returns:
      A `Selection`.

    Raises:
      TypeError: if an argument has another type, or `fit` knows no such option.
      ValueError: if there is no candidate, the criterion is unknown, or it needs `held_out_ys`.

    Example:
      >>> from seqjax.statespace import hmm
      >>> counts = jnp.array([1, 0, 2, 19, 18, 19, 1, 0, 1, 17, 17, 19])
      >>> found = select([hmm.poisson(2), hmm.poisson(3)], jax.random.key(0), counts)  # doctest: +SKIP
      >>> found.best, found.num_parameters.tolist(), found.bic.shape  # doctest: +SKIP
      (0, [5, 11], (2,))
    """
    check_key(key)
    if isinstance(emissions, Emission) or not isinstance(emissions, Sequence):
        raise TypeError(f"emissions is {kind_of(emissions)}, expected a list of emissions.")
    if not emissions:
        raise ValueError("emissions is empty, expected at least one emission.")
    if not isinstance(criterion, str) or criterion not in CRITERIA:
        raise ValueError(f"criterion is {shown(criterion)}, expected 'bic', 'aic' or 'held_out'.")
    if criterion == "held_out" and held_out_ys is None:
        raise ValueError("held_out_ys is None, expected observations: the criterion is 'held_out'.")
    fits = []
    for candidate, own_key in zip(emissions, jax.random.split(key, len(emissions)), strict=True):
        fits.append(fit(candidate, own_key, ys, lengths=lengths, observed=observed, **options))
    unseen = None
    if held_out_ys is not None:
        rest = {"lengths": held_out_lengths, "observed": held_out_observed}
        unseen = np.array(
            [
                held_out(candidate, found.params, found.emission_params, held_out_ys, **rest)
                for candidate, found in zip(emissions, fits, strict=True)
            ]
        )
    free = np.array(
        [
            num_parameters(candidate, params=options.get("params"), fixed=options.get("fixed", ()))
            for candidate in emissions
        ]
    )
    log_likelihood = np.array([found.log_likelihood for found in fits])
    by_aic = np.asarray(aic(log_likelihood, free))
    by_bic = np.asarray(bic(log_likelihood, free, _count(emissions[0], fits[0], ys, lengths, observed)))
    goodness: dict[str, Any] = {"aic": -by_aic, "bic": -by_bic, "held_out": unseen}
    return Selection(
        best=int(np.argmax(goodness[criterion])),
        fits=tuple(fits),
        num_parameters=free,
        log_likelihood=log_likelihood,
        aic=by_aic,
        bic=by_bic,
        held_out=unseen,
    )


def _count(emission: Emission, found: HMMFit, ys: Any, lengths: Any, observed: Any) -> int:
    """How many steps were learned from."""
    ys, lengths, observed = checked_observations(emission, ys, lengths, observed)
    num_steps = len(jax.tree.leaves(ys)[0])
    return int(num_observations(num_steps, found.log_likelihoods.shape, lengths, observed))
