"""The recursions of filter and smoother as products of an associative operation, in parallel over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.small_matrices import (
    above,
    beside,
    identity,
    product,
    solve_triangular,
    transpose,
    triangularize,
)
from seqjax.statespace.lds.model import Model, Observations
from seqjax.statespace.lds.passes import FilteredSteps, Links, SmoothedFactors
from seqjax.types import Array, PyTree


class Stretch(NamedTuple):
    """Some consecutive steps: how the state after them follows from the one before, given observations.

    With the state `x` before and `x'` after: `p(x' | x, observations) = N(dynamics x + ..., noise noise')`,
    and the likelihood of the observations falls off from its largest value as `exp(-|information' x|^2 / 2)`.

    Attributes:
      dynamics: `[N, N, P, B]`.
      noise: `[N, N, P, B]`.
      information: `[N, N, P, B]`.
    """

    dynamics: Array
    noise: Array
    information: Array


def joined(earlier: Stretch, later: Stretch) -> Stretch:
    """Two neighbouring stretches as one (Yaghoobi, Corenflos, Hassan & Särkkä, 2022, equation 30).

    With `[[U' Z, I], [Z, 0]] = [[X, 0], [Y, W]] Q` for the noise `U` of the earlier and the information `Z`
    of the later stretch, `Q` orthonormal, all that the observations of the later one say about the state
    between both is in `X`, `Y` and `W`. `X X' = I + U' Z Z' U` is regular, and nothing is subtracted from a
    covariance.

    Args:
      earlier: stretches.
      later: what follows each of them.

    Returns:
      The stretches over both.
    """
    size = earlier.noise.shape[0]
    seen = product(transpose(earlier.noise), later.information)
    eye = identity(size, seen)
    triangle = triangularize(
        above(beside(seen, eye), beside(later.information, jnp.zeros_like(later.information)))
    )
    inner, cross, information = triangle[:size, :size], triangle[size:, :size], triangle[size:, size:]
    # `dynamics (I + U U' Z Z')^-1 = dynamics (I - U X'^-1 Y')`.
    kept = solve_triangular(inner, transpose(product(later.dynamics, earlier.noise)))
    between = product(later.dynamics, earlier.dynamics) - product(
        transpose(kept), product(transpose(cross), earlier.dynamics)
    )
    return Stretch(
        dynamics=between,
        noise=triangularize(beside(transpose(kept), later.noise)),
        information=triangularize(
            beside(product(transpose(earlier.dynamics), information), earlier.information)
        ),
    )


def stretch(dynamics: Array, noise: Array, emission: Array) -> Stretch:
    """Single steps, each an observation and the transition after it.

    Args:
      dynamics: `[N, N, P, B]`.
      noise: `[N, N, P, B]`.
      emission: `[M, N, P, B]`, whitened.

    Returns:
      The stretches.
    """
    information, size = transpose(emission), dynamics.shape[0]
    if information.shape[1] > size:
        information = triangularize(information)
    nothing = jnp.zeros((size, size - information.shape[1], 1, 1), information.dtype)
    return Stretch(dynamics, noise, beside(information, nothing))


def starting_from(factor: Array) -> Stretch:
    """What stands before the first step: whatever was before that, the state has this covariance.

    Args:
      factor: `[N, N, P, B]`.

    Returns:
      The stretch.
    """
    nothing = jnp.zeros_like(factor)
    return Stretch(dynamics=nothing, noise=factor, information=nothing)


def predicted_factors(model: Model, num_steps: int) -> Array:
    """Covariances of all steps in parallel.

    Args:
      model: what they depend on.
      num_steps: `T`.

    Returns:
      The predicted factors `[N, N, T + 1, B | 1]`, the last one of the step after the last.
    """
    steps = stretch(model.dynamics, model.noise, model.emission)
    if model.active is not None:
        # Padding is a step in which nothing happens.
        still = starting_from(jnp.zeros_like(model.start[:, :, None]))._replace(
            dynamics=identity(model.start.shape[0], model.dynamics)
        )
        active = model.active
        steps = jax.tree.map(lambda step, rest: jnp.where(active, step, rest), steps, still)
    start = starting_from(model.start[:, :, None])
    full = (num_steps, _lanes(model))
    elements = jax.tree.map(
        lambda one, more: jnp.concatenate(
            [
                jnp.broadcast_to(one, (*one.shape[:2], 1, full[1])),
                jnp.broadcast_to(more, more.shape[:2] + full),
            ],
            axis=2,
        ),
        start,
        steps,
    )
    return _products(joined, elements).noise


def _lanes(model: Model) -> int:
    return jnp.broadcast_shapes(*(leaf.shape[-1:] for leaf in model if leaf is not None))[0]


def _products(combine: Callable, elements: PyTree, *, reverse: bool = False) -> PyTree:
    """`ops.prefix_scan` over the second last axis."""
    if any(leaf.size == 0 for leaf in jax.tree.leaves(elements)):
        return elements

    def move(tree: PyTree, source: int, target: int) -> PyTree:
        return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, source, target), tree)

    def combine_moved(earlier: PyTree, later: PyTree) -> PyTree:
        return move(combine(move(earlier, 0, -2), move(later, 0, -2)), -2, 0)

    return move(ops.prefix_scan(combine_moved, move(elements, -2, 0), reverse=reverse), 0, -2)


def predicted_means(
    matrices: tuple[Array, Array, Array], observations: Observations, num_steps: int
) -> tuple[Array, Array]:
    """Means of all steps in parallel, once the gains are known.

    Args:
      matrices: dynamics, emission and gain, each `[N | M, N | M, T | 1, B | 1]`.
      observations: what means depend on besides.
      num_steps: `T`.

    Returns:
      The mean `[N, B]` after the last step, and the predicted means `[N, T, B]`.
    """
    dynamics, emission, gain = matrices
    size = gain.shape[0]
    eye = identity(size, gain)
    gains = product(dynamics, gain)
    closed = product(dynamics, eye - product(gain, emission))
    shift = product(gains, observations.values) + observations.drift
    if observations.valid is not None:
        closed = jnp.where(observations.valid, closed, eye)
        shift = jnp.where(observations.valid, shift, 0)
    shift = jnp.concatenate([observations.start[:, None], shift], axis=1)
    closed = jnp.broadcast_to(closed, (*closed.shape[:2], num_steps, closed.shape[-1]))
    closed = jnp.concatenate(
        [jnp.zeros_like(closed[:, :, :1]) if num_steps else jnp.zeros((size, size, 1, 1)), closed], axis=2
    )
    means = affine(closed, shift, reverse=False)
    return means[:, -1], means[:, :-1]


def smoothed_factors(links: Links, steps: FilteredSteps, valid: Array | None) -> SmoothedFactors:
    """Covariances given all observations, of all steps in parallel.

    Args:
      links: how each state follows from the next one.
      steps: what the filter found.
      valid: `[T, B]`, or `None` if all steps are.

    Returns:
      `SmoothedFactors`.
    """
    eye = identity(steps.filtered.shape[0], steps.filtered)
    gain, noise = product(steps.whitened, links.coefficients), product(steps.whitened, links.noise)
    if valid is not None:
        gain, noise = jnp.where(valid, gain, 0), jnp.where(valid, noise, eye)
    # After the last step, nothing is known of the state but what was predicted of it.
    gain, noise = (_followed_by(leaf, last) for leaf, last in ((gain, jnp.zeros_like(eye)), (noise, eye)))

    def combine(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
        reached = triangularize(beside(product(earlier[0], later[1]), earlier[1]))
        return product(earlier[0], later[0]), reached

    units = _products(combine, (gain, noise), reverse=True)[1][:, :, 1:]
    in_units = product(links.coefficients, units)
    factor = product(steps.filtered, triangularize(beside(in_units, links.noise)))
    across = product(steps.filtered, in_units)
    later = jnp.concatenate([factor[:, :, 1:], factor[:, :, :1]], axis=2)
    return SmoothedFactors(factor, across, product(later, transpose(across)))


def smoothed_units(
    links: Links, steps: FilteredSteps, start: Array, added: Array, valid: Array | None
) -> Array:
    """Means given all observations, or draws, of all steps in parallel, in units of the filtered factors.

    Args:
      links: how each state follows from the next one.
      steps: what the filter found.
      start: `[N, B]`, the state after the last step, in units of its predicted factor.
      added: `[N, T | 1, B | 1]`, what is added to each state.
      valid: `[T, B]`, or `None` if all steps are.

    Returns:
      `[N, T, B]`.
    """
    news = steps.news
    gain, shift = product(steps.whitened, links.coefficients), product(steps.whitened, added) + news
    if valid is not None:
        gain, shift = jnp.where(valid, gain, 0), jnp.where(valid, shift, start[:, None])
    gain = jnp.broadcast_to(gain, (*gain.shape[:2], news.shape[1], gain.shape[-1]))
    none = jnp.zeros((*gain.shape[:2], 1, 1), gain.dtype)
    units = affine(_followed_by(gain, none), _followed_by(shift, start[:, None]), reverse=True)
    return product(links.coefficients, units[:, 1:]) + added


def _followed_by(leaf: Array, last: Array) -> Array:
    """`[..., T, B]` and `[..., 1, B | 1]` one after the other."""
    return jnp.concatenate([leaf, jnp.broadcast_to(last, (*leaf.shape[:-2], 1, leaf.shape[-1]))], axis=-2)


def affine(gain: Array, shift: Array, *, reverse: bool) -> Array:
    """All `x_t = gain_t x_{t-1} + shift_t` from zero before the beginning, or from the end to the beginning.

    Args:
      gain: `[N, N, T, B | 1]`.
      shift: `[N, T, B]`.
      reverse: whether to go on from the next step and not from the one before.

    Returns:
      `[N, T, B]`.
    """

    def combine(earlier: tuple[Array, Array], later: tuple[Array, Array]) -> tuple[Array, Array]:
        if reverse:
            earlier, later = later, earlier
        gain, shift = later
        return product(gain, earlier[0]), product(gain, earlier[1]) + shift

    gain = jnp.broadcast_to(gain, (*gain.shape[:3], shift.shape[-1]))
    return _products(combine, (gain, shift), reverse=reverse)[1]
