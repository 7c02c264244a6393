"""What a linear dynamical system will do next."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.checks import check_size
from seqjax.ops.small_matrices import product
from seqjax.statespace.lds.axes import check_axes, check_params, checked_inputs, dtype_of
from seqjax.statespace.lds.beliefs import LDSBelief, LDSForecast
from seqjax.statespace.lds.checks import checked_belief
from seqjax.statespace.lds.conditioning import predict
from seqjax.statespace.lds.model import drift_and_offset, first_belief, lanes, over_time, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array


def forecast(params: LDSParams, carry: LDSBelief, num_steps: int, *, inputs: Any = None) -> LDSForecast:
    """The distribution of the states and observations of steps to come.

    Equations: `mean' = dynamics mean + drift` and `P' = dynamics P dynamics' + Q` from one step to the next;
    observations are distributed as `N(emission mean + offset, emission P emission' + R)`.

    Args:
      params: the parameters. What is given once a step has `num_steps` entries here, those of the steps to
        come.
      carry: the belief about the first of them: the carry that `filter` returns.
      num_steps: `S`.
      inputs: `[S, *B, U]`; `None` where the params read none.

    Returns:
      `LDSForecast`, whose first step is the carry.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[2.0]],
      ...     diffuse=True,
      ... )
      >>> filtered = lds.filter(level, jnp.array([[3.0], [4.0], [3.0]]))
      >>> ahead = forecast(level, filtered.carry, 2)
      >>> (ahead.observation_cholesky[:, 0, 0] ** 2).round(3).tolist()
      [4.04..., 5.04...]
    """
    check_params(params)
    check_size("num_steps", num_steps)
    batch_shape = jnp.shape(getattr(carry, "mean", 0.0))[:-1]
    carry = checked_belief(params, carry, batch_shape)
    check_axes(params, num_steps, batch_shape, "the forecast")
    inputs = checked_inputs(params, inputs, num_steps, batch_shape, "the forecast")
    return _forecast(params, carry, inputs, num_steps)


@partial(jax.jit, static_argnames="num_steps")
def _forecast(params: LDSParams, carry: LDSBelief, inputs: Array | None, num_steps: int) -> LDSForecast:
    batch_shape = carry.mean.shape[:-1]
    params = jax.tree.map(lambda leaf: leaf.astype(dtype_of(params)), params)
    mean, factor = first_belief(params, carry, batch_shape)
    drift, offset = drift_and_offset(params, inputs, None, batch_shape)
    dynamics, noise, emission, emission_noise = (
        lanes(leaf, 2, batch_shape)
        for leaf in (params.dynamics, params.dynamics_cholesky, params.emission, params.emission_cholesky)
    )

    def step(belief: tuple[Array, Array], inputs: Any) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        mean, factor = belief
        dynamics, noise, drift = inputs
        predicted = product(dynamics, mean) + drift, predict(dynamics, factor, noise)
        return predicted, belief

    _, (means, factors) = over_time(step, (mean, factor), (dynamics, noise, drift), num_steps)
    of_observations = predict(emission, factors, emission_noise)
    leaves = (means, factors, product(emission, means) + offset, of_observations)
    return LDSForecast(*(unlanes(leaf, num_steps, batch_shape) for leaf in leaves))
