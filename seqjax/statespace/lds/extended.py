"""The extended Kalman filter: functions are replaced by their tangents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.statespace.lds.beliefs import LDSBelief, LDSFiltered
from seqjax.statespace.lds.nonlinear import Approximation, NonlinearModel, NonlinearParams, nonlinear_filter
from seqjax.types import Array


def extended_filter(
    model: NonlinearModel,
    params: NonlinearParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
) -> LDSFiltered:
    """Filters a nonlinear system, each function taken for its tangent at the mean of the state (EKF).

    Equations (Särkkä, 2013, algorithm 5.4), with `H` the derivative of `emission` at the predicted mean and
    `F` that of `dynamics` at the filtered mean: the linear filter's with `H` and `F`, the predicted
    observation `emission(m)` and the predicted state `dynamics(m)`. Covariances are propagated as factors,
    and `F` and `H` are never formed, but only applied to these.

    Args:
      model: the functions; make it once and keep it, for compiled programs are kept by it.
      params: noise, first state, and what the functions read.
      ys: `[T, *B, M]` observations.
      inputs: `[T, *B, U]`, handed to both functions; `None` hands them `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans: what is false is never read. `None` if all is.
      carry: the belief about the first step; `None` starts from the params'.
      lengths: `[*B]` integers from 0 to `T`; `None` if all `T` steps count.

    Returns:
      `LDSFiltered`, as `lds.filter` returns it. `log_normalizer` is the log-likelihood of the approximation,
      the sum of the log-densities of each observation given those before it, all taken to be normal: it is
      neither a bound of the true one nor without bias. Differentiable in params, observations, inputs and the
      carry.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, the result of a function, or a concrete value in `lengths` does not fit.

    Example:
      >>> model = NonlinearModel(dynamics=lambda _, x, u: jnp.sin(x), emission=lambda _, x, u: x**2)
      >>> one = jnp.ones((1, 1))
      >>> params = NonlinearParams(jnp.ones(1), one, one, one)
      >>> extended_filter(model, params, jnp.array([[1.0], [0.5]])).mean.round(3).tolist()
      [[1.0], [0.749...]]
    """
    return nonlinear_filter(
        _tangent, model, params, ys, inputs=inputs, observed=observed, carry=carry, lengths=lengths
    )


def _tangent(function: Callable, mean: Array, factor: Array) -> Approximation:
    """The tangent at the mean, which has no remainder."""
    value, push = jax.linearize(function, mean)
    return Approximation(
        value, jax.vmap(push, in_axes=1, out_axes=1)(factor), jnp.zeros((*value.shape, 0), value.dtype)
    )
