"""Singular values in plain array operations, of many matrices at once."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.types import Array

MAX_SWEEPS = 30
"""Quadratic convergence takes about ten."""


def singular_values(matrix: Array) -> Array:
    """Singular values, the largest first, by rotations of pairs of columns (Hestenes, 1958).

    Rotations from the right make the columns orthogonal; their lengths are then the singular values. In each
    round all columns are paired with another, and after as many rounds as there are other columns each pair
    has met (a sweep). Nothing calls LAPACK, several of whose calls in one program can stall on a CPU with two
    threads; and small singular values come out as precise as large ones, down to the root of the smallest
    number of the dtype.

    Args:
      matrix: `[..., n, m]` floating.

    Returns:
      `[..., min(n, m)]`. It has no derivative in reverse mode.

    Raises:
      ValueError: if there are no two axes.
      TypeError: if the matrix is not floating.

    Example:
      >>> singular_values(jnp.array([[0.0, 2.0], [3.0, 0.0]])).tolist()
      [3.0, 2.0]
    """
    matrix = jnp.asarray(matrix)
    if matrix.ndim < 2:
        raise ValueError(f"matrix has shape {matrix.shape}, expected [..., n, m].")
    if not jnp.issubdtype(matrix.dtype, jnp.floating):
        raise TypeError(f"matrix has dtype {matrix.dtype}, expected floating numbers.")
    return _singular_values(matrix)


@jax.jit
def _singular_values(matrix: Array) -> Array:
    columns = matrix if matrix.shape[-2] < matrix.shape[-1] else matrix.mT
    count = columns.shape[-2]
    if 0 in columns.shape:
        return jnp.zeros((*columns.shape[:-2], count), columns.dtype)
    scale = jnp.max(jnp.abs(columns), (-2, -1), keepdims=True)
    scale = jnp.where(scale > 0, scale, 1)
    # A column of zeros makes their number even, and stays one.
    columns = jnp.pad(columns / scale, [*((0, 0),) * (columns.ndim - 2), (0, count % 2), (0, 0)])
    lengths = jnp.sqrt(jnp.sum(_orthogonal_columns(columns) ** 2, -1))
    return scale[..., 0] * -jnp.sort(-lengths, -1)[..., :count]


def _orthogonal_columns(columns: Array) -> Array:
    """Columns, as rows `[..., 2h, m]`, rotated until they are orthogonal."""
    half = columns.shape[-2] // 2
    if half == 0:
        return columns
    # The first stays, the others move on by one place, around both halves (the circle method of tournaments).
    first, second = np.arange(half), np.arange(half, 2 * half)
    order = np.concatenate([first[:1], second[:1], first[1:-1], second[1:], first[-1:]])
    if half == 1:
        order = np.arange(2)
    precision = jnp.finfo(columns.dtype).eps

    def rotate(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        columns, largest = state
        a, b = columns[..., :half, :], columns[..., half:, :]
        alpha, beta, gamma = jnp.sum(a * a, -1), jnp.sum(b * b, -1), jnp.sum(a * b, -1)
        aligned = jnp.abs(gamma) / jnp.sqrt(jnp.where(alpha * beta > 0, alpha * beta, 1))
        active = (aligned > precision) & (alpha * beta > 0)
        zeta = (beta - alpha) / (2 * jnp.where(active, gamma, 1))
        tangent = jnp.where(zeta < 0, -1, 1) / (jnp.abs(zeta) + jnp.sqrt(1 + zeta * zeta))
        tangent = jnp.where(active, tangent, 0)[..., None]
        cosine = jax.lax.rsqrt(1 + tangent * tangent)
        a, b = cosine * (a - tangent * b), cosine * (tangent * a + b)
        largest = jnp.maximum(largest, jnp.max(jnp.where(active, aligned, 0), initial=0))
        return jnp.concatenate([a, b], -2)[..., order, :], largest

    def sweep(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        columns, _, number = state
        nothing = jnp.zeros((), columns.dtype)
        columns, largest = jax.lax.fori_loop(0, max(1, 2 * half - 1), rotate, (columns, nothing))
        return columns, largest, number + 1

    def unfinished(state: tuple[Array, Array, Array]) -> Array:
        _, largest, number = state
        return (largest > columns.shape[-1] * precision) & (number < MAX_SWEEPS)

    start = columns, jnp.full((), jnp.inf, columns.dtype), jnp.zeros((), jnp.int32)
    return jax.lax.while_loop(unfinished, sweep, start)[0]
