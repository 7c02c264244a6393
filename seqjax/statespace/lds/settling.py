"""A loop over time that stops computing covariances where nothing changes any more.

The covariances of a system whose matrices do not vary do not depend on its observations, and converge: after
some ten or hundred steps, another step changes rounding errors alone. Means still have to go on, covariances
do not.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from seqjax.statespace.lds.model import over_time
from seqjax.types import Array, PyTree

SEGMENT = 40
"""Most steps between two looks at whether the state has settled."""

Step = Callable[[Array, PyTree], tuple[Array, PyTree]]
Follow = Callable[[PyTree, PyTree, PyTree], tuple[PyTree, PyTree]]


def over_settling_time(
    step: Step,
    start: Array,
    inputs: PyTree,
    num_steps: int,
    *,
    follow: Follow,
    moving: PyTree = (),
    data: PyTree = (),
    repeats: Array | None = None,
    reverse: bool = False,
) -> tuple[tuple[Array, PyTree], PyTree, Array]:
    """A recursion that settles, and one that follows from it and from data, which does not.

    Time is cut into segments. In each, `step` goes over the steps, then `follow` is given what it found.
    After a segment whose inputs were all the same and which left the state as it was, but for rounding, the
    segments whose inputs are still the same take over what was found in its last step. Inputs are compared,
    whatever made them: a step without an observation ends the rest, and the state settles again after it.
    Gradients are those of what is computed: with respect to inputs that are repeated, they sum up in the last
    step that ran.

    Arrays keep their time axis in front in between: neighbours in memory belong to one step.

    Args:
      step: `(state, inputs of the step) -> (state, found)`, without time axes. The state is a matrix `[N, N,
        B]`.
      start: the state before the first step.
      inputs: a pytree of arrays `[..., T, B]` or `[..., 1, B]`.
      num_steps: `T`.
      follow: `(moving, found, data) -> (moving, results)` over `S` steps: arrays `[..., S, B]`, or `[..., 1,
        B]` for what all of them share, in what is found and in results as well.
      moving: what `follow` hands on from one segment to the next.
      data: as `inputs`, for `follow`. The last segment may be filled up, by booleans that are false and by
        numbers of no meaning: see `masked`.
      repeats: the last result of a loop that read or made the numbers in `inputs`: only booleans are compared
        then.
      reverse: whether to run from the last step to the first.

    Returns:
      The last state and what moves, the results `[..., T, B]`, and for each segment whether it took over what
      was found before.

    Example:
      >>> halved = lambda state, x: (state / 2 + x, state)
      >>> (_, total), states, repeats = over_settling_time(
      ...     halved,
      ...     jnp.zeros((1, 1, 1)),
      ...     jnp.ones((1, 1, 1, 1)),
      ...     200,
      ...     follow=lambda total, found, data: (total + data.sum(), found),
      ...     moving=0.0,
      ...     data=jnp.ones((200, 1)),
      ... )
      >>> states[0, 0, ::50, 0].tolist(), total.tolist(), repeats.tolist()
      ([0.0, 2.0, 2.0, 2.0], 200.0, [False, False, True, True, True])
    """
    size = segment_length(num_steps)

    def run(state: Array, moving: PyTree, inputs: PyTree, data: PyTree) -> tuple:
        last, found = over_time(step, state, inputs, size, reverse=reverse)
        moving, results = follow(moving, found, data)
        return last, moving, found, _time_first(results, size)

    if size == num_steps:
        last, moving, _, results = run(start, moving, inputs, data)
        return (last, moving), _time_last(results), jnp.zeros((1,), bool)

    count = -(-num_steps // size)
    slices, constants = _segments((inputs, data), num_steps, count, size)
    goes_on, is_uniform = _uniform(_segments(inputs, num_steps, count, size)[0], count, reverse, repeats)

    def segment(carry: tuple, slices: tuple) -> tuple[tuple, tuple]:
        state, moving, found, settled = carry
        slices, goes_on, is_uniform = slices
        inputs, data = _join(slices, constants)

        def go() -> tuple[tuple, PyTree]:
            last, following, all_found, results = run(state, moving, inputs, data)
            found = jax.tree.map(lambda leaf: leaf[..., :1, :] if reverse else leaf[..., -1:, :], all_found)
            return (last, following, found, is_uniform & _is_close(last, state)), results

        def rest() -> tuple[tuple, PyTree]:
            following, results = follow(moving, found, data)
            return (state, following, found, settled), _time_first(results, size)

        rests = settled & goes_on
        carry, results = jax.lax.cond(rests, rest, go)
        return carry, (results, rests)

    one = jax.tree.map(lambda leaf: leaf[..., 0, :], inputs)
    found = jax.eval_shape(step, start, one)[1]
    found = jax.tree.map(lambda leaf: jnp.zeros((*leaf.shape[:-1], 1, leaf.shape[-1]), leaf.dtype), found)
    (last, moving, _, _), (results, repeated) = jax.lax.scan(
        # A gradient computes a segment again, and keeps the states between segments alone.
        jax.checkpoint(segment, prevent_cse=False),
        (start, moving, found, jnp.zeros((), bool)),
        (slices, goes_on, is_uniform),
        length=count,
        reverse=reverse,
    )
    results = jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:])[:num_steps], results)
    return (last, moving), _time_last(results), repeated


def masked(valid: Array | None, num_steps: int) -> Array | None:
    """What tells the steps there are from those that fill up the last segment.

    Args:
      valid: `[T, B]`, or `None` if all steps are valid.
      num_steps: `T`.

    Returns:
      `[T, B]` or `[T, 1]`, or `None` where nothing needs to be told apart.

    Example:
      >>> masked(None, 80), masked(None, 83).shape
      (None, (83, 1))
    """
    if valid is None and num_steps % max(segment_length(num_steps), 1):
        return jnp.ones((num_steps, 1), bool)
    return valid


def segment_length(num_steps: int) -> int:
    """A divisor of the number of steps if one is large enough: the last segment needs no filling then.

    Args:
      num_steps: `T`.

    Returns:
      The number of steps in a segment.

    Example:
      >>> segment_length(7), segment_length(10_000), segment_length(84), segment_length(83)
      (7, 40, 28, 40)
    """
    if num_steps <= SEGMENT:
        return num_steps
    divisors = (size for size in range(SEGMENT, SEGMENT // 2, -1) if num_steps % size == 0)
    return next(divisors, SEGMENT)


def _segments(tree: PyTree, num_steps: int, count: int, size: int) -> tuple[PyTree, PyTree]:
    """What varies as `[count, size, ..., B]`, and what does not, with `None` in place of the other."""

    def cut(leaf: Array) -> Array | None:
        if leaf.shape[-2] == 1:
            return None
        leaf = jnp.moveaxis(leaf, -2, 0)
        if fill := count * size - num_steps:
            more = jnp.zeros_like(leaf[:1]) if leaf.dtype == jnp.bool_ else leaf[-1:]
            leaf = jnp.concatenate([leaf, jnp.broadcast_to(more, (fill, *leaf.shape[1:]))])
        return leaf.reshape(count, size, *leaf.shape[1:])

    constants = jax.tree.map(lambda leaf: leaf if leaf.shape[-2] == 1 else None, tree)
    return jax.tree.map(cut, tree), constants


def _join(slices: PyTree, constants: PyTree) -> PyTree:
    """The arrays `[..., size | 1, B]` of a segment."""
    return jax.tree.map(
        lambda leaf, constant: constant if leaf is None else jnp.moveaxis(leaf, 0, -2),
        slices,
        constants,
        is_leaf=lambda leaf: leaf is None,
    )


def _time_first(tree: PyTree, size: int) -> PyTree:
    return jax.tree.map(
        lambda leaf: jnp.broadcast_to(jnp.moveaxis(leaf, -2, 0), (size, *leaf.shape[:-2], leaf.shape[-1])),
        tree,
    )


def _time_last(tree: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), tree)


def _uniform(slices: PyTree, count: int, reverse: bool, repeats: Array | None) -> tuple[Array, Array]:
    """For each segment: whether its inputs are those of the step before, and whether all are the same."""
    goes_on = is_uniform = jnp.ones((count,), bool)
    if repeats is not None:
        # A segment that took over what was found before it is like the last step before it.
        goes_on, is_uniform = repeats & jnp.roll(repeats, -1) if reverse else repeats, repeats
    for leaf in jax.tree.leaves(slices):
        if repeats is not None and leaf.dtype != jnp.bool_:
            continue
        first, others = (leaf[:, -1:], leaf[:, :-1]) if reverse else (leaf[:, :1], leaf[:, 1:])
        before = jnp.roll(leaf[:, 0] if reverse else leaf[:, -1], -1 if reverse else 1, axis=0)
        axes = tuple(range(1, leaf.ndim))
        is_uniform = is_uniform & jnp.all(others == first, axis=axes)
        goes_on = goes_on & jnp.all(first[:, 0] == before, axis=axes[:-1])
    return goes_on & is_uniform, is_uniform


def _is_close(later: Array, earlier: Array) -> Array:
    """Whether no entry of a matrix moved by more than rounding does, relative to the largest of its row."""
    scale = jnp.max(jnp.abs(earlier), axis=1, keepdims=True)
    return jnp.all(jnp.abs(later - earlier) <= 2 * jnp.finfo(later.dtype).eps * scale)
