"""The reference: `lax.scan` of the cell's step."""

from __future__ import annotations

from typing import Any

import jax

from seqjax.cell import Cell
from seqjax.types import Carry, Params


def scan(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Any]:
    """Runs a cell over time, one step after the other.

    Equation: `carry_t, y_t = step(params, carry_{t-1}, x_t)`. Runs any cell, and differentiates in forward
    and reverse mode to any order; its gradient keeps every intermediate value of every step.

    Args:
      cell: any cell.
      params: its params.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> cell = sj.elman(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = scan(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 2)
    """
    return jax.lax.scan(lambda carry, x: cell.step(params, carry, x), carry, xs)
