"""Where a program of the kernel of linear recurrences stands, and what it reads and writes there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from seqjax.types import Array

Number = tuple[Array, ...]
"""A real number as `(x,)`, a complex one as `(real part, imaginary part)`: Triton knows real numbers only."""


class Cut(NamedTuple):
    """How work is cut.

    Attributes:
      lanes: neighbouring lanes of a program, a power of two.
      rows: runs of steps that a program walks through side by side, a power of two.
      steps: steps of a run, all of them fetched at once.
      num_chunks: chunks of time. With more than one, `a` and `b` are read twice: first to find what each
        chunk does to the carry that enters it.
      warps: groups of 32 threads of a program.
    """

    lanes: int
    rows: int
    steps: int
    num_chunks: int
    warps: int = 4


class Task(NamedTuple):
    """What one launch computes.

    Attributes:
      num_steps: `T`.
      shape: the shape of one step.
      coefficient_shape: the shape of `a`, with its time axis.
      reverse: whether the last step runs first.
      lag: whether each step takes the coefficient of the one that ran before it, and the first takes zero.
      summary: whether to find what each chunk does to a carry, instead of what each step gives.
      dtype: the dtype of a real number of the result.
    """

    num_steps: int
    shape: tuple[int, ...]
    coefficient_shape: tuple[int, ...]
    reverse: bool
    lag: bool
    summary: bool
    dtype: jnp.dtype


def chunk_steps(cut: Cut, task: Task) -> int:
    """Steps of a chunk of time, a whole number of tiles.

    Args:
      cut: how work is cut.
      task: what is computed.

    Returns:
      At least `num_steps / num_chunks`.

    Example:
      >>> task = Task(100, (3,), (100, 3), False, False, False, jnp.float32)
      >>> chunk_steps(Cut(lanes=16, rows=2, steps=4, num_chunks=3), task)
      40
    """
    tile = cut.rows * cut.steps
    return -(-task.num_steps // (cut.num_chunks * tile)) * tile


def num_chunks_of(cut: Cut, task: Task) -> int:
    """Chunks that hold a step, which rounding up can make fewer than `cut` asks for.

    Args:
      cut: how work is cut.
      task: what is computed.

    Returns:
      A positive number.

    Example:
      >>> task = Task(9, (3,), (9, 3), False, False, False, jnp.float32)
      >>> num_chunks_of(Cut(lanes=16, rows=2, steps=4, num_chunks=3), task)
      2
    """
    return -(-task.num_steps // chunk_steps(cut, task))


def shared_size(cut: Cut) -> int:
    """Numbers that the rows of a program hand to one another: two of each lane, in two places in turn.

    Args:
      cut: how work is cut.

    Returns:
      Zero where there is one row.

    Example:
      >>> shared_size(Cut(lanes=16, rows=2, steps=4, num_chunks=3))
      128
    """
    return 4 * cut.rows * cut.lanes if cut.rows > 1 else 0


class Place:
    """Where a program stands: which lanes, which chunk, and the numbers there.

    Arrays are flat here, and a place in them is one index. Places outside are computed like the others and
    masked where they are read or written. Compiling takes time that grows as the square of the number of
    operations in a tile, which is why there are as few as can be.
    """

    def __init__(self, cut: Cut, task: Task, interpret: bool) -> None:
        self.cut, self.task, self.interpret = cut, task, interpret
        self.shape, num_lanes = (cut.rows, cut.lanes), math.prod(task.shape)
        own_lanes = math.prod(task.coefficient_shape[1:])
        self.lane = lax.broadcasted_iota(jnp.int32, self.shape, 1)
        lanes = pl.program_id(0) * cut.lanes + self.lane
        self.in_lanes = lanes < num_lanes
        self.row = lax.broadcasted_iota(jnp.int32, self.shape, 0)
        first = pl.program_id(1) * chunk_steps(cut, task) + self.row * cut.steps
        self.first = first
        self.chunk_lane = pl.program_id(1) * num_lanes + lanes
        self.shared = (pl.program_id(0) * pl.num_programs(1) + pl.program_id(1)) * shared_size(cut)
        # A step back in time is a step back in an array that runs backwards.
        self.stride, self.stride_of_a = num_lanes, own_lanes
        start = task.num_steps - 1 - first if task.reverse else first
        self.sign = -1 if task.reverse else 1
        self.place = start * num_lanes + lanes
        lanes_of_a = _lane_of(lanes, task.shape, task.coefficient_shape[1:])
        self.constant = task.coefficient_shape[0] == 1
        self.place_of_a = lanes_of_a if self.constant else start * own_lanes + lanes_of_a
        self.lanes = lanes

    def tile(self, number: Array) -> tuple[Array, Array, Array]:
        """The position of the first step of a tile, its place in `b`, and that in `a`."""
        steps = number * (self.cut.rows * self.cut.steps)
        of_a = self.place_of_a if self.constant else self.place_of_a + self.sign * self.stride_of_a * steps
        return self.first + steps, self.place + self.sign * self.stride * steps, of_a

    def fetch(self, operands: dict[str, Any], number: Array, exists: Array) -> list[dict[str, Number]]:
        """What each of the steps of a tile reads, if that tile exists."""
        lanes = lax.bitwise_and(self.in_lanes, lax.broadcast_in_dim(exists, self.shape, ()))
        return [self._fetch_step(operands, *self.tile(number), lanes, u) for u in range(self.cut.steps)]

    def _fetch_step(
        self, operands: dict[str, Any], position: Array, place: Array, of_a: Array, lanes: Array, u: int
    ) -> dict[str, Number]:
        inside = self.inside(lanes, position, u)
        read = {"b": self.load(operands["b"], self._moved(place, u), inside)}
        if self.constant:
            read["a"] = self.load(operands["a"], of_a, inside)
        else:
            back = u - 1 if self.task.lag else u
            has_a = (
                inside if back >= 0 else lax.bitwise_and(inside, lax.gt(position, lax.full_like(position, 0)))
            )
            read["a"] = self.load(operands["a"], self._moved(of_a, back, self.stride_of_a), has_a)
        if "hs" in operands:
            # The step that ran before in the forward run is the one that comes next here.
            more = self.inside(lanes, position, u + 1)
            hs = self.load(operands["hs"], self._moved(place, u + 1), more)
            last = lax.eq(position, lax.full_like(position, self.task.num_steps - 1 - u))
            first = self.load(operands["first"], self.lanes, lax.bitwise_and(lanes, last))
            read["before"] = add(hs, first)
        return read

    def inside(self, lanes: Array, position: Array, u: int) -> Array:
        """Whether step `u` of a tile exists, in the lanes that do."""
        # Where runs divide the sequence, all of a run exists or nothing: one question instead of many.
        is_whole = u < self.cut.steps and self.task.num_steps % self.cut.steps == 0
        last = self.task.num_steps - (0 if is_whole else u)
        return lax.bitwise_and(lanes, lax.lt(position, lax.full_like(position, last)))

    def _moved(self, place: Array, u: int, stride: int | None = None) -> Array:
        """The place of another step."""
        offset = self.sign * u * (self.stride if stride is None else stride)
        return lax.add(place, lax.full_like(place, offset)) if offset else place

    def load(self, refs: Sequence[Any], place: Array, mask: Array) -> Number:
        """Numbers at a place; zeros where the mask is false."""
        dtype = self.task.dtype
        loaded = (triton.load(ref.at[place], mask=mask, other=jnp.zeros((), ref.dtype)) for ref in refs)
        return tuple(part if part.dtype == dtype else part.astype(dtype) for part in loaded)

    def store(self, refs: Sequence[Any], number: Array, u: int, given: Number) -> None:
        """Writes what step `u` of a tile gives; the tile of number -1 has nothing to write."""
        position, place, _ = self.tile(number)
        lanes = lax.bitwise_and(self.in_lanes, lax.broadcast_in_dim(number >= 0, self.shape, ()))
        self._store(refs, self._moved(place, u), self.inside(lanes, position, u), given)

    def load_start(self, refs: Sequence[Any]) -> Number:
        """The carry that enters the chunk, the same in all rows."""
        return self.load(refs, self.chunk_lane, self.in_lanes)

    def store_summary(self, refs: Sequence[Any], number: Number) -> None:
        """Writes what a chunk gives, which all rows know."""
        first = lax.bitwise_and(self.in_lanes, lax.eq(self.row, lax.full_like(self.row, 0)))
        self._store(refs, self.chunk_lane, first, number)

    def share(self, refs: Sequence[Any], number: Array, given: tuple[Number, ...]) -> list[list[Number]]:
        """What each row gives, for all rows: for each of the numbers a list by row.

        It goes through memory that stays in the cache, with one barrier a tile: tiles take turns with two
        places, so that none is written before all have read it.
        """
        size = self.cut.rows * self.cut.lanes
        place = self.shared + lax.bitwise_and(number, 1) * (len(given) * size) + self.lane
        for i, one in enumerate(given):
            for ref, part in zip(refs, one, strict=True):
                triton.store(ref.at[place + i * size + self.row * self.cut.lanes], part)
        if not self.interpret:
            triton.debug_barrier()
        return [
            [
                tuple(triton.load(ref.at[place + (i * size + r * self.cut.lanes)]) for ref in refs)
                for r in range(self.cut.rows)
            ]
            for i in range(len(given))
        ]

    def _store(self, refs: Sequence[Any], place: Array, mask: Array, number: Number) -> None:
        for ref, part in zip(refs, number, strict=True):
            if self.interpret:
                # It writes the old number back where the mask is false, so that has to be nowhere.
                place = lax.select(mask, place, lax.full_like(place, ref.shape[0]))
            triton.store(ref.at[place], part, mask=mask)


def _lane_of(lane: Array, shape: tuple[int, ...], coefficient_shape: tuple[int, ...]) -> Array:
    """The lane of the coefficient of each lane, where the coefficient has axes of size one."""
    found, stride = jnp.zeros_like(lane), 1
    for size, own in zip(reversed(shape), reversed(coefficient_shape), strict=True):
        if own != 1:
            found = found + lax.rem(lane, jnp.full_like(lane, size)) * stride
            stride *= own
        lane = lax.div(lane, jnp.full_like(lane, size))
    return found


def multiply(x: Number, y: Number) -> Number:
    """A product.

    Args:
      x: a number.
      y: another of the same kind.

    Returns:
      A number of their kind.

    Example:
      >>> [int(part) for part in multiply((1, 2), (3, 4))]
      [-5, 10]
    """
    if len(x) == 1:
        return (lax.mul(x[0], y[0]),)
    real = lax.sub(lax.mul(x[0], y[0]), lax.mul(x[1], y[1]))
    return real, lax.add(lax.mul(x[0], y[1]), lax.mul(x[1], y[0]))


def add(x: Number, y: Number) -> Number:
    """A sum.

    Args:
      x: a number.
      y: another of the same kind.

    Returns:
      A number of their kind.

    Example:
      >>> [int(part) for part in add((1, 2), (3, 4))]
      [4, 6]
    """
    return tuple(map(lax.add, x, y))
