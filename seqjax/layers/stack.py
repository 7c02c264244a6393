"""Layers one after the other."""

from __future__ import annotations

from typing import Any

import jax

from seqjax.cell import Cell
from seqjax.checks import check_key, check_size, kind_of
from seqjax.layers.layer import Layer
from seqjax.layers.recurrent import as_layer
from seqjax.types import Carry, Key, Params


def stack(*layers: Layer | Cell) -> Layer:
    """Layers one after the other, each over the whole sequence before the next begins.

    Equation: `ys = layers[-1](... layers[1](layers[0](xs)))`. A stack is a layer, and may be part of another.

    Args:
      *layers: layers, or cells, each of which stands for `recurrent(cell)`.

    Returns:
      A `Layer` whose params and carry are tuples with one entry a layer. Each layer draws its noise from a
      key of its own. It has no `step` where one of the layers has none.

    Raises:
      ValueError: if there is no layer. `unroll` and `step` raise it if params or carry are no tuple with one
        entry a layer.
      TypeError: if something is neither a layer nor a cell.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> network = stack(sj.lstm(4), sj.gru(2))
      >>> params = network.init(jax.random.key(0), 3)
      >>> carry, ys = network.unroll(params, jnp.ones((7, 5, 3)))
      >>> len(params), len(carry), ys.shape
      (2, 2, (7, 5, 2))
    """
    if not layers:
        raise ValueError("layers is empty, expected at least one layer or cell: stack(lstm(128)).")
    parts = tuple(as_layer(layer, f"layers[{index}]") for index, layer in enumerate(layers))
    steps = [part.step for part in parts if part.step is not None]

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_size("input_size", input_size)
        output_size(input_size)  # sizes that do not fit are seen before anything is drawn
        params = []
        for part, part_key in zip(parts, jax.random.split(key, len(parts)), strict=True):
            params.append(part.init(part_key, input_size))
            input_size = part.output_size(input_size)
        return tuple(params)

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
        params = _one_each("params", params, len(parts))
        return tuple(part.initial_carry(p, batch_shape) for part, p in zip(parts, params, strict=True))

    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Any]:
        params, carry = _one_each("params", params, len(parts)), _one_each("carry", carry, len(parts))
        after = []
        for part_step, part_params, part_carry in zip(steps, params, carry, strict=True):
            part_carry, x = part_step(part_params, part_carry, x)
            after.append(part_carry)
        return tuple(after), x

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[Carry, Any]:
        params = _one_each("params", params, len(parts))
        carry = (None,) * len(parts) if carry is None else _one_each("carry", carry, len(parts))
        keys = (None,) * len(parts) if key is None else _split(key, len(parts))
        after = []
        for part, part_params, part_carry, part_key in zip(parts, params, carry, keys, strict=True):
            part_carry, xs = part.unroll(
                part_params, xs, carry=part_carry, lengths=lengths, resets=resets, key=part_key
            )
            after.append(part_carry)
        return tuple(after), xs

    def output_size(input_size: int) -> int:
        for part in parts:
            input_size = part.output_size(input_size)
        return input_size

    return Layer(
        init=init,
        initial_carry=initial_carry,
        step=step if len(steps) == len(parts) else None,
        unroll=unroll,
        output_size=output_size,
    )


def _split(key: Key, number: int) -> tuple[Key, ...]:
    check_key(key)
    return tuple(jax.random.split(key, number))


def _one_each(name: str, value: Any, number: int) -> tuple:
    """Refuses what is not a tuple with one entry a layer."""
    if isinstance(value, tuple) and len(value) == number:
        return value
    came = kind_of(value) + (f" of {len(value)}" if isinstance(value, (tuple, list)) else "")
    made_by = "init" if name == "params" else "initial_carry or returned by its last unroll"
    raise ValueError(
        f"{name} is {came}, expected a tuple of {number}, one entry for each layer of the stack: "
        f"pass {name} made by this stack's {made_by}."
    )
