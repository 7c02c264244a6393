"""Cells that are linear in their carry: all but the recurrence itself is computed for all of time at once."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax

from seqjax import ops
from seqjax.backends.scan import scan
from seqjax.cell import Affine, Cell
from seqjax.types import Carry, Params


def associative(
    cell: Cell, params: Params, carry: Carry, xs: Any, *, method: str = "auto"
) -> tuple[Carry, Any]:
    """Runs an affine cell over time.

    The coefficients of all steps come first, then the recurrence of each leaf of the carry
    (`ops.linear_recurrence`), then the outputs of all steps. The gradient of the recurrence is one recurrence
    in the other direction, and those of the rest are a few products over all of time.

    On a CPU, `"auto"` is the plain loop of `scan` instead: there the arrays of all steps cost more, to write
    and to read again, than the loop does.

    Args:
      cell: a cell with an `Affine` structure.
      params: its params.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`.
      method: how the recurrence runs, a method of `ops.linear_recurrence`; `"auto"` takes what suits the
        device that the program is compiled for.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`.

    Raises:
      ValueError: if the cell is not affine, or there is no such method.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> cell = sj.min_gru(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, ys = associative(cell, params, cell.initial_carry(params, (4,)), jnp.ones((5, 4, 3)))
      >>> ys.shape
      (5, 4, 2)
    """
    all_at_once = partial(_all_at_once, affine_structure(cell, "associative"), method)
    if method != "auto":
        return all_at_once(params, carry, xs)
    return jax.lax.platform_dependent(params, carry, xs, cpu=partial(scan, cell), default=all_at_once)


def _all_at_once(structure: Affine, method: str, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Any]:
    decay, update = structure.coefficients(params, xs)
    run = partial(ops.linear_recurrence, method=method)
    carries = jax.tree.map(run, decay, update, carry)
    last = jax.tree.map(lambda leaf, before: leaf[-1] if leaf.shape[0] else before, carries, carry)
    return last, structure.readout(params, carries, xs)


def affine_structure(cell: Cell, method: str) -> Affine:
    """The structure of a cell that must be affine.

    Args:
      cell: any cell.
      method: the backend that asks, for the error.

    Returns:
      Its structure.

    Raises:
      ValueError: if the cell has another structure, or none.

    Example:
      >>> import seqjax as sj
      >>> affine_structure(sj.gru(2), "associative")
      Traceback (most recent call last):
      ValueError: cell has structure Gated, but method 'associative' runs Affine cells: use method='auto', ...
    """
    if isinstance(cell.structure, Affine):
        return cell.structure
    kind = "no structure" if cell.structure is None else f"structure {type(cell.structure).__name__}"
    raise ValueError(
        f"cell has {kind}, but method {method!r} runs Affine cells: use method='auto', which takes "
        f"what the cell can do."
    )
