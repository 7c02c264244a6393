"""The minimal GRU and the minimal LSTM: gates that read the input alone, so that time can run in parallel."""

from __future__ import annotations

from typing import Any

import jax

from seqjax.cell import Activation, Cell
from seqjax.cells.affine import AffineParams, affine_cell, gate_inputs
from seqjax.checks import check_activation
from seqjax.types import Array


def identity(x: Array) -> Array:
    """`x`: the candidate of the minimal cells as it is.

    Args:
      x: anything.

    Returns:
      `x`.

    Example:
      >>> identity(3)
      3
    """
    return x


def min_gru(hidden_size: int, *, activation: Activation = identity, initial_carry: str = "learned") -> Cell:
    """Minimal gated recurrent unit (Feng et al., 2024, section 3.1).

    Equations: `z = sigmoid(x W_z + b_z)`, `n = activation(x W_n + b_n)`, `h' = (1 - z) * h + z * n`.

    The update gate `z` lets the new state in, as in the paper; that of `gru` keeps the old one.

    Args:
      hidden_size: `H`.
      activation: elementwise, of the candidate.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the hidden vector `[*B, H]`, its params an `AffineParams` with the gates update,
      candidate.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, or `activation` no function.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> cell = min_gru(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> y.shape
      (2, 4)
    """
    check_activation("activation", activation)

    def coefficients(params: AffineParams, x: Any) -> tuple[Array, Array]:
        update, candidate = gate_inputs(params, x)
        return jax.nn.sigmoid(-update), jax.nn.sigmoid(update) * activation(candidate)

    return affine_cell(
        hidden_size, gates=("update", "candidate"), coefficients=coefficients, initial_carry=initial_carry
    )


def min_lstm(hidden_size: int, *, activation: Activation = identity, initial_carry: str = "learned") -> Cell:
    """Minimal long short-term memory (Feng et al., 2024, section 3.2), its two gates scaled to a sum of one.

    Equations: `i = sigmoid(x W_i + b_i)`, `f = sigmoid(x W_f + b_f)`, `n = activation(x W_n + b_n)`,
    `h' = f / (f + i) * h + i / (f + i) * n`.

    Args:
      hidden_size: `H`.
      activation: elementwise, of the candidate.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the hidden vector `[*B, H]`, its params an `AffineParams` with the gates input,
      forget, candidate.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, or `activation` no function.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> cell = min_lstm(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> y.shape
      (2, 4)
    """
    check_activation("activation", activation)

    def coefficients(params: AffineParams, x: Any) -> tuple[Array, Array]:
        write, forget, candidate = gate_inputs(params, x)
        # f / (f + i) is the sigmoid of the difference of logarithms, which has no 0 / 0.
        odds = jax.nn.log_sigmoid(forget) - jax.nn.log_sigmoid(write)
        return jax.nn.sigmoid(odds), jax.nn.sigmoid(-odds) * activation(candidate)

    return affine_cell(
        hidden_size,
        gates=("input", "forget", "candidate"),
        coefficients=coefficients,
        initial_carry=initial_carry,
    )
