"""Learning hidden Markov models by Baum-Welch: priors, ragged batches, restarts."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.statespace.arguments import checked_tolerance
from seqjax.statespace.hmm.arguments import (
    check_chain,
    check_emission,
    checked_fixed,
    checked_observations,
    checked_pseudo_counts,
    num_observations,
)
from seqjax.statespace.hmm.emissions.categorical import log_dirichlet, log_frequencies
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.inference import expected_transitions, smooth
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array, Key, Params

Data: TypeAlias = tuple[Any, Array | None, Array | None]
"""Observations, lengths, and what was observed."""


@struct.dataclass
class BaumWelchStep:
    """What one step of Baum-Welch came to.

    Attributes:
      params: the chain after the step.
      emission_params: the emission after the step.
      log_likelihoods: `[*B]`, of each sequence under the params *before* the step.
      objective: `[]`, their sum and the log-prior, before the step: the steps after it never have less.
    """

    params: HMMParams
    emission_params: Params
    log_likelihoods: Array
    objective: Array


@struct.dataclass
class HMMFit:
    """What learning came to: the best of the restarts.

    Attributes:
      params: the chain.
      emission_params: the emission.
      log_likelihood: `[]`, of all sequences under these params.
      log_likelihoods: `[*B]`, of each.
      history: `[num_iterations + 1]`, the objective (the log-likelihood and the log-prior, up to a constant)
        at the start and after each iteration. It never decreases, but for rounding, and stays the same once
        the iterations have stopped.
      num_iterations: `[]`, how many were taken.
      converged: `[]`, whether the objective had stopped to increase by the tolerance.
      restart_objectives: `[num_restarts]`, what each start came to.
    """

    params: HMMParams
    emission_params: Params
    log_likelihood: Array
    log_likelihoods: Array
    history: Array
    num_iterations: Array
    converged: Array
    restart_objectives: Array


def baum_welch_step(
    emission: Emission,
    params: HMMParams,
    emission_params: Params,
    ys: Any,
    *,
    lengths: Any = None,
    observed: Any = None,
    initial_pseudo_count: Any = 0.0,
    transition_pseudo_count: Any = 0.0,
    fixed: tuple[str, ...] = (),
) -> BaumWelchStep:
    """One step of expectation and maximisation (Baum et al., 1970; Rabiner, 1989, eq. 109).

    Equations, with `gamma` the smoothed probabilities and `xi` the expected transitions of `hmm.smooth`:
    `initial_k = (sum_b gamma_1bk + c_k) / sum`, `transition_ij = (sum_b xi_bij + c_ij) / sum_j`, and the
    emission's `maximize` with the weights `gamma`. What is impossible stays impossible, whatever the
    pseudo-counts, and a state that is never left keeps its row where it has none.

    Args:
      emission: as a factory such as `hmm.poisson` returns it.
      params: the chain, with one initial distribution `[K]` and one matrix `[K, K]`.
      emission_params: of `emission`.
      ys: observations `[T, *B, ...]`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`: a step that was not observed says nothing about its state.
      initial_pseudo_count: a number, or `[K]`.
      transition_pseudo_count: a number, or `[K, K]`.
      fixed: which of `"initial"`, `"transition"` and `"emission"` to leave as they are.

    Returns:
      A `BaumWelchStep`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong.

    Example:
      >>> from seqjax.statespace import hmm
      >>> emission, counts = hmm.poisson(2), jnp.array([1, 0, 9, 8, 1])
      >>> chain = hmm.params([0.5, 0.5], [[0.5, 0.5], [0.5, 0.5]])
      >>> rates = hmm.PoissonParams(log_rates=jnp.log(jnp.array([1.0, 9.0])))
      >>> hmm.baum_welch_step(emission, chain, rates, counts).emission_params.rates.round(2).tolist()
      [0.66..., 8.47...]
    """
    check_emission(emission)
    check_chain(params, emission.num_states)
    data = checked_observations(emission, ys, lengths, observed)
    counts = checked_pseudo_counts(emission.num_states, initial_pseudo_count, transition_pseudo_count)
    return _step(emission, checked_fixed(fixed), params, emission_params, data, counts)


def fit(
    emission: Emission,
    key: Key,
    ys: Any,
    *,
    lengths: Any = None,
    observed: Any = None,
    params: HMMParams | None = None,
    emission_params: Params | None = None,
    num_iterations: int = 200,
    tolerance: float = 1e-6,
    num_restarts: int = 1,
    initial_pseudo_count: Any = 0.0,
    transition_pseudo_count: Any = 0.0,
    fixed: tuple[str, ...] = (),
) -> HMMFit:
    """Learns a hidden Markov model by Baum-Welch from several random starts, and keeps the best.

    Iterates `baum_welch_step` until the objective, divided by the number of observations, increases by no
    more than `tolerance`. The whole is one program, compiled once for an emission, options and shapes; a
    factory such as `hmm.poisson` returns a new emission at each call, so make it once and keep it. Restarts
    run side by side.

    A random start has an even initial distribution, rows of transitions that are half the identity and half
    drawn from a Dirichlet distribution, and the emission's `init`.

    Args:
      emission: as a factory such as `hmm.poisson` returns it, with its prior.
      key: a random key, for the starts.
      ys: observations `[T, *B, ...]`, one sequence a column.
      lengths: `[*B]` integers, or `None`. What stands at and after the length is never read.
      observed: `[T, *B]` booleans, or `None`: a step that was not observed says nothing about its state.
      params: a start for the chain, `None` for random ones. Transitions of probability zero stay so.
      emission_params: a start for the emission, `None` for random ones.
      num_iterations: how many iterations to take at most.
      tolerance: nats per observation; zero stops only where nothing increases.
      num_restarts: how many starts.
      initial_pseudo_count: how often each state is taken to have been the first before: a number or `[K]`.
      transition_pseudo_count: how often each transition is taken to have been seen before: a number or
        `[K, K]`.
      fixed: which of `"initial"`, `"transition"` and `"emission"` keep their start.

    Returns:
      An `HMMFit`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape or value is wrong; or, outside of `jit`, the observations are impossible under
        the best start or the result is not a number.

    Example:
      >>> from seqjax.statespace import hmm
      >>> counts = jnp.array([1, 0, 2, 9, 8, 9, 1, 0, 1, 9, 7, 9])
      >>> found = hmm.fit(hmm.poisson(2), jax.random.key(0), counts)
      >>> found.emission_params.rates.sort().round(1).tolist()
      [0.80..., 8.40...]
    """
    check_emission(emission)
    check_key(key)
    for name, size in {"num_iterations": num_iterations, "num_restarts": num_restarts}.items():
        check_size(name, size)
    if params is not None:
        check_chain(params, emission.num_states)
    if params is not None and emission_params is not None and num_restarts > 1:
        raise ValueError(
            f"num_restarts is {num_restarts}, expected 1: params and emission_params are both given, so that "
            f"there is one start. Leave one of them out."
        )
    data = checked_observations(emission, ys, lengths, observed)
    counts = checked_pseudo_counts(emission.num_states, initial_pseudo_count, transition_pseudo_count)
    found = _fit(
        emission,
        int(num_iterations),
        int(num_restarts),
        checked_fixed(fixed),
        key,
        (params, emission_params),
        data,
        counts,
        checked_tolerance(tolerance),
    )
    _check_result(found)
    return found


@partial(jax.jit, static_argnums=(0, 1))
def _step(
    emission: Emission,
    fixed: tuple[str, ...],
    params: HMMParams,
    emission_params: Params,
    data: Data,
    counts: tuple[Array, Array],
) -> BaumWelchStep:
    """`baum_welch_step` after its arguments were looked at."""
    ys, lengths, observed = data
    log_likelihoods = emission.log_likelihoods(emission_params, ys, lengths, observed)
    posterior = smooth(params, log_likelihoods, lengths=lengths)
    weights = cast(Array, posterior.smoothed)
    rows = tuple(range(weights.ndim - 2))
    initial = log_frequencies(params.initial_logits, jnp.sum(weights[0], axis=rows), counts[0])
    expected = jnp.sum(expected_transitions(params, posterior), axis=rows)
    transition = log_frequencies(params.transition_logits, expected, counts[1])
    if observed is not None:
        weights = ops.zero_padding(weights, observed)
    prior = emission.log_prior(emission_params, ys, lengths, observed)
    prior = prior + log_dirichlet(params.initial_logits, counts[0])
    prior = prior + log_dirichlet(params.transition_logits, counts[1])
    return BaumWelchStep(
        params=HMMParams(
            initial_logits=params.initial_logits if "initial" in fixed else initial,
            transition_logits=params.transition_logits if "transition" in fixed else transition,
        ),
        emission_params=(
            emission_params if "emission" in fixed else emission.maximize(emission_params, ys, weights)
        ),
        log_likelihoods=posterior.log_normalizer,
        objective=jnp.sum(posterior.log_normalizer) + prior,
    )


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _fit(
    emission: Emission,
    num_iterations: int,
    num_restarts: int,
    fixed: tuple[str, ...],
    key: Key,
    given: tuple[HMMParams | None, Params | None],
    data: Data,
    counts: tuple[Array, Array],
    tolerance: Array,
) -> HMMFit:
    """`fit` after its arguments were looked at."""

    def run(key: Key) -> HMMFit:
        key_chain, key_emission = jax.random.split(key)
        params, emission_params = given
        if params is None:
            params = _random_chain(key_chain, emission.num_states)
        if emission_params is None:
            emission_params = emission.init(key_emission, *data)
        step = partial(_step, emission, fixed, data=data, counts=counts)
        return _iterate(step, (params, emission_params), num_iterations, data, tolerance)

    if num_restarts == 1:
        found = run(key)
        return dataclasses.replace(found, restart_objectives=found.restart_objectives[None])
    found = jax.vmap(run)(jax.random.split(key, num_restarts))
    objectives = found.restart_objectives
    best = jnp.argmax(jnp.where(jnp.isnan(objectives), -jnp.inf, objectives))
    found = jax.tree.map(lambda leaf: leaf[best], found)
    return dataclasses.replace(found, restart_objectives=objectives)


def _iterate(
    step: Callable[..., BaumWelchStep],
    start: tuple[HMMParams, Params],
    num_iterations: int,
    data: Data,
    tolerance: Array,
) -> HMMFit:
    """Steps from one start until one gains no more than the tolerance."""
    # A number without a dtype of its own would change it in the loop.
    start = jax.tree.map(lambda leaf: jax.lax.convert_element_type(leaf, leaf.dtype), start)
    shapes = jax.eval_shape(step, *start)
    places = jnp.arange(num_iterations + 1)
    ys, lengths, observed = data
    batch_shape = shapes.log_likelihoods.shape
    enough = tolerance * num_observations(jax.tree.leaves(ys)[0].shape[0], batch_shape, lengths, observed)

    def advance(state: tuple[HMMFit, Array]) -> tuple[HMMFit, Array]:
        found, at = state[0], state[0].num_iterations
        new = step(found.params, found.emission_params)
        converged = (at > 0) & (new.objective - found.restart_objectives <= enough)
        stop = converged | (at == num_iterations) | ~jnp.isfinite(new.objective)
        # What was evaluated last takes no step, so that it is what is returned.
        params, emission_params = jax.tree.map(
            partial(jnp.where, stop),
            (found.params, found.emission_params),
            (new.params, new.emission_params),
        )
        found = HMMFit(
            params=params,
            emission_params=emission_params,
            log_likelihood=jnp.sum(new.log_likelihoods),
            log_likelihoods=new.log_likelihoods,
            history=jnp.where(places >= at, new.objective, found.history),
            num_iterations=jnp.where(stop, at, at + 1),
            converged=converged,
            restart_objectives=new.objective,
        )
        return found, stop

    objective = jnp.zeros((), shapes.objective.dtype)
    log_likelihoods = jnp.zeros(batch_shape, shapes.log_likelihoods.dtype)
    found = HMMFit(
        params=start[0],
        emission_params=start[1],
        log_likelihood=jnp.sum(log_likelihoods),
        log_likelihoods=log_likelihoods,
        history=jnp.zeros((num_iterations + 1,), objective.dtype),
        num_iterations=jnp.zeros((), places.dtype),
        converged=jnp.zeros((), bool),
        restart_objectives=objective,
    )
    return jax.lax.while_loop(lambda state: ~state[1], advance, (found, jnp.zeros((), bool)))[0]


def _random_chain(key: Key, num_states: int) -> HMMParams:
    """An even initial distribution, and transitions that rather stay."""
    shares = jax.random.exponential(key, (num_states, num_states), ops.default_dtype())
    # A share of exactly zero would make a transition impossible for ever.
    shares = shares + jnp.finfo(shares.dtype).eps
    shares = shares / jnp.sum(shares, axis=-1, keepdims=True)
    transition = 0.5 * jnp.eye(num_states, dtype=shares.dtype) + 0.5 * shares
    return HMMParams(
        initial_logits=jnp.full((num_states,), -jnp.log(num_states), shares.dtype),
        transition_logits=jnp.log(transition),
    )


def _check_result(found: HMMFit) -> None:
    """Refuses a result that is none, where that can be seen."""
    if isinstance(found.log_likelihoods, jax.core.Tracer):
        return
    values = np.asarray(found.log_likelihoods)
    if np.isneginf(values).any():
        place = tuple(int(i) for i in np.argwhere(np.isneginf(values))[0])
        which = f"sequence {place if len(place) > 1 else place[0]} of ys" if place else "ys"
        raise ValueError(
            f"{which} is impossible under the best start: its log-likelihood is -inf. Start from params and "
            f"emission_params that allow every observation; what has probability zero keeps it."
        )
    if not np.isfinite(values).all() or not np.isfinite(np.asarray(found.history)).all():
        raise ValueError(
            "the log-likelihood or the log-prior is not finite, expected numbers. Look for NaN in params, "
            "emission_params and ys, and for values whose squares overflow."
        )
