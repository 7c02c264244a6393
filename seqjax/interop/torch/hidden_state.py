"""States of torch's recurrent modules, stacked over layers and directions, and the carry of a stack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from seqjax.cells.lstm import LSTMCarry, LSTMParams
from seqjax.interop import arrays
from seqjax.layers import BidirectionalCarry, BidirectionalParams
from seqjax.types import Array, Carry, Params


def from_hidden_state(hidden_state: Any, params: Sequence[Params]) -> Carry:
    """The carry of a stack from torch's `h_0`, or `(h_0, c_0)` of an LSTM.

    Args:
      hidden_state: `h[L, *B, P]`, or `(h[L, *B, P], c[L, *B, H])`, with `L` the layers times the directions.
      params: the stack's params, which say how many there are of both.

    Returns:
      A tuple with one entry a layer, as the stack's `unroll` takes and returns it.

    Raises:
      TypeError: if something is no floating array, or `params` is no tuple or list of params.
      ValueError: if a shape does not fit, or an LSTM's state is no pair.

    Example:
      >>> import jax, seqjax as sj
      >>> params = (sj.lstm(4).init(jax.random.key(0), 3),)
      >>> from_hidden_state((np.ones((1, 5, 4)), np.zeros((1, 5, 4))), params)[0].hidden.shape
      (5, 4)
    """
    layers = directions_of("params", params)
    cells = [cell_params for layer in layers for cell_params in layer]
    _check_cells(cells)
    is_lstm = isinstance(cells[0], LSTMParams)
    parts, names = [hidden_state], ["hidden_state"]
    if is_lstm:
        if not isinstance(hidden_state, (tuple, list)) or len(hidden_state) != 2:
            raise ValueError(
                f"hidden_state is a {type(hidden_state).__name__}, expected a pair: torch's (h, c) "
                f"of an LSTM."
            )
        parts, names = list(hidden_state), ["hidden_state[0]", "hidden_state[1]"]
    sizes = [cells[0].recurrent_kernel.shape[0], cells[0].bias.shape[-1]]
    read = [
        _stacked(name, part, len(cells), size) for name, part, size in zip(names, parts, sizes, strict=False)
    ]
    carries = [LSTMCarry(hidden=h, cell=c) for h, c in zip(*read, strict=True)] if is_lstm else list(read[0])
    following = iter(carries)
    nested = [tuple(next(following) for _ in layer) for layer in layers]
    return tuple(BidirectionalCarry(*pair) if len(pair) == 2 else pair[0] for pair in nested)


def to_hidden_state(carry: Carry) -> Any:
    """Torch's `h_n`, or `(h_n, c_n)` of an LSTM, from the carry of a stack.

    Args:
      carry: one entry a layer, each a cell's carry or a `BidirectionalCarry` of two.

    Returns:
      `h[L, *B, P]`, or `(h[L, *B, P], c[L, *B, H])`, numpy arrays with the forward direction of a layer
      before the backward one.

    Raises:
      TypeError: if `carry` is no tuple or list.

    Example:
      >>> h, c = to_hidden_state((LSTMCarry(cell=np.zeros((5, 4)), hidden=np.ones((5, 2))),))
      >>> h.shape, c.shape
      ((1, 5, 2), (1, 5, 4))
    """
    flat = [cell_carry for layer in directions_of("carry", carry) for cell_carry in layer]
    if isinstance(flat[0], LSTMCarry):
        return np.stack([np.asarray(c.hidden) for c in flat]), np.stack([np.asarray(c.cell) for c in flat])
    return np.stack([np.asarray(c) for c in flat])


def directions_of(name: str, stacked: Any) -> list[tuple]:
    """What each layer of a stack has for each of its directions.

    Args:
      name: what the caller calls it, for the error.
      stacked: the params or the carry of a stack.

    Returns:
      For each layer a tuple of one, or of two where it is bidirectional.

    Raises:
      TypeError: if `stacked` is no tuple or list, or is empty.

    Example:
      >>> directions_of("carry", (1, BidirectionalCarry(forward=2, backward=3)))
      [(1,), (2, 3)]
    """
    if not isinstance(stacked, (tuple, list)) or not stacked:
        raise TypeError(
            f"{name} is a {type(stacked).__name__}, expected a tuple with one entry a layer, as a stack has "
            f"it. For a single layer: ({name},)."
        )
    both = (BidirectionalParams, BidirectionalCarry)
    return [(layer.forward, layer.backward) if isinstance(layer, both) else (layer,) for layer in stacked]


def _check_cells(cells: Sequence[Params]) -> None:
    """Refuses what is not the params of one kind of cell throughout, as a torch module is."""
    for params in cells:
        if not hasattr(params, "recurrent_kernel") or type(params) is not type(cells[0]):
            kinds = ", ".join(dict.fromkeys(type(other).__name__ for other in cells))
            raise TypeError(
                f"params has {kinds}, expected params of one kind of recurrent cell: torch stacks the states "
                f"of one module. Pass the part of the params that came from it."
            )


def _stacked(name: str, value: Any, count: int, size: int) -> Array:
    array = arrays.as_array(name, value)
    if array.ndim < 2:
        raise ValueError(f"{name} has shape {array.shape}, expected [layers * directions, *B, {size}].")
    mend = f"These params have {count} layers times directions, and {size} features in each."
    arrays.check_shape(name, array, (count, *array.shape[1:-1], size), mend)
    return array
