"""An affine map of the features of each step."""

from __future__ import annotations

import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation
from seqjax.checks import check_activation, check_flag, check_key, check_size
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import pointwise
from seqjax.types import Array, Key


@struct.dataclass
class DenseParams:
    """Parameters of a dense layer.

    Attributes:
      kernel: `[D, H]`.
      bias: `[H]`, or `None`.
    """

    kernel: Array
    bias: Array | None


def dense(features: int, activation: Activation | None = None, *, use_bias: bool = True) -> Layer:
    """An affine map of the features of each step, and a function of the result.

    Equation: `y_t = activation(x_t W + b)`. Kernels start uniform with variance `2 / (D + H)` (Glorot &
    Bengio, 2010, eq. 16), biases at zero.

    Args:
      features: `H`, the features of the output.
      activation: any elementwise function, such as `jnp.tanh`; `None` for none.
      use_bias: whether there is a `b`.

    Returns:
      A `Layer` with `DenseParams` and a carry of `()`. Its output `[T, *B, H]` has the dtype of the params,
      at least float32.

    Raises:
      ValueError: if `features` is not positive.
      TypeError: if `features` is not an integer, `activation` cannot be called, or `use_bias` is no boolean.

    Example:
      >>> import jax
      >>> layer = dense(4, jnp.tanh)
      >>> params = layer.init(jax.random.key(0), 3)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 2, 3)))
      >>> params.kernel.shape, ys.shape
      ((3, 4), (7, 2, 4))
    """
    check_size("features", features)
    if activation is not None:
        check_activation("activation", activation)
    check_flag("use_bias", use_bias)

    def init(key: Key, input_size: int) -> DenseParams:
        check_key(key)
        check_size("input_size", input_size)
        kernel = ops.input_kernel(key, input_size, 1, features)[:, 0, :]
        return DenseParams(kernel=kernel, bias=jnp.zeros((features,), kernel.dtype) if use_bias else None)

    def apply(params: DenseParams, xs: Array) -> Array:
        if params.kernel.shape[-1] != features:
            raise ValueError(
                f"params.kernel has shape {params.kernel.shape}, but this layer has {features} features: "
                f"pass params made by this layer's init."
            )
        ys = ops.product(xs, params.kernel)
        if params.bias is not None:
            ys = ys + params.bias
        return ys if activation is None else activation(ys)

    return pointwise(apply, init=init, params_type=DenseParams, output_size=lambda input_size: features)
