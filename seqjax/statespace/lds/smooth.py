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
from seqjax.statespace.lds.passes import Filtering, Links, SmoothedFactors, Smoothing
from seqjax.statespace.lds.settling import masked, over_settling_time
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
    smoothing = smooth_lanes(model, filtering, observations.valid, method)
    num_steps, *batch = evidence.ys.shape[:-1]
    batch_shape = tuple(batch)

    def out(leaf: Array, first: int = 0) -> Array:
        leaf = unlanes(leaf, num_steps, batch_shape)[: num_steps - first]
        if evidence.lengths is None:
            return leaf
        return ops.zero_padding(leaf, ops.length_mask(evidence.lengths, num_steps)[first:])

    result = filtered_of(filtering, evidence)
    return LDSSmoothed(
        mean=out(smoothing.mean),
        cholesky=out(smoothing.factors.factor),
        lag_one=out(smoothing.factors.lag_one, 1),
        log_normalizer=result.log_normalizer,
        filtered=result,
    )


def smooth_lanes(model: Model, filtering: Filtering, valid: Array | None, method: str) -> Smoothing:
    """The smoother on what the filter found.

    Args:
      model: what covariances depend on.
      filtering: what the filter found.
      valid: `[T, B]`, or `None` if all steps are.
      method: the name of a method.

    Returns:
      `Smoothing`.
    """
    steps = filtering.steps
    start = jnp.zeros_like(filtering.carry_mean)
    added = start[:, None, :1]
    if method == "associative":
        links = link(model.dynamics, steps.filtered, model.noise)
        factors = associative.smoothed_factors(links, steps, valid)
        own = associative.smoothed_units(links, steps, start, added, valid)
        return Smoothing(
            mean=steps.mean + product(steps.filtered, own),
            factors=factors,
            rest=product(steps.filtered, links.noise),
        )
    size, num_steps = steps.mean.shape[:2]
    eye = identity(size, filtering.carry_factor)

    def step(later: Array, inputs: tuple) -> tuple[Array, tuple[Links, SmoothedFactors, Array, Array]]:
        dynamics, noise, filtered, whitened, valid = inputs
        links = link(dynamics, filtered, noise)
        # The next state in units of its predicted covariance, and its factor.
        units, factor = later[:size], later[size:]
        in_units = product(links.coefficients, units)
        own = triangularize(beside(in_units, links.noise))
        across = product(filtered, in_units)
        factors = SmoothedFactors(product(filtered, own), across, product(factor, transpose(across)))
        units = product(whitened, own)
        if valid is not None:
            units = jnp.where(valid, units, eye)
        return above(units, factors.factor), (links, factors, filtered, whitened)

    def follow(later: Array, found: tuple, data: tuple) -> tuple[Array, Smoothing]:
        links, factors, filtered, whitened = found
        mean, news, valid = data
        later, own = _units(links, whitened, news, added, later, valid)
        rest = product(filtered, links.noise)
        return later, Smoothing(mean + product(filtered, own), factors, rest)

    valid = masked(valid, num_steps)
    lanes = steps.filtered.shape[-1:]
    if valid is not None:
        lanes = jnp.broadcast_shapes(lanes, valid.shape[-1:])
    return over_settling_time(
        step,
        jnp.broadcast_to(above(eye, eye), (2 * size, size, *lanes)),
        (model.dynamics, model.noise, steps.filtered, steps.whitened, valid),
        num_steps,
        follow=follow,
        moving=start,
        data=(steps.mean, steps.news, valid),
        repeats=filtering.repeats,
        reverse=True,
    )[1]


def drawn_lanes(
    model: Model, filtering: Filtering, valid: Array | None, method: str, draws: tuple[Array, Array]
) -> Array:
    """States drawn given all observations.

    Args:
      model: what covariances depend on.
      filtering: what the filter found.
      valid: `[T, B]`, or `None` if all steps are.
      method: the name of a method.
      draws: standard normal draws `[N, B]` and `[N, T, B]`, of the state after the last one and of what each
        state adds to the next.

    Returns:
      `[N, T, B]`.
    """
    steps, (start, each) = filtering.steps, draws
    if method == "associative":
        links = link(model.dynamics, steps.filtered, model.noise)
        own = associative.smoothed_units(links, steps, start, product(links.noise, each), valid)
        return steps.mean + product(steps.filtered, own)

    def step(nothing: Array, inputs: tuple) -> tuple[Array, tuple[Links, Array, Array]]:
        dynamics, noise, filtered, whitened = inputs
        return nothing, (link(dynamics, filtered, noise), filtered, whitened)

    def follow(later: Array, found: tuple, data: tuple) -> tuple[Array, Array]:
        links, filtered, whitened = found
        mean, news, each, valid = data
        later, own = _units(links, whitened, news, product(links.noise, each), later, valid)
        return later, mean + product(filtered, own)

    num_steps = steps.mean.shape[1]
    return over_settling_time(
        step,
        jnp.zeros((1, 1, 1), steps.mean.dtype),
        (model.dynamics, model.noise, steps.filtered, steps.whitened),
        num_steps,
        follow=follow,
        moving=start,
        data=(steps.mean, steps.news, each, masked(valid, num_steps)),
        repeats=filtering.repeats,
        reverse=True,
    )[1]


def link(dynamics: Array, filtered: Array, noise: Array) -> Links:
    """How states follow from the next ones.

    The next state in units of its own predicted covariance is `q = Q (z, w)` for the orthonormal rows `Q` of
    `[F C, noise] = L Q`: nothing is inverted to have `z` from it.

    Args:
      dynamics: `[N, N, *L]`.
      filtered: `[N, N, *L]`, the factor `C` of the state's covariance.
      noise: `[N, N, *L]`, a factor of the covariance that the step adds.

    Returns:
      `Links`.
    """
    _, directions = orthogonalize(beside(product(dynamics, filtered), noise))
    eye = identity(filtered.shape[0], filtered)
    coefficients, rest = project(beside(eye, jnp.zeros_like(eye)), directions)
    return Links(coefficients, triangularize(rest))


def _units(
    links: Links, whitened: Array, news: Array, added: Array, start: Array, valid: Array | None
) -> tuple[Array, Array]:
    """Means or draws backward: the last ones in units of predicted factors, all in units of filtered."""

    def step(later: Array, inputs: tuple) -> tuple[Array, Array]:
        closed, shift, valid = inputs
        units = product(closed, later) + shift
        if valid is not None:
            units = jnp.where(valid, units, later)
        return units, later

    inputs = product(whitened, links.coefficients), product(whitened, added) + news, valid
    first, later = over_time(step, start, inputs, news.shape[1], reverse=True)
    return first, product(links.coefficients, later) + added
