"""Dense linear algebra of small matrices in plain array operations: nothing here calls LAPACK.

Library calls cost more than the arithmetic of a small matrix, keep a loop over time from being compiled into
one piece, and can stall where several of them share a few threads. Everything is vectorised over leading
axes, takes semidefinite matrices, and has finite gradients there.
"""

from __future__ import annotations

import jax.numpy as jnp

from seqjax.ops import small_matrices
from seqjax.types import Array


def triangularize(a: Array) -> Array:
    """The lower triangular `L` with `L L' = A A'` and no negative diagonal entry.

    `L` is the transposed triangle of a QR factorisation of `A'`, by modified Gram-Schmidt (Björck, 1967). A
    row that depends on those before it has a zero on the diagonal, but for rounding, and no gradient is NaN.

    Args:
      a: `[..., n, m]`, floating.

    Returns:
      `[..., n, n]`.

    Example:
      >>> triangularize(jnp.array([[3.0, 4.0], [0.0, 5.0]])).tolist()
      [[5.0, 0.0], [4.0, 3.0]]
    """
    return _back(small_matrices.triangularize(_front(a)))


def cholesky(a: Array) -> Array:
    """The lower triangular `L` with `L L' = A` for a symmetric positive semidefinite `A`.

    A pivot that is not positive counts as zero: its column of `L` is zero, and so is its gradient.

    Args:
      a: `[..., n, n]`, floating; only the lower triangle is read.

    Returns:
      `[..., n, n]`.

    Example:
      >>> cholesky(jnp.array([[4.0, 2.0], [2.0, 1.0]])).tolist()
      [[2.0, 0.0], [1.0, 0.0]]
    """
    return _back(small_matrices.cholesky(_front(a)))


def solve_triangular(factor: Array, b: Array, *, transposed: bool = False) -> Array:
    """The `X` with `L X = B`, or `L' X = B`, for a lower triangular `L`.

    Where the diagonal of `L` is zero, the row of `X` is zero: with a factor of `triangularize` or `cholesky`
    that is a solution wherever there is one.

    Args:
      factor: `[..., n, n]`, lower triangular.
      b: `[..., n, m]`; its leading axes are broadcast against those of `factor`.
      transposed: whether to solve with the transpose of `factor`.

    Returns:
      `[..., n, m]`.

    Example:
      >>> solve_triangular(jnp.array([[2.0, 0.0], [1.0, 3.0]]), jnp.array([[4.0], [5.0]])).tolist()
      [[2.0], [1.0]]
    """
    ndim = max(factor.ndim, b.ndim)
    factor, b = (x.reshape((1,) * (ndim - x.ndim) + x.shape) for x in (factor, b))
    return _back(small_matrices.solve_triangular(_front(factor), _front(b), transposed=transposed))


def _front(a: Array) -> Array:
    return jnp.moveaxis(a, (-2, -1), (0, 1))


def _back(a: Array) -> Array:
    return jnp.moveaxis(a, (0, 1), (-2, -1))
