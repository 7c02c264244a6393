"""Arithmetic of small matrices in plain array operations, with the two axes of the matrices first.

What follows the matrix axes are lanes: steps, rows of a batch, or nothing. Neighbours in memory are then the
same entry of many matrices, which is what a processor's arithmetic units take together, and a loop over time
whose body calls no library can be compiled into one piece. `seqjax.ops.linear_algebra` has the same functions
for matrices whose axes come last.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from seqjax.types import Array

UNROLLED = 2
"""Matrices up to this size are written out; larger ones go row by row in a loop, which compiles faster."""
SMALL = 8
"""Inner sizes up to this one are multiplied by array operations; larger ones by a library."""
LITTLE_WORK = 2**14
"""So many multiplications of a matrix with many columns take less time than calling a library."""


@partial(jax.custom_jvp, nondiff_argnums=(1,))
def total(terms: Array, axis: int) -> Array:
    """Sum over an axis, one half onto the other.

    Whole vectors of lanes are added, where a sum over an axis that is not the last would be compiled, for
    processors, into a loop that adds one number after the other.

    Args:
      terms: an array.
      axis: an axis, counted from the first.

    Returns:
      The array without that axis.

    Example:
      >>> total(jnp.array([[1, 2], [3, 4], [5, 6]]), 0).tolist()
      [9, 12]
    """
    if terms.shape[-1] == 1:
        return jnp.sum(terms, axis)
    left_over = []
    while (size := terms.shape[axis]) > 1:
        half = size // 2
        if size % 2:
            left_over.append(jax.lax.index_in_dim(terms, size - 1, axis, keepdims=False))
        first, second = (jax.lax.slice_in_dim(terms, start, start + half, axis=axis) for start in (0, half))
        terms = first + second
    return sum(left_over, start=jnp.squeeze(terms, axis) if size else jnp.sum(terms, axis))


@total.defjvp
def _total_jvp(axis: int, primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    return total(primals[0], axis), jnp.sum(tangents[0], axis)


def product(a: Array, b: Array) -> Array:
    """Matrix product.

    Args:
      a: `[n, k, *L]`.
      b: `[k, m, *L]`, or a vector `[k, *L]` where it has one axis less than `a`.

    Returns:
      `[n, m, *L]`, or `[n, *L]`; lanes are broadcast.

    Example:
      >>> product(jnp.array([[1.0, 2.0], [0.0, 1.0]]), jnp.array([3.0, 4.0])).tolist()
      [11.0, 4.0]
    """
    is_vector = b.ndim < a.ndim
    if is_vector:
        b = b[:, None]
    lanes = jnp.broadcast_shapes(a.shape[2:], b.shape[2:])
    if math.prod(a.shape[2:]) == 1 and (a.shape[1] > SMALL or math.prod(lanes) != 1):
        # One matrix for all lanes of the other: these are more of its columns.
        matrix, columns = a.reshape(a.shape[:2]), b.reshape(len(b), math.prod(b.shape[1:]))
        is_little = math.prod(lanes) != 1 and matrix.size * columns.shape[1] <= LITTLE_WORK
        if a.shape[1] <= SMALL or is_little:
            result = total(matrix[:, :, None] * columns, 1)
        else:
            result = jnp.dot(matrix, columns, precision=jax.lax.Precision.HIGHEST)
        result = result.reshape(len(a), b.shape[1], *lanes)
    elif a.shape[1] <= SMALL:
        result = total(a[:, :, None] * b, 1)
    else:
        result = jnp.einsum("nk...,km...->nm...", a, b, precision=jax.lax.Precision.HIGHEST)
    return result[:, 0] if is_vector else result


def transpose(a: Array) -> Array:
    """Transposed matrices.

    Args:
      a: `[n, m, *L]`.

    Returns:
      `[m, n, *L]`.

    Example:
      >>> transpose(jnp.ones((3, 2, 7))).shape
      (2, 3, 7)
    """
    return jnp.swapaxes(a, 0, 1)


def identity(size: int, like: Array) -> Array:
    """The identity, ready to be broadcast against other matrices.

    Args:
      size: `n`.
      like: a matrix `[m, k, *L]`, which gives the number of lane axes and the dtype.

    Returns:
      `[n, n, *1]`.

    Example:
      >>> identity(2, jnp.ones((3, 3, 7))).shape
      (2, 2, 1)
    """
    return jnp.eye(size, dtype=like.dtype).reshape(size, size, *(1,) * (like.ndim - 2))


def beside(*blocks: Array) -> Array:
    """Matrices side by side.

    Args:
      *blocks: `[n, m_i, *L]`, whose lanes are broadcast.

    Returns:
      `[n, sum of m_i, *L]`.

    Example:
      >>> beside(jnp.ones((2, 3, 7)), jnp.ones((2, 1, 1))).shape
      (2, 4, 7)
    """
    return _joined(blocks, axis=1)


def above(*blocks: Array) -> Array:
    """Matrices on top of each other.

    Args:
      *blocks: `[n_i, m, *L]`, whose lanes are broadcast.

    Returns:
      `[sum of n_i, m, *L]`.

    Example:
      >>> above(jnp.ones((2, 3, 7)), jnp.ones((1, 3, 1))).shape
      (3, 3, 7)
    """
    return _joined(blocks, axis=0)


def _joined(blocks: tuple[Array, ...], axis: int) -> Array:
    lanes = jnp.broadcast_shapes(*(block.shape[2:] for block in blocks))
    return jnp.concatenate([jnp.broadcast_to(block, block.shape[:2] + lanes) for block in blocks], axis)


def orthogonalize(a: Array, *, in_a_loop: bool = False) -> tuple[Array, Array]:
    """`A = L Q` with a lower triangular `L`, no negative diagonal entry, and orthonormal rows of `Q`.

    Gram-Schmidt over the rows, each made orthogonal to those before it twice, which is enough (Giraud, Langou
    & Rozložník, 2005). Errors are small relative to each entry of a row and not to its largest: where columns
    differ by powers of ten, as those of stiff and of diffuse models do, reflections lose what this keeps.

    A row of zeros has a zero on the diagonal of `L` and a zero row in `Q`, and so has another one that
    depends on those before it, but for rounding error of its length.

    Args:
      a: `[n, m, *L]`.
      in_a_loop: whether to run over the rows in a loop however few they are: slower, but compiled faster.

    Returns:
      `L` `[n, n, *L]`, and `Q` `[n, m, *L]`.

    Example:
      >>> factor, rows = orthogonalize(jnp.array([[3.0, 4.0], [0.0, 5.0]]))
      >>> factor.round(5).tolist()
      [[5.0, 0.0], [4.0, 3.0]]
    """
    if in_a_loop or a.shape[0] > UNROLLED:
        return _orthogonalize_in_a_loop(a)
    directions, factor = jnp.zeros_like(a), []
    for i in range(a.shape[0]):
        coefficients, direction = _next_direction(directions, a[i], i)
        directions = directions.at[i].set(direction)
        factor.append(coefficients)
    return jnp.stack(factor), directions


def _orthogonalize_in_a_loop(a: Array) -> tuple[Array, Array]:
    def step(directions: Array, row_and_place: tuple[Array, Array]) -> tuple[Array, Array]:
        row, i = row_and_place
        coefficients, direction = _next_direction(directions, row, i)
        return jax.lax.dynamic_update_index_in_dim(directions, direction, i, 0), coefficients

    directions, factor = jax.lax.scan(step, jnp.zeros_like(a), (a, jnp.arange(a.shape[0])))
    return factor, directions


def _next_direction(directions: Array, row: Array, i: Array | int) -> tuple[Array, Array]:
    """The row of the factor, and the direction of what the first `i` directions leave of the row."""
    first = total(directions * row, 1)
    once = row - total(directions * first[:, None], 0)
    second = total(directions * once, 1)
    rest = once - total(directions * second[:, None], 0)
    squared = total(rest * rest, 0)
    # What the second pass all but removes was rounding error of the first: the row depends on the others.
    independent = squared > jnp.finfo(row.dtype).eps * total(once * once, 0)
    length = jnp.sqrt(jnp.where(independent, squared, 1))
    here = (jnp.arange(len(directions)) == i).reshape(-1, *(1,) * (row.ndim - 1))
    coefficients = jnp.where(here, jnp.where(independent, length, 0), first + second)
    return coefficients, jnp.where(independent, rest / length, 0)


def project(rows: Array, directions: Array) -> tuple[Array, Array]:
    """Rows as a combination of orthonormal directions, and what is left of them.

    Args:
      rows: `[k, m, *L]`.
      directions: `[n, m, *L]`, as `orthogonalize` gives them.

    Returns:
      Coefficients `C` `[k, n, *L]` and rest `E` `[k, m, *L]` with `rows = C directions + E`, and `E`
      orthogonal to the directions.

    Example:
      >>> project(jnp.array([[2.0, 3.0]]), jnp.array([[1.0, 0.0]]))[1].tolist()
      [[0.0, 3.0]]
    """
    columns = transpose(directions)
    first = product(rows, columns)
    rest = rows - product(first, directions)
    second = product(rest, columns)
    return first + second, rest - product(second, directions)


def triangularize(a: Array, *, in_a_loop: bool = False) -> Array:
    """The lower triangular `L` with `L L' = A A'` and no negative diagonal entry: that of `orthogonalize`.

    Args:
      a: `[n, m, *L]`.
      in_a_loop: as in `orthogonalize`.

    Returns:
      `[n, n, *L]`.

    Example:
      >>> triangularize(jnp.array([[3.0, 4.0], [0.0, 5.0]])).round(5).tolist()
      [[5.0, 0.0], [4.0, 3.0]]
    """
    return orthogonalize(a, in_a_loop=in_a_loop)[0]


def cholesky(a: Array) -> Array:
    """The lower triangular `L` with `L L' = A` for a symmetric positive semidefinite `A`.

    A pivot that is not positive counts as zero: its column of `L` is zero, and so is its gradient.

    Args:
      a: `[n, n, *L]`, of which the lower triangle is read.

    Returns:
      `[n, n, *L]`.

    Example:
      >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 1.0]])).tolist()
      [[2.0, 0.0], [1.0, 0.0]]
    """
    places = jnp.arange(a.shape[0]).reshape(-1, *(1,) * (a.ndim - 2))

    def step(a: Array, i: Array | int) -> tuple[Array, Array]:
        column = jax.lax.dynamic_index_in_dim(a, i, 1, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(column, i, 0, keepdims=False)
        positive = pivot > 0
        root = jnp.sqrt(jnp.where(positive, pivot, 1))
        column = jnp.where((places >= i) & positive, column / root, 0)
        return a - column[:, None] * column, column

    return transpose(_in_turn(step, a, range(a.shape[0])))


def solve_triangular(factor: Array, b: Array, *, transposed: bool = False) -> Array:
    """The `X` with `L X = B`, or `L' X = B`, for a lower triangular `L`.

    Where the diagonal of `L` is zero, the row of `X` is zero.

    Args:
      factor: `[n, n, *L]`, lower triangular.
      b: `[n, m, *L]`, or a vector `[n, *L]` where it has one axis less than `factor`.
      transposed: whether to solve with the transpose.

    Returns:
      `[n, m, *L]`, or `[n, *L]`; lanes are broadcast.

    Example:
      >>> solve_triangular(jnp.array([[2.0, 0.0], [1.0, 0.0]]), jnp.array([4.0, 2.0])).tolist()
      [2.0, 0.0]
    """
    if b.ndim < factor.ndim:
        return solve_triangular(factor, b[:, None], transposed=transposed)[:, 0]
    size = factor.shape[0]
    columns = transpose(factor) if transposed else factor
    b = jnp.broadcast_to(b, b.shape[:2] + jnp.broadcast_shapes(factor.shape[2:], b.shape[2:]))

    def step(b: Array, i: Array | int) -> tuple[Array, Array]:
        column = jax.lax.dynamic_index_in_dim(columns, i, 1, keepdims=False)
        pivot = jax.lax.dynamic_index_in_dim(column, i, 0, keepdims=False)
        regular = pivot != 0
        row = jax.lax.dynamic_index_in_dim(b, i, 0, keepdims=False)
        solved = jnp.where(regular, row / jnp.where(regular, pivot, 1), 0)
        return b - column[:, None] * solved, solved

    solved = _in_turn(step, b, range(size - 1, -1, -1) if transposed else range(size))
    return jnp.flip(solved, 0) if transposed else solved


def _in_turn(step: Callable[[Array, Array | int], tuple[Array, Array]], start: Array, order: range) -> Array:
    """The results of the steps, one place after the other, stacked: written out, or in a loop."""
    if len(order) > UNROLLED:
        return jax.lax.scan(step, start, jnp.array(order))[1]
    state, results = start, []
    for i in order:
        state, result = step(state, i)
        results.append(result)
    return jnp.stack(results)
