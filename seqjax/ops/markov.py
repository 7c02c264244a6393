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

from seqjax.ops.chain import Chain, rows
from seqjax.ops.prefix_scan import prefix_scan
from seqjax.ops.ragged import expand_like, select
from seqjax.ops.scaled import HIGHEST, Scaled, divide, lost, scaled_backward, scaled_forward
from seqjax.ops.semirings import Reduce, apply, finite, log_normalize, log_sum_exp, multiply
from seqjax.ops.summation import compensated_sum
from seqjax.types import Array

METHODS = ("scan", "associative")

FEW_STATES = 16
"""For how many states Viterbi keeps pointers."""


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


def _products(reduce: Reduce, chain: Chain, *, reverse: bool = False) -> Array:
    """`[T, *B, K, K]`: products of the steps: scores, and the transition after them but for the last."""
    identity = jnp.where(jnp.eye(chain.num_states, dtype=bool), 0, -jnp.inf)
    transition = jnp.where(chain.moves[..., None, None], chain.transition, identity)
    elements = chain.scores[..., :, None] + transition
    return prefix_scan(partial(multiply, reduce), elements, reverse=reverse)


def _after(reduce: Reduce, chain: Chain, products: Array) -> Array:
    """`[T + 1, *B, K]`: the initial potentials, and what the products make of them."""
    return jnp.concatenate([chain.initial[None], apply(reduce, chain.initial, products)])


def _forward_associative(chain: Chain) -> tuple[Array, Array]:
    arrived = _after(log_sum_exp, chain, _products(log_sum_exp, chain))
    log_filtered, _ = log_normalize(arrived[:-1] + chain.scores)
    # The products have lost their scale; one exact step from normalised sums has it.
    later = jnp.concatenate([chain.initial[None], apply(log_sum_exp, log_filtered, chain.transition)])
    return later[:-1], later[-1] if chain.lengths is None else _at(later, chain.lengths)


def _backward_associative(chain: Chain) -> Array:
    return log_sum_exp(_products(log_sum_exp, chain, reverse=True))


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


def best_path(chain: Chain, method: str) -> tuple[Array, Array]:
    """The path of most weight (Viterbi, 1967).

    Among equals, the last state is the lowest, and so is then each state before it. For up to 16 states,
    where the largest weights came from is kept in a byte each. For more, it is found again on the way back
    for the one state of each step, which takes less time, and an array as big as the scores.

    Args:
      chain: of `T` steps.
      method: `"scan"` or `"associative"`.

    Returns:
      `[T, *B]` int32, -1 in the padding, and everywhere where all weights are zero; and `[*B]`, which is -inf
      there, NaN where a potential is, and finite else.
    """
    if chain.num_steps == 0:
        shape = chain.scores.shape[:-1]
        return jnp.zeros(shape, jnp.int32), jnp.zeros(shape[1:], chain.scores.dtype)
    if method == "scan" and chain.num_states <= FEW_STATES:
        pointers, last = _pointers(chain)
        states = _follow_scan(pointers, _first_largest(last, -1))
    else:
        arrived = (
            _arrived(chain) if method == "scan" else _after(jnp.max, chain, _products(jnp.max, chain))[:-1]
        )
        weights = arrived + chain.scores
        last = weights[-1] if chain.lengths is None else _at(weights, jnp.maximum(chain.lengths - 1, 0))
        states = _trace(chain, weights, method)
    peak = jnp.max(last, -1)
    return _known(chain, peak > -jnp.inf, states), peak


def _pointers(chain: Chain) -> tuple[Array, Array]:
    """The best state before each state, `[T, *B, K]`, and the weights in the last valid step."""
    same = jnp.arange(chain.num_states, dtype=jnp.uint8)

    def step(carry: tuple[Array, Array], x: tuple) -> tuple[tuple[Array, Array], Array]:
        (arrived, last), (score, matrix, valid) = carry, x
        matrix = chain.transition if matrix is None else matrix
        weights = arrived + score
        best, pointer = weights[..., :1] + matrix[..., 0, :], jnp.zeros(weights.shape, jnp.int32)
        for state in range(1, chain.num_states):
            other = weights[..., state, None] + matrix[..., state, :]
            pointer = jnp.where(other > best, state, pointer)
            best = jnp.maximum(best, other)
        new = best - finite(jnp.max(weights, -1, keepdims=True))
        last = weights if valid is None else select(valid, weights, last)
        return (new, last), pointer.astype(jnp.uint8)

    start = chain.initial, jnp.zeros_like(chain.initial)
    (_, last), pointers = jax.lax.scan(step, start, (chain.scores, chain.matrices, chain.valid))
    return jnp.where(chain.moves[..., None], pointers, same), last


