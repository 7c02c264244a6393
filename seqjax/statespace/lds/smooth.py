"""The smoother of Rauch, Tung & Striebel, in coordinates in which nothing is inverted."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import (
    above,
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
from seqjax.statespace.lds.filter import filter_lanes, filtered_of
from seqjax.statespace.lds.model import Model, model_of, over_time, unlanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.statespace.lds.passes import Filtering, Links, Smoothing
from seqjax.statespace.lds.settling import over_settling_time
from seqjax.types import Array


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
    links = links_of(model, filtering, method)
    covariances = smoothed_covariances(links, filtering, observations.valid, method)
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)

    def out(leaf: Array, first: int = 0) -> Array:
        leaf = unlanes(leaf, num_steps, batch_shape)[: num_steps - first]
        if evidence.lengths is None:
            return leaf
        return ops.zero_padding(leaf, ops.length_mask(evidence.lengths, num_steps)[first:])

    result = filtered_of(filtering, evidence)
    return LDSSmoothed(
        mean=out(smoothed_means(links, filtering, observations.valid, method)),
        cholesky=out(covariances.factor),
        lag_one=out(covariances.lag_one, 1),
        log_normalizer=result.log_normalizer,
        filtered=result,
    )


def links_of(model: Model, filtering: Filtering, method: str) -> Links:
    """How each state follows from the next one.

    The next state in units of its own predicted covariance is `q = Q (z, w)` for the orthonormal rows `Q` of
    `[F C, noise] = L Q`: nothing is inverted to have `z` from it.

    Args:
      model: what covariances depend on.
      filtering: what the filter found.
      method: the name of a method.

    Returns:
      `Links`.
    """

    def link(dynamics: Array, filtered: Array, noise: Array) -> Links:
        _, directions = orthogonalize(beside(product(dynamics, filtered), noise))
        eye = identity(filtered.shape[0], filtered)
        coefficients, rest = project(beside(eye, jnp.zeros_like(eye)), directions)
        return Links(coefficients, triangularize(rest))

    inputs = model.dynamics, filtering.update.filtered, model.noise
    num_steps = filtering.mean.shape[1]
    if method == "associative" or inputs[1].shape[-2] == 1 != num_steps:
        return link(*inputs)
    nothing = jnp.zeros((1, 1, 1), filtering.mean.dtype)
    return over_settling_time(lambda state, inputs: (state, link(*inputs)), nothing, inputs, num_steps)[1]


def smoothed_covariances(links: Links, filtering: Filtering, valid: Array | None, method: str) -> Smoothing:
    """Covariances given all observations, from the last step to the first.

    Args:
      links: how each state follows from the next one.
      filtering: what the filter found.
      valid: `[T, B]`, or `None` if all steps are.
      method: the name of a method.

    Returns:
      `Smoothing`.
    """
    filtered, whitened = filtering.update.filtered, filtering.update.whitened
    size, num_steps = filtered.shape[0], filtering.mean.shape[1]
    eye = identity(size, filtering.carry_factor)

    def step(later: Array, inputs: Any) -> tuple[Array, Smoothing]:
        (coefficients, noise), filtered, whitened, valid = inputs
        # The next state in units of its predicted covariance, and its factor.
        units, factor = later[:size], later[size:]
        in_units = product(coefficients, units)
        own = triangularize(beside(in_units, noise))
        across = product(filtered, in_units)
        smoothed = Smoothing(product(filtered, own), across, product(factor, transpose(across)))
        units = product(whitened, own)
        if valid is not None:
            units = jnp.where(valid, units, eye)
        return above(units, smoothed.factor), smoothed

    if method == "associative":
        return associative.smoothed_covariances(links, filtering, valid)
    lanes = filtered.shape[-1] if valid is None else valid.shape[-1]
    start = jnp.broadcast_to(above(eye, eye), (2 * size, size, lanes))
    inputs = links, filtered, whitened, valid
    return over_settling_time(step, start, inputs, num_steps, reverse=True)[1]


def smoothed_means(
    links: Links,
    filtering: Filtering,
    valid: Array | None,
    method: str,
    draws: tuple[Array, Array] | None = None,
) -> Array:
    """Means given all observations, or states drawn from their distribution.

    Args:
      links: how each state follows from the next one.
      filtering: what the filter found.
      valid: `[T, B]`, or `None` if all steps are.
      method: the name of a method.
      draws: for states, standard normal draws `[N, B]` and `[N, T, B]`, of the state after the last one and
        of what each state adds to the next; `None` for means.

    Returns:
      `[N, T, B]`.
    """
    num_steps = filtering.mean.shape[1]
    whitened = filtering.update.whitened
    news = product(filtering.update.whitened_gain, filtering.residuals)
    if draws is None:
        start, added = jnp.zeros_like(filtering.carry_mean), jnp.zeros((1, 1, 1), news.dtype)
    else:
        start, added = draws[0], product(links.noise, draws[1])

    def step(later: Array, inputs: Any) -> tuple[Array, Array]:
        coefficients, whitened, news, added, valid = inputs
        own = product(coefficients, later) + added
        units = product(whitened, own) + news
        if valid is not None:
            units = jnp.where(valid, units, start)
        return units, own

    if method == "associative":
        own = associative.smoothed_means(links, filtering, (start, news, added), valid)
    else:
        inputs = links.coefficients, whitened, news, added, valid
        own = over_time(step, start, inputs, num_steps, reverse=True)[1]
    return filtering.mean + product(filtering.update.filtered, own)
