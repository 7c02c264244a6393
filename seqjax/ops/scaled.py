"""Sums over all paths with numbers scaled at each step: fast, and exact within the range of the dtype.

Where every transition is possible, none does: each state is reached with at least the smallest transition's
share, and what a state has less than that changes nothing. Where some are forbidden, a share too small for
the dtype may be all that leads on. Then the result here is wrong, and says so (`lost`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops.chain import Chain
from seqjax.ops.ragged import select
from seqjax.ops.semirings import finite
from seqjax.types import Array

HIGHEST = jax.lax.Precision.HIGHEST


class Scaled(NamedTuple):
    """A forward pass, and what a backward pass goes on from.

    Attributes:
      filtered: `[T, *B, K]`, normalised.
      predicted: `[T, *B, K]`, `filtered` one step on.
      increments: `[T, *B]`, what each step adds to the log-normalizer.
      carry: `[*B, K]`, `predicted` in the step after the last valid one.
      transition: the exponential of the chain's.
      weights: `[T, *B, K]`, the exponential of the scores, whose largest in a step is one.
      least: `[*B, K]`, the least share that was not zero.
    """

    filtered: Array
    predicted: Array
    increments: Array
    carry: Array
    transition: Array
    weights: Array
    least: Array


def scaled_forward(chain: Chain) -> Scaled:
    """Sums over all paths up to each step (Rabiner, 1989, eqs. 91-92).

    Equations: `joint = predicted_t * weights_t`, `filtered_t = joint / sum(joint)`,
    `predicted_{t+1} = filtered_t transition_t`. The loop keeps `predicted` alone; the rest follows from it
    for all steps at once.

    Args:
      chain: of `T` steps.

    Returns:
      A `Scaled`.
    """
    shift = finite(jnp.max(chain.scores, -1, keepdims=True))
    # What can be stays above zero, so that zero is what cannot.
    tiny = jnp.finfo(chain.scores.dtype).tiny
    weights = jnp.where(jnp.isneginf(chain.scores), 0, jnp.maximum(jnp.exp(chain.scores - shift), tiny))
    transition = jnp.exp(chain.transition)
    times, unroll = product_form(chain)

    def step(predicted: Array, x: tuple) -> tuple[Array, Array]:
        weight, matrix, valid = x
        joint = predicted * weight
        total = jnp.sum(joint, -1, keepdims=True)
        new = divide(times(joint, transition if matrix is None else matrix), total)
        return new if valid is None else select(valid, new, predicted), predicted

    steps = weights, None if chain.matrices is None else transition, chain.valid
    carry, predicted = jax.lax.scan(step, jnp.exp(chain.initial), steps, unroll=unroll)
    joint = predicted * weights
    filtered, increments = normalize(joint)
    least = _least(joint, (predicted > 0) & (weights > 0))
    return Scaled(filtered, predicted, increments + shift[..., 0], carry, transition, weights, least)


def _least(shares: Array, possible: Array) -> Array:
    """The least of those over the first axis that are possible, at most one."""
    return jnp.min(jnp.where(possible, jax.lax.stop_gradient(shares), 1), 0, initial=1)


def normalize(values: Array) -> tuple[Array, Array]:
    """Numbers divided by their sum, and the sum's logarithm; zeros stay, and their sum's logarithm is -inf.

    Args:
      values: `[..., K]`, none negative.

    Returns:
      `[..., K]` and `[...]`.

    Example:
      >>> shares, log_total = normalize(jnp.array([[1e-30, 3e-30], [0.0, 0.0]]))
      >>> shares.tolist(), log_total.round(2).tolist()
      ([[0.25, 0.75], [0.0, 0.0]], [-67.68..., -inf])
    """
    total = jnp.sum(values, -1)
    none = total == 0
    log_total = jnp.where(none, -jnp.inf, jnp.log(jnp.where(none, 1, total)))
    return divide(values, total[..., None]), log_total


@jax.custom_jvp
def divide(numerator: Array, denominator: Array) -> Array:
    """A quotient with a finite derivative for every denominator; zero where that is zero.

    The ordinary derivative divides by the square of the denominator, which a small one does not have.

    Args:
      numerator: `[...]`.
      denominator: `[...]`, not negative.

    Returns:
      `[...]`.

    Example:
      >>> float(jax.grad(divide, 1)(3e-30, 1e-30))
      -3.0...e+30
    """
    none = denominator < jnp.finfo(denominator.dtype).tiny
    return numerator * jnp.where(none, 0, 1 / jnp.where(none, 1, denominator))


@divide.defjvp
def _(primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    quotient = divide(*primals)
    return quotient, divide(tangents[0] - quotient * tangents[1], primals[1])


def scaled_backward(chain: Chain, found: Scaled) -> tuple[Array, Array]:
    """Sums over all paths through each state (Rabiner, 1989, eqs. 25 and 27).

    Equations: `smoothed_t = filtered_t * later_t / sum`, `later_{T-1} = 1`,
    `later_{t-1} = transition_{t-1} message_t`, `message_t = weights_t * later_t / sum`.

    Args:
      chain: of `T` steps.
      found: its forward pass.

    Returns:
      `smoothed` `[T, *B, K]`, normalised, and the least share `[*B, K]` that was not zero.
    """
    times, unroll = product_form(chain)
    backwards = jnp.swapaxes(found.transition, -1, -2)
    # Entry `t` leads back from step `t` here.
    matrices = None if chain.matrices is None else jnp.roll(backwards, 1, axis=0)

    def step(later: Array, x: tuple) -> tuple[Array, Array]:
        weight, matrix, valid = x
        message = weight * later
        total = jax.lax.stop_gradient(jnp.sum(message, -1, keepdims=True))
        new = divide(times(message, backwards if matrix is None else matrix), total)
        return new if valid is None else select(valid, new, later), later

    steps = found.weights, matrices, chain.valid
    _, later = jax.lax.scan(step, jnp.ones_like(found.carry), steps, reverse=True, unroll=unroll)
    message, _ = normalize(found.weights * later)
    least = _least(message, (found.weights > 0) & (later > 0))
    return normalize(found.filtered * later)[0], least


def lost(potentials: tuple[Array, ...], least: Array) -> Array:
    """Whether something that was possible came too near to the smallest number of the dtype.

    With `d` the cube root of that number: all is well if no start and no transition has less than `d`, and
    also if none but the impossible have, and no share fell below `d^2`.

    Args:
      potentials: of starts and of transitions, as logarithms.
      least: `[...]`, the least shares that were not zero.

    Returns:
      `[]`, a boolean: the answer for all sequences together, and under `jax.vmap` for all that is mapped
      over.

    Example:
      >>> some, none = jnp.log(jnp.array([0.5, 0.5])), jnp.array([0.0, -jnp.inf])
      >>> [bool(lost((logs,), jnp.array(share))) for logs in (some, none) for share in (0.1, 1e-30)]
      [False, False, False, True]
    """
    edge = jnp.log(jnp.finfo(least.dtype).tiny) / 3
    small, faint = jnp.zeros((), bool), jnp.zeros((), bool)
    for logs in map(jax.lax.stop_gradient, potentials):
        small |= jnp.any(logs < edge)
        faint |= jnp.any((logs < edge) & ~jnp.isneginf(logs))
    return anywhere(faint | (small & jnp.any(least < jnp.exp(2 * edge))))


@jax.custom_batching.custom_vmap
def anywhere(flag: Array) -> Array:
    """A flag that `jax.vmap` makes one for all, so that `lax.cond` on it stays a choice between branches.

    Args:
      flag: `[]`, a boolean.

    Returns:
      The flag; under `jax.vmap`, whether any is true.

    Example:
      >>> jax.vmap(anywhere)(jnp.array([False, True])).tolist()
      [True, True]
    """
    return flag


@anywhere.def_vmap
def _(axis_size: int, batched: list[bool], flag: Array) -> tuple[Array, bool]:
    del axis_size
    return (jnp.any(flag), False) if batched[0] else (flag, False)


def product_form(chain: Chain) -> tuple[Callable[[Array, Array], Array], int]:
    """How to multiply a row vector by the transitions, and how many steps to unroll: all such choices.

    | states | steps share a matrix | product | unrolled | because, on a CPU |
    | --- | --- | --- | --- | --- |
    | to 16 | yes | multiply and sum | 1 | two or three small programs a step, or one for the whole loop |
    | more | yes | matrix product | 8 | each is dispatched, which 8 steps share |
    | any | no | multiply and sum | 1 | each matrix is read once |

    On a GPU or TPU a step is bound by its latency, whatever the form.

    Args:
      chain: whose sizes decide.

    Returns:
      `(vector[..., K], matrix[..., K, K]) -> [..., K]`, and the number of steps.
    """
    if chain.num_states <= 16 or chain.matrices is not None:
        return lambda vector, matrix: jnp.sum(vector[..., :, None] * matrix, -2), 1
    return lambda vector, matrix: jnp.matmul(vector, matrix, precision=HIGHEST), 8
