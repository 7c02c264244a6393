"""Random states and observations of a linear dynamical system, from its prior and from its posterior."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.ops.small_matrices import product
from seqjax.statespace.lds.axes import check_axes, check_params, checked_inputs, dtype_of
from seqjax.statespace.lds.beliefs import LDSBelief
from seqjax.statespace.lds.checks import Evidence, checked_problem
from seqjax.statespace.lds.filter import filter_lanes
from seqjax.statespace.lds.model import drift_and_offset, first_belief, lanes, model_of, over_time, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.statespace.lds.smooth import drawn_lanes
from seqjax.types import Array, Key


def sample(
    params: LDSParams, key: Key, num_steps: int, batch_shape: tuple[int, ...] = (), *, inputs: Any = None
) -> tuple[Array, Array]:
    """States and observations as the system would make them.

    Args:
      params: the parameters, none of whose states is diffuse.
      key: a random key.
      num_steps: `T`.
      batch_shape: the shape of `*B`.
      inputs: `[T, *B, U]`; `None` where the params read none.

    Returns:
      States `[T, *B, N]` and observations `[T, *B, M]`.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape does not fit, or a state is diffuse.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[2.0]],
      ...     initial_covariance=[[1.0]],
      ... )
      >>> xs, ys = sample(level, jax.random.key(0), 5, (3,))
      >>> xs.shape, ys.shape
      ((5, 3, 1), (5, 3, 1))
    """
    check_params(params)
    check_key(key)
    check_size("num_steps", num_steps)
    batch_shape = tuple(batch_shape)
    if params.diffuse is not None:
        raise ValueError(
            "params have diffuse states, from which nothing can be drawn. Give initial_covariance, or draw "
            "from posterior_sample."
        )
    check_axes(params, num_steps, batch_shape, "the sample")
    inputs = checked_inputs(params, inputs, num_steps, batch_shape, "the sample")
    return _sample(params, key, inputs, num_steps, batch_shape)


@partial(jax.jit, static_argnames=("num_steps", "batch_shape"))
def _sample(
    params: LDSParams, key: Key, inputs: Array | None, num_steps: int, batch_shape: tuple[int, ...]
) -> tuple[Array, Array]:
    dtype = dtype_of(params)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    size, lane_count = params.state_size, math.prod(batch_shape)
    draws = jax.random.normal(key, (size + params.observation_size, num_steps, lane_count), dtype)
    mean, factor = first_belief(params, None, batch_shape)
    drift, offset = drift_and_offset(params, inputs, None, batch_shape)
    dynamics, noise, emission, emission_noise = (
        lanes(leaf, 2, batch_shape)
        for leaf in (params.dynamics, params.dynamics_cholesky, params.emission, params.emission_cholesky)
    )
    first = mean + product(factor, draws[:size, 0])
    # The draw of step t + 1 belongs to the transition out of step t; that of the last one leads nowhere.
    later = jnp.roll(draws[:size], -1, axis=1)

    def step(state: Array, inputs: Any) -> tuple[Array, Array]:
        dynamics, added = inputs
        return product(dynamics, state) + added, state

    _, xs = over_time(step, first, (dynamics, product(noise, later) + drift), num_steps)
    ys = product(emission, xs) + offset + product(emission_noise, draws[size:])
    return unlanes(xs, num_steps, batch_shape), unlanes(ys, num_steps, batch_shape)


def posterior_sample(
    params: LDSParams,
    key: Key,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
    method: str = "scan",
) -> Array:
    """One draw of all states given all observations.

    Filters forward and samples backward (Frühwirth-Schnatter, 1994; Carter & Kohn, 1994). The same key gives
    the same draw by every method.

    Args:
      params: the parameters.
      key: a random key.
      ys: `[T, *B, M]` observations.
      inputs: as for `filter`.
      observed: as for `filter`.
      carry: as for `filter`.
      lengths: as for `filter`.
      method: as for `filter`.

    Returns:
      States `[T, *B, N]`, zero at padding.

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
      ...     diffuse=True,
      ... )
      >>> posterior_sample(level, jax.random.key(0), jnp.ones((5, 1))).shape
      (5, 1)
    """
    check_key(key)
    evidence = checked_problem(params, ys, inputs, observed, carry, lengths, method)
    return _posterior_sample(params, key, evidence, method)


@partial(jax.jit, static_argnames="method")
def _posterior_sample(params: LDSParams, key: Key, evidence: Evidence, method: str) -> Array:
    model, observations = model_of(params, evidence)
    filtering = filter_lanes(params, evidence, model, observations, method)
    num_steps, *batch = evidence.ys.shape[:-1]
    size, _, lane_count = filtering.steps.mean.shape
    draws = jax.random.normal(key, (size, num_steps + 1, lane_count), filtering.steps.mean.dtype)
    xs = drawn_lanes(model, filtering, observations.valid, method, (draws[:, -1], draws[:, :-1]))
    xs = unlanes(xs, num_steps, tuple(batch))
    if evidence.lengths is None:
        return xs
    return ops.zero_padding(xs, ops.length_mask(evidence.lengths, num_steps))
