"""What an autoregression leaves of a series, and how likely that is."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.memoryless.ar.params import ARParams, checked_params
from seqjax.memoryless.arguments import checked_data
from seqjax.types import Array


def log_likelihood(params: ARParams, ys: Any, *, inputs: Any = None, lengths: Any = None) -> Array:
    """The logarithm of the density of a series, given its first `p` outputs.

    Equation: `Σ_t log N(e_t; 0, L Lᵀ)` with `e_t = y_t - intercept - Σ_i A_i y_{t-i} - B u_t`, over the steps
    from `p` on (Lütkepohl, 2005, eq. 3.4.5). Differentiable: a loss that trains the noise too.

    Args:
      params: `ARParams` with `noise_cholesky`.
      ys: `[T, *B, M]` floating.
      inputs: `[T, *B, U]`, where the params have coefficients for them.
      lengths: `[*B]` integers, or `None`; what stands past them is not read.

    Returns:
      `[*B]`; zero for a series of no more than `p` steps.

    Raises:
      ValueError: if params, shapes or concrete values do not fit, or the noise is not known.
      TypeError: if a dtype does not fit.

    Example:
      >>> walk = ARParams(jnp.ones((1, 1, 1)), noise_cholesky=jnp.ones((1, 1)))
      >>> round(float(log_likelihood(walk, jnp.array([[0.0], [1.0], [1.0]]))), 4)
      -2.3379
    """
    params = checked_params(params)
    known_noise(params)
    return _log_likelihood(params, *fitting_data(params, ys, inputs, lengths))


def estimate_noise(params: ARParams, ys: Any, *, inputs: Any = None, lengths: Any = None) -> ARParams:
    """Params whose noise is that of what they leave of a series, for params trained by gradient.

    Equation: `L Lᵀ = Σ_t e_t e_tᵀ / n`, the maximum of `log_likelihood` (Lütkepohl, 2005, section 3.4); all
    series pooled.

    Args:
      params: `ARParams`.
      ys: `[T, *B, M]` floating.
      inputs: `[T, *B, U]`, where the params have coefficients for them.
      lengths: `[*B]` integers, or `None`; what stands past them is not read.

    Returns:
      `params` with another `noise_cholesky`.

    Raises:
      ValueError: if params, shapes or concrete values do not fit.
      TypeError: if a dtype does not fit.

    Example:
      >>> walk = estimate_noise(ARParams(jnp.ones((1, 1, 1))), jnp.array([[0.0], [1.0], [4.0]]))
      >>> round(float(walk.noise_cholesky[0, 0]) ** 2, 4)
      5.0
    """
    params = checked_params(params)
    return dataclasses.replace(
        params, noise_cholesky=_noise(params, *fitting_data(params, ys, inputs, lengths))
    )


def known_noise(params: ARParams) -> Array:
    """The factor of the covariance of the noise, where params say what it is.

    Args:
      params: `ARParams`.

    Returns:
      `params.noise_cholesky`, `[M, M]`.

    Raises:
      ValueError: if `params.noise_cholesky` is `None`.

    Example:
      >>> known_noise(ARParams(jnp.ones((1, 1, 1))))
      Traceback (most recent call last):
      ValueError: params.noise_cholesky is None, expected the noise: ar.estimate_noise(params, ys) adds it.
    """
    if params.noise_cholesky is None:
        raise ValueError(
            "params.noise_cholesky is None, expected the noise: ar.estimate_noise(params, ys) adds it."
        )
    return params.noise_cholesky


def check_inputs_given(params: ARParams, inputs: Array | None) -> None:
    """Refuses inputs where the params have no coefficients for them, and the other way round.

    Args:
      params: `ARParams`.
      inputs: `[..., U]`, or `None`.

    Raises:
      ValueError: if one of both is missing, or the number of inputs differs.

    Example:
      >>> check_inputs_given(ARParams(jnp.ones((1, 1, 1))), jnp.ones((5, 2)))
      Traceback (most recent call last):
      ValueError: inputs has 2 features, but params have no input_coefficients: leave inputs out, or ...
    """
    if params.input_coefficients is None:
        if inputs is not None:
            raise ValueError(
                f"inputs has {inputs.shape[-1]} features, but params have no input_coefficients: leave "
                f"inputs out, or fit with inputs."
            )
        return
    wanted = params.input_coefficients.shape[1]
    came = "None" if inputs is None else f"an array of {inputs.shape[-1]} features"
    if inputs is None or inputs.shape[-1] != wanted:
        raise ValueError(f"inputs is {came}, expected {wanted} features, as params.input_coefficients has.")


def fitting_data(
    params: ARParams, ys: Any, inputs: Any, lengths: Any
) -> tuple[Array, Array | None, Array | None]:
    """Outputs, driving inputs and lengths as arrays that fit each other and the params.

    Args:
      params: `ARParams`.
      ys: `[T, *B, M]` floating.
      inputs: `[T, *B, U]`, or `None`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      The three as arrays, `None` as it is.

    Raises:
      ValueError: if a shape or a concrete value does not fit.
      TypeError: if a dtype does not fit.

    Example:
      >>> fitting_data(ARParams(jnp.ones((1, 1, 1))), jnp.ones((5, 2)), None, None)
      Traceback (most recent call last):
      ValueError: ys has feature size 2, but these params are for 1 outputs.
    """
    ys, inputs, lengths = checked_data(ys, inputs, lengths)
    size = params.coefficients.shape[-1]
    if ys.shape[-1] != size:
        raise ValueError(f"ys has feature size {ys.shape[-1]}, but these params are for {size} outputs.")
    check_inputs_given(params, inputs)
    return ys, inputs, lengths


def residuals(params: ARParams, ys: Array, inputs: Array | None, lengths: Array | None) -> Array:
    """What is left of each output when its past and the inputs have explained what they can.

    Equation: `e_t = y_t - intercept - Σ_i A_i y_{t-i} - B u_t`.

    Args:
      params: `ARParams` of order `p`.
      ys: `[T, *B, M]`.
      inputs: `[T, *B, U]`, or `None`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      `[T - p, *B, M]`, those of the steps from `p` on, none where `T < p`; zero in the padding.

    Example:
      >>> residuals(ARParams(jnp.ones((1, 1, 1))), jnp.array([[1.0], [3.0], [4.0]]), None, None).tolist()
      [[2.0], [1.0]]
    """
    order, num_steps = params.coefficients.shape[0], ys.shape[0]
    valid = None
    if lengths is not None:
        valid = ops.length_mask(lengths, num_steps)
        ys = ops.zero_padding(ys, valid)
        inputs = ops.zero_padding(inputs, valid)
    left = ys[order:]
    for lag in range(1, order + 1):
        # Of the matrix' transpose, because outputs are rows.
        left = left - _product(ys[order - lag : max(num_steps - lag, 0)], params.coefficients[lag - 1].T)
    if inputs is not None and params.input_coefficients is not None:
        left = left - _product(inputs[order:], params.input_coefficients.T)
    if params.intercept is not None:
        left = left - params.intercept
    return left if valid is None else ops.zero_padding(left, valid[order:])


@jax.jit
def _log_likelihood(params: ARParams, ys: Array, inputs: Array | None, lengths: Array | None) -> Array:
    left = residuals(params, ys, inputs, lengths)
    order = params.coefficients.shape[0]
    if lengths is None:
        steps = jnp.full(ys.shape[1:-1], left.shape[0])
    else:
        steps = jnp.maximum(lengths - order, 0)
    return log_density(left, known_noise(params), steps)


def log_density(rows: Array, cholesky: Array, count: Array) -> Array:
    """The logarithm of the density of independent normal vectors of mean zero, over the first axis.

    Equation: `Σ_t log N(row_t; 0, L Lᵀ)`. Where `L` has a zero on its diagonal, a direction has no noise:
    rows that do not move there have the density infinity, others zero.

    Args:
      rows: `[T, *B, M]`, zeros in the padding.
      cholesky: `L`, `[M, M]` lower triangular.
      count: `[*B]`, how many of the rows are not padding.

    Returns:
      `[*B]`; zero where there is no row.

    Example:
      >>> log_density(jnp.zeros((2, 1)), jnp.zeros((1, 1)), jnp.array(2)).item()
      inf
    """
    size = cholesky.shape[0]
    noiseless = jnp.diagonal(cholesky) == 0
    cholesky = cholesky + jnp.diag(noiseless.astype(cholesky.dtype))
    whitened = ops.back_substitute(cholesky.T, rows.reshape(-1, size).T, transposed=True).T
    whitened = whitened.reshape(rows.shape)
    log_scale = jnp.sum(jnp.log(jnp.abs(jnp.diagonal(cholesky)))) + 0.5 * size * math.log(2 * math.pi)
    density = -count * log_scale - 0.5 * jnp.sum(whitened**2, axis=(0, -1))
    moves = jnp.any(noiseless & (whitened != 0), axis=(0, -1))
    limit = jnp.where(moves, -jnp.inf, jnp.inf)
    return jnp.where(noiseless.any() & (count > 0), limit, density)


@jax.jit
def _noise(params: ARParams, ys: Array, inputs: Array | None, lengths: Array | None) -> Array:
    left = residuals(params, ys, inputs, lengths)
    order, size = params.coefficients.shape[:2]
    rows = left.reshape(-1, size)
    count = rows.shape[0] if lengths is None else jnp.sum(jnp.maximum(lengths - order, 0))
    return factor(rows, count)


def factor(rows: Array, count: Array | int) -> Array:
    """The Cholesky factor of a covariance, from the rows and not from their products.

    Equation: `L Lᵀ = rowsᵀ rows / count`.

    Args:
      rows: `[n, M]`.
      count: how many of the rows are not padding of zeros.

    Returns:
      `[M, M]` lower triangular, with a diagonal of zero or more.

    Example:
      >>> factor(jnp.array([[3.0], [4.0], [0.0]]), 1).tolist()
      [[5.0]]
    """
    return ops.qr(rows)[1].T / jnp.sqrt(jnp.asarray(count, rows.dtype))


def _product(rows: Array, matrix: Array) -> Array:
    return jnp.matmul(rows, matrix, precision="highest")
