"""What the pictures of recipes share: a figure, colours, bands, the held-out part, legends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by those who do not see all colours (Okabe & Ito, 2008)."""

QUANTILE_90 = 1.6448536
"""Standard deviations to either side that hold 90 % of a Gaussian."""


def new_figure(rows: int = 1, columns: int = 1, size: tuple[float, float] = (8, 4), **options: Any) -> Any:
    """A figure and its axes, without a window.

    Args:
      rows: rows of axes.
      columns: axes a row.
      size: width and height in inches.
      **options: what `Figure.subplots` takes, such as `sharex=True`.

    Returns:
      `(figure, axes)`, the latter an array `[rows * columns]`.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> figure, (left, right) = new_figure(1, 2)
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('pictures are drawn by matplotlib: pip install "seqjax[plot]".') from error
    figure = Figure(figsize=size, layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False, **options))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def band(
    axes: Any, times: npt.ArrayLike, mean: npt.ArrayLike, deviation: npt.ArrayLike, label: str, colour: str
) -> None:
    """A line and, around it, where a Gaussian is with probability 90 %.

    Args:
      axes: where to draw.
      times: `[T]`.
      mean: `[T]`.
      deviation: `[T]`, standard deviations.
      label: of the line; the band's says 90 %.
      colour: of both.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> band(axes, [0, 1], [2, 3], [1, 1], "level", COLOURS[0])
      >>> axes.get_legend_handles_labels()[1]
      ['level', 'its 90 % band']
    """
    mean, reach = np.asarray(mean), QUANTILE_90 * np.asarray(deviation)
    axes.plot(times, mean, color=colour, linewidth=1.5, label=label)
    axes.fill_between(
        times, mean - reach, mean + reach, color=colour, alpha=0.22, linewidth=0, label="its 90 % band"
    )


def held_out(axes: Any, start: Any, end: Any, label: str = "held out") -> None:
    """Marks what a model has not seen.

    Args:
      axes: where to draw.
      start: the first time of that part.
      end: its last.
      label: what the legend says.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> held_out(axes, 1990, 2000)
      >>> axes.get_xlim()
      (np.float64(1990.0), np.float64(2000.0))
    """
    axes.axvspan(start, end, color="0.93", linewidth=0, zorder=0, label=label)
    axes.margins(x=0)


def legend(axes: Any, **options: Any) -> None:
    """A legend above the axes, to the right, where it hides nothing.

    Args:
      axes: what has labels.
      **options: what `Axes.legend` takes; `ncols` is all in one row by default.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> band(axes, [0, 1], [2, 3], [1, 1], "level", COLOURS[0])
      >>> legend(axes)
    """
    labels = axes.get_legend_handles_labels()[1]
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": len(labels), "borderaxespad": 0.2}
    axes.legend(frameon=False, fontsize="small", **(place | options))


def save(figure: Any, path: Path) -> None:
    """Writes a picture.

    Args:
      figure: what `new_figure` gave.
      path: the file to write, a PNG.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "empty.png"
      >>> save(new_figure()[0], file)
      >>> file.read_bytes()[1:4]
      b'PNG'
    """
    figure.savefig(path, dpi=150)
