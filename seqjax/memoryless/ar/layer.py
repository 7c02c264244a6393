"""A linear autoregression as a layer, to be trained by gradient."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import check_flag, check_size
from seqjax.layers import DelayLineParams, Layer
from seqjax.memoryless.ar.params import ARParams, checked_params
from seqjax.memoryless.feedback import FeedbackCarry, Regression, feedback_layer
from seqjax.types import Array, Key


def layer(
    order: int,
    output_size: int,
    *,
    feedback: str = "teacher",
    intercept: bool = True,
    initial_window: str = "learned",
) -> Layer:
    """A linear autoregression as a layer: what `fit` estimates, open to any loss and optimizer.

    Equation: `y_t = intercept + Σ_i A_i y_{t-i} + B u_t`. With `feedback="teacher"`, the features of `xs` are
    the inputs, then the true outputs, both of the same step: `y_t` is predicted before it is read, so that
    `xs = concat(us, ys)` and `targets = ys` need no shift. With `feedback="own"`, `xs` are the inputs alone,
    `jnp.zeros((T, *B, 0))` where there are none, and the layer reads its own outputs. Params and carries
    serve both, as with `seqjax.memoryless.narx`.

    Params made by `fit` run here too, with `initial_window="zeros"`; their noise is not read.

    Args:
      order: `p`, how many outputs before its own each output sees.
      output_size: `M`.
      feedback: `"teacher"` or `"own"`.
      intercept: whether there is one.
      initial_window: `"learned"` or `"zeros"`, what stands before the first output.

    Returns:
      A `Layer` with `ARParams` and a `FeedbackCarry`, whose `outputs[*B, p, M]` are the last outputs. Its
      `input_size` is `U + M` with a teacher, else `U`; its output is `[T, *B, M]`.

    Raises:
      ValueError: if a size is not positive, or a word is none of those above.
      TypeError: if a size is not an integer, or `intercept` is no boolean.

    Example:
      >>> teacher = layer(2, 1, initial_window="zeros")
      >>> params = ARParams(jnp.array([[[0.5]], [[0.25]]]), intercept=jnp.zeros(1))
      >>> carry, predicted = teacher.unroll(params, jnp.array([[4.0], [8.0]]))
      >>> predicted.ravel().tolist(), carry.outputs.ravel().tolist()
      ([0.0, 2.0], [4.0, 8.0])
    """
    check_size("order", order)
    check_size("output_size", output_size)
    check_flag("intercept", intercept)

    def init(key: Key, num_inputs: int) -> ARParams:
        kernel_key, window_key = jax.random.split(key)
        rows = order * output_size
        kernel = ops.input_kernel(kernel_key, rows + num_inputs, 1, output_size)[:, 0]
        window = jnp.zeros((order, output_size), kernel.dtype)
        return ARParams(
            coefficients=jnp.swapaxes(kernel[:rows].reshape(order, output_size, output_size), 1, 2),
            intercept=jnp.zeros((output_size,), kernel.dtype) if intercept else None,
            input_coefficients=kernel[rows:].T if num_inputs else None,
            initial_window=ops.learned_carry(window_key, window) if initial_window == "learned" else None,
        )

    def windows(params: Any) -> tuple[DelayLineParams | None, DelayLineParams]:
        _check_kind(params)
        dtype, initial = params.coefficients.dtype, params.initial_window
        inputs = params.input_coefficients
        return (
            None if inputs is None else DelayLineParams(jnp.zeros((0, inputs.shape[-1]), dtype)),
            DelayLineParams(jnp.zeros((0, output_size), dtype) if initial is None else initial),
        )

    def _check_kind(params: Any) -> None:
        shape = checked_params(params).coefficients.shape
        if shape != (order, output_size, output_size):
            raise ValueError(
                f"params.coefficients has shape {shape}, expected {(order, output_size, output_size)}, the "
                f"order and size of this layer."
            )
        for name, wanted in (("intercept", intercept), ("initial_window", initial_window == "learned")):
            if (getattr(params, name) is not None) != wanted:
                came, word = ("None", "an array") if wanted else ("an array", "None")
                raise ValueError(
                    f"params.{name} is {came}, expected {word}: make the layer with the {name} that these "
                    f"params have, or init again."
                )

    def predict(params: ARParams, inputs: Array | None, outputs: Array) -> Array:
        kernel = jnp.swapaxes(params.coefficients, 1, 2).reshape(order * output_size, output_size)
        y = ops.product(outputs, kernel)
        if inputs is not None and params.input_coefficients is not None:
            y = y + ops.product(inputs, params.input_coefficients.T)
        return y if params.intercept is None else y + params.intercept

    inner = feedback_layer(
        Regression(init, windows, predict, 1, order, output_size, initial_window), feedback
    )

    def unroll(params: Any, xs: Any, **options: Any) -> tuple[FeedbackCarry, Array]:
        windows(params)
        return inner.unroll(dataclasses.replace(params, noise_cholesky=None), xs, **options)

    return inner._replace(unroll=unroll)
