"""What all pictures share: a figure, lines that differ without colour, legends, checked arrays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from seqjax.checks import kind_of

Axes = Any
"""A `matplotlib.axes.Axes`; matplotlib is optional, and imported where something is drawn."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Told apart by those who do not see all colours (Okabe & Ito, 2008)."""

LINES = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 3)))
"""One for each of `COLOURS`, so that a print without colours tells lines apart too."""

MARKERS = ("o", "s", "^", "D", "v", "P")
"""One for each of `COLOURS`."""

QUANTILE_90 = 1.6448536
"""Standard deviations to either side that hold 90 % of a Gaussian."""

_MISSING = 'pictures are drawn by matplotlib: pip install "seqjax[plot]".'


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
        raise ImportError(_MISSING) from error
    figure = Figure(figsize=size, layout="constrained")
    axes = np.ravel(figure.subplots(rows, columns, squeeze=False, **options))
    for each in axes:
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def axes_or_new(axes: Axes | None, size: tuple[float, float] = (6, 3.5)) -> Axes:
    """The axes that were given, or those of a new figure of pyplot, which a notebook shows by itself.

    Args:
      axes: where to draw, or `None`.
      size: width and height of a new figure, in inches.

    Returns:
      Axes.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.
      TypeError: if `axes` is something else, such as the array of axes that `subplots` returns.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> axes_or_new(axes) is axes
      True
      >>> axes_or_new(new_figure()[1])
      Traceback (most recent call last):
      TypeError: axes is a numpy array object[1], expected one Axes of matplotlib, or None for a new figure.
    """
    try:
        from matplotlib.axes import Axes as MatplotlibAxes
    except ImportError as error:
        raise ImportError(_MISSING) from error
    if axes is None:
        from matplotlib import pyplot

        _, axes = pyplot.subplots(figsize=size, layout="constrained")
        axes.spines[["top", "right"]].set_visible(False)
    if not isinstance(axes, MatplotlibAxes):
        raise TypeError(
            f"axes is {kind_of(axes)}, expected one Axes of matplotlib, or None for a new figure."
        )
    return axes


def held_out(axes: Axes, start: Any, end: Any, label: str = "held out") -> Axes:
    """Marks what a model has not seen.

    Args:
      axes: where to draw.
      start: the first time of that part.
      end: its last.
      label: what the legend says.

    Returns:
      The axes.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> held_out(axes, 1990, 2000).get_xlim()
      (np.float64(1990.0), np.float64(2000.0))
    """
    axes.axvspan(start, end, color="0.93", linewidth=0, zorder=0, label=label)
    axes.margins(x=0)
    return axes


def legend(axes: Axes, **options: Any) -> Axes:
    """A legend above the axes, to the right, where it hides nothing.

    Args:
      axes: what has labels.
      **options: what `Axes.legend` takes; `ncols` is all in one row by default.

    Returns:
      The axes.

    Example:
      >>> figure, (axes,) = new_figure()
      >>> lines = axes.plot([2, 3], label="level")
      >>> legend(axes).get_legend().get_texts()[0].get_text()
      'level'
    """
    labels = axes.get_legend_handles_labels()[1]
    place = {"loc": "lower right", "bbox_to_anchor": (1, 1), "ncols": len(labels), "borderaxespad": 0.2}
    axes.legend(frameon=False, fontsize="small", **(place | options))
    return axes


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


def as_values(name: str, values: npt.ArrayLike, *shapes: str) -> npt.NDArray[np.float64]:
    """Real numbers of as many axes as one of some shapes has.

    Args:
      name: the argument's name, for the error.
      values: an array, or nested lists of numbers.
      *shapes: such as `"[T]"` or `"[T, B, H]"`.

    Returns:
      The values, in double precision.

    Raises:
      TypeError: if they are no real numbers.
      ValueError: if they have another number of axes, or there are none.

    Example:
      >>> as_values("mean", [[1, 2]], "[T]")
      Traceback (most recent call last):
      ValueError: mean has shape (1, 2), expected [T].
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise TypeError(
            f"{name} is {kind_of(values)}, expected real numbers {' or '.join(shapes)}."
        ) from error
    if array.dtype.kind not in "biuf" and not _is_short_float(array.dtype):
        raise TypeError(f"{name} is {kind_of(values)}, expected real numbers {' or '.join(shapes)}.")
    fits = [array.ndim == shape.count(",") + 1 for shape in shapes]
    if not any(fits):
        raise ValueError(f"{name} has shape {array.shape}, expected {' or '.join(shapes)}.")
    if array.size == 0:
        raise ValueError(f"{name} has shape {array.shape}, expected at least one number.")
    return array.astype(np.float64)


def check_names(name: str, names: Sequence[str] | None, count: int, what: str) -> None:
    """Refuses labels that are not as many as what they label.

    Args:
      name: the argument's name, for the error.
      names: labels, or `None` for none.
      count: how many are needed.
      what: what each of them labels.

    Raises:
      ValueError: if there are more or fewer.

    Example:
      >>> check_names("names", ["input", "forget"], 3, "row of activations")
      Traceback (most recent call last):
      ValueError: names holds 2 labels, expected 3: one a row of activations.
    """
    if names is not None and len(names) != count:
        raise ValueError(f"{name} holds {len(names)} labels, expected {count}: one a {what}.")


def _is_short_float(dtype: np.dtype) -> bool:
    """Whether these are the 16-bit numbers of jax, which numpy counts among no kind of its own."""
    return dtype.name in ("bfloat16", "float16")
