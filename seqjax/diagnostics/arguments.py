"""Arguments that several diagnostics look at."""

from __future__ import annotations

import jax.numpy as jnp

from seqjax.checks import as_array
from seqjax.types import Array


def checked_matrices(matrices: Array) -> Array:
    """Jacobians as an array, after a look at their shape and dtype.

    Args:
      matrices: `[T, *B, N, N]` floating.

    Returns:
      The array.

    Raises:
      ValueError: if they are not square, or there is no time axis.
      TypeError: if they are not floating.

    Example:
      >>> checked_matrices(jnp.ones((3, 2)))
      Traceback (most recent call last):
      ValueError: matrices has shape (3, 2), expected [T, *B, N, N], as state_jacobians(...).matrices.
    """
    if hasattr(matrices, "matrices"):
        raise TypeError("matrices is a StateJacobians, expected its array: pass jacobians.matrices.")
    matrices = as_array("matrices", matrices)
    if matrices.ndim < 3 or matrices.shape[-1] != matrices.shape[-2]:
        raise ValueError(
            f"matrices has shape {matrices.shape}, expected [T, *B, N, N], as state_jacobians(...).matrices."
        )
    if not jnp.issubdtype(matrices.dtype, jnp.floating):
        raise TypeError(f"matrices has dtype {matrices.dtype}, expected floating numbers.")
    return matrices
