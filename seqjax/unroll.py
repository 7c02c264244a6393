"""A cell over time: validation, lengths, resets, direction and the choice of a backend."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.backends import BACKENDS, associative, chunkwise, fused, scan
from seqjax.cell import Affine, Cell, Gated, LinearAttention, check_cell
from seqjax.checks import as_array, check_flag, shown
from seqjax.transforms import masked, resettable, shifted
from seqjax.types import Array, Carry, Params, PyTree, Shifted

Backend = Callable[[Cell, Params, Carry, Any], tuple[Carry, Any]]


def unroll(
    cell: Cell,
    params: Params,
    xs: Any,
    *,
    carry: Carry | None = None,
    lengths: Array | None = None,
    resets: Array | None = None,
    reverse: bool = False,
    method: str | Backend = "auto",
) -> tuple[Carry, Any]:
    """Runs a cell over a sequence.

    Equation: `carry_t, y_t = step(params, carry_{t-1}, x_t)` for `t = 0 ... T - 1`, or down from `T - 1` with
    `reverse`. A sequence unrolled in pieces, each given the carry of the piece before, is the whole unrolled.

    Args:
      cell: any cell.
      params: its params, which decide the dtype of the result.
      xs: `[T, *B, D]` floating; for a cell that reads pairs, a pytree of arrays `[T, *B, ...]` whose first
        leaf are the features.
      carry: the carry before the first step, leaves `[*B, ...]`; `None` starts from
        `cell.initial_carry(params, B)`.
      lengths: `[*B]` integers from 0 to `T`. Steps at or past the length leave the carry as it was and give
        zero outputs, whatever stands there, NaN included. `None` if all `T` steps count.
      resets: `[T, *B]` booleans; the carry returns to the initial carry before a step that is true. With
        `reverse`, the same boundaries are crossed from the other side.
      reverse: run from the last valid step to the first; outputs stay at the place of their inputs.
      method: the name of a backend (`"scan"`, `"fused"`, `"associative"`, `"chunkwise"`, `"newton"`,
        `"checkpointed"`), `"auto"` to choose by structure, or a backend function, whose options
        `functools.partial` binds.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if a shape, a value in `lengths`, the carry or the method does not fit.
      TypeError: if a dtype or type does not fit.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = unroll(cell, params, jnp.ones((7, 2, 3)), lengths=jnp.array([7, 5]))
      >>> ys.shape, float(jnp.abs(ys[5:, 1]).max())
      ((7, 2, 4), 0.0)
    """
    check_cell(cell)
    check_flag("reverse", reverse)
    shifts = params if isinstance(params, Shifted) else None
    params = params if shifts is None else shifts.params
    is_moved = shifts is not None and shifts.carries is not None
    backend = _backend(shifted(cell) if is_moved else cell, method)
    xs = checked_xs(xs)
    num_steps, batch_shape = sequence_shape(xs)
    _check_params(cell, params, xs)
    if carry is not None:
        carry = _checked_carry(cell, params, carry, batch_shape)
    if resets is not None:
        resets = checked_resets(resets, num_steps, batch_shape)
    if lengths is not None:
        lengths = checked_lengths(lengths, num_steps, batch_shape)
    if shifts is None:
        return _run(cell, backend, bool(reverse), params, carry, xs, lengths, resets, None)
    carry, ys = _run(cell, backend, bool(reverse), params, carry, xs, lengths, resets, shifts.carries)
    if shifts.seen is not None:
        shifts.seen(num_steps, carry, ys)
    return carry, ys if shifts.outputs is None else jax.tree.map(jnp.add, ys, shifts.outputs)


# Compiled once for a cell, a backend and shapes, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=(0, 1, 2))
def _run(
    cell: Cell,
    backend: Backend,
    reverse: bool,
    params: Params,
    carry: Carry | None,
    xs: PyTree,
    lengths: Array | None,
    resets: Array | None,
    shift: Carry | None,
) -> tuple[Carry, Any]:
    """Shifts, lengths and resets rewritten into the cell, which the backend then runs."""
    num_steps, batch_shape = sequence_shape(xs)
    if carry is None:
        carry = jax.tree.map(_accumulated, cell.initial_carry(params, batch_shape))
    if shift is not None:
        cell, xs = shifted(cell), (xs, shift)
    if resets is not None:
        cell, xs = resettable(cell), (xs, ops.boundaries_backward(resets, lengths) if reverse else resets)
    if lengths is not None:
        valid = ops.length_mask(lengths, num_steps)
        cell, xs = masked(cell), (ops.zero_padding(xs, valid), valid)
    if not reverse:
        return backend(cell, params, carry, xs)
    # Run backwards, the padding comes first and the mask skips it: each sequence starts at its own end.
    carry, ys = backend(cell, params, carry, ops.reverse(xs))
    return carry, ops.reverse(ys)


def _backend(cell: Cell, method: str | Backend) -> Backend:
    if callable(method):
        return method
    if method == "auto":
        by_structure: dict[type, Backend] = {
            Gated: fused,
            Affine: associative,
            LinearAttention: chunkwise,
        }
        return by_structure.get(type(cell.structure), scan)
    if not isinstance(method, str) or method not in BACKENDS:
        names = ", ".join(repr(name) for name in ("auto", *BACKENDS))
        raise ValueError(f"method is {shown(method)}, expected one of {names}, or a backend function.")
    return BACKENDS[method]


def checked_xs(xs: PyTree) -> PyTree:
    """The inputs as jax arrays, after a look at their types and whether their time and batch axes agree.

    Args:
      xs: `[T, *B, D]`, or a pytree of arrays `[T, *B, ...]` whose first leaf are the features.

    Returns:
      The structure of `xs`, its leaves jax arrays.

    Raises:
      TypeError: if `xs` is a list, or a leaf no array.
      ValueError: if there is no time or no feature axis, or a leaf has other time and batch axes.

    Example:
      >>> checked_xs((jnp.ones((7, 2, 3)), jnp.ones((6, 2))))
      Traceback (most recent call last):
      ValueError: xs[1] has shape (6, 2), expected it to begin with (7, 2), the time and batch axes of ...
    """
    check_no_list(xs)
    xs = jax.tree_util.tree_map_with_path(lambda path, leaf: as_array(_place("xs", path), leaf), xs)
    num_steps, batch_shape = sequence_shape(xs)
    axes = (num_steps, *batch_shape)
    for path, leaf in jax.tree_util.tree_leaves_with_path(xs):
        if leaf.shape[: len(axes)] != axes:
            raise ValueError(
                f"{_place('xs', path)} has shape {leaf.shape}, expected it to begin with {axes}, the time "
                f"and batch axes of the features."
            )
    return xs


def check_no_list(xs: Any, name: str = "xs") -> None:
    """Refuses a list: whether it holds steps or sequences, time first or batch first, only its maker knows.

    Args:
      xs: the inputs.
      name: the argument's name.

    Raises:
      TypeError: if `xs` is a list.

    Example:
      >>> check_no_list([[1.0], [2.0]])
      Traceback (most recent call last):
      TypeError: xs is a list, expected an array with time first: jnp.asarray(xs) for steps, or ...
    """
    if isinstance(xs, list):
        raise TypeError(
            f"{name} is a list, expected an array with time first: jnp.asarray({name}) for steps, or "
            f"seqjax.data.pad({name}) for sequences."
        )


def sequence_shape(xs: PyTree, name: str = "xs") -> tuple[int, tuple[int, ...]]:
    """The number of steps and the batch axes of a sequence of features.

    Args:
      xs: `[T, *B, D]`, or a pytree whose first leaf is.
      name: what the caller calls it, for the error.

    Returns:
      `T` and the shape of `*B`.

    Raises:
      ValueError: if there is no time or no feature axis.

    Example:
      >>> sequence_shape(jnp.ones((7, 2, 3)))
      (7, (2,))
    """
    leaves = jax.tree.leaves(xs)
    if not leaves or leaves[0].ndim < 2:
        came = f"{name} has shape {leaves[0].shape}" if leaves else f"{name} is {shown(xs)}"
        raise ValueError(
            f"{came}, expected [T, *B, D]: time first, features last. "
            f"For one feature a step, add an axis: {name}[..., None]."
        )
    return leaves[0].shape[0], leaves[0].shape[1:-1]


def checked_lengths(lengths: Any, num_steps: int, batch_shape: tuple[int, ...]) -> Array:
    """Lengths as an array, after a look at their shape, dtype and, where they are concrete, their values.

    Args:
      lengths: `[*B]` integers.
      num_steps: `T`.
      batch_shape: the shape of `*B`.

    Returns:
      `lengths` as a jax array.

    Raises:
      TypeError: if `lengths` are not integers.
      ValueError: if their shape is not `batch_shape`, or a concrete value lies outside 0 to `T`.

    Example:
      >>> checked_lengths([2, 9], 7, (2,))
      Traceback (most recent call last):
      ValueError: lengths has the value 9 at (1,), expected 0 to 7, the number of steps. Cut or pad xs.
    """
    given, lengths = lengths, as_array("lengths", lengths)
    if not jnp.issubdtype(lengths.dtype, jnp.integer):
        raise TypeError(
            f"lengths has dtype {lengths.dtype}, expected integers: the number of valid steps of each row."
        )
    if lengths.shape != batch_shape:
        raise ValueError(
            f"lengths has shape {lengths.shape}, expected {batch_shape}, the batch axes of xs: "
            f"one length a row."
        )
    if not isinstance(given, jax.core.Tracer):  # what is given may be known where a trace hides its copy
        values = np.asarray(given)
        for where in np.argwhere((values < 0) | (values > num_steps))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"lengths has the value {values[place]} at {place}, expected 0 to {num_steps}, "
                f"the number of steps. Cut or pad xs."
            )
    return lengths


def checked_resets(resets: Any, num_steps: int, batch_shape: tuple[int, ...]) -> Array:
    """Resets as an array, after a look at their shape and dtype.

    Args:
      resets: `[T, *B]` booleans.
      num_steps: `T`.
      batch_shape: the shape of `*B`.

    Returns:
      `resets` as a jax array.

    Raises:
      TypeError: if `resets` are not booleans.
      ValueError: if their shape is not `[T, *B]`.

    Example:
      >>> checked_resets([0, 1], 2, ())
      Traceback (most recent call last):
      TypeError: resets has dtype int32, expected booleans: resets.astype(bool), or resets == 1.
    """
    resets = as_array("resets", resets)
    if resets.dtype != jnp.bool_:
        raise TypeError(
            f"resets has dtype {resets.dtype}, expected booleans: resets.astype(bool), or resets == 1."
        )
    expected = (num_steps, *batch_shape)
    if resets.shape != expected:
        raise ValueError(
            f"resets has shape {resets.shape}, expected {expected}, the time and batch axes of xs."
        )
    return resets


@lru_cache(maxsize=256)
def _expected_params(init: Callable, input_size: int) -> PyTree:
    return jax.eval_shape(lambda: init(jax.random.key(0), input_size))


def _check_params(cell: Cell, params: Params, xs: PyTree) -> None:
    """Refuses params of another cell, and features of another size than these params were made for."""
    input_size = jax.tree.leaves(xs)[0].shape[-1]
    if input_size == 0:
        raise ValueError("xs has feature size 0, expected at least one feature.")
    expected = _expected_params(cell.init, input_size)
    _check_structure("params", params, expected, "params made by this cell's init")
    wider = jax.tree.leaves(_expected_params(cell.init, input_size + 1))
    for (path, leaf), like, like_wider in zip(
        jax.tree_util.tree_leaves_with_path(params), jax.tree.leaves(expected), wider, strict=True
    ):
        place = _place("params", path)
        _check_dtype(place, leaf, like.dtype, "params made by this cell's init")
        if jnp.shape(leaf) == like.shape:
            continue
        for size, wanted, grown in zip(jnp.shape(leaf), like.shape, like_wider.shape, strict=False):
            if grown != wanted != size:
                raise ValueError(
                    f"xs has feature size {input_size}, but these params were initialised with "
                    f"input_size {size}. Pass the features that these params were made for, or init again."
                )
        raise ValueError(
            f"{place} has shape {jnp.shape(leaf)}, expected {like.shape}: params made by this cell's init."
        )


def _accumulated(leaf: Array) -> Array:
    return leaf.astype(ops.accumulation_dtype(leaf.dtype))


def _checked_carry(cell: Cell, params: Params, carry: Carry, batch_shape: tuple[int, ...]) -> Carry:
    expected = jax.eval_shape(lambda params: cell.initial_carry(params, batch_shape), params)
    what = "a carry of this cell, as cell.initial_carry makes it"
    _check_structure("carry", carry, expected, what)
    for (path, leaf), like in zip(
        jax.tree_util.tree_leaves_with_path(carry), jax.tree.leaves(expected), strict=True
    ):
        place = _place("carry", path)
        _check_dtype(place, leaf, like.dtype, what)
        if jnp.shape(leaf) != like.shape:
            raise ValueError(f"{place} has shape {jnp.shape(leaf)}, expected {like.shape}: {what}.")
    return jax.tree.map(
        lambda leaf, like: jnp.asarray(leaf, ops.accumulation_dtype(like.dtype)), carry, expected
    )


def _check_structure(name: str, tree: PyTree, expected: PyTree, what: str) -> None:
    if jax.tree.structure(tree) != jax.tree.structure(expected):
        raise ValueError(f"{name} is {_outline(tree)}, expected {what}: {_outline(expected)}.")


def _check_dtype(place: str, leaf: Any, like: jnp.dtype, what: str) -> None:
    """Refuses what is not a floating array, or a complex one where one is expected."""
    dtype = (leaf if hasattr(leaf, "dtype") else as_array(place, leaf)).dtype
    is_complex = jnp.issubdtype(like, jnp.complexfloating)
    word = "complex" if is_complex else "floating"
    if not jnp.issubdtype(dtype, jnp.inexact if is_complex else jnp.floating):
        raise TypeError(f"{place} has dtype {dtype}, expected a {word} array: {what}.")


def _place(name: str, path: tuple) -> str:
    return name + jax.tree_util.keystr(path)


def _outline(tree: PyTree) -> str:
    """The type and fields of a pytree, or an array's shape."""
    if hasattr(tree, "shape"):
        return f"an array {tree.dtype}{list(tree.shape)}"
    if isinstance(tree, (tuple, list)):
        return f"{type(tree).__name__} of {len(tree)}"
    fields = tree if isinstance(tree, dict) else getattr(tree, "__dict__", None)
    if fields is None:
        return shown(tree)
    parts = (f"{name}: {list(v.shape) if hasattr(v, 'shape') else _outline(v)}" for name, v in fields.items())
    return f"{type(tree).__name__}({', '.join(parts)})"
