"""Quasi-recurrent networks and simple recurrent units: a pooling over time between gates of the input."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cell import Activation, Cell
from seqjax.cells.affine import AffineParams, affine_cell, gate_inputs
from seqjax.checks import check_activation
from seqjax.types import Array


def qrnn(hidden_size: int, *, activation: Activation = jnp.tanh, initial_carry: str = "learned") -> Cell:
    """Quasi-recurrent network with fo-pooling (Bradbury et al., 2017, eqs. 1 and 4).

    Equations: `z = activation(x W_z + b_z)`, `f = sigmoid(x W_f + b_f)`, `o = sigmoid(x W_o + b_o)`,
    `c' = f * c + (1 - f) * z`, `y = o * c'`.

    The paper's convolution of width `k` reads a window of `k` inputs: put `seqjax.delay_line(k)` before it.

    Args:
      hidden_size: `H`.
      activation: elementwise, of the candidate.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the memory `c`, `[*B, H]`, its params an `AffineParams` with the gates candidate,
      forget, output.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, or `activation` no function.

    Example:
      >>> cell = qrnn(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> y.shape
      (2, 4)
    """
    check_activation("activation", activation)

    def coefficients(params: AffineParams, x: Any) -> tuple[Array, Array]:
        candidate, forget, _ = gate_inputs(params, x)
        return jax.nn.sigmoid(forget), jax.nn.sigmoid(-forget) * activation(candidate)

    def readout(params: AffineParams, carry: Array, x: Any) -> Array:
        return jax.nn.sigmoid(gate_inputs(params, x)[2]) * carry

    return affine_cell(
        hidden_size,
        gates=("candidate", "forget", "output"),
        coefficients=coefficients,
        readout=readout,
        initial_carry=initial_carry,
    )


def sru(hidden_size: int, *, activation: Activation = jnp.tanh, initial_carry: str = "learned") -> Cell:
    """Simple recurrent unit (Lei et al., 2017, first version, whose gates do not read the memory).

    Equations: `f = sigmoid(x W_f + b_f)`, `r = sigmoid(x W_r + b_r)`, `c' = f * c + (1 - f) * (x W + b)`,
    `y = r * activation(c') + (1 - r) * (x W_h + b_h)`.

    The last product takes the input past the memory. The paper takes the input as it is there, which then
    has to have as many features as the memory.

    Args:
      hidden_size: `H`.
      activation: elementwise, of the memory as it is read.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the memory `c`, `[*B, H]`, its params an `AffineParams` with the gates candidate,
      forget, reset, highway.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, or `activation` no function.

    Example:
      >>> cell = sru(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> y.shape
      (2, 4)
    """
    check_activation("activation", activation)

    def coefficients(params: AffineParams, x: Any) -> tuple[Array, Array]:
        candidate, forget, _, _ = gate_inputs(params, x)
        return jax.nn.sigmoid(forget), jax.nn.sigmoid(-forget) * candidate

    def readout(params: AffineParams, carry: Array, x: Any) -> Array:
        _, _, reset, highway = gate_inputs(params, x)
        return jax.nn.sigmoid(reset) * activation(carry) + jax.nn.sigmoid(-reset) * highway

    return affine_cell(
        hidden_size,
        gates=("candidate", "forget", "reset", "highway"),
        coefficients=coefficients,
        readout=readout,
        initial_carry=initial_carry,
    )
