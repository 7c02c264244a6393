"""Convolutions: along time, and over the rows and columns of a picture at each step."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation
from seqjax.checks import check_activation, check_key, check_size, shown
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import pointwise
from seqjax.types import Array, Key, Params


@struct.dataclass
class ConvolutionParams:
    """Parameters of a convolution.

    Attributes:
      kernel: `[k, D, H]` along time, `[k, k, C, H]` over a picture.
      bias: `[H]`.
    """

    kernel: Array
    bias: Array


def convolution(features: int, kernel_size: int = 3, activation: Activation | None = None) -> Layer:
    """A convolution along time that sees as many steps before as after: for the characters of a word.

    Equation: `y_t = activation(sum_j x_{t+j} W_j + b)` for `j = -(k-1)/2 ... (k-1)/2`, with zeros before the
    first step of a sequence and after its last valid one, and on the other side of a reset.

    An output depends on later inputs, so that there is no `step`, and a sequence unrolled in pieces is not
    the whole. What sees the steps before alone, and streams, is `stack(delay_line(k), dense(features))`.

    Args:
      features: `H`, the features of the output.
      kernel_size: `k`, an odd number of steps.
      activation: any elementwise function, such as `jax.nn.relu`; `None` for none.

    Returns:
      A `Layer` with `ConvolutionParams`, a carry of `()` and no step. Its output `[T, *B, H]` has the dtype
      of the params, at least float32.

    Raises:
      ValueError: if a size is not positive, or `kernel_size` is even.
      TypeError: if a size is not an integer, or `activation` cannot be called.

    Example:
      >>> layer = convolution(4, 3)
      >>> params = layer.init(jax.random.key(0), 2)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 5, 2)), lengths=jnp.array([7, 6, 3, 1, 0]))
      >>> params.kernel.shape, ys.shape
      ((3, 2, 4), (7, 5, 4))
    """
    check_size("features", features)
    check_size("kernel_size", kernel_size)
    if activation is not None:
        check_activation("activation", activation)
    if kernel_size % 2 == 0:
        raise ValueError(
            f"kernel_size is {kernel_size}, expected an odd number: as many steps before as after, and one."
        )
    reach = kernel_size // 2

    def init(key: Key, input_size: int) -> ConvolutionParams:
        check_key(key)
        check_size("input_size", input_size)
        kernel = ops.input_kernel(key, kernel_size * input_size, 1, features)
        return ConvolutionParams(
            kernel=kernel.reshape(kernel_size, input_size, features),
            bias=jnp.zeros((features,), kernel.dtype),
        )

    def apply(params: ConvolutionParams, xs: Array) -> Array:
        kernel = _checked_kernel(params, (kernel_size,), xs.shape[-1], features)
        num_steps, *batch_shape, size = xs.shape
        flat = xs.reshape(num_steps, math.prod(batch_shape), size).astype(kernel.dtype)
        ys = jax.lax.conv_general_dilated(
            flat,
            kernel,
            window_strides=(1,),
            padding=[(reach, reach)],
            dimension_numbers=("WNC", "WIO", "WNC"),
            preferred_element_type=ops.accumulation_dtype(kernel.dtype),
        )
        return _activated(ys.reshape(num_steps, *batch_shape, features) + params.bias, activation)

    def unroll(params: Params, xs: Any, *, resets: Any = None, **options: Any) -> tuple[Any, Array]:
        carry, ys = layer.unroll(params, xs, resets=resets, **options)
        if resets is None:
            return carry, ys
        return carry, _in_parts(layer, params, xs, jnp.asarray(resets), options, reach)

    layer = pointwise(
        apply, init=init, params_type=ConvolutionParams, output_size=lambda input_size: features
    )
    return layer._replace(step=None, unroll=unroll)


def _in_parts(
    layer: Layer, params: Params, xs: Any, resets: Array, options: dict[str, Any], reach: int
) -> Array:
    """The convolution where resets part the steps: no step sees what lies on the other side of a boundary.

    A step sees `reach` steps to each side. Parts of the same number modulo `reach + 1` lie too far apart to
    see each other, so that a run for each of these numbers, with all others blanked, is enough.
    """
    xs, part = jnp.asarray(xs), jnp.cumsum(resets, axis=0)
    masks = [part % (reach + 1) == number for number in range(reach + 1)]
    return sum(
        ops.zero_padding(layer.unroll(params, ops.zero_padding(xs, mine), **options)[1], mine)
        for mine in masks
    )


def picture_convolution(
    picture_shape: tuple[int, int, int],
    features: int,
    kernel_size: int = 3,
    *,
    stride: int = 1,
    activation: Activation | None = None,
) -> Layer:
    """A convolution over the rows and columns of the picture that stands at each step.

    Equation: `y_{i,j} = activation(sum_{u,v} x_{si+u, sj+v} W_{u,v} + b)` with the stride `s`, and zeros
    around the picture such that the output has `ceil(rows / s)` rows and `ceil(columns / s)` columns (LeCun
    et al., 1989). Pictures lie flat in the features, `D = rows * columns * channels`, in that order, and so
    do outputs: the next layer is given their shape.

    Args:
      picture_shape: `(rows, columns, channels)` of the input.
      features: the channels of the output.
      kernel_size: the rows and columns of the kernel.
      stride: the rows and columns from one output to the next.
      activation: any elementwise function, such as `jax.nn.relu`; `None` for none.

    Returns:
      A `Layer` with `ConvolutionParams` and a carry of `()`, which reads `[T, *B, D]`, or one picture a row
      in `one_to_many` and `one_to_one`.

    Raises:
      ValueError: if a size is not positive. `init` and `output_size` raise it if `input_size` is not that of
        the pictures.
      TypeError: if a size is not an integer, or `activation` cannot be called.

    Example:
      >>> import seqjax as sj
      >>> network = sj.stack(
      ...     picture_convolution((8, 8, 3), 4, stride=2, activation=jax.nn.relu),
      ...     picture_convolution((4, 4, 4), 6, stride=2, activation=jax.nn.relu),
      ... )
      >>> network.output_size(8 * 8 * 3)
      24
    """
    rows, columns, channels = _checked_shape(picture_shape)
    check_size("features", features)
    check_size("kernel_size", kernel_size)
    check_size("stride", stride)
    if activation is not None:
        check_activation("activation", activation)
    output_shape = (-(-rows // stride), -(-columns // stride), features)

    def output_size(input_size: int) -> int:
        check_size("input_size", input_size)
        if input_size != rows * columns * channels:
            raise ValueError(
                f"input_size is {input_size}, expected {rows * columns * channels} for pictures of shape "
                f"{(rows, columns, channels)}: pictures.reshape(..., -1) lays them flat."
            )
        return math.prod(output_shape)

    def init(key: Key, input_size: int) -> ConvolutionParams:
        check_key(key)
        output_size(input_size)
        kernel = ops.input_kernel(key, kernel_size**2 * channels, 1, features)
        return ConvolutionParams(
            kernel=kernel.reshape(kernel_size, kernel_size, channels, features),
            bias=jnp.zeros((features,), kernel.dtype),
        )

    def apply(params: ConvolutionParams, xs: Array) -> Array:
        kernel = _checked_kernel(params, (kernel_size, kernel_size), channels, features)
        if xs.shape[-1] != rows * columns * channels:
            raise ValueError(
                f"xs has feature size {xs.shape[-1]}, expected {rows * columns * channels} for pictures of "
                f"shape {(rows, columns, channels)}: pictures.reshape(..., -1) lays them flat."
            )
        flat = xs.reshape(math.prod(xs.shape[:-1]), rows, columns, channels).astype(kernel.dtype)
        ys = jax.lax.conv_general_dilated(
            flat,
            kernel,
            window_strides=(stride, stride),
            padding="SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            preferred_element_type=ops.accumulation_dtype(kernel.dtype),
        )
        return _activated(ys + params.bias, activation).reshape(*xs.shape[:-1], math.prod(output_shape))

    return pointwise(apply, init=init, params_type=ConvolutionParams, output_size=output_size)


def _activated(ys: Array, activation: Activation | None) -> Array:
    return ys if activation is None else activation(ys)


def _checked_shape(picture_shape: Any) -> tuple[int, int, int]:
    if not isinstance(picture_shape, (tuple, list)) or len(picture_shape) != 3:
        raise TypeError(f"picture_shape is {shown(picture_shape)}, expected (rows, columns, channels).")
    for name, size in zip(("rows", "columns", "channels"), picture_shape, strict=True):
        check_size(f"picture_shape's {name}", size)
    rows, columns, channels = (int(size) for size in picture_shape)
    return rows, columns, channels


def _checked_kernel(params: ConvolutionParams, window: tuple[int, ...], size: int, features: int) -> Array:
    if params.kernel.shape[-2] != size:
        raise ValueError(
            f"xs has feature size {size}, but these params were initialised with input_size "
            f"{params.kernel.shape[-2]}. Pass the features that these params were made for, or init again."
        )
    expected = (*window, size, features)
    if params.kernel.shape != expected:
        raise ValueError(
            f"params.kernel has shape {params.kernel.shape}, expected {expected}: pass params made by this "
            f"layer's init."
        )
    return params.kernel
