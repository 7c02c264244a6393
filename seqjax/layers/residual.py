"""A layer whose output is added to its input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp

from seqjax import ops
from seqjax.cell import Cell
from seqjax.checks import as_array
from seqjax.layers.layer import Layer
from seqjax.layers.recurrent import as_layer
from seqjax.types import Array, Carry, Key, Params


def residual(layer: Layer | Cell) -> Layer:
    """A layer that learns what to add to its input (He et al., 2016, eq. 1).

    Equation: `ys = xs + layer(xs)`, in the dtype of `layer(xs)`.

    Args:
      layer: a layer, which may be a stack, or a cell, with outputs of the size of its inputs.

    Returns:
      A `Layer` with the params and the carry of `layer`, and a step if it has one.

    Raises:
      TypeError: if `layer` is neither a layer nor a cell.
      ValueError: `init` and `output_size` raise it if outputs and inputs differ in size.

    Example:
      >>> import jax, seqjax as sj
      >>> layer = residual(sj.gru(3))
      >>> params = layer.init(jax.random.key(0), 3)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 2, 3)))
      >>> ys.shape
      (7, 2, 3)
    """
    inner = as_layer(layer)

    def output_size(input_size: int) -> int:
        size = inner.output_size(input_size)
        if size != input_size:
            raise ValueError(
                f"layer has output size {size} for input size {input_size}, but residual adds both: "
                f"choose {input_size} features, or put a dense({size}) before the residual layer."
            )
        return size

    def init(key: Key, input_size: int) -> Params:
        output_size(input_size)
        return inner.init(key, input_size)

    def add(xs: Array, ys: Array) -> Array:
        if xs.shape != ys.shape:
            raise ValueError(
                f"xs has shape {xs.shape}, but the output of layer has shape {ys.shape}, "
                f"and residual adds both."
            )
        return xs.astype(ys.dtype) + ys

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[Carry, Array]:
        carry, ys = inner.unroll(params, xs, carry=carry, lengths=lengths, resets=resets, key=key)
        xs = as_array("xs", xs)
        if lengths is not None:
            xs = ops.zero_padding(xs, ops.length_mask(jnp.asarray(lengths), xs.shape[0]))
        return carry, add(xs, ys)

    def stepping(inner_step: Callable[[Params, Carry, Any], tuple[Carry, Any]]) -> Callable:
        def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Array]:
            x = as_array("x", x)
            carry, y = inner_step(params, carry, x)
            return carry, add(x, y)

        return step

    return Layer(
        init=init,
        initial_carry=inner.initial_carry,
        step=None if inner.step is None else stepping(inner.step),
        unroll=unroll,
        output_size=output_size,
    )
