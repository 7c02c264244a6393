"""`h_t = a_t h_{t-1} + b_t` as a Triton kernel for CUDA: each program walks through time with some lanes.

A lane is one element of the state. Programs share out lanes and, where there are too few of them to keep a
GPU busy, chunks of time. Inside a program, rows of threads take neighbouring runs of steps: all of a tile is
on its way from memory at once, and the next tile is fetched while this one is computed.

The plain functions beside which this is tested are those of `recurrence_forms` and `recurrence_gradients`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton

from seqjax.ops.kernels.recurrence_place import (
    Cut,
    Number,
    Place,
    Task,
    add,
    chunk_steps,
    multiply,
    num_chunks_of,
    shared_size,
)
from seqjax.ops.recurrence_forms import associative, steps_before
from seqjax.ops.recurrence_gradients import (
    Gradients,
    coefficient_gradient,
    initial_gradient,
    shifted_gradient,
)
from seqjax.types import Array

PROGRAMS = 128
"""So many programs keep a GPU busy, about: one for each multiprocessor of the big ones."""


MAX_NUMBERS = 2**31
"""Places in an array are counted in 32 bits."""


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
      ValueError: if `dense`, or there are `MAX_NUMBERS` or more.

    Example:
      >>> a, b = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> kernel(a, b, jnp.zeros(1), reverse=False, interpret=True)[:, 0].tolist()
      [1.0, 1.5, 1.75]
    """
    _check(b, dense)
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
      ValueError: if `dense`, or there are `MAX_NUMBERS` or more.

    Example:
      >>> a, ones = jnp.full((1, 1), 0.5), jnp.ones((3, 1))
      >>> kernel_gradient(a, ones, ones[0], ones, reverse=False, interpret=True)[1][:, 0].tolist()
      [1.75, 1.5, 1.0]
    """
    _check(d_hs, dense)
    return _gradient((reverse, cut, interpret), a, hs, initial, d_hs)


def _check(b: Array, dense: bool) -> None:
    if dense:
        raise ValueError("dense is True, but this kernel has no matrices: use the associative form.")
    if b.size >= MAX_NUMBERS:
        raise ValueError(
            f"b has shape {b.shape}, {b.size} numbers, but this kernel counts in 32 bits: use the "
            f"associative form, or run time in pieces."
        )


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
      Cut(lanes=16, rows=16, steps=32, num_chunks=1, warps=8)
    """
    # Measured on an H200. Many lanes need no help. Few fill it by more rows, which are read together, and so
    # few that even this is too little by chunks of time, which are read twice: then rows of memory are long.
    lanes = max((size for size in (128, 64, 32) if num_lanes >= size * PROGRAMS), default=16)
    is_chunked = 4 * -(-num_lanes // lanes) <= PROGRAMS
    if is_chunked:
        lanes = min(64, max(16, 2 * _power_of_two(max(1, num_lanes - 1))))
    threads = 128 if lanes == 128 else 256
    # What a thread fetches ahead has to fit its registers. Short sequences are over in a moment however they
    # are cut, and a short tile is traced and compiled sooner.
    steps = _power_of_two((32 if is_chunked else 64) // arrays) if num_steps > 16 else 4
    rows = min(threads // lanes, _power_of_two(max(1, num_steps // steps)))
    tiles = -(-num_steps // (rows * steps))
    num_chunks = max(1, min(2 * PROGRAMS // -(-num_lanes // lanes), tiles // 4)) if is_chunked else 1
    return Cut(lanes, rows, steps, num_chunks, max(1, rows * lanes // 32))


def _power_of_two(number: int) -> int:
    """The greatest power of two that is not more."""
    return 1 << (number.bit_length() - 1)


def _task(a: Array, b: Array, initial: Array, *, reverse: bool, lag: bool = False) -> Task:
    return Task(b.shape[0], initial.shape, a.shape, reverse, lag, False, _parts(initial)[0].dtype)


def _parts(x: Array) -> Number:
    return (jnp.real(x), jnp.imag(x)) if jnp.iscomplexobj(x) else (x,)


def _whole(number: Number, shape: tuple[int, ...]) -> Array:
    return (lax.complex(*number) if len(number) == 2 else number[0]).reshape(shape)


def _walk(
    cut: Cut,
    interpret: bool,
    task: Task,
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
        shape = (num_chunks_of(cut, task), num_lanes)
        across = Task(shape[0], shape[1:], shape, False, False, False, task.dtype)
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
    task: Task,
    a: Number,
    b: Number,
    start: Number,
    before: tuple[Number, Number] | None = None,
) -> dict[str, Number]:
    """All programs, on arrays with one axis for all lanes."""
    num_lanes, num_chunks = math.prod(task.shape), num_chunks_of(cut, task)

    def flat(number: Number) -> Number:
        return tuple(part.reshape(-1) for part in number)

    operands = {"a": flat(a), "b": flat(b), "start": flat(start)}
    if before is not None:
        operands |= {"hs": flat(before[0]), "first": flat(before[1])}
    rows = num_chunks if task.summary else task.num_steps
    names = ("total", "local") if task.summary else ("h", "products")[: 1 if before is None else 2]
    grid = (-(-num_lanes // cut.lanes), num_chunks)

    def arrays(size: int) -> tuple[jax.ShapeDtypeStruct, ...]:
        return tuple(jax.ShapeDtypeStruct((size,), task.dtype) for _ in start)

    results = dict.fromkeys(names, arrays(rows * num_lanes))
    if cut.rows > 1:
        results["shared"] = arrays(math.prod(grid) * shared_size(cut))
    return pl.pallas_call(
        partial(_program, cut, task, interpret),
        out_shape=results,
        grid=grid,
        interpret=interpret,
        compiler_params=triton.CompilerParams(num_warps=cut.warps, num_stages=1),
        name="linear_recurrence",
    )(operands)


def _program(
    cut: Cut, task: Task, interpret: bool, operands: dict[str, Any], results: dict[str, Any]
) -> None:
    """What one program does: some lanes through one chunk of time."""
    place = Place(cut, task, interpret)
    num_tiles = chunk_steps(cut, task) // (cut.rows * cut.steps)
    one, zero = (
        tuple(lax.full(place.shape, start - start * i, task.dtype) for i in range(len(operands["b"])))
        for start in (1, 0)
    )
    h = zero if task.summary else place.load_start(operands["start"])

    def tile(number: Array, state: tuple) -> tuple:
        h, total, now = state
        following = place.fetch(operands, number + 1, number + 1 < num_tiles)
        share = partial(place.share, results.get("shared", ()), number)
        h, total, steps = _through_tile(task, place.row, share, now, h, total)
        for u, after in enumerate(steps):
            place.store(results["h"], number, u, after)
            if "products" in results:
                place.store(results["products"], number, u, multiply(after, now[u]["before"]))
        return h, total, following

    # Before the first tile comes one that changes nothing, while the first is on its way: a fetch before the
    # loop would say the same, but compiling takes time that grows as the square of what there is to fetch.
    idle = {"a": one, "b": zero}
    if "hs" in operands:
        idle["before"] = idle["b"]
    h, total, _ = lax.fori_loop(-1, num_tiles, tile, (h, one, [idle] * cut.steps))
    if task.summary:
        place.store_summary(results["total"], total)
        place.store_summary(results["local"], h)


def _through_tile(
    task: Task, row: Array, share: Callable, tile: list[dict[str, Number]], h: Number, total: Number
) -> tuple[Number, Number, list[Number]]:
    """The carry after a tile, the product of all coefficients so far, and what each step gives.

    The first two are the same in all rows, which each compute them.
    """
    num_rows, entering = row.shape[0], h
    if num_rows > 1 or task.summary:
        run, local = tile[0]["a"], tile[0]["b"]
        for step in tile[1:]:
            run, local = multiply(step["a"], run), add(multiply(step["a"], local), step["b"])
        runs, locals_ = share((run, local)) if num_rows > 1 else ([run], [local])
        for r, (run_r, local_r) in enumerate(zip(runs, locals_, strict=True)):
            if r:
                is_own = lax.eq(row, lax.full_like(row, r))
                entering = tuple(map(partial(lax.select, is_own), h, entering))
            h = add(multiply(run_r, h), local_r)
            total = multiply(run_r, total) if task.summary else total
    if task.summary:
        return h, total, []
    steps = []
    for step in tile:
        entering = add(multiply(step["a"], entering), step["b"])
        steps.append(entering)
    return (entering if num_rows == 1 else h), total, steps
