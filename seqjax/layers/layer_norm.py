"""Normalisation of the features of each step."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, check_size
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import pointwise
from seqjax.types import Array, Key

EPSILON = 1e-5
"""Added to the variance, so that equal features do not divide by zero."""


@struct.dataclass
class LayerNormParams:
    """Parameters of a layer normalisation.

    Attributes:
      scale: `[D]`.
      bias: `[D]`.
    """

    scale: Array
    bias: Array


def layer_norm() -> Layer:
    """Gives the features of each step mean zero and variance one, then a scale and a bias (Ba et al., 2016).

    Equation (eq. 4): `y_t = scale * (x_t - mean(x_t)) / sqrt(var(x_t) + 1e-5) + bias`, over the features of
    one step of one row, so that nothing leaks through time or batch.

    Returns:
      A `Layer` with `LayerNormParams` and a carry of `()`. Its output `[T, *B, D]` has the dtype of the
      params, at least float32, and so have its sums.

    Example:
      >>> layer = layer_norm()
      >>> params = layer.init(jax.random.key(0), 2)
      >>> carry, ys = layer.unroll(params, jnp.array([[1.0, 3.0]]))
      >>> [round(y, 2) for y in ys[0].tolist()]
      [-1.0, 1.0]
    """

    def init(key: Key, input_size: int) -> LayerNormParams:
        check_key(key)
        check_size("input_size", input_size)
        dtype = ops.default_dtype()
        return LayerNormParams(scale=jnp.ones((input_size,), dtype), bias=jnp.zeros((input_size,), dtype))

    return pointwise(
        _normalise, init=init, params_type=LayerNormParams, output_size=lambda input_size: input_size
    )


def _normalise(params: LayerNormParams, xs: Array) -> Array:
    if xs.ndim == 0 or xs.shape[-1:] != params.scale.shape:
        size = xs.shape[-1] if xs.ndim else "none (it is a scalar)"
        raise ValueError(
            f"xs has feature size {size}, but these params were initialised with input_size "
            f"{params.scale.shape[0]}. Initialise with the size of the data, or pass the data these params "
            f"were made for."
        )
    xs = xs.astype(ops.accumulation_dtype(params.scale.dtype))
    centred = xs - jnp.mean(xs, axis=-1, keepdims=True)
    variance = jnp.mean(centred**2, axis=-1, keepdims=True)
    return params.scale * (centred * jax.lax.rsqrt(variance + EPSILON)) + params.bias