def _follow_scan(pointers: Array, last: Array) -> Array:
    def step(state: Array, table: Array) -> tuple[Array, Array]:
        index = state[..., None].astype(jnp.int32)
        state = jnp.take_along_axis(table, index, axis=-1, mode="clip")[..., 0]
        return state, state

    return jax.lax.scan(step, last.astype(pointers.dtype), pointers, reverse=True)[1].astype(jnp.int32)


def _arrived(chain: Chain) -> Array:
    """The largest weights of all paths up to each step, without its score, `[T, *B, K]`."""
    # One more column of zeros gives the largest weight with the same reduction.
    wide = jnp.concatenate([chain.transition, jnp.zeros_like(chain.transition[..., :1])], axis=-1)

    def step(arrived: Array, x: tuple[Array, Array | None]) -> tuple[Array, Array]:
        score, matrix = x
        new = apply(jnp.max, arrived + score, wide if matrix is None else matrix)
        # Kept near zero, weights keep their digits.
        return new[..., :-1] - finite(new[..., -1:]), arrived

    matrices = None if chain.matrices is None else wide
    return jax.lax.scan(step, chain.initial, (chain.scores, matrices))[1]


def drawn_path(chain: Chain, found: Forward, noise: Array, method: str) -> Array:
    """A path with the probability of its weight: filtered forward, drawn backward (Chib, 1996, eq. 6).

    Args:
      chain: of `T` steps.
      found: its forward pass.
      noise: `[T, *B, K]`, of the standard Gumbel distribution.
      method: `"scan"` or `"associative"`. Both draw the same path from the same noise, but for rounding.

    Returns:
      `[T, *B]` int32; -1 in the padding, and everywhere where all weights are zero.
    """
    log_filtered, _ = log_normalize(found.log_predicted + chain.scores)
    states = _trace(chain, log_filtered + noise, method)
    return _known(chain, ~jnp.isneginf(found.log_normalizer), states)


def _known(chain: Chain, possible: Array, states: Array) -> Array:
    known = possible if chain.valid is None else possible & chain.valid
    return jnp.where(known, states, -1)


def _at(leaf: Array, index: Array) -> Array:
    """Of `[T, *B, ...]` the entry at `index[*B]`."""
    return jnp.take_along_axis(leaf, expand_like(index[None], leaf), axis=0)[0]


def _trace(chain: Chain, weights: Array, method: str) -> Array:
    """States from the last one back: of most weight, given the transition to the one after it."""
    if method == "associative":
        # After the last step anything may follow: its pointers are all the same.
        following = jnp.where(chain.moves[..., None, None], chain.transition, 0)
        pointers = _first_largest(weights[..., :, None] + following, -2)
        small = (
            jnp.uint8 if chain.num_states <= 256 else jnp.uint16 if chain.num_states <= 65536 else jnp.int32
        )
        last = jnp.zeros(weights.shape[1:-1], small)
        return follow(pointers.astype(small), last).astype(jnp.int32)
    backwards = jnp.swapaxes(chain.transition, -1, -2)
    # Entry `t` leads back from step `t` here.
    matrices = None if chain.matrices is None else jnp.roll(backwards, 1, axis=0)

    def step(following: Array, x: tuple[Array, Array | None, Array | None]) -> tuple[Array, Array]:
        weight, matrix, valid = x
        state = _first_largest(weight + following, -1)
        new = rows(backwards if matrix is None else matrix, state)
        return new if valid is None else select(valid, new, following), state

    start = jnp.zeros(weights.shape[1:], weights.dtype)
    return jax.lax.scan(step, start, (weights, matrices, chain.valid), reverse=True)[1]


def _first_largest(values: Array, axis: int) -> Array:
    """The lowest index of a largest value, in two plain reductions: a CPU is slow at `jnp.argmax`."""
    size = values.shape[axis]
    index = jax.lax.broadcasted_iota(jnp.int32, values.shape, axis % values.ndim)
    largest = jnp.max(values, axis, keepdims=True)
    return jnp.minimum(jnp.min(jnp.where(values == largest, index, size), axis), size - 1)


def follow(pointers: Array, last: Array) -> Array:
    """The states that pointers lead through, last to first, in parallel: `z_t = pointers_t[z_{t+1}]`.

    Args:
      pointers: `[T, *B, K]` integers, the state at `t` for each state at `t + 1`.
      last: `[*B]` integers, the state after the last step.

    Returns:
      `[T, *B]`, of the dtype of `pointers`.

    Example:
      >>> follow(jnp.array([[1, 0], [0, 0]]), jnp.array(1)).tolist()
      [1, 0]
    """

    def pick(table: Array, index: Array) -> Array:
        return jnp.take_along_axis(table, index.astype(jnp.int32), axis=-1, mode="clip")

    composed = prefix_scan(pick, pointers, reverse=True)
    return pick(composed, jnp.broadcast_to(last[..., None], (*pointers.shape[:-1], 1)))[..., 0]
