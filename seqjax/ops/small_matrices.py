"""Arithmetic of small matrices in plain array operations, with the two axes of the matrices first.

What follows the matrix axes are lanes: steps, rows of a batch, or nothing. Neighbours in memory are then the
same entry of many matrices, which is what a processor's arithmetic units take together, and a loop over time
whose body calls no library can be compiled into one piece. `seqjax.ops.linear_algebra` has the same functions
for matrices whose axes come last.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array

UNROLLED = 32
"""Sizes up to this one are written out; larger ones run in a loop, which compiles faster."""
UNROLLED_SUM = 16
"""The same for sums within a factorisation, of which there are many."""


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
    size = a.shape[1]
    is_vector = b.ndim < a.ndim
    if 0 < size <= UNROLLED:
        terms = [a[:, k] * b[k] if is_vector else a[:, k, None] * b[k] for k in range(size)]
        return sum(terms[1:], start=terms[0])
    if is_vector:
        return jnp.sum(a * b, axis=1)
    return jnp.einsum("nk...,km...->nm...", a, b, precision=jax.lax.Precision.HIGHEST)


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


def orthogonalize(a: Array) -> tuple[Array, Array]:
    """`A = L Q` with a lower triangular `L`, no negative diagonal entry, and orthonormal rows of `Q`.

    Gram-Schmidt over the rows, each made orthogonal to those before it twice, which is enough (Giraud, Langou
    & Rozložník, 2005). Errors are small relative to each entry of a row and not to its largest: where columns
    differ by powers of ten, as those of stiff and of diffuse models do, reflections lose what this keeps.

    A row that depends on those before it has a zero on the diagonal of `L` and a zero row in `Q`.

    Args:
      a: `[n, m, *L]`.

    Returns:
      `L` `[n, n, *L]`, and `Q` `[n, m, *L]`.

    Example:
      >>> factor, rows = orthogonalize(jnp.array([[3.0, 4.0], [0.0, 5.0]]))
      >>> factor.round(5).tolist()
      [[5.0, 0.0], [4.0, 3.0]]
    """
    size = a.shape[0]
    if size > UNROLLED:
        return _orthogonalize_in_a_loop(a)
    directions, factor = a[:0], []
    for i in range(size):
        coefficients, length, direction = _next_direction(directions, a[i])
        none = jnp.zeros((size - i - 1, *length.shape), a.dtype)
        factor.append(jnp.concatenate([coefficients, length[None], none]))
        directions = jnp.concatenate([directions, direction[None]])
    return jnp.stack(factor), directions


def _next_direction(directions: Array, row: Array) -> tuple[Array, Array, Array]:
    """Along the directions so far; the length of what is left of the row, and its direction."""
    if directions.shape[0] == 0:
        coefficients, rest, noise = jnp.zeros_like(row[:0]), row, jnp.zeros((), row.dtype)
    else:
        first, once = _without(directions, row)
        second, rest = _without(directions, once)
        coefficients = first + second
        # What the second pass all but removes was rounding error of the first: the row depends on the others.
        noise = jnp.finfo(row.dtype).eps * jnp.sum(once * once, axis=0)
    squared = jnp.sum(rest * rest, axis=0)
    independent = squared > noise
    length = jnp.sqrt(jnp.where(independent, squared, 1))
    return coefficients, jnp.where(independent, length, 0), jnp.where(independent, rest / length, 0)


def _without(directions: Array, row: Array) -> tuple[Array, Array]:
    """Coefficients of a row along orthonormal directions `[n, m, *L]`, and the row without that part."""
    if directions.shape[1] <= UNROLLED_SUM:
        coefficients = product(directions, row)
        return coefficients, row - product(transpose(directions), coefficients)
    coefficients = jnp.sum(directions * row, axis=1)
    return coefficients, row - jnp.sum(directions * coefficients[:, None], axis=0)


def _orthogonalize_in_a_loop(a: Array) -> tuple[Array, Array]:
    def step(directions: Array, row_and_place: tuple[Array, Array]) -> tuple[Array, Array]:
        row, i = row_and_place
        coefficients, length, direction = _next_direction(directions, row)
        directions = jax.lax.dynamic_update_index_in_dim(directions, direction, i, 0)
        return directions, jax.lax.dynamic_update_index_in_dim(coefficients, length, i, 0)

    directions, factor = jax.lax.scan(step, jnp.zeros_like(a), (a, jnp.arange(a.shape[0])))
    return factor, directions


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


def triangularize(a: Array) -> Array:
    """The lower triangular `L` with `L L' = A A'` and no negative diagonal entry: that of `orthogonalize`.

    Args:
      a: `[n, m, *L]`.

    Returns:
      `[n, n, *L]`.

    Example:
      >>> triangularize(jnp.array([[3.0, 4.0], [0.0, 5.0]])).round(5).tolist()
      [[5.0, 0.0], [4.0, 3.0]]
    """
    return orthogonalize(a)[0]


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
    size = a.shape[0]
    below = jnp.tril(jnp.ones((size, size), bool)).reshape(size, size, *(1,) * (a.ndim - 2))

    def step(a: Array, i: Array | int) -> tuple[Array, Array]:
        pivot = a[i, i]
        positive = pivot > 0
        root = jnp.sqrt(jnp.where(positive, pivot, 1))
        column = jnp.where(below[:, i] & positive, a[:, i] / root, 0)
        return a - column[:, None] * column, column

    if size > UNROLLED:
        return transpose(jax.lax.scan(step, a, jnp.arange(size))[1])
    columns = []
    for i in range(size):
        a, column = step(a, i)
        columns.append(column)
    return jnp.stack(columns, axis=1)


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
        pivot = factor[i, i]
        regular = pivot != 0
        solved = jnp.where(regular, b[i] / jnp.where(regular, pivot, 1), 0)
        return b - columns[:, i, None] * solved, solved

    if size > UNROLLED:
        return jax.lax.scan(step, b, jnp.arange(size), reverse=transposed)[1]
    if size == 0:
        return b
    rows = {}
    for i in range(size - 1, -1, -1) if transposed else range(size):
        b, rows[i] = step(b, i)
    return jnp.stack([rows[i] for i in range(size)])
