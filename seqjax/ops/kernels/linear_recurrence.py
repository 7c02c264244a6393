"""`h_t = a_t h_{t-1} + b_t` as a Triton kernel for CUDA: each program walks through time with some lanes.

A lane is one element of the state. Programs share out lanes and, where there are too few of them to keep a
GPU busy, chunks of time. Inside a program, rows of threads take neighbouring runs of steps: all of a tile is
on its way from memory at once, and the next tile is fetched while this one is computed.

The plain functions beside which this is tested are those of `recurrence_forms` and `recurrence_gradients`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from seqjax.ops.recurrence_forms import associative, steps_before
from seqjax.ops.recurrence_gradients import (
    Gradients,
    coefficient_gradient,
    initial_gradient,
    shifted_gradient,
)
from seqjax.types import Array

Number = tuple[Array, ...]
"""A real number as `(x,)`, a complex one as `(real part, imaginary part)`: Triton knows real numbers only."""

PROGRAMS = 128
"""So many programs keep a GPU busy, about: one for each multiprocessor of the big ones."""


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


class _Task(NamedTuple):
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


def kernel(
    a: Array,
    b: Array,
    initial: Array,
    *,
    reverse: bool,
    dense: bool = False,
    cut: Cut | None = None,
    interpret: bool = False,
) -> Array:
    """The recurrence in one pass over its numbers, or in two where there are few lanes.

    Derivatives beyond the gradient are those of the associative form.

    Args:
      a: `[T or 1, ...]`; axes may have size one where those of `b` have not.
      b: `[T, ...]`, at least one number.
      initial: `[...]`.
      reverse: whether the last step runs first.
      dense: must be false.
      cut: how the work is cut; `None` to choose by the shape.
      interpret: whether to run on a device that has no Triton, slowly, as tests do.

    Returns:
      `h[T, ...]` in the dtype of `initial`.

    Raises:
      ValueError: if `dense`.

    Example:
      >>> a, b = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> kernel(a, b, jnp.zeros(1), reverse=False, interpret=True)[:, 0].tolist()
      [1.0, 1.5, 1.75]
    """
    if dense:
        raise ValueError("dense is True, but this kernel has no matrices: use the associative form.")
    return _forward((reverse, cut, interpret), a, b, initial)


def kernel_gradient(
    a: Array,
    hs: Array,
    initial: Array,
    d_hs: Array,
    *,
    reverse: bool,
    dense: bool = False,
    cut: Cut | None = None,
    interpret: bool = False,
) -> Gradients:
    """The gradient by the same kernel, with the products for `a` in the same pass where it has all axes.

    Args:
      a: `[T or 1, ...]`.
      hs: `[T, ...]`, the result.
      initial: `[...]`.
      d_hs: `[T, ...]`, the cotangent of the result.
      reverse: whether the last step ran first.
      dense: must be false.
      cut: how the work is cut; `None` to choose by the shape.
      interpret: whether to run on a device that has no Triton.

    Returns:
      The cotangents of `a`, `b` and `initial`.

    Raises:
      ValueError: if `dense`.

    Example:
      >>> a, ones = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> kernel_gradient(a, ones, ones[0], ones, reverse=False, interpret=True)[1][:, 0].tolist()
      [1.75, 1.5, 1.0]
    """
    if dense:
        raise ValueError("dense is True, but this kernel has no matrices: use the associative form.")
    return _gradient((reverse, cut, interpret), a, hs, initial, d_hs)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=(0,))
def _forward(options: tuple, a: Array, b: Array, initial: Array) -> Array:
    reverse, cut, interpret = options
    cut = cut or choose_cut(b.shape[0], initial.size, arrays=2 * len(_parts(initial)))
    task = _task(a, b, initial, reverse=reverse)
    return _whole(_walk(cut, interpret, task, _parts(a), _parts(b), _parts(initial))["h"], b.shape)


@_forward.defjvp
def _forward_jvp(options: tuple, primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    return jax.jvp(partial(associative, reverse=options[0], dense=False), primals, tangents)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
@partial(jax.jit, static_argnums=(0,))
def _gradient(options: tuple, a: Array, hs: Array, initial: Array, d_hs: Array) -> Gradients:
    reverse, cut, interpret = options
    same = a.shape == hs.shape
    cut = cut or choose_cut(hs.shape[0], initial.size, arrays=(3 if same else 2) * len(_parts(initial)))
    task = _task(a, d_hs, initial, reverse=not reverse, lag=True)
    before = (_parts(hs), _parts(initial)) if same else None
    start = _parts(jnp.zeros_like(initial))
    found = _walk(cut, interpret, task, _parts(a), _parts(d_hs), start, before)
    d_b = _whole(found["h"], hs.shape)
    if same:
        d_a = _whole(found["products"], hs.shape)
    else:
        d_a = coefficient_gradient(a, hs, initial, d_b, reverse=reverse, dense=False)
    return d_a, d_b, initial_gradient(a, d_b, reverse=reverse, dense=False)


@_gradient.defjvp
def _gradient_jvp(options: tuple, primals: tuple, tangents: tuple) -> tuple[Gradients, Gradients]:
    plain = partial(shifted_gradient, associative, reverse=options[0], dense=False)
    return jax.jvp(plain, primals, tangents)


def choose_cut(num_steps: int, num_lanes: int, *, arrays: int = 2) -> Cut:
    """How to cut a recurrence of a shape.

    Args:
      num_steps: `T`.
      num_lanes: elements of the state.
      arrays: arrays that are read, which share the registers.

    Returns:
      A `Cut`.

    Example:
      >>> choose_cut(4096, 2048)
      Cut(lanes=16, rows=8, steps=32, num_chunks=1, warps=4)
    """
    lanes = max((size for size in (128, 64, 32) if num_lanes >= size * PROGRAMS), default=16)
    blocks = -(-num_lanes // lanes)
    # What a thread fetches ahead has to fit its registers. Short sequences are over in a moment however they
    # are cut, and a short tile is traced and compiled sooner.
    steps = _power_of_two(64 // arrays) if num_steps > 16 else 4
    rows = min(128 // lanes, _power_of_two(max(1, num_steps // steps)))
    # Reading twice costs two thirds more, so it has to bring more than twice the programs.
    tiles = -(-num_steps // (rows * steps))
    num_chunks = 1 if 2 * blocks > PROGRAMS // 2 else max(1, min(2 * PROGRAMS // blocks, tiles // 4))
    return Cut(lanes, rows, steps, num_chunks)


def _power_of_two(number: int) -> int:
    """The greatest power of two that is not more."""
    return 1 << (number.bit_length() - 1)


def _task(a: Array, b: Array, initial: Array, *, reverse: bool, lag: bool = False) -> _Task:
    return _Task(b.shape[0], initial.shape, a.shape, reverse, lag, False, _parts(initial)[0].dtype)


def _parts(x: Array) -> Number:
    return (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)


def _whole(number: Number, shape: tuple[int, ...]) -> Array:
    return (lax.complex(*number) if len(number) == 2 else number[0]).reshape(shape)


def _walk(
    cut: Cut,
    interpret: bool,
    task: _Task,
    a: Number,
    b: Number,
    initial: Number,
    before: tuple[Number, Number] | None = None,
) -> dict[str, Number]:
    """One launch over all of time; with several chunks, first one that sums them up and one across them."""
    start = initial
    if cut.num_chunks > 1:
        num_lanes = math.prod(task.shape)
        found = _launch(cut, interpret, task._replace(summary=True), a, b, initial)
        shape = (_num_chunks(cut, task), num_lanes)
        across = _Task(shape[0], shape[1:], shape, False, False, False, task.dtype)
        own = choose_cut(*shape)._replace(num_chunks=1)
        after = _walk(own, interpret, across, found["total"], found["local"], initial)["h"]
        start = tuple(
            steps_before(h.reshape(shape), h0.reshape(-1), False)
            for h, h0 in zip(after, initial, strict=True)
        )
    return _launch(cut, interpret, task, a, b, start, before)


def _launch(
    cut: Cut,
    interpret: bool,
    task: _Task,
    a: Number,
    b: Number,
    start: Number,
    before: tuple[Number, Number] | None = None,
) -> dict[str, Number]:
    """All programs, on arrays with one axis for all lanes."""
    num_lanes, num_chunks = math.prod(task.shape), _num_chunks(cut, task)

    def flat(number: Number) -> Number:
        return tuple(part.reshape(-1) for part in number)

    operands = {"a": flat(a), "b": flat(b), "start": flat(start)}
    if before is not None:
        operands |= {"hs": flat(before[0]), "first": flat(before[1])}
    rows = num_chunks if task.summary else task.num_steps
    names = ("total", "local") if task.summary else ("h", "products")[: 1 if before is None else 2]
    result = tuple(jax.ShapeDtypeStruct((rows * num_lanes,), task.dtype) for _ in start)
    return pl.pallas_call(
        partial(_program, cut, task, interpret),
        out_shape=dict.fromkeys(names, result),
        grid=(-(-num_lanes // cut.lanes), num_chunks),
        interpret=interpret,
        compiler_params=triton.CompilerParams(num_warps=cut.warps, num_stages=1),
        name="linear_recurrence",
    )(operands)


def _chunk_steps(cut: Cut, task: _Task) -> int:
    """Steps of a chunk: whole tiles."""
    tile = cut.rows * cut.steps
    return -(-task.num_steps // (cut.num_chunks * tile)) * tile


def _num_chunks(cut: Cut, task: _Task) -> int:
    return -(-task.num_steps // _chunk_steps(cut, task))


def _program(
    cut: Cut, task: _Task, interpret: bool, operands: dict[str, Any], results: dict[str, Any]
) -> None:
    """What one program does: some lanes through one chunk of time."""
    place = _Place(cut, task, interpret)
    num_tiles = _chunk_steps(cut, task) // (cut.rows * cut.steps)
    one, zero = (
        tuple(lax.full((1, cut.lanes), start - start * i, task.dtype) for i in range(len(operands["b"])))
        for start in (1, 0)
    )
    h = zero if task.summary else place.load(operands["start"], place.chunk_lane, place.in_chunk_lane)

    def tile(number: Array, state: tuple) -> tuple:
        h, total, now = state
        following = place.fetch(operands, number + 1, number + 1 < num_tiles)
        h, total, steps = _through_tile(cut, task, place.row, now, h, total)
        for u, after in enumerate(steps):
            place.store(results["h"], number, u, after)
            if "products" in results:
                place.store(results["products"], number, u, _multiply(after, now[u]["before"]))
        return h, total, following

    # Before the first tile comes one that changes nothing, while the first is on its way: a fetch before the
    # loop would say the same, but compiling takes time that grows as the square of what there is to fetch.
    idle = {"a": _wide(cut, one), "b": _wide(cut, zero)}
    if "hs" in operands:
        idle["before"] = idle["b"]
    h, total, _ = lax.fori_loop(-1, num_tiles, tile, (h, one, [idle] * cut.steps))
    if task.summary:
        place.store_summary(results["total"], total)
        place.store_summary(results["local"], h)


def _wide(cut: Cut, number: Number) -> Number:
    return tuple(lax.broadcast_in_dim(part, (cut.rows, cut.lanes), (0, 1)) for part in number)


def _through_tile(
    cut: Cut, task: _Task, row: Array, tile: list[dict[str, Number]], h: Number, total: Number
) -> tuple[Number, Number, list[Number]]:
    """The carry after a tile, the product of all coefficients so far, and what each step gives."""
    if cut.rows > 1 or task.summary:
        run, local = tile[0]["a"], tile[0]["b"]
        for step in tile[1:]:
            run, local = _multiply(step["a"], run), _add(_multiply(step["a"], local), step["b"])
    if cut.rows == 1:
        entering = h
    else:
        entering = tuple(jnp.broadcast_to(part, (cut.rows, cut.lanes)) for part in h)
        for r in range(cut.rows):
            if r:
                entering = tuple(
                    lax.select(row == r, jnp.broadcast_to(new, row.shape), old)
                    for new, old in zip(h, entering, strict=True)
                )
            run_r = _pick(run, row == r)
            h = _add(_multiply(run_r, h), _pick(local, row == r))
            total = _multiply(run_r, total) if task.summary else total
    if task.summary:
        if cut.rows == 1:
            h, total = _add(_multiply(run, h), local), _multiply(run, total)
        return h, total, []
    steps = []
    for step in tile:
        entering = _add(_multiply(step["a"], entering), step["b"])
        steps.append(entering)
    return (entering if cut.rows == 1 else h), total, steps


class _Place:
    """Where a program stands: which lanes, which chunk, and the numbers there.

    Arrays are flat here, and a place in them is one index. Places outside are computed like the others and
    masked where they are read or written. Compiling takes time that grows as the square of the number of
    operations in a tile, which is why there are as few as can be.
    """

    def __init__(self, cut: Cut, task: _Task, interpret: bool) -> None:
        self.cut, self.task, self.interpret = cut, task, interpret
        self.shape, num_lanes = (cut.rows, cut.lanes), math.prod(task.shape)
        own_lanes = math.prod(task.coefficient_shape[1:])
        lane = pl.program_id(0) * cut.lanes + lax.broadcasted_iota(jnp.int32, (1, cut.lanes), 1)
        lanes = pl.program_id(0) * cut.lanes + lax.broadcasted_iota(jnp.int32, self.shape, 1)
        self.in_lanes = lanes < num_lanes
        self.row = lax.broadcasted_iota(jnp.int32, self.shape, 0)
        first = pl.program_id(1) * _chunk_steps(cut, task) + self.row * cut.steps
        self.first = first
        self.chunk_lane, self.in_chunk_lane = pl.program_id(1) * num_lanes + lane, lane < num_lanes
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
            read["before"] = _add(hs, first)
        return read

    def inside(self, lanes: Array, position: Array, u: int) -> Array:
        """Whether step `u` of a tile exists, in the lanes that do."""
        return lax.bitwise_and(lanes, lax.lt(position, lax.full_like(position, self.task.num_steps - u)))

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

    def store_summary(self, refs: Sequence[Any], number: Number) -> None:
        """Writes what a chunk gives."""
        self._store(refs, self.chunk_lane, self.in_chunk_lane, number)

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


def _multiply(x: Number, y: Number) -> Number:
    if len(x) == 1:
        return (lax.mul(x[0], y[0]),)
    return lax.sub(lax.mul(x[0], y[0]), lax.mul(x[1], y[1])), lax.add(
        lax.mul(x[0], y[1]), lax.mul(x[1], y[0])
    )


def _add(x: Number, y: Number) -> Number:
    return tuple(map(lax.add, x, y))


def _pick(number: Number, chosen: Array) -> Number:
    """One row of `[rows, lanes]`, as `[1, lanes]`."""
    return tuple(
        jnp.sum(lax.select(chosen, part, lax.full_like(part, 0)), 0, keepdims=True) for part in number
    )
