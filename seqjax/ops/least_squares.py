"""Tall least squares by orthogonalisation, in plain array operations.

LAPACK's factorisations, batched in one compiled program, can stall for ever on a CPU with two threads (see
`initializers.orthogonal`), and normal equations square the condition number, which float32 cannot afford.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.types import Array

DEPENDENCE = 64
"""A column is dependent where less than this many roundings of it remain beside the columns before it."""


@struct.dataclass
class LeastSquares:
    """The solution of a least squares problem, and what the accuracy of the coefficients follows from.

    Attributes:
      coefficients: `[P, M]`, NaN where the columns of the design are dependent.
      residuals: `[N, M]`, the targets without what the design explains.
      triangular: `[P, P]`, the upper triangular `R` of the design (and the ridge below it), with a diagonal
        of zero or more.
      unscaled_covariance: `[P, P]`: times the variance of the noise, the covariance of the coefficients of
        one target.
      dependent: `[P]` booleans, the columns that are a linear combination of those before them.
    """

    coefficients: Array
    residuals: Array
    triangular: Array
    unscaled_covariance: Array
    dependent: Array


def least_squares(design: Array, targets: Array, *, ridge: Array | float | None = None) -> LeastSquares:
    """The coefficients that explain targets best, `design @ coefficients ≈ targets`.

    Equation: `coefficients = argmin ‖targets - design c‖² + Σ_p ridge_p ‖c_p‖²` (Hoerl & Kennard, 1970, eq.
    2.1), by `Q R = design` and back substitution. A ridge enters as further rows `diag(√ridge)` of the
    design, whose targets are zero. With independent noise of variance `s²`, the coefficients of a target have
    the covariance `s² R⁻¹ Q₁ᵀ Q₁ R⁻ᵀ`, where `Q₁` are the rows of `Q` that belong to data: `s² (XᵀX)⁻¹`
    without a ridge. Rows of zeros count for nothing, so that rows may be left out under `jit`.

    Args:
      design: `[N, P]` floating, one row an observation.
      targets: `[N, M]` floating.
      ridge: the penalty on each coefficient, zero or more: a number, or `[P]`; `None` for none.

    Returns:
      A `LeastSquares`, in the dtype of the arguments, at least float32. Differentiable in every argument, any
      number of times. For several problems, `jax.vmap`.

    Raises:
      ValueError: if shapes do not fit, there are fewer rows than columns and no ridge, a concrete ridge is
        negative, or a column of a concrete design is a linear combination of those before it. Where the
        values are not known (under `jit`), the coefficients are NaN.
      TypeError: if an argument is no floating array.

    Example:
      >>> design = jnp.array([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
      >>> least_squares(design, jnp.array([[1.0], [3.0], [5.0]])).coefficients.round(3).tolist()
      [[1.0], [2.0]]
    """
    design, targets = _checked_matrix("design", design), _checked_matrix("targets", targets)
    if targets.shape[0] != design.shape[0]:
        raise ValueError(
            f"targets has {targets.shape[0]} rows, expected {design.shape[0]}, one for each row of design."
        )
    if ridge is None and design.shape[0] < design.shape[1]:
        raise ValueError(
            f"design has {design.shape[0]} rows for {design.shape[1]} columns, expected at least as many "
            f"rows as columns: leave columns out, or pass a ridge."
        )
    if ridge is not None:
        ridge = _checked_ridge(ridge, design)
    solution = _least_squares(design, targets, ridge)
    if not isinstance(solution.dependent, jax.core.Tracer):
        for column in np.flatnonzero(np.asarray(solution.dependent))[:1]:
            raise ValueError(
                f"design has a column {column} that is a linear combination of the columns before it, "
                f"expected independent columns: leave it out, or pass a ridge."
            )
    return solution


@jax.jit
def _least_squares(design: Array, targets: Array, ridge: Array | None) -> LeastSquares:
    """`least_squares` after its arguments were looked at."""
    num_rows, num_columns = design.shape
    dtype = jnp.promote_types(jnp.promote_types(design.dtype, targets.dtype), jnp.float32)
    design, targets = design.astype(dtype), targets.astype(dtype)
    rows = design
    if ridge is not None:
        # The root of a penalty of zero has no derivative: it is taken of one, and left out.
        root = jnp.where(ridge > 0, jnp.sqrt(jnp.where(ridge > 0, ridge, 1)), 0).astype(dtype)
        rows = jnp.concatenate([design, jnp.diag(jnp.broadcast_to(root, (num_columns,)))])
    orthogonal, triangular = qr(rows)
    orthogonal = orthogonal[:num_rows]
    dependent = dependent_columns(triangular)
    sides = jnp.concatenate([_matmul(orthogonal.T, targets), orthogonal.T], axis=1)
    solved = back_substitute(triangular, sides)
    coefficients, root = solved[:, : targets.shape[1]], solved[:, targets.shape[1] :]
    coefficients = jnp.where(dependent.any(), jnp.nan, coefficients)
    return LeastSquares(
        coefficients=coefficients,
        residuals=targets - _matmul(design, coefficients),
        triangular=triangular,
        unscaled_covariance=_matmul(root, root.T),
        dependent=dependent,
    )


@jax.custom_jvp
def qr(matrix: Array) -> tuple[Array, Array]:
    """A matrix with orthonormal columns times an upper triangular one.

    Equation: `Q R = matrix`. Each column is taken twice through Gram-Schmidt against those before it, which
    makes `Q` orthonormal up to rounding (Giraud et al., 2005), unless the columns are dependent up to
    rounding themselves. Unlike reflections, that needs no masks, in four products a column.

    Args:
      matrix: `[N, P]` floating, any `N` and `P`.

    Returns:
      `Q` `[N, P]`, whose column is zero where nothing is left of the matrix' column, and `R` `[P, P]`, with a
      diagonal of zero or more. Derivatives are those of a matrix with independent columns.

    Example:
      >>> matrix = jnp.array([[3.0, 1.0], [4.0, 3.0], [0.0, 2.0]])
      >>> orthogonal, triangular = qr(matrix)
      >>> bool(jnp.allclose(orthogonal @ triangular, matrix, atol=1e-6))
      True
    """
    num_columns = matrix.shape[1]
    scale = _scale(matrix)
    columns = (matrix / scale).T

    def orthogonalise(k: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        rows, parts = state  # the columns of Q, as rows; those not yet found are zero
        column = columns[k]
        first = _matmul(rows, column)
        column = column - _matmul(first, rows)
        second = _matmul(rows, column)
        column = column - _matmul(second, rows)
        norm = jnp.sqrt(jnp.sum(column**2))
        rows = rows.at[k].set(column / jnp.where(norm > 0, norm, 1))
        return rows, parts.at[k].set((first + second).at[k].set(norm))

    start = jnp.zeros_like(columns), jnp.zeros((num_columns, num_columns), matrix.dtype)
    rows, parts = jax.lax.fori_loop(0, num_columns, orthogonalise, start) if num_columns else start
    return rows.T, parts.T * scale


@qr.defjvp
def _qr_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[tuple, tuple]:
    """From `dA = dQ R + Q dR`, where `Qᵀ dQ` is skew-symmetric and `dR` upper triangular."""
    orthogonal, triangular = qr(*primals)
    (tangent,) = tangents
    relative = back_substitute(triangular, tangent.T, transposed=True).T  # dA R⁻¹
    inner = _matmul(orthogonal.T, relative)
    lower = jnp.tril(inner, -1)
    upper = inner - (lower - lower.T)
    return (orthogonal, triangular), (relative - _matmul(orthogonal, upper), _matmul(upper, triangular))


def back_substitute(triangular: Array, targets: Array, *, transposed: bool = False) -> Array:
    """Solves an upper triangular system, or its transpose, from one end to the other.

    Equation: `R x = targets`, or `Rᵀ x = targets`.

    Args:
      triangular: `R`, `[P, P]`; what stands below the diagonal is not read.
      targets: `[P, M]`.
      transposed: whether the transposed system is meant.

    Returns:
      `x`, `[P, M]`.

    Example:
      >>> back_substitute(jnp.array([[2.0, 1.0], [0.0, 4.0]]), jnp.array([[4.0], [8.0]])).tolist()
      [[1.0], [2.0]]
    """
    if transposed:  # a lower triangular matrix, read from its other corner, is an upper one
        return back_substitute(triangular.T[::-1, ::-1], targets[::-1])[::-1]
    size = triangular.shape[0]

    def solve(i: Array, solution: Array) -> Array:
        k = size - 1 - i
        left = targets[k] - _matmul(triangular[k], solution)  # what is not yet found is zero
        return solution.at[k].set(left / triangular[k, k])

    return jax.lax.fori_loop(0, size, solve, jnp.zeros_like(targets)) if size else targets


def dependent_columns(triangular: Array) -> Array:
    """Which columns of a matrix are, up to rounding, linear combinations of the columns before them.

    Equation: `R_kk ≤ 64 ε ‖R_·k‖`, with `ε` the spacing of the dtype at one: what the columns before leave of
    a column, beside the length of the column. The scale of the columns plays no part.

    Args:
      triangular: the factor `R` of the matrix, `[P, P]`.

    Returns:
      `[P]` booleans; a column of zeros is dependent.

    Example:
      >>> dependent_columns(qr(jnp.array([[1.0, 2.0, 0.0], [1.0, 2.0, 1.0]]))[1]).tolist()
      [False, True, False]
    """
    triangular = triangular / _scale(triangular)
    lengths = jnp.sqrt(jnp.sum(jnp.triu(triangular) ** 2, axis=0))
    return jnp.diagonal(triangular) <= DEPENDENCE * jnp.finfo(triangular.dtype).eps * lengths


def _scale(matrix: Array) -> Array:
    """What columns are divided by before they are squared: large squares overflow, and small ones vanish."""
    largest = jnp.max(jnp.abs(matrix), axis=0, initial=0.0)
    return jnp.where(largest > 0, largest, 1)


def _matmul(left: Array, right: Array) -> Array:
    """A product in the full precision of the dtype, which not every device gives by default."""
    return jnp.matmul(left, right, precision="highest")


def _checked_matrix(name: str, value: Array) -> Array:
    if not hasattr(value, "dtype"):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a floating array.")
    value = jnp.asarray(value)
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} has dtype {value.dtype}, expected floating numbers: {name}.astype(float).")
    if value.ndim != 2:
        raise ValueError(f"{name} has shape {value.shape}, expected a matrix, one row an observation.")
    return value


def _checked_ridge(ridge: Array | float, design: Array) -> Array:
    ridge = jnp.asarray(ridge)
    if ridge.shape not in ((), (design.shape[1],)):
        raise ValueError(
            f"ridge has shape {ridge.shape}, expected one number, or {(design.shape[1],)}, one a column."
        )
    if not isinstance(ridge, jax.core.Tracer) and not (np.asarray(ridge) >= 0).all():
        raise ValueError(f"ridge is {np.asarray(ridge).tolist()}, expected numbers of zero or more.")
    return ridge
