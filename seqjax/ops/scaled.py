"""Sums over all paths with numbers scaled at each step: fast, and exact within the range of the dtype.

Where every transition is possible, none does: each state is reached with at least the smallest transition's
share, and what a state has less than that changes nothing. Where some are forbidden, a share too small for
the dtype may be all that leads on. Then the result here is wrong, and says so (`lost`).
"""

from __future__ import annotations

import math
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
      least: `[*B, K]`, the least share that was not zero.
    """

    filtered: Array
    predicted: Array
    increments: Array
    carry: Array
    transition: Array
    least: Array


def scaled_forward(chain: Chain) -> Scaled:
    """Sums over all paths up to each step (Rabiner, 1989, eqs. 91-92).

    Equations: `joint = predicted_t * weights_t`, `filtered_t = joint / sum(joint)`,
    `predicted_{t+1} = filtered_t transition_t`. What is no part of the recursion is computed in the loop or
    for all steps at once, as `product_form` says.

    Args:
      chain: of `T` steps.

    Returns:
      A `Scaled`.
    """
    transition = jnp.exp(chain.transition)
    form = product_form(chain)
    shared = form.prepare(transition)

    def results(predicted: Array, score: Array) -> tuple[Array, Array, Array]:
        weight, shift = _weights(score)
        joint = predicted * weight
        filtered, increment = normalize(joint)
        least = jnp.where((predicted > 0) & (weight > 0), jax.lax.stop_gradient(joint), 1)
        return filtered, increment + shift, least

    def step(carry: tuple[Array, Array], x: tuple) -> tuple[tuple[Array, Array], tuple[Array, ...]]:
        (predicted, least), (score, weight, matrix, valid) = carry, x
        weight = _weights(score)[0] if form.inside else weight
        new = divide(*form.times(predicted * weight, shared if matrix is None else matrix))
        new = new if valid is None else select(valid, new, predicted)
        if not form.inside:
            return (new, least), (predicted,)
        filtered, increment, share = results(predicted, score)
        return (new, jnp.minimum(least, share)), (predicted, filtered, increment)

    weights = None if form.inside else _weights(chain.scores)[0]
    start = jnp.exp(chain.initial)
    steps = chain.scores, weights, None if chain.matrices is None else transition, chain.valid
    (carry, least), stacked = jax.lax.scan(step, (start, jnp.ones_like(start)), steps, unroll=form.unroll)
    predicted, *rest = stacked
    if form.inside:
        filtered, increments = rest
    else:
        filtered, increments, shares = results(predicted, chain.scores)
        least = jnp.min(shares, 0, initial=1)
    return Scaled(filtered, predicted, increments, carry, transition, least)


def _weights(scores: Array) -> tuple[Array, Array]:
    """The exponential of scores, whose largest becomes one, and the logarithm of what that was."""
    shift = finite(jnp.max(scores, -1, keepdims=True))
    # What can be stays above zero, so that zero is what cannot.
    tiny = jnp.finfo(scores.dtype).tiny
    weights = jnp.where(jnp.isneginf(scores), 0, jnp.maximum(jnp.exp(scores - shift), tiny))
    return weights, shift[..., 0]


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
    form = product_form(chain)
    backwards = jnp.swapaxes(found.transition, -1, -2)
    shared = form.prepare(backwards)
    # Entry `t` leads back from step `t` here.
    matrices = None if chain.matrices is None else jnp.roll(backwards, 1, axis=0)

    def results(later: Array, weight: Array, filtered: Array) -> tuple[Array, Array]:
        message, _ = normalize(weight * later)
        least = jnp.where((weight > 0) & (later > 0), jax.lax.stop_gradient(message), 1)
        return normalize(filtered * later)[0], least

    def step(carry: tuple[Array, Array], x: tuple) -> tuple[tuple[Array, Array], Array]:
        (later, least), (score, weight, filtered, matrix, valid) = carry, x
        weight = _weights(score)[0] if form.inside else weight
        product, total = form.times(weight * later, shared if matrix is None else matrix)
        new = divide(product, jax.lax.stop_gradient(total))
        new = new if valid is None else select(valid, new, later)
        if not form.inside:
            return (new, least), later
        smoothed, share = results(later, weight, filtered)
        return (new, jnp.minimum(least, share)), smoothed

    weights = None if form.inside else _weights(chain.scores)[0]
    start = jnp.ones_like(found.carry), jnp.ones_like(found.carry)
    steps = chain.scores, weights, found.filtered if form.inside else None, matrices, chain.valid
    (_, least), stacked = jax.lax.scan(step, start, steps, reverse=True, unroll=form.unroll)
    if form.inside:
        return stacked, least
    smoothed, shares = results(stacked, _weights(chain.scores)[0], found.filtered)
    return smoothed, jnp.min(shares, 0, initial=1)


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


class ProductForm(NamedTuple):
    """How to run the loop over time.

    Attributes:
      prepare: `(matrix) -> matrix`, once, what `times` takes where all steps share a matrix.
      times: `(vector[..., K], matrix) -> product[..., K], sum[..., 1]`, with the sum of the vector.
      unroll: how many steps of the loop to write out.
      inside: whether the loop computes all results, or the recursion alone.
    """

    prepare: Callable[[Array], Array]
    times: Callable[[Array, Array], tuple[Array, Array]]
    unroll: int
    inside: bool


def product_form(chain: Chain) -> ProductForm:
    """How to run the loop over time: all choices of sums over paths that only speed depends on.

    | states | matrices | product | unrolled | because, on a CPU |
    | --- | --- | --- | --- | --- |
    | to 16 | one | multiply and sum, with a column of ones for the sum | 1 | one program a step |
    | more | one | matrix product | 8 | each is dispatched, which 8 steps share |
    | any | one a step | multiply and sum | 1 | each matrix is read once |

    Results are computed in the loop where a step has 256 numbers or more, then nothing is unrolled, and for
    all steps at once else: small programs cost more to start than to run, and big arrays more to read again
    than to compute. On a GPU or TPU a step is bound by its latency, whatever the form.

    Args:
      chain: whose sizes decide.

    Returns:
      A `ProductForm`.
    """
    inside = math.prod(chain.initial.shape) >= 256

    def multiply_and_sum(vector: Array, matrix: Array) -> tuple[Array, Array]:
        return jnp.sum(vector[..., :, None] * matrix, -2), jnp.sum(vector, -1, keepdims=True)

    def with_ones(matrix: Array) -> Array:
        return jnp.concatenate([matrix, jnp.ones_like(matrix[:, :1])], axis=-1)

    def multiply_and_sum_both(vector: Array, matrix: Array) -> tuple[Array, Array]:
        both = jnp.sum(vector[..., :, None] * matrix, -2)
        return both[..., :-1], both[..., -1:]

    def matrix_product(vector: Array, matrix: Array) -> tuple[Array, Array]:
        return jnp.matmul(vector, matrix, precision=HIGHEST), jnp.sum(vector, -1, keepdims=True)

    if chain.matrices is not None:
        return ProductForm(lambda matrix: matrix, multiply_and_sum, 1, inside)
    if chain.num_states <= 16:
        return ProductForm(with_ones, multiply_and_sum_both, 1, inside)
    return ProductForm(lambda matrix: matrix, matrix_product, 1 if inside else 8, inside)
