"""The expectation step of learning: what smoothing tells of the states, as two regressions read it."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import beside, orthogonalize, product, project, solve_triangular, transpose
from seqjax.statespace.lds.checks import Evidence
from seqjax.statespace.lds.filter import filter_lanes
from seqjax.statespace.lds.model import lanes, model_of
from seqjax.statespace.lds.params import LDSParams
from seqjax.statespace.lds.smooth import smooth_lanes
from seqjax.types import Array


class Expected(NamedTuple):
    """What all observations say about the states, in lanes (see `model`).

    Attributes:
      mean: `[N, T, B]`.
      factor: `[N, N, T, B | 1]`, of the covariance.
      pair: `[N, 2 N, T - 1, B | 1]`: `[A, D]` with `x_t = mean + A e + D e'` where `x_{t+1}` is
        `mean + factor e`.
      log_normalizer: `[B]`.
    """

    mean: Array
    factor: Array
    pair: Array
    log_normalizer: Array


class Moments(NamedTuple):
    """What is known of the two sides of a regression, one problem a step, in lanes.

    Attributes:
      regressor: `[N, T, B]`, the mean of the state.
      regressor_factor: `[N, C, T, B | 1]`: times its transpose, the covariance.
      target: `[K, T, B]`, the mean of the next state or of the observation.
      target_factor: `[K, C, T, B | 1]`: times the transpose of the other, the covariance of both.
      inputs: `[U, T, B]`, or `None`.
      weight: `[T, B]`, which steps count; `None` if all do.
    """

    regressor: Array
    regressor_factor: Array
    target: Array
    target_factor: Array
    inputs: Array | None
    weight: Array | None


def expectations(params: LDSParams, evidence: Evidence, method: str) -> Expected:
    """Smooths, and keeps factors of the joint covariance of neighbouring states.

    Args:
      params: the params.
      evidence: checked observations and what belongs to them.
      method: as in `lds.smooth`.

    Returns:
      `Expected`.
    """
    model, observations = model_of(params, evidence)
    filtering = filter_lanes(params, evidence, model, observations, method)
    smoothing = smooth_lanes(model, filtering, observations.valid, method)
    return Expected(
        mean=smoothing.mean,
        factor=smoothing.factors.factor,
        pair=beside(smoothing.factors.across, smoothing.rest)[..., :-1, :],
        log_normalizer=filtering.log_normalizer,
    )


def observed_steps(evidence: Evidence) -> tuple[Array | None, Array | None]:
    """Which steps have an observation, and which entries of it are seen.

    Args:
      evidence: checked observations and what belongs to them.

    Returns:
      Booleans `[T, B]` and `[M, T, B]`; `None` where all do, and where they are seen whole or not at all.
    """
    num_steps, *batch = evidence.ys.shape[:-1]
    weight = seen = None
    if evidence.lengths is not None:
        weight = ops.length_mask(evidence.lengths.reshape(-1), num_steps)
    if evidence.observed is not None:
        rank = evidence.observed.ndim - evidence.ys.ndim + 1
        seen = lanes(evidence.observed, rank, tuple(batch))
        some = jnp.any(seen, axis=0) if rank else seen
        weight = some if weight is None else some & weight
        seen = seen if rank else None
    return weight, seen


def transitions(params: LDSParams, evidence: Evidence, expected: Expected) -> Moments:
    """The states of neighbouring steps, as the dynamics link them.

    Args:
      params: the params.
      evidence: checked observations and what belongs to them.
      expected: what smoothing gave.

    Returns:
      `Moments` over `T - 1` steps.
    """
    num_steps = evidence.ys.shape[0]
    weight = None
    if evidence.lengths is not None:
        weight = ops.length_mask(evidence.lengths.reshape(-1) - 1, num_steps)[: num_steps - 1]
    later = expected.factor[..., 1:, :]
    return Moments(
        regressor=expected.mean[:, :-1],
        regressor_factor=expected.pair,
        target=expected.mean[:, 1:],
        target_factor=beside(later, jnp.zeros_like(later)),
        inputs=_inputs(params.dynamics_inputs, evidence, num_steps - 1),
        weight=weight,
    )


def emissions(params: LDSParams, evidence: Evidence, expected: Expected) -> Moments:
    """States and observations, as the emission links them.

    Args:
      params: the params.
      evidence: checked observations and what belongs to them.
      expected: what smoothing gave.

    Returns:
      `Moments` over `T` steps, missing entries filled in.
    """
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)
    weight, seen = observed_steps(evidence)
    ys = lanes(evidence.ys, 1, batch_shape)
    if weight is not None:
        ys = jnp.where(weight, ys, 0)
    inputs = _inputs(params.emission_inputs, evidence, num_steps)
    factor = expected.factor
    target_factor = jnp.zeros((len(ys), *factor.shape[1:]), factor.dtype)
    if seen is not None:
        emission = lanes(params.emission, 2, batch_shape)
        predicted = product(emission, expected.mean) + lanes(params.emission_bias, 1, batch_shape)
        if params.emission_inputs is not None and inputs is not None:
            predicted = predicted + product(lanes(params.emission_inputs, 2, batch_shape), inputs)
        noise = lanes(params.emission_cholesky, 2, batch_shape)
        ys, factor, target_factor = completed(ys, seen, noise, predicted, emission, factor)
    return Moments(expected.mean, factor, ys, target_factor, inputs, weight)


def _inputs(matrix: Array | None, evidence: Evidence, num_steps: int) -> Array | None:
    """The inputs `[U, T, B]` of the first steps, zeros at padding, if there is a matrix for them."""
    if matrix is None or evidence.inputs is None:
        return None
    inputs = lanes(evidence.inputs, 1, evidence.ys.shape[1:-1])
    if evidence.lengths is not None:
        valid = ops.length_mask(evidence.lengths.reshape(-1), inputs.shape[1])
        inputs = jnp.where(valid, inputs, 0)
    return inputs[:, :num_steps]


def completed(
    ys: Array, seen: Array, noise: Array, predicted: Array, emission: Array, factor: Array
) -> tuple[Array, Array, Array]:
    """Observations with what is missing filled in by what is expected of it.

    Equation (Shumway & Stoffer, 2017, section 6.4): with `K = R_mo / R_oo` for the missing entries `m` and
    the observed ones `o`, `y_m = C_m x + K (y_o - C_o x) + e`, whose `e` has the covariance `R_mm - K R_om`,
    here as the factor's rows of what is missing, less their part along those of what is observed.

    Args:
      ys: `[M, T, B]`.
      seen: `[M, T, B | 1]` booleans; what is false is not read.
      noise: `[M, M, T | 1, B | 1]`, the factor of `R`.
      predicted: `[M, T, B]`, what the mean of the state gives.
      emission: `[M, N, T | 1, B | 1]`.
      factor: `[N, N, T, B | 1]`, of the state's covariance.

    Returns:
      The mean `[M, T, B]`, and the factors of state `[N, N + M, T, B]` and observation `[M, N + M, T, B]`.
    """
    size, rows = len(ys), seen[:, None]
    factor_seen, directions = orthogonalize(jnp.where(rows, noise, 0))
    coefficients, own = project(jnp.where(rows, 0, noise), directions)
    gain = transpose(solve_triangular(factor_seen, transpose(coefficients), transposed=True))
    surprise = jnp.where(seen, ys - predicted, 0)
    mean = jnp.where(seen, ys, predicted + product(gain, surprise))
    reaction = jnp.where(rows, 0, emission - product(gain, jnp.where(rows, emission, 0)))
    none = jnp.zeros((len(factor), size, 1, 1), factor.dtype)
    return mean, beside(factor, none), beside(product(reaction, factor), own)
