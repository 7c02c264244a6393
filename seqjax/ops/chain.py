"""A chain of potentials over discrete states, as arrays, and the weight of one path through it."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from seqjax.ops.ragged import length_mask, zero_padding
from seqjax.types import Array


class Chain(NamedTuple):
    """A chain of `T` steps over `K` states, as logarithms, of which -inf forbids.

    It gives a path the weight `exp(initial[z_0] + sum_t scores_t[z_t] + sum_t transition_t[z_t, z_{t+1}])`.
    Nothing needs to sum to one: the potentials of a hidden Markov model are probabilities, those of a
    conditional random field any numbers.

    Attributes:
      initial: `[*B, K]`.
      transition: `[K, K]`, or `[T, *B, K, K]` with batch axes that may be one; entry `t` leads from step `t`
        to step `t + 1`, the last one past the end. No more than about 80 in float32, or its exponential is
        infinite.
      scores: `[T, *B, K]`; zero at and after the length.
      lengths: `[*B]` integers, or `None` where all have `T` steps.
    """

    initial: Array
    transition: Array
    scores: Array
    lengths: Array | None

    @property
    def num_steps(self) -> int:
        """`T`."""
        return self.scores.shape[0]

    @property
    def num_states(self) -> int:
        """`K`."""
        return self.scores.shape[-1]

    @property
    def matrices(self) -> Array | None:
        """The transitions as a scan reads them: one a step, or `None` where all steps share one."""
        return self.transition if self.transition.ndim > 2 else None

    @property
    def valid(self) -> Array | None:
        """`[T, *B]`, whether a step comes before the end; `None` where all do."""
        return None if self.lengths is None else length_mask(self.lengths, self.num_steps)

    @property
    def moves(self) -> Array:
        """`[T, *B]`, whether another step follows."""
        lengths = self.num_steps if self.lengths is None else self.lengths
        return jnp.broadcast_to(
            length_mask(jnp.broadcast_to(lengths, self.scores.shape[1:-1]) - 1, self.num_steps),
            self.scores.shape[:-1],
        )


def chain(initial: Array, transition: Array, scores: Array, lengths: Array | None) -> Chain:
    """A chain in whose padding nothing stands.

    Args:
      initial: `[K]` or `[*B, K]`.
      transition: `[K, K]` or `[T, *B, K, K]`.
      scores: `[T, *B, K]`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      The chain, with all batch axes in `initial`.

    Example:
      >>> made = chain(jnp.zeros(2), jnp.zeros((2, 2)), jnp.full((3, 1, 2), jnp.nan), jnp.array([0]))
      >>> made.initial.shape, float(made.scores.sum()), made.moves.tolist()
      ((1, 2), 0.0, [[False], [False], [False]])
    """
    # Of unsigned integers, one less than zero is not negative.
    lengths = None if lengths is None else lengths.astype(jnp.int32)
    made = Chain(jnp.broadcast_to(initial, scores.shape[1:]), transition, scores, lengths)
    if (valid := made.valid) is None:
        return made
    if transition.ndim > 2:
        transition = jnp.where(_any_row(valid, transition), transition, 0)
    return made._replace(transition=transition, scores=zero_padding(scores, valid))


def _any_row(mask: Array, transition: Array) -> Array:
    """A mask `[T, *B]` for matrices `[T, *B, K, K]`: what rows share is read if any of them reads it."""
    shared = tuple(axis for axis in range(1, mask.ndim) if transition.shape[axis] == 1)
    return mask.any(shared, keepdims=True)[..., None, None]


def rows(matrix: Array, states: Array) -> Array:
    """The rows of a matrix that lead from given states.

    Args:
      matrix: `[K, K]`, or `[..., K, K]` with axes that may be one.
      states: `[...]` integers.

    Returns:
      `[..., K]`.

    Example:
      >>> rows(jnp.array([[1, 2], [3, 4]]), jnp.array([1, 0, 1])).tolist()
      [[3, 4], [1, 2], [3, 4]]
    """
    if matrix.ndim == 2:
        return matrix[states]
    matrix = jnp.broadcast_to(matrix, (*states.shape, *matrix.shape[-2:]))
    return jnp.take_along_axis(matrix, states[..., None, None], axis=-2)[..., 0, :]


def path_terms(chain: Chain, states: Array) -> Array:
    """The logarithms whose sum is that of a path's weight, for those who add others before they round.

    Args:
      chain: of `T` steps.
      states: `[T, *B]` integers from 0 to `K - 1`. What stands in the padding is not read.

    Returns:
      `[2 T + 1, *B]`, zero in the padding. A negative state stands for an impossible one: its score is -inf.

    Example:
      >>> fair = chain(jnp.zeros(2), jnp.array([[0.0, 1.0], [2.0, 3.0]]), jnp.ones((3, 2)), None)
      >>> path_terms(fair, jnp.array([0, 1, 0])).tolist()
      [0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 0.0]
    """
    if chain.num_steps == 0:
        return jnp.zeros((1, *chain.scores.shape[1:-1]), chain.scores.dtype)
    index = jnp.clip(states, 0).astype(jnp.int32)
    here = jnp.where(states < 0, -jnp.inf, _pick(chain.scores, index))
    following = jnp.concatenate([index[1:], index[-1:]])
    if chain.transition.ndim == 2:
        steps = chain.transition.reshape(-1)[index * chain.num_states + following]
    else:
        steps = _pick(rows(chain.transition, index), following)
    first = _pick(chain.initial, index[0])
    if (valid := chain.valid) is not None:
        first, here = jnp.where(valid[0], first, 0), jnp.where(valid, here, 0)
    return jnp.concatenate([first[None], here, jnp.where(chain.moves, steps, 0)])


def _pick(values: Array, index: Array) -> Array:
    """One of the last axis."""
    return jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]
