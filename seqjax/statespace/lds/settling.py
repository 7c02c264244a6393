"""A loop over time that stops computing where nothing changes any more.

The covariances of a system whose matrices do not vary do not depend on its observations, and converge: after
some ten or hundred steps, another step changes rounding errors alone. Means still have to go on, covariances
do not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.statespace.lds.model import over_time
from seqjax.types import Array, PyTree

SEGMENT = 40
"""Most steps between two looks at whether the state has settled."""

Step = Callable[[Array, PyTree], tuple[Array, PyTree]]


def over_settling_time(
    step: Step, start: Array, inputs: PyTree, num_steps: int, *, reverse: bool = False
) -> tuple[Array, PyTree]:
    """As `over_time`, for a state that stays the same once it has settled, as long as its inputs do.

    Time is cut into segments. After one whose inputs were all the same and which left the state as it was,
    but for rounding, each segment whose inputs are still the same repeats the last outputs. Inputs are
    compared, whatever made them: a step without an observation ends the rest, and the state settles again
    after it. Gradients are those of what is computed: with respect to inputs that are repeated, they sum up
    in the last step that ran.

    Args:
      step: `(state, inputs of the step) -> (state, outputs)`, without time axes. The state is a matrix `[N,
        N, B]`.
      start: the state before the first step.
      inputs: a pytree of arrays `[..., T, B]` or `[..., 1, B]`.
      num_steps: `T`.
      reverse: whether to run from the last step to the first.

    Returns:
      The last state, and the outputs with their time as second last axis.

    Example:
      >>> halved = lambda state, x: (state / 2 + x, state)
      >>> _, states = over_settling_time(halved, jnp.zeros((1, 1, 1)), jnp.ones((1, 1, 1, 1)), 200)
      >>> states[0, 0, ::50, 0].tolist()
      [0.0, 2.0, 2.0, 2.0]
    """
    if num_steps <= SEGMENT:
        return over_time(step, start, inputs, num_steps, reverse=reverse)
    size = _segment_length(num_steps)
    count = -(-num_steps // size)
    leaves, structure = jax.tree.flatten(inputs)
    varies = [leaf.shape[-2] != 1 for leaf in leaves]
    fill = count * size - num_steps
    moving = [
        _segments(jnp.moveaxis(leaf, -2, 0), fill, size, reverse)
        for leaf, moves in zip(leaves, varies, strict=True)
        if moves
    ]
    valid = None
    if fill:
        valid = _segments(jnp.ones((num_steps,), bool), fill, size, reverse, filler=False)

    def step_of_slices(state: Array, slices: tuple[list[Array], Array | None]) -> tuple[Array, PyTree]:
        left, valid = iter(slices[0]), slices[1]
        values = [
            next(left) if moves else leaf[..., 0, :] for leaf, moves in zip(leaves, varies, strict=True)
        ]
        following, outputs = step(state, jax.tree.unflatten(structure, values))
        return following if valid is None else jnp.where(valid, following, state), outputs

    def segment(carry: tuple, slices: tuple) -> tuple[tuple, PyTree]:
        state, output, settled = carry
        slices, goes_on, is_uniform = slices

        def run() -> tuple[tuple, PyTree]:
            last, outputs = jax.lax.scan(step_of_slices, state, slices, length=size, reverse=reverse)
            output = jax.tree.map(lambda leaf: leaf[0 if reverse else -1], outputs)
            return (last, output, is_uniform & _is_close(last, state)), outputs

        def rest() -> tuple[tuple, PyTree]:
            return carry, jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (size, *leaf.shape)), output)

        return jax.lax.cond(settled & goes_on, rest, run)

    one = jax.tree.map(lambda leaf: leaf[0, 0], (moving, valid))
    output = jax.tree.map(jnp.zeros_like, jax.eval_shape(step_of_slices, start, one)[1])
    goes_on, is_uniform = _uniform(moving, count, reverse)
    (last, _, _), outputs = jax.lax.scan(
        # A gradient computes a segment again, and keeps the states between segments alone.
        jax.checkpoint(segment, prevent_cse=False),
        (start, output, jnp.zeros((), bool)),
        ((moving, valid), goes_on, is_uniform),
        length=count,
        reverse=reverse,
    )
    kept = slice(fill, None) if reverse else slice(num_steps)

    def joined(leaf: Array) -> Array:
        leaf = leaf.reshape(count * size, *leaf.shape[2:])
        return jnp.moveaxis(leaf[kept] if fill else leaf, 0, -2)

    return last, jax.tree.map(joined, outputs)


def _segment_length(num_steps: int) -> int:
    """A divisor of the number of steps if one is large enough: the last segment needs no filling then."""
    divisors = (size for size in range(SEGMENT, SEGMENT // 2, -1) if num_steps % size == 0)
    return next(divisors, SEGMENT)


def _segments(leaf: Array, fill: int, size: int, reverse: bool, filler: Any = None) -> Array:
    """`[T, ...] -> [segments, size, ...]`, filled up at the end that is reached last."""
    if fill:
        edge = leaf[:1] if reverse else leaf[-1:]
        more = jnp.broadcast_to(edge if filler is None else filler, (fill, *leaf.shape[1:]))
        leaf = jnp.concatenate([more, leaf] if reverse else [leaf, more])
    return leaf.reshape(-1, size, *leaf.shape[1:])


def _uniform(moving: list[Array], count: int, reverse: bool) -> tuple[Array, Array]:
    """For each segment: whether its inputs are those of the step before, and whether all are the same."""
    goes_on = is_uniform = jnp.ones((count,), bool)
    for leaf in moving:
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
