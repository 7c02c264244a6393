"""A recurrent layer by the name of its cell, which can tell apart what a linear recurrence alone cannot."""

from __future__ import annotations

import jax

from seqjax import layers
from seqjax.cell import Affine, LinearAttention
from seqjax.layers import Layer
from seqjax.recipes.shared.options import CELLS


def block(cell: str, hidden_size: int, method: str = "auto") -> Layer:
    """A cell over time; one that is linear in its carry stands between two dense layers that bend.

    A recurrence that is linear in its state, and for some cells in its inputs too, needs functions around it
    that are not, as in the papers' own blocks (Orvieto et al., 2023, fig. 1).

    Args:
      cell: a name in `options.CELLS`.
      hidden_size: `H`, of the cell and of the dense layers.
      method: how the cell runs over time.

    Returns:
      A `Layer` with outputs `[T, *B, H]`.

    Example:
      >>> block("lru", 8).output_size(3)
      8
    """
    made = CELLS[cell](hidden_size)
    layer = layers.recurrent(made, method=method)
    if not isinstance(made.structure, (Affine, LinearAttention)):
        return layer
    return layers.stack(layers.dense(hidden_size, jax.nn.gelu), layer, layers.dense(hidden_size, jax.nn.gelu))
