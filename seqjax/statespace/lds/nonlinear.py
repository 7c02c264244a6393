"""Nonlinear systems with Gaussian noise, and the square-root filter that approximations of them share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_function, kind_of
from seqjax.ops.small_matrices import beside, identity, product, solve_triangular, triangularize
from seqjax.statespace.lds.beliefs import LDSBelief, LDSFiltered
from seqjax.statespace.lds.checks import Evidence, checked_evidence, floating
from seqjax.statespace.lds.conditioning import condition
from seqjax.statespace.lds.model import lanes, over_time, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.statespace.lds.params import params as linear_params
from seqjax.types import Array, PyTree


class NonlinearModel(NamedTuple):
    """The functions of a nonlinear system, each of one state: batch axes are the filters' business.

    Make a model once and keep it: a filter is compiled once for a model, and lambdas written anew are a new
    one.

    Attributes:
      dynamics: `(params.functions, x[N], u[U] or None) -> [N]`, the mean of the next state.
      emission: `(params.functions, x[N], u[U] or None) -> [M]`, the mean of the observation.
    """

    dynamics: Callable
    emission: Callable


@struct.dataclass
class NonlinearParams:
    """A nonlinear system with Gaussian noise that is added.

    Equations (Särkkä, 2013, eq. 5.1): `x_1 ~ N(initial_mean, initial_cholesky initial_cholesky')`,
    `y_t = emission(functions, x_t, u_t) + v_t`, `v_t ~ N(0, emission_cholesky emission_cholesky')`,
    `x_{t+1} = dynamics(functions, x_t, u_t) + w_t`, `w_t ~ N(0, dynamics_cholesky dynamics_cholesky')`.

    The two factors of noise may be given once, or one a step with the axes `[T, *B]` in front. They need not
    be triangular. What else varies over time, the step itself included, comes to the functions as inputs.

    Attributes:
      initial_mean: `[N]` or `[*B, N]`.
      initial_cholesky: `[N, N]` or `[*B, N, N]`.
      dynamics_cholesky: `[N, N]`, entry `t` of noise on the way from step `t` to step `t + 1`.
      emission_cholesky: `[M, M]`, regular.
      functions: whatever the functions of the model read: any pytree of arrays.
    """

    initial_mean: Array
    initial_cholesky: Array
    dynamics_cholesky: Array
    emission_cholesky: Array
    functions: PyTree = ()


def nonlinear_params(
    *,
    initial_mean: Any,
    initial_covariance: Any,
    dynamics_covariance: Any,
    emission_covariance: Any,
    functions: PyTree = (),
) -> NonlinearParams:
    """Parameters of a nonlinear system from covariances.

    Args:
      initial_mean: `[N]` or `[*B, N]`.
      initial_covariance: `[N, N]` or `[*B, N, N]`, symmetric, positive semidefinite.
      dynamics_covariance: `[N, N]`, or one a step with the axes `[T, *B]` in front; symmetric, positive
        semidefinite.
      emission_covariance: `[M, M]`, or one a step; symmetric, positive definite.
      functions: what the functions of the model read: any pytree of arrays.

    Returns:
      `NonlinearParams` with a Cholesky factor in place of each covariance.

    Raises:
      TypeError: if an argument is no array of real numbers.
      ValueError: if a shape does not fit, or a covariance is not symmetric or not positive. Values are looked
        at where they are concrete, that is outside of `jit`.

    Example:
      >>> params = nonlinear_params(
      ...     initial_mean=[0.0],
      ...     initial_covariance=[[1.0]],
      ...     dynamics_covariance=[[4.0]],
      ...     emission_covariance=[[9.0]],
      ... )
      >>> params.dynamics_cholesky.tolist(), params.emission_cholesky.tolist()
      ([[2.0]], [[3.0]])
    """
    sizes = {}
    for name, covariance in {"dynamics": dynamics_covariance, "emission": emission_covariance}.items():
        shape = np.shape(covariance)
        if len(shape) < 2 or shape[-1] == 0:
            raise ValueError(
                f"{name}_covariance has shape {shape}, expected a matrix. A variance is [[variance]]."
            )
        sizes[name] = shape[-1]
    # A linear system with the same noise: its parameters are looked at in the same way.
    checked = linear_params(
        dynamics=jnp.eye(sizes["dynamics"]),
        emission=jnp.zeros((sizes["emission"], sizes["dynamics"])),
        initial_mean=initial_mean,
        initial_covariance=initial_covariance,
        dynamics_covariance=dynamics_covariance,
        emission_covariance=emission_covariance,
    )
    return NonlinearParams(
        initial_mean=checked.initial_mean,
        initial_cholesky=checked.initial_cholesky,
        dynamics_cholesky=checked.dynamics_cholesky,
        emission_cholesky=checked.emission_cholesky,
        functions=functions,
    )


class Approximation(NamedTuple):
    """A function of a normal vector, as a linear one and a remainder that is independent of the vector.

    Attributes:
      mean: `[K]`, of the result.
      linear: `[K, N]`: the vector's factor, led through the linear function.
      rest: `[K, R]`, a factor of the remainder's covariance.
    """

    mean: Array
    linear: Array
    rest: Array


Transform = Callable[[Callable, Array, Array], Approximation]
"""`(function, mean[N], factor[N, N]) -> Approximation`: what one nonlinear filter differs in from another."""


def nonlinear_filter(
    transform: Transform,
    model: NonlinearModel,
    params: NonlinearParams,
    ys: Any,
    *,
    inputs: Any,
    observed: Any,
    carry: Any,
    lengths: Any,
) -> LDSFiltered:
    """A filter that takes the functions of a model for linear ones, after a look at its arguments.

    Args:
      transform: how to approximate the functions; hashable, for compiled programs are kept by it.
      model: the functions.
      params: the params.
      ys: `[T, *B, M]`.
      inputs: `[T, *B, U]`, or `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans, or `None`.
      carry: an `LDSBelief`, or `None`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      `LDSFiltered`.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape does not fit, or a concrete value in `lengths`.

    Example:
      >>> nonlinear_filter(None, None, None, [], inputs=None, observed=None, carry=None, lengths=None)
      Traceback (most recent call last):
      TypeError: model is a NoneType, expected a NonlinearModel: lds.NonlinearModel(dynamics=..., ...
    """
    evidence = _checked(model, params, ys, inputs, observed, carry, lengths)
    return _filter(transform, model, params, evidence)


@partial(jax.jit, static_argnums=(0, 1))
def _filter(
    transform: Transform, model: NonlinearModel, params: NonlinearParams, evidence: Evidence
) -> LDSFiltered:
    """`nonlinear_filter` after its arguments were looked at, the batch as the last axis of everything."""
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape, dtype = tuple(batch), evidence.ys.dtype
    valid = None
    if evidence.lengths is not None:
        valid = ops.length_mask(evidence.lengths.reshape(-1), num_steps)
    ys, inputs, seen = _readable(evidence, valid)
    noise = tuple(
        lanes(factor.astype(dtype), 2, batch_shape)
        for factor in (params.dynamics_cholesky, params.emission_cholesky)
    )

    def approximate(function: Callable, belief: LDSBelief, u: Array | None) -> Approximation:
        def one(mean: Array, factor: Array, u: Array | None) -> Approximation:
            return transform(lambda x: function(params.functions, x, u).astype(dtype), mean, factor)

        return jax.vmap(one, in_axes=-1, out_axes=-1)(belief.mean, belief.cholesky, u)

    def step(belief: LDSBelief, now: tuple) -> tuple[LDSBelief, tuple]:
        y, u, seen, valid, (process, measurement) = now
        emission = approximate(model.emission, belief, u)
        filtered, log_density = _update(emission, belief, measurement, y, seen)
        dynamics = approximate(model.dynamics, filtered, u)
        factor = triangularize(beside(dynamics.linear, process, dynamics.rest))
        following = LDSBelief(dynamics.mean, factor)
        if valid is not None:
            following = jax.tree.map(partial(jnp.where, valid), following, belief)
        return following, (filtered, belief, log_density)

    start = _start(params, evidence.carry, batch_shape, dtype)
    carry, outputs = over_time(step, start, (ys, inputs, seen, valid, noise), num_steps)
    if valid is not None:
        outputs = jax.tree.map(lambda leaf: jnp.where(valid, leaf, 0), outputs)
    filtered, predicted, log_densities = outputs
    filtered, predicted = jax.tree.map(
        partial(unlanes, num_steps=num_steps, batch_shape=batch_shape), outputs[:2]
    )
    return LDSFiltered(
        mean=filtered.mean,
        cholesky=filtered.cholesky,
        predicted_mean=predicted.mean,
        predicted_cholesky=predicted.cholesky,
        log_normalizer=ops.compensated_sum(log_densities).reshape(batch_shape),
        carry=jax.tree.map(lambda leaf: unlanes(leaf[..., None, :], 1, batch_shape)[0], carry),
    )


def _readable(evidence: Evidence, valid: Array | None) -> tuple[Array, Array | None, Array]:
    """Observations and inputs without what must not be read, and which entries are seen, in lanes."""
    batch_shape = evidence.ys.shape[1:-1]
    ys, inputs, observed = evidence.ys, evidence.inputs, evidence.observed
    seen = jnp.ones(ys.shape, bool)
    if observed is not None:
        seen = jnp.broadcast_to(ops.expand_like(observed, ys), ys.shape)
    ys, seen = lanes(ys, 1, batch_shape), lanes(seen, 1, batch_shape)
    if inputs is not None:
        inputs = lanes(inputs, 1, batch_shape)
    if valid is not None:
        seen = seen & valid
        if inputs is not None and len(valid):
            # Zeros may be where a function has no derivative; the first input of a row is read anyway.
            inputs = jnp.where(valid, inputs, jnp.where(valid[:1], inputs[:, :1], 0))
    return jnp.where(seen, ys, 0), inputs, seen


def _start(
    params: NonlinearParams, carry: LDSBelief | None, batch_shape: tuple[int, ...], dtype: Any
) -> LDSBelief:
    """The belief about the first step."""
    start = carry or LDSBelief(params.initial_mean, params.initial_cholesky)
    size = start.mean.shape[-1]
    mean = jnp.broadcast_to(start.mean, (*batch_shape, size)).astype(dtype)
    factor = jnp.broadcast_to(start.cholesky, (*batch_shape, size, size)).astype(dtype)
    return LDSBelief(
        mean.reshape(-1, size).T, triangularize(jnp.moveaxis(factor.reshape(-1, size, size), 0, -1))
    )


def _update(
    emission: Approximation, belief: LDSBelief, noise: Array, y: Array, seen: Array
) -> tuple[LDSBelief, Array]:
    """The belief given an observation, and the log-density of the observation.

    What is not seen has a row of zeros, and noise of its own.
    """
    noise, rest = (jnp.where(seen[:, None], block, 0) for block in (noise, emission.rest))
    own = jnp.where(seen, 0, 1)[:, None] * identity(len(y), y[:, None])
    scale = triangularize(beside(noise, rest, own.astype(y.dtype)))
    linear, residuals = (
        solve_triangular(scale, jnp.where(mask, block, 0))
        for mask, block in ((seen[:, None], emission.linear), (seen, y - emission.mean))
    )
    given = condition(linear, belief.cholesky)
    innovations = product(given.whitener, residuals)
    diagonal = jnp.stack([scale[i, i] for i in range(len(y))])
    terms = jnp.log(diagonal) + 0.5 * (jnp.log(given.variances) + innovations**2 / given.variances)
    filtered = LDSBelief(mean=belief.mean + product(given.gain, residuals), cholesky=given.rows)
    return filtered, -jnp.sum(jnp.where(seen, terms + 0.5 * math.log(2 * math.pi), 0), axis=0)


def _checked(
    model: Any, params: Any, ys: Any, inputs: Any, observed: Any, carry: Any, lengths: Any
) -> Evidence:
    """The arguments of `nonlinear_filter` as arrays of fitting shapes."""
    if not isinstance(model, NonlinearModel):
        raise TypeError(
            f"model is {kind_of(model)}, expected a NonlinearModel: lds.NonlinearModel(dynamics=..., "
            f"emission=...)."
        )
    for name in model._fields:
        check_function(f"model.{name}", getattr(model, name), "a function of (params.functions, x, u)")
    if not isinstance(params, NonlinearParams):
        raise TypeError(
            f"params is {kind_of(params)}, expected NonlinearParams: lds.nonlinear_params(...) makes them "
            f"from covariances."
        )
    num_states, num_observed = params.dynamics_cholesky.shape[-1], params.emission_cholesky.shape[-1]
    dtype = params.dynamics_cholesky.dtype
    # A linear system of the same sizes and noise: what comes with it is looked at in the same way.
    like = LDSParams(
        initial_mean=params.initial_mean,
        initial_cholesky=params.initial_cholesky,
        dynamics=jnp.zeros((num_states, num_states), dtype),
        dynamics_cholesky=params.dynamics_cholesky,
        dynamics_bias=jnp.zeros((num_states,), dtype),
        emission=jnp.zeros((num_observed, num_states), dtype),
        emission_cholesky=params.emission_cholesky,
        emission_bias=jnp.zeros((num_observed,), dtype),
    )
    evidence = checked_evidence(like, ys, None, observed, carry, lengths)
    axes = evidence.ys.shape[:-1]
    if inputs is not None:
        inputs = floating("inputs", inputs, evidence.ys.dtype)
        if inputs.ndim != len(axes) + 1 or inputs.shape[:-1] != axes:
            raise ValueError(
                f"inputs has shape {inputs.shape}, expected {axes} and one axis more: the time and batch "
                f"axes of ys, then the inputs."
            )
    for name, size in {"dynamics": num_states, "emission": num_observed}.items():
        _check_result(f"model.{name}", getattr(model, name), params, size, inputs)
    return evidence._replace(inputs=inputs)


def _check_result(
    name: str, function: Callable, params: NonlinearParams, size: int, inputs: Array | None
) -> None:
    """Refuses a function whose result is no vector of the size that the noise has."""
    dtype = params.dynamics_cholesky.dtype
    x = jax.ShapeDtypeStruct((params.dynamics_cholesky.shape[-1],), dtype)
    u = None if inputs is None else jax.ShapeDtypeStruct(inputs.shape[-1:], dtype)
    result = jax.eval_shape(function, params.functions, x, u)
    if not isinstance(result, jax.ShapeDtypeStruct):
        raise TypeError(f"{name} returns {kind_of(result)}, expected an array [{size}]: jnp.stack([...]).")
    if result.shape != (size,) or not jnp.issubdtype(result.dtype, jnp.floating):
        raise ValueError(
            f"{name} returns {result.dtype}{list(result.shape)} for one state, expected real numbers "
            f"[{size}], as many as its noise has."
        )
