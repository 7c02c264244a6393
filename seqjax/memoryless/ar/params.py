"""The parameters of a linear autoregression, and what its dynamics follow from."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.checks import as_array, kind_of
from seqjax.types import Array


@struct.dataclass
class ARParams:
    """Parameters of a linear autoregression with driving inputs.

    Equation: `y_t = intercept + Σ_i A_i y_{t-i} + B u_t + e_t` with `e_t ~ N(0, L Lᵀ)` and `i` from 1 to the
    order `p` (Lütkepohl, 2005, eq. 2.1.1).

    Attributes:
      coefficients: `A`, `[p, M, M]`: entry `[i - 1, m, n]` is what one of output `n`, `i` steps ago, adds to
        output `m`.
      intercept: `[M]`, or `None` for none.
      input_coefficients: `B`, `[M, U]`, or `None` for no inputs.
      noise_cholesky: `L`, `[M, M]` lower triangular; `None` where nothing is known of the noise.
      initial_window: `[p, M]`, the outputs before the first, oldest first; `None` for zeros.
    """

    coefficients: Array
    intercept: Array | None = None
    input_coefficients: Array | None = None
    noise_cholesky: Array | None = None
    initial_window: Array | None = None


def params(
    coefficients: Any,
    *,
    intercept: Any = None,
    input_coefficients: Any = None,
    noise_covariance: Any = None,
) -> ARParams:
    """Parameters from known numbers, after a look at whether they fit each other.

    Args:
      coefficients: `[p, M, M]`; for one output, `[p, 1, 1]`.
      intercept: `[M]`, or `None`.
      input_coefficients: `[M, U]`, or `None`.
      noise_covariance: `[M, M]`, symmetric and positive definite, with known values; `None` if unknown.

    Returns:
      `ARParams`.

    Raises:
      TypeError: if an argument is not floating.
      ValueError: if a shape does not fit, or the covariance is not symmetric or not positive definite.

    Example:
      >>> walk = params([[[1.0]]], noise_covariance=[[4.0]])
      >>> walk.noise_cholesky.tolist()
      [[2.0]]
    """
    made = ARParams(
        coefficients=as_array("coefficients", coefficients),
        intercept=None if intercept is None else as_array("intercept", intercept),
        input_coefficients=(
            None if input_coefficients is None else as_array("input_coefficients", input_coefficients)
        ),
    )
    checked_params(made, prefix="")
    if noise_covariance is not None:
        cholesky = _cholesky(noise_covariance, made.coefficients.shape[-1])
        made = dataclasses.replace(made, noise_cholesky=jnp.asarray(cholesky, made.coefficients.dtype))
    return made


def checked_params(params: Any, *, prefix: str = "params.") -> ARParams:
    """The params of an autoregression, after a look at whether they fit each other.

    Args:
      params: `ARParams`.
      prefix: what stands before the name of a field, for the error.

    Returns:
      `params`, as they are.

    Raises:
      TypeError: if a field is not floating.
      ValueError: if `params` are no `ARParams`, or a shape does not fit.

    Example:
      >>> checked_params(ARParams(jnp.ones((2, 3, 1))))
      Traceback (most recent call last):
      ValueError: params.coefficients has shape (2, 3, 1), expected [p, M, M]: one square matrix a lag.
    """
    if not isinstance(params, ARParams):
        raise ValueError(
            f"params is {kind_of(params)}, expected ARParams, as ar.fit or ar.params makes them."
        )
    shape = jnp.shape(params.coefficients)
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] == 0:
        raise ValueError(
            f"{prefix}coefficients has shape {shape}, expected [p, M, M]: one square matrix a lag."
        )
    order, size, _ = shape
    inputs = params.input_coefficients
    num_inputs = () if inputs is None else jnp.shape(inputs)[1:2]
    expected = {
        "coefficients": shape,
        "intercept": (size,),
        "input_coefficients": (size, *num_inputs),
        "noise_cholesky": (size, size),
        "initial_window": (order, size),
    }
    for name, wanted in expected.items():
        value = getattr(params, name)
        if value is None:
            continue
        value = as_array(prefix + name, value)
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"{prefix}{name} has dtype {value.dtype}, expected floating numbers.")
        if value.shape != wanted:
            raise ValueError(
                f"{prefix}{name} has shape {value.shape}, expected {wanted}, as {order} coefficients of "
                f"{size} outputs ask for."
            )
    return params


def companion(params: ARParams) -> Array:
    """The matrix that leads from the last `p` outputs to the next.

    Equation: `[y_t; ...; y_{t-p+1}] = C [y_{t-1}; ...; y_{t-p}] + ...`, with `A_1 ... A_p` in the first rows
    of `C` and the identity below (Lütkepohl, 2005, eq. 2.1.8).

    Args:
      params: `ARParams` with `coefficients[p, M, M]`.

    Returns:
      `[p * M, p * M]`.

    Raises:
      ValueError: if `params` are no `ARParams`.

    Example:
      >>> companion(ARParams(jnp.array([[[0.5]], [[0.3]]]))).tolist()
      [[0.5, 0.30000001192092896], [1.0, 0.0]]
    """
    coefficients = jnp.asarray(checked_params(params).coefficients)
    order, size, _ = coefficients.shape
    top = jnp.moveaxis(coefficients, 0, 1).reshape(size, order * size)
    below = jnp.eye(max(order - 1, 0) * size, order * size, dtype=coefficients.dtype)
    return jnp.concatenate([top, below]) if order else jnp.zeros((0, 0), coefficients.dtype)


def roots(params: ARParams) -> np.ndarray:
    """The roots of the characteristic polynomial, largest first: how fast memory fades, and how it turns.

    Equation: `det(z^p I - A_1 z^{p-1} - ... - A_p) = 0`, whose solutions are the eigenvalues of the companion
    matrix. An autoregression is stable where all lie inside the unit circle (Lütkepohl, 2005, eq. 2.1.9).
    A root `r exp(±i w)` is a cycle of `2 π / w` steps that falls to `r` of its height at each. The
    reciprocals of these roots, outside of the circle, are what some programs call the roots.

    Args:
      params: `ARParams` with known values.

    Returns:
      `[p * M]` complex numbers, of numpy.

    Raises:
      ValueError: if `params` are no `ARParams`.
      TypeError: if their values are not known, as under `jit`.

    Example:
      >>> roots(ARParams(jnp.array([[[0.0]], [[-0.25]]]))).round(3).tolist()
      [0.5j, -0.5j]
    """
    matrix = companion(params)
    if isinstance(matrix, jax.core.Tracer):
        raise TypeError(
            "params.coefficients has no values here, expected concrete numbers: call roots and is_stable "
            "outside of jit, grad and vmap."
        )
    values = np.linalg.eigvals(np.asarray(matrix, float)).astype(complex)
    return values[np.lexsort((-values.imag, -np.abs(values).round(12)))]


def is_stable(params: ARParams) -> bool:
    """Whether the outputs forget where they started, so that they have a mean and a variance.

    Equation: all `|roots| < 1`.

    Args:
      params: `ARParams` with known values.

    Returns:
      A boolean.

    Raises:
      ValueError: if `params` are no `ARParams`.
      TypeError: if their values are not known, as under `jit`.

    Example:
      >>> is_stable(ARParams(jnp.array([[[0.9]]]))), is_stable(ARParams(jnp.array([[[1.0]]])))
      (True, False)
    """
    return bool((np.abs(roots(params)) < 1).all())


def _cholesky(covariance: Any, size: int) -> np.ndarray:
    covariance = as_array("noise_covariance", covariance)
    if isinstance(covariance, jax.core.Tracer):
        raise TypeError(
            "noise_covariance has no values here, expected concrete numbers: call ar.params outside of jit, "
            "or give ARParams a noise_cholesky."
        )
    values = np.asarray(covariance, float)
    if values.shape != (size, size):
        raise ValueError(f"noise_covariance has shape {values.shape}, expected {(size, size)}.")
    if not np.allclose(values, values.T, rtol=1e-5, atol=0):
        raise ValueError("noise_covariance is not symmetric, expected a symmetric matrix.")
    smallest = np.linalg.eigvalsh(values).min() if np.isfinite(values).all() else float("nan")
    if not smallest > 0:
        raise ValueError(
            f"noise_covariance has the eigenvalue {smallest:.3g}, expected a positive definite matrix."
        )
    return np.linalg.cholesky(values)
