"""Cells that are linear in their carry: all but the recurrence itself is computed for all of time at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from seqjax import ops
from seqjax.cell import Affine, Cell
from seqjax.types import Carry, Params


def associative(
    cell: Cell, params: Params, carry: Carry, xs: Any, *, method: str = "auto"
) -> tuple[Carry, Any]:
    """Runs an affine cell over time.

    The coefficients of all steps come first, then the recurrence of each leaf of the carry
    (`ops.linear_recurrence`), then the outputs of all steps. The gradient of the recurrence is one recurrence
    in the other direction, and those of the rest are a few products over all of time.

    Args:
      cell: a cell with an `Affine` structure.
      params: its params.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      method: how the recurrence runs, a method of `ops.linear_recurrence`. `"auto"` takes what suits the
        device: a loop on a CPU, a parallel form elsewhere.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if the cell is not affine, or there is no such method.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> structure = sj.Affine(lambda params, xs: (params, xs), lambda params, carry, x: carry)
      >>> cell = sj.Cell(None, None, sj.step_of(structure), 1, structure)
      >>> last, ys = associative(cell, jnp.array([[[0.5]]]), jnp.zeros((1, 1)), jnp.ones((3, 1, 1)))
      >>> ys[:, 0, 0].tolist()
      [1.0, 1.5, 1.75]
    """
    if not isinstance(cell.structure, Affine):
        kind = "no structure" if cell.structure is None else f"structure {type(cell.structure).__name__}"
        raise ValueError(
            f"cell has {kind}, but method 'associative' runs Affine cells: use method='auto', which takes "
            f"what the cell can do."
        )
    decay, update = cell.structure.coefficients(params, xs)
    run = partial(ops.linear_recurrence, method=method)
    carries = jax.tree.map(run, decay, update, carry)
    last = jax.tree.map(lambda leaf, before: leaf[-1] if leaf.shape[0] else before, carries, carry)
    return last, cell.structure.readout(params, carries, xs)
