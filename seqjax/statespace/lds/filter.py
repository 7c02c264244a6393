"""The Kalman filter."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import above, product
from seqjax.statespace.lds import associative
from seqjax.statespace.lds.beliefs import LDSBelief, LDSFiltered
from seqjax.statespace.lds.checks import Evidence, checked_problem
from seqjax.statespace.lds.conditioning import Update, predict, update
from seqjax.statespace.lds.model import Model, Observations, diffuse_scale, model_of, over_time, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.statespace.lds.passes import FilteredSteps, Filtering
from seqjax.statespace.lds.settling import masked, over_settling_time
from seqjax.statespace.lds.steady import steady_factor
from seqjax.types import Array


def filter(
    params: LDSParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
    method: str = "scan",
) -> LDSFiltered:
    """The belief about each state given the observations so far (Kalman, 1960).

    Equations: with predicted mean `m` and covariance `P`, emission `H` and noise `R` (Särkkä, 2013, equations
      4.20 and 4.21),

    - `S = H P H' + R`, `gain = P H' S^-1`, filtered mean `m + gain (y - H m - offset)`, covariance
      `P - gain S gain'`;
    - next predicted mean `F filtered mean + drift`, covariance `F filtered covariance F' + Q`.

    Covariances are held as factors throughout, so that none loses its positivity, in float32 either.

    *Diffuse states* start with the standard deviation 1 / eps of the dtype in place of an infinite one, and
    its logarithm, once for each diffuse state, is added to the log-likelihood. That is the limit of
    `log p(ys) + log(kappa) / 2` a diffuse state for a variance `kappa` that goes to infinity: the diffuse
    likelihood of de Jong (1991) and of Durbin & Koopman (2012, section 7.2.2).

    Args:
      params: the parameters. What is given one a step has `T` entries.
      ys: `[T, *B, M]` observations. What is not observed, or stands at and after the length, is never read.
      inputs: `[T, *B, U]`; `None` where the params read none.
      observed: `[T, *B]` or `[T, *B, M]` booleans, whether a step or an entry of it is observed; `None` if
        all are.
      carry: the belief about the first step, such as the carry of the steps before; `None` for that of the
        params.
      lengths: `[*B]` integers from 0 to `T`; `None` if every row has `T` steps.
      method: `"scan"` goes step by step; `"associative"` takes products in parallel over time (Särkkä &
        García-Fernández, 2021, in the square-root form of Yaghoobi et al., 2022), which pays on a GPU;
        `"steady"` uses the gain of `steady_state` from the first step on, as if the system had been observed
        for long before: exact later on, and only for matrices that do not vary and observations that are
        complete.

    Returns:
      `LDSFiltered`, whose carry goes on where this stops: in pieces or in one, the result is the same.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, a value in `lengths` or the method does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[2.0]],
      ...     initial_covariance=[[2.0]],
      ... )
      >>> filtered = filter(level, jnp.array([[4.0], [0.0]]), observed=jnp.array([True, False]))
      >>> filtered.mean.round(3).tolist(), (filtered.cholesky[:, 0, 0] ** 2).round(3).tolist()
      ([[2.0], [2.0]], [1.0, 2.0])
    """
    evidence = checked_problem(params, ys, inputs, observed, carry, lengths, method)
    return _filter(params, evidence, method)


def log_normalizer(
    params: LDSParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
    method: str = "scan",
) -> Array:
    """The log-likelihood of observations.

    Equation: `sum_t log N(y_t; H m_t + offset, S_t)` with the predicted means and covariances of `filter`.
      The terms are added with compensation, so that a long float32 sum keeps its digits.

    Args:
      params: the parameters.
      ys: `[T, *B, M]` observations.
      inputs: as for `filter`.
      observed: as for `filter`.
      carry: as for `filter`.
      lengths: as for `filter`.
      method: as for `filter`.

    Returns:
      `[*B]`; zero where nothing is observed. `filter` tells the convention for diffuse states.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, a value in `lengths` or the method does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[2.0]],
      ...     initial_covariance=[[2.0]],
      ... )
      >>> log_normalizer(level, jnp.array([[2.0]])).round(3).tolist()  # log N(2; 0, 4)
      -2.11...
    """
    evidence = checked_problem(params, ys, inputs, observed, carry, lengths, method)
    return _log_normalizer(params, evidence, method)


@partial(jax.jit, static_argnames="method")
def _filter(params: LDSParams, evidence: Evidence, method: str) -> LDSFiltered:
    model, observations = model_of(params, evidence)
    filtering = filter_lanes(params, evidence, model, observations, method)
    return filtered_of(filtering, evidence)


@partial(jax.jit, static_argnames="method")
def _log_normalizer(params: LDSParams, evidence: Evidence, method: str) -> Array:
    model, observations = model_of(params, evidence)
    filtering = filter_lanes(params, evidence, model, observations, method)
    return filtering.log_normalizer.reshape(evidence.ys.shape[1:-1])


def filter_lanes(
    params: LDSParams, evidence: Evidence, model: Model, observations: Observations, method: str
) -> Filtering:
    """The filter on what `model_of` makes of its arguments.

    Args:
      params: the parameters.
      evidence: checked observations and what belongs to them.
      model: what covariances depend on.
      observations: what means depend on besides.
      method: the name of a method.

    Returns:
      `Filtering`.
    """
    num_steps = evidence.ys.shape[0]
    repeats = None
    if method == "scan":
        (last, carry_mean), steps, repeats = _in_segments(model, observations, num_steps)
    else:
        if method == "steady":
            last = predicted = steady_factor(model.dynamics, model.noise, model.emission)
            means_of, last = predicted_means, last[:, :, 0]
        else:
            factors = associative.predicted_factors(model, num_steps)
            predicted, last = factors[..., :-1, :], factors[..., -1, :]
            means_of = associative.predicted_means
        updates = update(predicted, model.emission)
        matrices = model.dynamics, model.emission, updates.gain
        carry_mean, predicted_mean = means_of(matrices, observations, num_steps)
        steps = _steps_of(predicted, updates, predicted_mean, model.emission, observations)
    normalizer = ops.compensated_sum(steps.log_density)
    if evidence.carry is None and params.diffuse is not None:
        normalizer = normalizer + sum(params.diffuse) * math.log(diffuse_scale(normalizer.dtype))
    return Filtering(
        steps=steps,
        log_normalizer=normalizer,
        carry_mean=carry_mean,
        carry_factor=_at_the_end(steps.predicted, last, evidence.lengths),
        repeats=repeats,
    )


def _in_segments(
    model: Model, observations: Observations, num_steps: int
) -> tuple[tuple[Array, Array], FilteredSteps, Array]:
    """Step by step, covariances only until they have settled: the beliefs at the end, the steps, repeats."""

    def step(factor: Array, inputs: tuple) -> tuple[Array, tuple[Array, Update]]:
        dynamics, noise, emission, active = inputs
        given = update(factor, emission)
        following = predict(dynamics, given.filtered, noise)
        if active is not None:
            following = jnp.where(active, following, factor)
        return following, (factor, given)

    def follow(mean: Array, found: tuple, data: tuple) -> tuple[Array, FilteredSteps]:
        (predicted, updates), (dynamics, emission, *rest) = found, data
        observations = Observations(mean, *rest)
        matrices = dynamics, emission, updates.gain
        mean, predicted_mean = predicted_means(matrices, observations, observations.values.shape[1])
        return mean, _steps_of(predicted, updates, predicted_mean, emission, observations)

    _, dynamics, noise, emission, active = model
    active, valid = masked(active, num_steps), masked(observations.valid, num_steps)
    size = jnp.broadcast_shapes(*(leaf.shape[-1:] for leaf in (*model, active) if leaf is not None))
    return over_settling_time(
        step,
        jnp.broadcast_to(model.start, model.start.shape[:2] + size),
        (dynamics, noise, emission, active),
        num_steps,
        follow=follow,
        moving=observations.start,
        data=(dynamics, emission, *observations[1:-1], valid),
    )


def predicted_means(
    matrices: tuple[Array, Array, Array], observations: Observations, num_steps: int
) -> tuple[Array, Array]:
    """Means step by step, once the gains are known.

    Args:
      matrices: dynamics, emission and gain, each `[N | M, N | M, T | 1, B | 1]`.
      observations: what means depend on besides.
      num_steps: `T`.

    Returns:
      The mean `[N, B]` after the last step, and the predicted means `[N, T, B]`.
    """
    dynamics, emission, gain = matrices

    def step(mean: Array, inputs: tuple) -> tuple[Array, Array]:
        both, gain, drift, values, valid = inputs
        # One product for what comes next and what is seen of it.
        moved, seen = jnp.split(product(both, mean), [len(mean)])
        predicted = moved + product(gain, values - seen) + drift
        if valid is not None:
            predicted = jnp.where(valid, predicted, mean)
        return predicted, mean

    _, drift, values, _, valid = observations
    inputs = above(dynamics, emission), product(dynamics, gain), drift, values, valid
    return over_time(step, observations.start, inputs, num_steps)


def _steps_of(
    predicted: Array, updates: Update, predicted_mean: Array, emission: Array, observations: Observations
) -> FilteredSteps:
    residuals = observations.values - product(emission, predicted_mean)
    innovations = product(updates.whitener, residuals)
    terms = jnp.log(updates.variances) + innovations**2 / updates.variances
    log_density = observations.log_scale - 0.5 * jnp.sum(terms, axis=0)
    if observations.valid is not None:
        log_density = jnp.where(observations.valid, log_density, 0)
    return FilteredSteps(
        predicted=predicted,
        filtered=updates.filtered,
        whitened=updates.whitened,
        predicted_mean=predicted_mean,
        mean=predicted_mean + product(updates.gain, residuals),
        news=product(updates.whitened_gain, residuals),
        log_density=jnp.broadcast_to(log_density, residuals.shape[1:]),
    )


def _at_the_end(predicted: Array, last: Array, lengths: Array | None) -> Array:
    """The predicted factor of the step after the last valid one."""
    num_steps = predicted.shape[-2]
    if lengths is None or num_steps == 0:
        return last
    lengths = lengths.reshape(-1)
    index = jnp.minimum(lengths, num_steps - 1)
    if predicted.shape[-1] == 1:
        inside = predicted[..., 0][..., index]
    else:
        inside = jnp.take_along_axis(predicted, index[None, None, None], axis=2)[:, :, 0]
    return jnp.where(lengths < num_steps, inside, last)


def filtered_of(filtering: Filtering, evidence: Evidence) -> LDSFiltered:
    """What the filter found, time and batch axes first and zeros at padding.

    Args:
      filtering: the result in lanes.
      evidence: what it was made of.

    Returns:
      `LDSFiltered`.
    """
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)

    def out(leaf: Array) -> Array:
        leaf = unlanes(leaf, num_steps, batch_shape)
        if evidence.lengths is None:
            return leaf
        return ops.zero_padding(leaf, ops.length_mask(evidence.lengths, num_steps))

    return LDSFiltered(
        mean=out(filtering.steps.mean),
        cholesky=out(filtering.steps.filtered),
        predicted_mean=out(filtering.steps.predicted_mean),
        predicted_cholesky=out(filtering.steps.predicted),
        log_normalizer=filtering.log_normalizer.reshape(batch_shape),
        carry=LDSBelief(
            mean=unlanes(filtering.carry_mean[..., None, :], 1, batch_shape)[0],
            cholesky=unlanes(filtering.carry_factor[..., None, :], 1, batch_shape)[0],
        ),
    )
