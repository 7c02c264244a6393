"""The smoother of Rauch, Tung & Striebel, in coordinates in which nothing is inverted."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import (
    beside,
    identity,
    orthogonalize,
    product,
    project,
    transpose,
    triangularize,
)
from seqjax.statespace.lds import associative
from seqjax.statespace.lds.beliefs import LDSBelief, LDSSmoothed
from seqjax.statespace.lds.checks import Evidence, checked_problem
from seqjax.statespace.lds.filter import Filtering, filter_lanes, filtered_of
from seqjax.statespace.lds.model import Model, model_of, over_time, some_steps, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array


class Backward(NamedTuple):
    """How the state of each step follows from the next one, given the observations up to the step.

    With `x_t = filtered mean + filtered factor z_t`, it is `z_t = gain z_{t+1} + shift + factor e`, with
    `e ~ N(0, I)`.

    Attributes:
      gain: `[N, N, T - 1, B]`.
      factor: `[N, N, T - 1, B]`.
      shift: `[N, T - 1, B]`.
    """

    gain: Array
    factor: Array
    shift: Array


def smooth(
    params: LDSParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
    method: str = "scan",
) -> LDSSmoothed:
    """The belief about each state given all observations (Rauch, Tung & Striebel, 1965).

    Equations: with filtered mean `m` and covariance `P`, and the next predicted `m'` and `P'` (Särkkä, 2013,
      equation 8.6),

    - `G = P F' P'^-1`, smoothed mean `m + G (next smoothed mean - m')`, covariance
      `P + G (next smoothed covariance - P') G'`;
    - covariance of the next state and this one: `next smoothed covariance G'`.

    Computed as `z = gain z' + shift + factor e` in units of the filtered beliefs, where no covariance is
    inverted and none is subtracted: singular noise is allowed, and no variance becomes negative.

    Args:
      params: the parameters.
      ys: `[T, *B, M]` observations.
      inputs: as for `filter`.
      observed: as for `filter`.
      carry: as for `filter`.
      lengths: as for `filter`.
      method: as for `filter`.

    Returns:
      `LDSSmoothed`, which holds what `filter` gives too.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, a value in `lengths` or the method does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> smoothed = smooth(level, jnp.array([[3.0], [0.0], [3.0]]))
      >>> smoothed.mean.round(2).tolist(), smoothed.lag_one.round(2).tolist()
      ([[2.25], [1.5], [2.25]], [[[0.25]], [[0.25]]])
    """
    evidence = checked_problem(params, ys, inputs, observed, carry, lengths, method)
    return _smooth(params, evidence, method)


@partial(jax.jit, static_argnames="method")
def _smooth(params: LDSParams, evidence: Evidence, method: str) -> LDSSmoothed:
    model, observations = model_of(params, evidence)
    filtering = filter_lanes(params, evidence, model, observations, method)
    backward = backward_of(model, filtering, evidence)
    factors = smoothed_factors(backward.gain, backward.factor, method)
    means = smoothed_means(backward.gain, backward.shift, method)
    filtered = filtering.update.filtered
    # A product of lower triangles is the triangle that a factor should be.
    cholesky = product(filtered, factors)
    mean = filtering.mean + product(filtered, means)
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)
    earlier, later = (
        partial(some_steps, num_steps=num_steps, start=s, stop=e)
        for s, e in ((0, num_steps - 1), (1, num_steps))
    )
    next_factor = later(factors)
    in_units = product(product(next_factor, transpose(next_factor)), transpose(earlier(backward.gain)))
    lag_one = product(product(later(filtered), in_units), transpose(earlier(filtered)))

    def out(leaf: Array, first: int = 0) -> Array:
        leaf = unlanes(leaf, max(num_steps - first, 0), batch_shape)
        if evidence.lengths is None:
            return leaf
        return ops.zero_padding(leaf, ops.length_mask(evidence.lengths, num_steps)[first:])

    result = filtered_of(filtering, evidence)
    return LDSSmoothed(
        mean=out(mean),
        cholesky=out(cholesky),
        lag_one=out(lag_one, 1),
        log_normalizer=result.log_normalizer,
        filtered=result,
    )


def backward_of(model: Model, filtering: Filtering, evidence: Evidence) -> Backward:
    """TODO."""
    filtered, update = filtering.update.filtered, filtering.update
    size, num_steps = filtered.shape[0], filtering.mean.shape[1]
    earlier, later = (
        partial(some_steps, num_steps=num_steps, start=s, stop=e)
        for s, e in ((0, num_steps - 1), (1, num_steps))
    )
    # The next predicted state in units of its own covariance: combinations of this state and the noise.
    next_state = beside(product(earlier(model.dynamics), earlier(filtered)), earlier(model.noise))
    _, directions = orthogonalize(next_state)
    eye = identity(size, filtered)
    coefficients, rest = project(beside(eye, jnp.zeros_like(eye)), directions)
    gain = product(coefficients, later(update.whitened))
    shift = product(coefficients, product(later(update.whitened_gain), filtering.residuals[:, 1:]))
    factor = triangularize(rest)
    full = (max(num_steps - 1, 0), shift.shape[-1])
    if evidence.lengths is not None:
        # The last valid step of a row has no next one.
        goes_on = ops.length_mask(evidence.lengths.reshape(-1) - 1, full[0])
        gain, shift, factor = (
            jnp.where(goes_on, leaf, last) for leaf, last in ((gain, 0), (shift, 0), (factor, eye))
        )

    def ended(leaf: Array, last: Array) -> Array:
        leaf = jnp.broadcast_to(leaf, (*leaf.shape[:-2], full[0], leaf.shape[-1]))
        last = jnp.broadcast_to(last, (*leaf.shape[:-2], min(num_steps, 1), leaf.shape[-1]))
        return jnp.concatenate([leaf, last], axis=-2)

    return Backward(
        ended(gain, jnp.zeros_like(eye)), ended(factor, eye), ended(shift, jnp.zeros((1, 1, 1), shift.dtype))
    )


def smoothed_factors(gain: Array, noise: Array, method: str) -> Array:
    """TODO."""
    if method == "associative":
        return associative.smoothed_factors(gain, noise)

    def step(factor: Array, inputs: Any) -> tuple[Array, Array]:
        gain, noise = inputs
        factor = triangularize(beside(product(gain, factor), noise))
        return factor, factor

    size, _, num_steps, lanes = gain.shape
    return over_time(
        step, jnp.zeros((size, size, lanes), gain.dtype), (gain, noise), num_steps, reverse=True
    )[1]


def smoothed_means(gain: Array, shift: Array, method: str) -> Array:
    """TODO."""
    if method == "associative":
        return associative.affine(gain, shift)

    def step(mean: Array, inputs: Any) -> tuple[Array, Array]:
        gain, shift = inputs
        mean = product(gain, mean) + shift
        return mean, mean

    size, num_steps, lanes = shift.shape
    return over_time(step, jnp.zeros((size, lanes), shift.dtype), (gain, shift), num_steps, reverse=True)[1]
