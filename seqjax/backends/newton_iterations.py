"""Newton's method for `s_t = f_t(s_{t-1})`, all `t` at once: linearised steps until all of them agree.

States are vectors `[T, *B, N]`, rows of the batch by themselves. A transition takes what came before each
step to what comes after it, `[T, *B, N] -> [T, *B, N]`, each step and row by itself. Coefficients are its
Jacobians, `[T, *B, N, N]`, or their diagonals `[T, *B, N]`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.recurrence_forms import apply, steps_before
from seqjax.types import Array

Transition = Callable[[Array], Array]

EASED, TIGHTENED = 0.1, 5.0
"""What the damping is multiplied by after a step that helped, and after one that did not."""


class Search(NamedTuple):
    """How the states are sought.

    Attributes:
      dense: whether steps take full Jacobians, or only their diagonals.
      damping: what it starts from; 0 for none.
      tolerance: the residual at which a row has converged.
      max_iterations: how many linearisations at most.
    """

    dense: bool
    damping: float
    tolerance: float
    max_iterations: int


class Found(NamedTuple):
    """Where the iterations stand.

    Attributes:
      states: `[T, *B, N]`.
      residual: `[*B]`, the largest `|f_t(s_{t-1}) - s_t|` of each row, each step relative to one plus the
        largest number in `s_t`.
      misfit: `[*B]`, the sum of squares of `f_t(s_{t-1}) - s_t`, which damped steps must bring down.
      damping: `[*B]`.
      iterations: `[*B]` integers, as many as each row has taken.
    """

    states: Array
    residual: Array
    misfit: Array
    damping: Array
    iterations: Array


def iterate(transition: Transition, start: Array, guess: Array, search: Search) -> Found:
    """Linearises and solves until every row has converged, or for as many times as allowed.

    A row that has converged stands still, so that a row is what it is alone. Without damping, the first `k`
    states are exact after `k` iterations, whatever the coefficients (Gonzalez et al., 2024, proposition 1):
    `T` of them always suffice, provided that a step whose sums overflow is replaced by `f_t(s_{t-1})`. With
    damping the misfit never rises, and a row stops where no step brings it down by more than rounding error.

    Args:
      transition: all `f_t`.
      start: `[*B, N]`, the state before the first step.
      guess: `[T, *B, N]`.
      search: how.

    Returns:
      The states found, and how well they agree.

    Example:
      >>> search = Search(dense=True, damping=0.0, tolerance=1e-6, max_iterations=10)
      >>> found = iterate(lambda s: 0.5 * s + 1, jnp.zeros((1,)), jnp.zeros((3, 1)), search)
      >>> found.states[:, 0].tolist(), int(found.iterations)
      ([1.0, 1.5, 1.75], 1)
    """
    precision = float(jnp.finfo(start.dtype).eps)

    def unfinished(found: Found) -> Array:
        wanted = ~(found.residual <= search.tolerance) & (found.iterations < search.max_iterations)
        return wanted & (found.damping < 1 / precision)

    def improve(found: Found) -> Found:
        before = steps_before(found.states, start, False)
        after, coefficients = linearized(transition, before, dense=search.dense)
        gap = after - found.states
        if search.damping:
            proposed = found.states + damped_change(coefficients, gap, found.damping, dense=search.dense)
        else:
            nothing = jnp.zeros_like(start)
            proposed = found.states + ops.linear_recurrence(coefficients, gap, nothing, dense=search.dense)
            proposed = jnp.where(jnp.isfinite(proposed), proposed, _finite(after))
        residual, misfit = _agreement(transition, start, proposed)
        helped = jnp.full(misfit.shape, True)
        if search.damping:
            helped = jnp.isfinite(misfit) & ~(misfit >= found.misfit) | (residual <= search.tolerance)
        eased = found.damping * jnp.where(helped, EASED, TIGHTENED)
        active = unfinished(found)
        taken = active & helped
        return Found(
            states=jnp.where(taken[..., None], proposed, found.states),
            residual=jnp.where(taken, residual, found.residual),
            misfit=jnp.where(taken, misfit, found.misfit),
            damping=jnp.where(active, jnp.clip(eased, precision, 1 / precision), found.damping),
            iterations=found.iterations + active,
        )

    residual, misfit = _agreement(transition, start, guess)
    damping = jnp.full(misfit.shape, search.damping, misfit.dtype)
    first = Found(guess, residual, misfit, damping, jnp.zeros(misfit.shape, jnp.int32))
    return jax.lax.while_loop(lambda found: jnp.any(unfinished(found)), improve, first)


def _finite(x: Array) -> Array:
    return jnp.where(jnp.isfinite(x), x, 0)


def _agreement(transition: Transition, start: Array, states: Array) -> tuple[Array, Array]:
    """The residual and the misfit of each row."""
    gap = transition(steps_before(states, start, False)) - states
    # Each step by its own size: where states grow, an error at the beginning is not small beside their end.
    relative = jnp.abs(gap) / (1 + jnp.max(jnp.abs(states), -1, keepdims=True, initial=0))
    axes = (0, gap.ndim - 1)
    residual, misfit = jnp.max(relative, axes, initial=0), jnp.sum(gap * gap, axes)
    # A sum keeps a NaN, where a maximum may pass over it.
    return jnp.where(jnp.isfinite(misfit), residual, jnp.inf), misfit


def linearized(transition: Transition, before: Array, *, dense: bool) -> tuple[Array, Array]:
    """What comes after each step, and how it depends on what came before.

    One derivative in forward mode for each of the `N` directions, of all steps and rows together. For full
    Jacobians all are taken at once; for diagonals one after the other, of which only one number a step is
    kept.

    Args:
      transition: all `f_t`.
      before: `[T, *B, N]`.
      dense: whether to give full Jacobians.

    Returns:
      `[T, *B, N]`, and the coefficients `[T, *B, N, N]` or `[T, *B, N]`.

    Example:
      >>> after, jacobian = linearized(lambda s: s[..., ::-1] ** 2, jnp.array([[1.0, 3.0]]), dense=True)
      >>> after.tolist(), jacobian.tolist()
      ([[9.0, 1.0]], [[[0.0, 6.0], [2.0, 0.0]]])
    """
    after, derivative = jax.linearize(transition, before)
    size = before.shape[-1]

    def along(place: Array) -> Array:
        return derivative(jnp.broadcast_to(jax.nn.one_hot(place, size, dtype=before.dtype), before.shape))

    places = jnp.arange(size)
    if dense:
        return after, jax.vmap(along, out_axes=-1)(places)
    diagonal = jax.lax.map(lambda i: jax.lax.dynamic_index_in_dim(along(i), i, -1, keepdims=False), places)
    return after, jnp.moveaxis(diagonal, 0, -1)


def damped_change(coefficients: Array, gap: Array, damping: Array, *, dense: bool) -> Array:
    """The change of the states that a damped step takes, by a Kalman smoother.

    It is the `d` with the least `sum_t |d_t - a_t d_{t-1} - gap_t|^2 + damping |d_t|^2`, `d_{-1} = 0`: the
    Levenberg-Marquardt step (Gonzalez et al., 2024, section 4.2). That is the mean of a Gaussian chain with
    noise of variance 1 whose states have all been observed to be 0 with variance `1 / damping`. With `P` the
    covariances that its filter finds and `V_t = I - damping P_t`, the predicted means follow
    `m_t = a_t V_{t-1} m_{t-1} + gap_t`, what the observations after each step say about it
    `w_t = (a_{t+1} V_t)' w_{t+1} - damping V_t m_t` back in time, and
    `d_t = m_t + w_t + a_t P_{t-1} a_t' w_t` (Bryson & Frazier, 1963). Both are linear recurrences, and `P` is
    a product over time, so that all of it runs in parallel.

    Args:
      coefficients: `a`, `[T, *B, N, N]`, or `[T, *B, N]` where they are diagonals.
      gap: `[T, *B, N]`.
      damping: `[*B]`, positive.
      dense: whether `a` are matrices.

    Returns:
      `[T, *B, N]`.

    Example:
      >>> a, gap = jnp.zeros((2, 1)), jnp.ones((2, 1))
      >>> damped_change(a, gap, jnp.array(1.0), dense=False).tolist()
      [[0.5], [0.5]]
    """
    weight = damping[..., None]
    covariance = _covariances(coefficients, damping, dense)
    if dense:
        kept = jnp.eye(gap.shape[-1], dtype=gap.dtype) - weight[..., None] * covariance
    else:
        kept = 1 - weight * covariance
    nothing = jnp.zeros_like(gap[0])
    before = steps_before(covariance, jnp.zeros_like(covariance[0]), False)
    onward = _product(coefficients, steps_before(kept, jnp.zeros_like(kept[0]), False), dense)
    means = ops.linear_recurrence(onward, gap, nothing, dense=dense)
    back = steps_before(_transposed(onward, dense), jnp.zeros_like(onward[0]), True)
    pulled = -weight * apply(kept, means, dense)
    forces = ops.linear_recurrence(back, pulled, nothing, reverse=True, dense=dense)
    spread = apply(before, apply(_transposed(coefficients, dense), forces, dense), dense)
    return means + forces + apply(coefficients, spread, dense)


def _covariances(coefficients: Array, damping: Array, dense: bool) -> Array:
    """Those of the filter of the chain of `damped_change`, by products of stretches of time.

    A stretch is `(a, c, i)` (Särkkä & García-Fernández, 2021, section 4): from a known state before it, the
    one after it is `a` times that with covariance `c`, and its observations add `i` to the information on
    that state before.
    """
    size = coefficients.shape[-1]
    weight = damping[(..., *(None,) * (1 + dense))]
    seen = 1 / (1 + weight)
    unit = jnp.eye(size, dtype=coefficients.dtype) if dense else jnp.ones((size,), coefficients.dtype)
    noise = jnp.broadcast_to(seen * unit, coefficients.shape)
    information = weight * seen * _product(_transposed(coefficients, dense), coefficients, dense)
    joined = _joined_matrices if dense else _joined_numbers
    return ops.prefix_scan(joined, (seen * coefficients, noise, information))[1]


Stretch = tuple[Array, Array, Array]


def _joined_numbers(earlier: Stretch, later: Stretch) -> Stretch:
    (a_1, c_1, i_1), (a_2, c_2, i_2) = earlier, later
    shrunk = 1 / (1 + c_1 * i_2)
    return a_2 * shrunk * a_1, a_2 * shrunk * c_1 * a_2 + c_2, a_1 * shrunk * i_2 * a_1 + i_1


def _joined_matrices(earlier: Stretch, later: Stretch) -> Stretch:
    """As of numbers, with `(I + c i)^-1 c = r' r` for `L' i L + I = S S'` and `S r = L'`, `c = L L'`."""
    (a_1, c_1, i_1), (a_2, c_2, i_2) = earlier, later
    root = ops.cholesky(c_1)
    seen = _product(_transposed(root, True), _product(i_2, root, True), True)
    factor = ops.cholesky(seen + jnp.eye(seen.shape[-1], dtype=seen.dtype))
    shared = ops.solve_triangular(factor, _transposed(root, True))
    told = _product(i_2, a_1, True)
    known = _product(shared, told, True)
    reached = _product(a_2, _transposed(shared, True), True)
    return (
        _product(a_2, a_1, True) - _product(reached, known, True),
        _product(reached, _transposed(reached, True), True) + c_2,
        _product(_transposed(a_1, True), told, True) - _product(_transposed(known, True), known, True) + i_1,
    )


def _product(a: Array, b: Array, dense: bool) -> Array:
    return jnp.matmul(a, b, precision="highest") if dense else a * b


def _transposed(a: Array, dense: bool) -> Array:
    return jnp.swapaxes(a, -1, -2) if dense else a
