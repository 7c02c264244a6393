"""Inference in chains of potentials: what hidden Markov models and conditional random fields share.

Every recursion has two ways over time, tested against each other: `"scan"`, one step after the other, and
`"associative"`, products of `[K, K]` matrices over a semiring by `ops.prefix_scan`, which do `K` times the
work in `log T` times the depth.

Sums over all paths run in scaled numbers (`ops.scaled`) where that is exact, and else in logarithms, which
cost an exponential for each pair of states.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from seqjax.ops.chain import Chain
from seqjax.ops.prefix_scan import prefix_scan
from seqjax.ops.ragged import expand_like, select
from seqjax.ops.scaled import HIGHEST, Scaled, divide, lost, scaled_backward, scaled_forward
from seqjax.ops.semirings import Reduce, apply, finite, log_normalize, log_sum_exp, multiply
from seqjax.ops.summation import compensated_sum
from seqjax.types import Array

METHODS = ("scan", "associative")


class Forward(NamedTuple):
    """Sums over all paths up to each step.

    Attributes:
      log_normalizer: `[*B]`, the logarithm of the sum of all paths' weights; -inf where all are zero.
      increments: `[T, *B]`, what each step adds to it; zero in the padding.
      filtered: `[T, *B, K]`, the share of each state in the paths up to a step; zero where there is none, and
        in the padding.
      log_predicted: `[T, *B, K]`, the logarithm of `filtered` one step on, without that step's scores; -inf
        in the padding.
      log_carry: `[*B, K]`, what `log_predicted` would be in the step after the last valid one.
    """

    log_normalizer: Array
    increments: Array
    filtered: Array
    log_predicted: Array
    log_carry: Array


def forward(chain: Chain, method: str) -> Forward:
    """Sums over all paths up to each step.

    Args:
      chain: of `T` steps.
      method: `"scan"` or `"associative"`.

    Returns:
      A `Forward`.
    """
    if method == "associative":
        return _exact_forward(chain, method)
    found = scaled_forward(chain)
    result = _from_scaled(chain, found)
    return jax.lax.cond(
        lost((chain.initial, chain.transition), found.least),
        lambda: _exact_forward(chain, method),
        lambda: result,
    )


def forward_backward(chain: Chain, method: str) -> tuple[Forward, Array]:
    """Sums over all paths up to each step, and over all paths through each state.

    Args:
      chain: of `T` steps.
      method: `"scan"` or `"associative"`.

    Returns:
      A `Forward`, and `smoothed` `[T, *B, K]`: the share of each state in all paths, zero where there is
      none, and in the padding.
    """
    if method == "associative":
        return _exact_forward_backward(chain, method)
    found = scaled_forward(chain)
    smoothed, least = scaled_backward(chain, found)
    result = _with_smoothed(chain, _from_scaled(chain, found), smoothed)
    return jax.lax.cond(
        lost((chain.initial, chain.transition), jnp.minimum(found.least, least)),
        lambda: _exact_forward_backward(chain, method),
        lambda: result,
    )


def _from_scaled(chain: Chain, found: Scaled) -> Forward:
    # Below the smallest number with all digits, a logarithm's derivative may be infinite.
    tiny = jnp.finfo(found.carry.dtype).tiny
    log_predicted, log_carry = (
        jnp.where(leaf >= tiny, jnp.log(jnp.maximum(leaf, tiny)), -jnp.inf)
        for leaf in (found.predicted, found.carry)
    )
    return _result(chain, found.increments, found.filtered, log_predicted, log_carry)


def _result(
    chain: Chain, increments: Array, filtered: Array, log_predicted: Array, log_carry: Array
) -> Forward:
    """The padding cleared, and the steps summed up."""
    if chain.valid is not None:
        increments = jnp.where(chain.valid, increments, 0)
        filtered = jnp.where(chain.valid[..., None], filtered, 0)
        log_predicted = jnp.where(chain.valid[..., None], log_predicted, -jnp.inf)
    return Forward(compensated_sum(increments), increments, filtered, log_predicted, log_carry)


def _with_smoothed(chain: Chain, found: Forward, smoothed: Array) -> tuple[Forward, Array]:
    known = ~jnp.isneginf(found.log_normalizer)
    known = known if chain.valid is None else known & chain.valid
    return found, jnp.where(known[..., None], smoothed, 0)


def _exact_forward(chain: Chain, method: str) -> Forward:
    """In logarithms throughout."""
    log_predicted, log_carry = (_forward_scan if method == "scan" else _forward_associative)(chain)
    log_filtered, increments = log_normalize(log_predicted + chain.scores)
    return _result(chain, increments, jnp.exp(log_filtered), log_predicted, log_carry)


def _exact_forward_backward(chain: Chain, method: str) -> tuple[Forward, Array]:
    found = _exact_forward(chain, method)
    messages = (_backward_scan if method == "scan" else _backward_associative)(chain)
    log_smoothed, _ = log_normalize(found.log_predicted + messages)
    return _with_smoothed(chain, found, jnp.exp(log_smoothed))


def _forward_scan(chain: Chain) -> tuple[Array, Array]:
    def step(log_predicted: Array, x: tuple) -> tuple[Array, Array]:
        score, matrix, valid = x
        log_filtered, _ = log_normalize(log_predicted + score)
        new = apply(log_sum_exp, log_filtered, chain.transition if matrix is None else matrix)
        return new if valid is None else select(valid, new, log_predicted), log_predicted

    carry, log_predicted = jax.lax.scan(step, chain.initial, (chain.scores, chain.matrices, chain.valid))
    return log_predicted, carry


def _backward_scan(chain: Chain) -> Array:
    """Sums over all paths from each step on, its score included, up to a factor: `[T, *B, K]` logarithms."""

    def step(later: Array, x: tuple) -> tuple[Array, Array]:
        score, matrix, moves = x
        matrix = chain.transition if matrix is None else matrix
        message = score + select(moves, log_sum_exp(matrix + later[..., None, :]), jnp.zeros_like(later))
        return message - finite(jnp.max(message, -1, keepdims=True)), message

    steps = chain.scores, chain.matrices, chain.moves
    return jax.lax.scan(step, jnp.zeros_like(chain.initial), steps, reverse=True)[1]


def products_of_steps(reduce: Reduce, chain: Chain, *, reverse: bool = False) -> Array:
    """Products of a chain's steps, each a matrix: its scores, and the transition after them but for the last.

    Args:
      reduce: the sum of the semiring, such as `jnp.max`.
      chain: of `T` steps.
      reverse: whether products end at the last step, where else they begin at the first.

    Returns:
      `[T, *B, K, K]`.
    """
    identity = jnp.where(jnp.eye(chain.num_states, dtype=bool), 0, -jnp.inf)
    transition = jnp.where(chain.moves[..., None, None], chain.transition, identity)
    elements = chain.scores[..., :, None] + transition
    return prefix_scan(partial(multiply, reduce), elements, reverse=reverse)


def potentials_after(reduce: Reduce, chain: Chain, products: Array) -> Array:
    """The potentials before the first step, and after each.

    Args:
      reduce: the sum of the semiring.
      chain: of `T` steps.
      products: `products_of_steps` of them.

    Returns:
      `[T + 1, *B, K]`.
    """
    return jnp.concatenate([chain.initial[None], apply(reduce, chain.initial, products)])


def _forward_associative(chain: Chain) -> tuple[Array, Array]:
    arrived = potentials_after(log_sum_exp, chain, products_of_steps(log_sum_exp, chain))
    log_filtered, _ = log_normalize(arrived[:-1] + chain.scores)
    # The products have lost their scale; one exact step from normalised sums has it.
    later = jnp.concatenate([chain.initial[None], apply(log_sum_exp, log_filtered, chain.transition)])
    return later[:-1], later[-1] if chain.lengths is None else entry_at(later, chain.lengths)


def _backward_associative(chain: Chain) -> Array:
    return log_sum_exp(products_of_steps(log_sum_exp, chain, reverse=True))


def sum_of_pairs(smoothed: Array, log_transition: Array, log_ratio: Array) -> Array:
    """How often each state is followed by each, on average over all paths.

    Equation: `sum_t smoothed_t(i) A_ij r_t(j) / sum_k A_ik r_t(k)`.

    Args:
      smoothed: `[T, *B, K]`, the shares of the states in a step.
      log_transition: `log A`, `[K, K]`.
      log_ratio: `log r`, `[T, *B, K]`, what speaks for the states in the step after; -inf for none.

    Returns:
      `[*B, K, K]`.

    Example:
      >>> half = jnp.log(jnp.full((2, 2), 0.5))
      >>> sum_of_pairs(jnp.full((4, 2), 0.5), half, jnp.zeros((4, 2))).round(3).tolist()
      [[1.0, 1.0], [1.0, 1.0]]
    """
    transition = jnp.exp(log_transition)
    ratio = jnp.exp(log_ratio - finite(jnp.max(log_ratio, -1, keepdims=True)))
    total = jnp.matmul(ratio, transition.T, precision=HIGHEST)
    share = divide(smoothed, total)
    least = jnp.min(jnp.where(jnp.isneginf(log_ratio), 1, jax.lax.stop_gradient(ratio)), initial=1.0)

    def exactly() -> Array:
        def step(sums: Array, x: tuple[Array, Array]) -> tuple[Array, None]:
            return sums + pairs(x[0], log_transition, x[1]), None

        start = jnp.zeros((*smoothed.shape[1:], smoothed.shape[-1]), smoothed.dtype)
        return jax.lax.scan(step, start, (smoothed, log_ratio))[0]

    return jax.lax.cond(
        lost((log_transition,), least),
        exactly,
        lambda: transition * jnp.einsum("t...i,t...j->...ij", share, ratio, precision=HIGHEST),
    )


def pairs(smoothed: Array, log_transition: Array, log_ratio: Array) -> Array:
    """The shares of two states in a row: `smoothed(i) A_ij r(j) / sum_k A_ik r(k)`.

    Args:
      smoothed: `[..., K]`, the shares of the states in a step.
      log_transition: `log A`, `[K, K]` or `[..., K, K]`.
      log_ratio: `log r`, `[..., K]`, what speaks for the states in the step after; -inf for none.

    Returns:
      `[..., K, K]`.

    Example:
      >>> pairs(jnp.array([0.5, 0.5]), jnp.zeros((2, 2)), jnp.array([0.0, -jnp.inf])).tolist()
      [[0.5, 0.0], [0.5, 0.0]]
    """
    conditional, _ = log_normalize(log_transition + log_ratio[..., None, :])
    return smoothed[..., :, None] * jnp.exp(conditional)


def entry_at(leaf: Array, index: Array) -> Array:
    """The entry of each row at a step of its own.

    Args:
      leaf: `[T, *B, ...]`.
      index: `[*B]` integers, below `T`.

    Returns:
      `[*B, ...]`.
    """
    return jnp.take_along_axis(leaf, expand_like(index[None], leaf), axis=0)[0]
