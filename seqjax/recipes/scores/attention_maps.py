"""Pictures of attention: where each token that was written looked at what was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt

from seqjax import plot
from seqjax.plot.networks import CELL


class AttentionMap(NamedTuple):
    """One sequence and what was written for it.

    Attributes:
      weights: `[T', S]`, rows that sum to one.
      written: `T'` labels.
      read: `S` labels.
    """

    weights: npt.NDArray
    written: Sequence[str]
    read: Sequence[str]


def draw_attention(path: Path, maps: Sequence[AttentionMap], columns: int = 2) -> None:
    """Draws maps side by side: what was read from left to right, what was written downward.

    Args:
      path: the picture to write.
      maps: what to draw.
      columns: maps beside each other, at most.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> import numpy as np, tempfile
      >>> file = Path(tempfile.mkdtemp()) / "attention.png"
      >>> draw_attention(file, [AttentionMap(np.eye(2), ["AY", "end"], ["i", "t"])])
      >>> file.read_bytes()[1:4]
      b'PNG'
    """
    columns = min(columns, len(maps))
    rows = -(-len(maps) // columns)
    width = CELL * max(len(each.read) for each in maps) + 1.2
    height = CELL * max(len(each.written) for each in maps) + 1.0
    figure, panels = plot.new_figure(rows, columns, (columns * width, rows * height))
    for axes, each in zip(panels, maps, strict=False):
        plot.attention(each.weights, each.written, each.read, axes=axes)
    for axes in panels[len(maps) :]:
        axes.remove()
    plot.save(figure, path)
