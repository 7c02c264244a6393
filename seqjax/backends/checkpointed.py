"""Gradients in memory that grows as the square root of the sequence length."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.backends.scan import scan
from seqjax.cell import Cell
from seqjax.checks import check_size
from seqjax.types import Carry, Params


def checkpointed(
    cell: Cell, params: Params, carry: Carry, xs: Any, *, segment_length: int | None = None
) -> tuple[Carry, Any]:
    """Runs a cell over time, keeping for the gradient only the carry at the start of each segment.

    The gradient runs each segment again to find what happened inside it (Griewank & Walther, 2000, with one
    level). With segments of `sqrt(T)` steps both the carries kept and the steps of one segment are `sqrt(T)`.

    Args:
      cell: any cell.
      params: its params.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      segment_length: steps a segment; `None` for about the square root of `T`. Where it divides `T`, no input
        or output is copied.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if `segment_length` is not positive.
      TypeError: if `segment_length` is not an integer.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.elman(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = checkpointed(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 2)
    """
    num_steps = jax.tree.leaves(xs)[0].shape[0]
    if segment_length is None:
        segment_length = default_length(num_steps)
    check_size("segment_length", segment_length)
    num_segments = num_steps // segment_length
    whole = num_segments * segment_length

    @jax.checkpoint
    def segment(params: Params, carry: Carry, xs: Any) -> tuple[Carry, Any]:
        return scan(cell, params, carry, xs)

    segments = jax.tree.map(
        lambda leaf: leaf[:whole].reshape(num_segments, segment_length, *leaf.shape[1:]), xs
    )
    carry, ys = jax.lax.scan(lambda carry, xs: segment(params, carry, xs), carry, segments)
    ys = jax.tree.map(lambda leaf: leaf.reshape(whole, *leaf.shape[2:]), ys)
    if whole == num_steps:
        return carry, ys
    carry, last = segment(params, carry, jax.tree.map(lambda leaf: leaf[whole:], xs))
    return carry, jax.tree.map(lambda head, tail: jnp.concatenate([head, tail]), ys, last)


def default_length(num_steps: int) -> int:
    """Steps a segment: a divisor of `T` near its square root, or else the root itself.

    Steps left over are a segment of their own, which costs a copy of all inputs and outputs.

    Args:
      num_steps: `T`.

    Returns:
      A positive integer.

    Example:
      >>> default_length(100_000), default_length(10_007)
      (250, 101)
    """
    root = math.isqrt(max(num_steps, 1))
    divisor = next(length for length in range(root, 0, -1) if num_steps % length == 0)
    return divisor if 4 * divisor > root else math.ceil(math.sqrt(num_steps))
