"""What an autoregression says of the steps to come, and series drawn from it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct
from jax.scipy.special import ndtri

from seqjax.checks import check_key, check_size, shown
from seqjax.memoryless.ar.likelihood import check_inputs_given, known_noise
from seqjax.memoryless.ar.params import ARParams, checked_params
from seqjax.memoryless.arguments import check_finite, checked_inputs, checked_series
from seqjax.types import Array, Key
from seqjax.unroll import checked_lengths


@struct.dataclass
class ARForecast:
    """The distribution of the steps to come, which is normal.

    Attributes:
      mean: `[S, *B, M]`.
      covariance: `[S, M, M]` of the error of each step's forecast, the same for every series. It holds the
        noise alone: the params are taken to be true.
    """

    mean: Array
    covariance: Array

    def interval(self, level: float = 0.95) -> tuple[Array, Array]:
        """The bounds that each output lies between with a probability, each step and output by itself.

        Equation: `mean ± z √diag(covariance)` (Lütkepohl, 2005, section 2.2.3).

        Args:
          level: the probability, between 0 and 1.

        Returns:
          The lower and the upper bounds, each `[S, *B, M]`.

        Raises:
          TypeError: if `level` is no number.
          ValueError: if `level` is not between 0 and 1.

        Example:
          >>> lower, upper = ARForecast(jnp.zeros((1, 1)), jnp.ones((1, 1, 1))).interval(0.95)
          >>> round(float(upper[0, 0]), 2)
          1.96
        """
        if isinstance(level, bool) or not isinstance(level, (int, float, np.floating)):
            raise TypeError(f"level is {shown(level)}, expected a number between 0 and 1.")
        if not 0 < level < 1:
            raise ValueError(f"level is {level}, expected a number between 0 and 1.")
        deviation = jnp.sqrt(jnp.diagonal(self.covariance, axis1=-2, axis2=-1))
        deviation = deviation.reshape(deviation.shape[0], *(1,) * (self.mean.ndim - 2), deviation.shape[1])
        half = ndtri(jnp.asarray(0.5 + level / 2, deviation.dtype)) * deviation
        return self.mean - half, self.mean + half


def forecast(
    params: ARParams, past: Any, num_steps: int, *, inputs: Any = None, lengths: Any = None
) -> ARForecast:
    """The distribution of the outputs after those seen.

    Equations: the mean of `y_{T+h}` is `intercept + Σ_i A_i y_{T+h-i} + B u_{T+h}`, with means in the place
    of what has not been seen (Lütkepohl, 2005, section 2.2.2); the covariance of its error is
    `Σ_{i<h} Ψ_i L Lᵀ Ψ_iᵀ` with `Ψ_0 = I`, `Ψ_i = Σ_{j≤i} Ψ_{i-j} A_j` (eq. 2.1.22).

    Args:
      params: `ARParams` with `noise_cholesky`.
      past: `[T, *B, M]` floating, the outputs seen, of which the last `p` are read.
      num_steps: `S`, how many steps to forecast.
      inputs: `[S, *B, U]` floating, those of the steps to come, where the params have coefficients for them.
      lengths: `[*B]` integers, how many outputs of each series were seen, at least `p`; `None` for all.

    Returns:
      An `ARForecast`. A series whose length is under `p` and not known before (under `jit`) gives NaN.

    Raises:
      ValueError: if params, shapes or concrete values do not fit, or the noise is not known.
      TypeError: if a dtype or type does not fit.

    Example:
      >>> walk = ARParams(jnp.ones((1, 1, 1)), noise_cholesky=jnp.ones((1, 1)))
      >>> ahead = forecast(walk, jnp.array([[3.0], [5.0]]), 3)
      >>> ahead.mean.ravel().tolist(), ahead.covariance.ravel().tolist()
      ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0])
    """
    params = checked_params(params)
    known_noise(params)
    check_size("num_steps", num_steps)
    window = _last_outputs(params, past, lengths)
    inputs = _checked_ahead(params, inputs, int(num_steps), window.shape[1:-1])
    return _forecast(params, window, int(num_steps), inputs)


def simulate(
    params: ARParams,
    key: Key,
    num_steps: int,
    batch_shape: tuple[int, ...] = (),
    *,
    past: Any = None,
    inputs: Any = None,
) -> Array:
    """Draws series.

    Equation: `y_t = intercept + Σ_i A_i y_{t-i} + B u_t + e_t` with `e_t ~ N(0, L Lᵀ)`.

    Args:
      params: `ARParams` with `noise_cholesky`.
      key: a random key.
      num_steps: `S`.
      batch_shape: the batch axes `*B`: how many series.
      past: `[T, *B, M]` floating, the outputs before the first, of which the last `p` are read; `None` for
        those of the initial window, or zeros. Series that start at zeros forget them after some steps, if the
        params are stable; drop those.
      inputs: `[S, *B, U]` floating, where the params have coefficients for them.

    Returns:
      `[S, *B, M]`.

    Raises:
      ValueError: if params, shapes or concrete values do not fit, or the noise is not known.
      TypeError: if a dtype or type does not fit.

    Example:
      >>> still = ARParams(jnp.ones((1, 1, 1)), noise_cholesky=jnp.zeros((1, 1)))
      >>> simulate(still, jax.random.key(0), 3, past=jnp.array([[7.0]])).ravel().tolist()
      [7.0, 7.0, 7.0]
    """
    params = checked_params(params)
    known_noise(params)
    check_key(key)
    check_size("num_steps", num_steps)
    if not isinstance(batch_shape, (tuple, list)):
        raise TypeError(f"batch_shape is {shown(batch_shape)}, expected a tuple of sizes, such as (32,).")
    order, size, _ = params.coefficients.shape
    if past is None:
        window = params.initial_window
        window = jnp.zeros((order, size), params.coefficients.dtype) if window is None else window
        window = jnp.broadcast_to(
            window.reshape(order, *(1,) * len(batch_shape), size), (order, *batch_shape, size)
        )
    else:
        window = _last_outputs(params, past, None)
        if window.shape[1:-1] != tuple(batch_shape):
            raise ValueError(
                f"past has the batch axes {window.shape[1:-1]}, expected batch_shape {tuple(batch_shape)}."
            )
    inputs = _checked_ahead(params, inputs, int(num_steps), tuple(batch_shape))
    return _simulate(params, key, window, int(num_steps), inputs)


def _last_outputs(params: ARParams, past: Any, lengths: Any) -> Array:
    """The last `p` outputs of each series `[p, *B, M]`, oldest first."""
    given, past = past, checked_series("past", past)
    num_steps, batch_shape = past.shape[0], past.shape[1:-1]
    order, size, _ = params.coefficients.shape
    if past.shape[-1] != size:
        raise ValueError(f"past has feature size {past.shape[-1]}, but these params are for {size} outputs.")
    if num_steps < order:
        raise ValueError(f"past has {num_steps} steps, expected at least {order}, the order of params.")
    check_finite("past", given, lengths)
    if lengths is None:
        return past[num_steps - order :]
    known = not isinstance(lengths, jax.core.Tracer)
    lengths = checked_lengths(lengths, num_steps, batch_shape)
    if known and (np.asarray(lengths) < order).any():
        raise ValueError(
            f"lengths has the value {np.min(np.asarray(lengths))}, expected at least {order}, the order of "
            f"params: leave that series out."
        )
    index = jnp.arange(order).reshape((-1,) + (1,) * len(batch_shape)) + lengths - order
    window = jnp.take_along_axis(past, jnp.maximum(index, 0)[..., None], axis=0)
    return jnp.where(lengths[..., None] >= order, window, jnp.nan)


def _checked_ahead(
    params: ARParams, inputs: Any, num_steps: int, batch_shape: tuple[int, ...]
) -> Array | None:
    """The inputs of the steps to come."""
    given = inputs
    if inputs is not None:
        inputs = checked_inputs(inputs, num_steps, batch_shape, "the steps ahead")
        check_finite("inputs", given, None)
    check_inputs_given(params, inputs)
    return inputs


@partial(jax.jit, static_argnums=2)
def _forecast(params: ARParams, window: Array, num_steps: int, inputs: Array | None) -> ARForecast:
    order, size, _ = params.coefficients.shape
    driven = _driven(params, num_steps, window.shape[1:-1], inputs)
    # The response to a shock obeys the same equation as the series, from zeros before the shock.
    shocks = jnp.zeros((num_steps, size, size), params.coefficients.dtype)
    shocks = shocks.at[0].set(known_noise(params).T)
    responses = _recursion(params, jnp.zeros((order, size, size), shocks.dtype), shocks)
    covariances = jnp.einsum("...km,...kn->...mn", responses, responses, precision="highest")
    return ARForecast(_recursion(params, window, driven), jnp.cumsum(covariances, axis=0))


@partial(jax.jit, static_argnums=3)
def _simulate(params: ARParams, key: Key, window: Array, num_steps: int, inputs: Array | None) -> Array:
    driven = _driven(params, num_steps, window.shape[1:-1], inputs)
    noise = jax.random.normal(key, driven.shape, driven.dtype)
    return _recursion(params, window, driven + _times(known_noise(params), noise))


def _driven(params: ARParams, num_steps: int, batch_shape: tuple[int, ...], inputs: Array | None) -> Array:
    """The part of each output that is not from the outputs before it, `[S, *B, M]`."""
    size, dtype = params.coefficients.shape[-1], params.coefficients.dtype
    driven = jnp.zeros((num_steps, *batch_shape, size), dtype)
    if params.intercept is not None:
        driven = driven + params.intercept
    if inputs is not None and params.input_coefficients is not None:
        driven = driven + _times(params.input_coefficients, inputs.astype(dtype))
    return driven


def _recursion(params: ARParams, window: Array, driven: Array) -> Array:
    """`y_t = Σ_i A_i y_{t-i} + driven_t` for rows `y_t` of any batch axes, from a window, oldest first."""
    order, size, _ = params.coefficients.shape
    if order == 0:
        return driven
    batch_shape = driven.shape[1:-1]
    # One product a step, with the window as one vector, newest first.
    kernel = jnp.swapaxes(params.coefficients, 1, 2).reshape(order * size, size)
    state = jnp.moveaxis(window[::-1].astype(driven.dtype), 0, -2).reshape(*batch_shape, order * size)

    def step(state: Array, driven: Array) -> tuple[Array, Array]:
        y = jnp.matmul(state, kernel, precision="highest") + driven
        return jnp.concatenate([y, state[..., : (order - 1) * size]], axis=-1), y

    return jax.lax.scan(step, state, driven)[1]


def _times(matrix: Array, rows: Array) -> Array:
    """`matrix @ row` for the last axis of rows."""
    return jnp.matmul(rows, matrix.T, precision="highest")
