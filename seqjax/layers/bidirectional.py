"""Two layers over the same sequence, one from each end, and what may stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.checks import check_key, check_size, kind_of, shown
from seqjax.layers.layer import Layer
from seqjax.layers.recurrent import as_layer
from seqjax.types import Array, Carry, Key, Params

MERGES: dict[str, Callable[[Array, Array], Array]] = {
    "concat": lambda forward, backward: jnp.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "average": lambda forward, backward: (forward + backward) / 2,
}
"""How the outputs of both directions become one, by the name that `bidirectional(merge=...)` takes."""


@struct.dataclass
class BidirectionalParams:
    """Parameters of a bidirectional layer.

    Attributes:
      forward: params of the layer that runs from the first step.
      backward: params of the layer that runs from the last step.
    """

    forward: Params
    backward: Params


@struct.dataclass
class BidirectionalCarry:
    """What both directions hold after their last step.

    Attributes:
      forward: the carry after the last valid step.
      backward: the carry after the first step, which a run from the last valid step reaches last.
    """

    forward: Carry
    backward: Carry


def bidirectional(
    forward: Layer | Cell, backward: Layer | Cell | None = None, *, merge: str = "concat"
) -> Layer:
    """A layer from each end of the sequence (Schuster & Paliwal, 1997; Graves & Schmidhuber, 2005).

    Equation: `ys = merge(forward(xs), reverse(backward(reverse(xs))))`. Time is reversed within each
    sequence's length, so that the backward layer starts at the last valid step and not in the padding, and
    within each part where `resets` pack several sequences in a row.

    There is no `step`: an output depends on later inputs, see `streaming_step`. For the same reason a
    sequence unrolled in pieces is not the sequence unrolled as a whole.

    Args:
      forward: a layer, which may be a stack, or a cell.
      backward: the layer or cell for the other direction; `None` for the same one with params of its own.
      merge: `"concat"`, `"sum"` or `"average"`, along the features.

    Returns:
      A `Layer` with `BidirectionalParams`, a `BidirectionalCarry` and no step. Its output has the features
      of both layers one after the other with `"concat"`, else as many as each.

    Raises:
      TypeError: if a direction is neither a layer nor a cell.
      ValueError: if `merge` is none of the three. `init` and `output_size` raise it if outputs of different
        sizes are to be added.

    Example:
      >>> import seqjax as sj
      >>> layer = bidirectional(sj.lstm(4))
      >>> params = layer.init(jax.random.key(0), 3)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 2, 3)), lengths=jnp.array([7, 5]))
      >>> ys.shape, carry.backward.hidden.shape
      ((7, 2, 8), (2, 4))
    """
    there = as_layer(forward, "forward")
    back = there if backward is None else as_layer(backward, "backward")
    if not isinstance(merge, str) or merge not in MERGES:
        raise ValueError(f"merge is {shown(merge)}, expected 'concat', 'sum' or 'average'.")

    def output_size(input_size: int) -> int:
        sizes = there.output_size(input_size), back.output_size(input_size)
        if merge == "concat":
            return sum(sizes)
        if sizes[0] != sizes[1]:
            raise ValueError(
                f"forward and backward have output sizes {sizes[0]} and {sizes[1]}, but merge={merge!r} "
                f"needs equal ones: choose equal sizes, or merge='concat'."
            )
        return sizes[0]

    def init(key: Key, input_size: int) -> BidirectionalParams:
        check_key(key)
        check_size("input_size", input_size)
        output_size(input_size)
        forward_key, backward_key = jax.random.split(key)
        return BidirectionalParams(
            forward=there.init(forward_key, input_size), backward=back.init(backward_key, input_size)
        )

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> BidirectionalCarry:
        _check_type("params", params, BidirectionalParams)
        return BidirectionalCarry(
            forward=there.initial_carry(params.forward, batch_shape),
            backward=back.initial_carry(params.backward, batch_shape),
        )

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[BidirectionalCarry, Array]:
        _check_type("params", params, BidirectionalParams)
        carry = BidirectionalCarry(forward=None, backward=None) if carry is None else carry
        _check_type("carry", carry, BidirectionalCarry)
        if key is not None:
            check_key(key)
        forward_key, backward_key = (None, None) if key is None else jax.random.split(key)
        # The forward layer looks at xs, lengths and resets, so that they can be relied on below.
        forward_carry, forward_ys = there.unroll(
            params.forward, xs, carry=carry.forward, lengths=lengths, resets=resets, key=forward_key
        )
        lengths = None if lengths is None else jnp.asarray(lengths)
        if resets is not None:
            resets = ops.reverse(ops.boundaries_backward(jnp.asarray(resets), lengths), lengths)
        backward_carry, backward_ys = back.unroll(
            params.backward,
            ops.reverse(jax.tree.map(jnp.asarray, xs), lengths),
            carry=carry.backward,
            lengths=lengths,
            resets=resets,
            key=backward_key,
        )
        ys = MERGES[merge](forward_ys, ops.reverse(backward_ys, lengths))
        return BidirectionalCarry(forward=forward_carry, backward=backward_carry), ys

    return Layer(init=init, initial_carry=initial_carry, step=None, unroll=unroll, output_size=output_size)


def streaming_step(layer: Layer | Cell) -> Callable[[Params, Carry, Any], tuple[Carry, Any]]:
    """The step of a layer, for inputs that come one at a time.

    Args:
      layer: a layer or a cell.

    Returns:
      `(params, carry, x[*B, D]) -> (carry, y[*B, H])`, one instant in evaluation mode.

    Raises:
      ValueError: if the layer has no step, because an output depends on inputs that come later.
      TypeError: if `layer` is neither a layer nor a cell.

    Example:
      >>> import seqjax as sj
      >>> streaming_step(bidirectional(sj.gru(4)))
      Traceback (most recent call last):
      ValueError: layer has no step: it is bidirectional or reversed, or contains a layer that is, ...
    """
    step = as_layer(layer).step
    if step is None:
        raise ValueError(
            "layer has no step: it is bidirectional or reversed, or contains a layer that is, so that its "
            "outputs depend on inputs that come later. Unroll it over whole sequences, or stream with layers "
            "that run forward only."
        )
    return step


def _check_type(name: str, value: Any, expected: type) -> None:
    if not isinstance(value, expected):
        made_by = "init" if name == "params" else "initial_carry, or None"
        raise ValueError(
            f"{name} is {kind_of(value)}, expected {expected.__name__}: "
            f"pass {name} made by this layer's {made_by}."
        )
