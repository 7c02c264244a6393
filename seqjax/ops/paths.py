"""Paths through a chain of potentials: the one of most weight, and one drawn by its weight."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.ops.chain import Chain, rows
from seqjax.ops.markov import Forward, entry_at, potentials_after, products_of_steps
from seqjax.ops.prefix_scan import prefix_scan
from seqjax.ops.ragged import select
from seqjax.ops.semirings import apply, finite, log_normalize
from seqjax.types import Array

FEW_STATES = 16
"""For how many states Viterbi keeps pointers."""


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
        if method == "scan":
            arrived = _arrived(chain)
        else:
            arrived = potentials_after(jnp.max, chain, products_of_steps(jnp.max, chain))[:-1]
        weights = arrived + chain.scores
        last = weights[-1] if chain.lengths is None else entry_at(weights, jnp.maximum(chain.lengths - 1, 0))
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
