"""Weights of keras' recurrent layers, as the lists that `layer.get_weights()` returns; keras is not imported.

| keras | seqjax |
| --- | --- |
| `kernel[D, G * H]` | `input_kernel[D, G, H]` |
| `recurrent_kernel[H, G * H]` | `recurrent_kernel[H, G, H]` |
| `bias[G * H]` | `bias[G, H]` |
| `bias[2, 3 * H]` of a GRU with `reset_after` | the sum of both rows, `bias[3, H]`, but for the candidate's |
| | recurrent part, `candidate_bias[H]` |
| gates `i, f, c, o` of an LSTM | input, forget, candidate, output |
| gates `z, r, h` of a GRU | update, reset, candidate, and so the first two change places |

Keras puts the batch before time: transpose what goes in and what comes out. Its LSTM returns the states
`h, c`, here `LSTMCarry(hidden=h, cell=c)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cell import Cell
from seqjax.cells.elman import Activation
from seqjax.interop import arrays, weights
from seqjax.layers import BidirectionalParams, Layer, bidirectional
from seqjax.types import Array, Params

KINDS: dict[str, tuple[str, tuple[int, ...]]] = {
    "simple_rnn": ("elman", (0,)),
    "lstm": ("lstm", (0, 1, 2, 3)),
    "gru": ("gru", (1, 0, 2)),
}
"""The family, and the place in keras' order of each of seqjax's gates. Each order is its own inverse."""

NAMES = ("kernel", "recurrent_kernel", "bias")


def from_weights(
    layer_weights: Sequence[Any],
    kind: str,
    *,
    reset_after: bool = True,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
) -> tuple[Cell, Params]:
    """A cell and its params from the weights of `keras.layers.SimpleRNN`, `LSTM` or `GRU`.

    Args:
      layer_weights: `layer.get_weights()`: kernel, recurrent kernel and, with `use_bias`, bias.
      kind: `"simple_rnn"`, `"lstm"` or `"gru"`.
      reset_after: the layer's setting of that name; read for a GRU only.
      activation: the layer's setting of that name.
      gate_activation: what keras calls `recurrent_activation`.

    Returns:
      A cell whose initial carry is zeros, and its params.

    Raises:
      TypeError: if an array is not floating.
      ValueError: if `kind` is none of the three, there are not two or three arrays, or a shape does not fit.

    Example:
      >>> cell, params = from_weights([np.ones((3, 16)), np.ones((4, 16)), np.ones(16)], "lstm")
      >>> params.input_kernel.shape, params.bias.shape
      ((3, 4, 4), (4, 4))
    """
    arrays.check_choice("kind", kind, KINDS)
    kernel, recurrent_kernel, bias = _read("layer_weights", layer_weights, kind, reset_after)
    family, order = KINDS[kind]

    def gates(array: Array) -> Array:
        return array.reshape(*array.shape[:-1], len(order), -1)[..., order, :]

    input_bias, recurrent_bias = gates(bias[0]), gates(bias[1])
    return weights.assemble(
        family,
        gates(kernel),
        gates(recurrent_kernel),
        input_bias,
        None if kind == "gru" and not reset_after else recurrent_bias,
        activation=activation,
        gate_activation=gate_activation,
    )


def to_weights(params: Params, kind: str, *, bias: bool = True) -> list[np.ndarray]:
    """The weights of `keras.layers.SimpleRNN`, `LSTM` or `GRU`, for `layer.set_weights`.

    Args:
      params: a cell's params. A GRU's with a `candidate_bias` fit a layer with `reset_after=True`, others one
        with `reset_after=False`.
      kind: `"simple_rnn"`, `"lstm"` or `"gru"`.
      bias: the layer's `use_bias`.

    Returns:
      Kernel, recurrent kernel and, with `bias`, bias.

    Raises:
      TypeError: if `params` is of another kind.
      ValueError: if `kind` is none of the three, or keras has no place for something: a learned initial
        carry, peepholes, a projection, layer normalisation, a bias with `bias=False`.

    Example:
      >>> import seqjax as sj
      >>> params = sj.gru(4, initial_carry="zeros").init(jax.random.key(0), 3)
      >>> [array.shape for array in to_weights(params, "gru")]
      [(3, 12), (4, 12), (2, 12)]
    """
    arrays.check_choice("kind", kind, KINDS)
    family, order = KINDS[kind]
    weights.check_params("params", family, params)
    if getattr(params, "projection_kernel", None) is not None:
        raise ValueError(
            "params.projection_kernel is set, expected None: keras.layers.LSTM has no projection. "
            "Export an lstm made without projection_size."
        )
    input_bias, recurrent_bias = weights.split_bias(params)

    def merged(array: Array) -> np.ndarray:
        blocks = array[..., order, :]
        return np.array(blocks.reshape(*blocks.shape[:-2], -1))

    exported = [merged(params.input_kernel), merged(params.recurrent_kernel)]
    if not bias:
        both = input_bias if recurrent_bias is None else jnp.stack([input_bias, recurrent_bias])
        weights.check_no_bias("params.bias", both, "Pass bias=True, and use_bias=True to the layer.")
        return exported
    if kind == "gru" and recurrent_bias is not None:
        return [*exported, np.stack([merged(input_bias), merged(recurrent_bias)])]
    return [*exported, merged(input_bias)]


def from_bidirectional_weights(
    layer_weights: Sequence[Any], kind: str, *, merge: str = "concat", **settings: Any
) -> tuple[Layer, BidirectionalParams]:
    """A layer and its params from the weights of `keras.layers.Bidirectional`.

    Args:
      layer_weights: `layer.get_weights()`: those of the forward layer, then those of the backward layer.
      kind: the kind of both, `"simple_rnn"`, `"lstm"` or `"gru"`.
      merge: what keras calls `merge_mode`; its `"ave"` is `"average"` here.
      **settings: as `from_weights` takes them.

    Returns:
      A `bidirectional` layer and its params.

    Raises:
      TypeError: if an array is not floating.
      ValueError: if there is an odd number of arrays, or as of `from_weights`.

    Example:
      >>> both = [np.ones((3, 4)), np.ones((4, 4)), np.ones((3, 4)), np.ones((4, 4))]
      >>> from_bidirectional_weights(both, "simple_rnn")[0].output_size(3)
      8
    """
    number = len(layer_weights)
    if number % 2:
        raise ValueError(
            f"layer_weights has {number} arrays, expected an even number, half of them for each direction. "
            f"Pass get_weights() of the Bidirectional layer, or use from_weights for one direction."
        )
    forward, forward_params = from_weights(layer_weights[: number // 2], kind, **settings)
    backward, backward_params = from_weights(layer_weights[number // 2 :], kind, **settings)
    return (
        bidirectional(forward, backward, merge=merge),
        BidirectionalParams(forward=forward_params, backward=backward_params),
    )


def to_bidirectional_weights(
    params: BidirectionalParams, kind: str, *, bias: bool = True
) -> list[np.ndarray]:
    """The weights of `keras.layers.Bidirectional`, for `layer.set_weights`.

    Args:
      params: the params of a `bidirectional` layer of two cells.
      kind: the kind of both, `"simple_rnn"`, `"lstm"` or `"gru"`.
      bias: the layers' `use_bias`.

    Returns:
      The arrays of the forward layer, then those of the backward layer.

    Raises:
      TypeError: if `params` are not `BidirectionalParams`, or their parts of another kind.
      ValueError: as of `to_weights`.

    Example:
      >>> import seqjax as sj
      >>> part = sj.lstm(4, initial_carry="zeros").init(jax.random.key(0), 3)
      >>> len(to_bidirectional_weights(BidirectionalParams(forward=part, backward=part), "lstm"))
      6
    """
    if not isinstance(params, BidirectionalParams):
        raise TypeError(
            f"params is a {type(params).__name__}, expected BidirectionalParams. "
            f"For one direction, use to_weights."
        )
    return to_weights(params.forward, kind, bias=bias) + to_weights(params.backward, kind, bias=bias)


def _read(
    name: str, layer_weights: Sequence[Any], kind: str, reset_after: bool
) -> tuple[Array, Array, Array]:
    """Both kernels, and the biases of both products `[2, G * H]`, zeros where keras has none."""
    if not isinstance(layer_weights, (list, tuple)) or len(layer_weights) not in (2, 3):
        count = f" of {len(layer_weights)}" if isinstance(layer_weights, (list, tuple)) else ""
        raise ValueError(
            f"{name} is a {type(layer_weights).__name__}{count}, expected a list of two or three arrays: "
            f"{', '.join(NAMES)}. Pass layer.get_weights() of one layer, or use from_bidirectional_weights."
        )
    places = [f"{name}[{i}] ({word})" for i, word in enumerate(NAMES)]
    read = [arrays.as_array(place, value) for place, value in zip(places, layer_weights, strict=False)]
    for place, kernel in zip(places[:2], read, strict=False):
        arrays.check_matrix(place, kernel)
    hidden_size, num_gates = read[1].shape[0], len(KINDS[kind][1])
    columns = num_gates * hidden_size
    mend = (
        f"The recurrent kernel has {hidden_size} rows, and kind {kind!r} has {num_gates} gates of as many "
        f"units. Pass the weights and the kind of one layer."
    )
    arrays.check_shape(places[0], read[0], (read[0].shape[0], columns), mend)
    arrays.check_shape(places[1], read[1], (hidden_size, columns), mend)
    if len(read) == 2:
        return read[0], read[1], jnp.zeros((2, columns), read[0].dtype)
    if kind == "gru" and reset_after:
        arrays.check_shape(
            places[2], read[2], (2, columns), "For a bias of one axis, pass reset_after=False."
        )
        return read[0], read[1], read[2]
    if kind == "gru":
        mend = "For a bias of two axes, pass reset_after=True."
    arrays.check_shape(places[2], read[2], (columns,), mend)
    return read[0], read[1], jnp.stack([read[2], jnp.zeros_like(read[2])])
