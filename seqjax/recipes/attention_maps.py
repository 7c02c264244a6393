"""Pictures of attention: where each token that was written looked at what was read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy.typing as npt

from seqjax.recipes import pictures


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
    cell = 0.24  # inches, so that labels of a usual size do not touch
    width = cell * max(len(each.read) for each in maps) + 1.2
    height = cell * max(len(each.written) for each in maps) + 1.0
    figure, panels = pictures.new_figure(rows, columns, (columns * width, rows * height))
    for axes, each in zip(panels, maps, strict=False):
        # Zero is white and one is black, in every map, so that they can be compared.
        axes.imshow(each.weights, cmap="Greys", vmin=0, vmax=1, aspect="equal")
        axes.set_xticks(range(len(each.read)), [_printable(label) for label in each.read], rotation=90)
        axes.set_yticks(range(len(each.written)), [_printable(label) for label in each.written])
        axes.xaxis.tick_top()
        axes.tick_params(length=0, labelsize="small")
        axes.spines[:].set_visible(True)
    for axes in panels[len(maps) :]:
        axes.remove()
    pictures.save(figure, path)


def _printable(label: str) -> str:
    """A network that has learned little may write control characters, which no font has."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in label)
