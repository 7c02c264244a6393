"""A linear dynamical system and its observations, as the recursions read them.

The axes of a matrix or vector come first, then time, then the batch as one axis: `[N, N, T, B]`. Time and
batch have size one for what does not vary along them, so that a covariance that all rows share is computed
once. The observations are whitened: their noise is independent and of unit variance, and what is missing has
a row of zeros.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import (
    beside,
    identity,
    product,
    solve_triangular,
    triangularize,
)
from seqjax.statespace.lds.axes import dtype_of
from seqjax.statespace.lds.beliefs import LDSBelief
from seqjax.statespace.lds.checks import Evidence
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array, PyTree


class Model(NamedTuple):
    """What the recursions over covariances read, and no observation: `T` and `B` may be one.

    Attributes:
      start: `[N, N, B]`, a factor of the covariance of the first state.
      dynamics: `[N, N, T, B]`.
      noise: `[N, N, T, B]`, a factor of the covariance that a step adds.
      emission: `[M, N, T, B]`, whitened.
      active: `[T, B]`, whether any row is still valid; `None` if all are.
    """

    start: Array
    dynamics: Array
    noise: Array
    emission: Array
    active: Array | None


class Observations(NamedTuple):
    """What the recursions over means read besides the model.

    Attributes:
      start: `[N, B]`, the mean of the first state.
      drift: `[N, T, B]`, what bias and inputs add in each step.
      values: `[M, T, B]`, whitened, less bias and what the inputs add.
      log_scale: `[T, B]`, the logarithm of what whitening multiplies the density by.
      valid: `[T, B]`, or `None` if all are.
    """

    start: Array
    drift: Array
    values: Array
    log_scale: Array
    valid: Array | None


def lanes(leaf: Array, rank: int, batch_shape: tuple[int, ...]) -> Array:
    """`[T, *B, ...]`, or `[...]` for what never varies, with its own axes in front, then time and batch.

    Args:
      leaf: the array, its batch axes of full size or one.
      rank: the number of axes of a matrix (2), vector (1) or number (0).
      batch_shape: the shape of `*B`.

    Returns:
      `[..., T, B]`, with ones for what does not vary.

    Example:
      >>> lanes(jnp.ones((5, 3, 1, 2)), 1, (3, 4)).shape, lanes(jnp.ones((2, 2)), 2, (3, 4)).shape
      ((2, 5, 12), (2, 2, 1, 1))
    """
    if leaf.ndim == rank:
        return leaf[..., None, None]
    own, batch = leaf.shape[leaf.ndim - rank :], leaf.shape[1 : leaf.ndim - rank]
    if math.prod(batch) == 1:
        batch = (1,)
    elif batch != batch_shape:
        batch = batch_shape
        leaf = jnp.broadcast_to(leaf, (leaf.shape[0], *batch, *own))
    leaf = leaf.reshape(leaf.shape[0], math.prod(batch), *own)
    return jnp.moveaxis(leaf, (0, 1), (-2, -1))


def some_steps(leaf: Array, num_steps: int, start: int, stop: int) -> Array:
    """A slice of time, of which nothing needs to be taken where nothing varies.

    Args:
      leaf: `[..., T, B]` or `[..., 1, B]`.
      num_steps: `T`.
      start: the first step.
      stop: the step after the last one.

    Returns:
      `[..., stop - start, B]` or `[..., 1, B]`.

    Example:
      >>> some_steps(jnp.ones((5, 2)), 5, 1, 5).shape, some_steps(jnp.ones((1, 2)), 5, 1, 5).shape
      ((4, 2), (1, 2))
    """
    return leaf[..., start:stop, :] if leaf.shape[-2] == num_steps else leaf


def unlanes(leaf: Array, num_steps: int, batch_shape: tuple[int, ...]) -> Array:
    """`[..., T, B]` with ones for what does not vary -> `[T, *B, ...]`.

    Args:
      leaf: the array.
      num_steps: `T`.
      batch_shape: the shape of `*B`.

    Returns:
      The array with time and batch axes of full size in front.

    Example:
      >>> unlanes(jnp.ones((2, 5, 1)), 5, (3, 4)).shape
      (5, 3, 4, 2)
    """
    leaf = jnp.moveaxis(leaf, (-2, -1), (0, 1))
    own = leaf.shape[2:]
    leaf = jnp.broadcast_to(leaf, (num_steps, math.prod(batch_shape), *own))
    return leaf.reshape(num_steps, *batch_shape, *own)


def over_time(
    step: Callable[[PyTree, PyTree], tuple[PyTree, PyTree]],
    start: PyTree,
    inputs: PyTree,
    num_steps: int,
    *,
    reverse: bool = False,
) -> tuple[PyTree, PyTree]:
    """`lax.scan` along the second last axis; an input with one step there is the same at each.

    Args:
      step: `(state, inputs of the step) -> (state, outputs)`, without time axes.
      start: the state before the first step.
      inputs: a pytree of arrays `[..., T, B]` or `[..., 1, B]`.
      num_steps: `T`.
      reverse: whether to run from the last step to the first.

    Returns:
      The last state, and the outputs with their time as second last axis.

    Example:
      >>> over_time(lambda s, x: (s + x, s), jnp.zeros((1,)), jnp.ones((1, 1)), 3)[1].tolist()
      [[0.0], [1.0], [2.0]]
    """
    leaves, structure = jax.tree.flatten(inputs)
    varies = [leaf.shape[-2] != 1 for leaf in leaves]
    moving = [jnp.moveaxis(leaf, -2, 0) for leaf, moves in zip(leaves, varies, strict=True) if moves]

    def step_of_slices(state: PyTree, slices: list[Array]) -> tuple[PyTree, PyTree]:
        slices_left = iter(slices)
        values = [
            next(slices_left) if moves else leaf[..., 0, :]
            for leaf, moves in zip(leaves, varies, strict=True)
        ]
        return step(state, jax.tree.unflatten(structure, values))

    last, outputs = jax.lax.scan(step_of_slices, start, moving, length=num_steps, reverse=reverse)
    return last, jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), outputs)


def model_of(params: LDSParams, evidence: Evidence) -> tuple[Model, Observations]:
    """Parameters and observations in lanes, whitened.

    Args:
      params: the parameters.
      evidence: checked observations and what belongs to them.

    Returns:
      What covariances depend on, and what means depend on besides.
    """
    dtype = dtype_of(params)
    params = jax.tree.map(lambda leaf: leaf.astype(dtype), params)
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)
    valid = active = None
    if evidence.lengths is not None:
        valid = ops.length_mask(evidence.lengths.reshape(-1), num_steps)
        active = jnp.any(valid, axis=1, keepdims=True)
    mean, factor = first_belief(params, evidence.carry, batch_shape)
    drift, offset = drift_and_offset(params, evidence.inputs, valid, batch_shape)
    emission, values, log_scale = _whiten(params, evidence.ys, offset, evidence.observed, valid)
    model = Model(
        start=factor,
        dynamics=lanes(params.dynamics, 2, batch_shape),
        noise=lanes(params.dynamics_cholesky, 2, batch_shape),
        emission=emission,
        active=active,
    )
    return model, Observations(mean, drift, values, log_scale, valid)


def diffuse_scale(dtype: Any) -> float:
    """The standard deviation that stands for an infinite one: its square outweighs all digits of one.

    Args:
      dtype: floating.

    Returns:
      A power of two, which rounds nothing that it multiplies.

    Example:
      >>> diffuse_scale(jnp.float32)
      8388608.0
    """
    return float(1 / jnp.finfo(dtype).eps)


def first_belief(
    params: LDSParams, carry: LDSBelief | None, batch_shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """Mean and factor of the first state.

    Args:
      params: the parameters, whose initial belief is taken where there is no carry.
      carry: a belief, or `None`.
      batch_shape: the shape of `*B`.

    Returns:
      `[N, B]`, and `[N, N, B]` or `[N, N, 1]` where all rows share it.
    """
    if carry is not None:
        mean, factor = carry.mean, carry.cholesky
    else:
        mean, factor = params.initial_mean, params.initial_cholesky
        if params.diffuse is not None:
            unknown = jnp.array(params.diffuse)
            mean = jnp.where(unknown, 0, mean)
            factor = jnp.where(unknown | unknown[:, None], 0, factor)
            factor = factor + diffuse_scale(factor.dtype) * jnp.diag(unknown.astype(factor.dtype))
    size = params.state_size
    mean = jnp.broadcast_to(mean, (*batch_shape, size)).reshape(-1, size)
    if factor.ndim > 2 and math.prod(factor.shape[:-2]) > 1:
        factor = jnp.broadcast_to(factor, (*batch_shape, size, size))
    # Not `lanes`: a time axis would be needed first.
    factor = jnp.moveaxis(factor.reshape(-1, size, size), 0, -1)
    return mean.T, triangularize(factor)


def drift_and_offset(
    params: LDSParams, inputs: Array | None, valid: Array | None, batch_shape: tuple[int, ...]
) -> tuple[Array, Array]:
    """What biases and inputs add to the next state and to the observation.

    Args:
      params: the parameters.
      inputs: `[T, *B, U]`, or `None`.
      valid: `[T, B]`, which inputs may be read; `None` if all.
      batch_shape: the shape of `*B`.

    Returns:
      `[N, T, B]` and `[M, T, B]`, with ones for what does not vary.
    """
    drift = lanes(params.dynamics_bias, 1, batch_shape)
    offset = lanes(params.emission_bias, 1, batch_shape)
    if inputs is not None:
        inputs = lanes(inputs, 1, batch_shape)
        if valid is not None:
            inputs = jnp.where(valid, inputs, 0)
        if params.dynamics_inputs is not None:
            drift = drift + product(lanes(params.dynamics_inputs, 2, batch_shape), inputs)
        if params.emission_inputs is not None:
            offset = offset + product(lanes(params.emission_inputs, 2, batch_shape), inputs)
    return drift, offset


def _whiten(
    params: LDSParams, ys: Array, offset: Array, observed: Array | None, valid: Array | None
) -> tuple[Array, Array, Array]:
    """Emission `[M, N, T | 1, B | 1]` and values `[M, T, B]` in units of the noise, and its log-scale."""
    batch_shape = ys.shape[1:-1]
    values = lanes(ys, 1, batch_shape)
    emission = lanes(params.emission, 2, batch_shape)
    factor = lanes(params.emission_cholesky, 2, batch_shape)
    seen, seen_rows = valid, None
    if observed is not None:
        seen_rows = lanes(observed, observed.ndim - ys.ndim + 1, batch_shape)
        seen_rows = seen_rows.reshape(-1, *values.shape[1:])
        seen = seen_rows if valid is None else seen_rows & valid
        emission = jnp.where(seen_rows[:, None], emission, 0)
        if seen_rows.shape[0] > 1:
            # The noise of what is seen, and independent noise of unit variance where nothing is.
            missing = jnp.where(seen_rows, 0, 1)[:, None] * identity(values.shape[0], factor)
            factor = beside(jnp.where(seen_rows[:, None], factor, 0), missing.astype(factor.dtype))
    if seen is not None:
        values = jnp.where(seen, values, 0) - offset
        values = jnp.where(seen, values, 0)
    else:
        values = values - offset
    factor = triangularize(factor)
    diagonal = jnp.stack([factor[i, i] for i in range(values.shape[0])])
    log_scale = -jnp.log(diagonal) - 0.5 * math.log(2 * math.pi) * jnp.ones_like(diagonal)
    if seen_rows is not None:
        log_scale = jnp.where(seen_rows, log_scale, 0)
    return solve_triangular(factor, emission), solve_triangular(factor, values), jnp.sum(log_scale, axis=0)
