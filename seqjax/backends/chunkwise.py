"""Cells whose carry is a matrix: a chunk of steps at once, as products of matrices."""

from __future__ import annotations

from typing import Any

from seqjax import ops
from seqjax.cell import Cell, LinearAttention
from seqjax.checks import check_size
from seqjax.types import Carry, Params


def chunkwise(
    cell: Cell, params: Params, carry: Carry, xs: Any, *, chunk_size: int = 64
) -> tuple[Carry, Any]:
    """Runs a cell with linear attention over time.

    The entries of all steps come first, then the recurrence (`ops.linear_attention`), then the outputs of all
    steps. No step's matrix is stored but the first of each chunk; the gradient computes chunks again.

    Args:
      cell: a cell with a `LinearAttention` structure.
      params: its params.
      carry: the carry before the first step, an `ops.MatrixCarry`.
      xs: a pytree of arrays `[T, *B, ...]`.
      chunk_size: steps a chunk.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if the cell has another structure, or `chunk_size` is not positive.
      TypeError: if `chunk_size` is not an integer.

    Example:
      >>> import jax, jax.numpy as jnp, seqjax as sj
      >>> cell = sj.mamba2(4, num_heads=2, state_size=3)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = chunkwise(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 4)
    """
    if not isinstance(cell.structure, LinearAttention):
        kind = "no structure" if cell.structure is None else f"structure {type(cell.structure).__name__}"
        raise ValueError(
            f"cell has {kind}, but method 'chunkwise' runs LinearAttention cells: use method='auto', which "
            f"takes what the cell can do."
        )
    check_size("chunk_size", chunk_size)
    entries = cell.structure.entries(params, xs)
    carry, read = ops.linear_attention(carry, entries, chunk_size=chunk_size)
    return carry, cell.structure.readout(params, read, xs)
