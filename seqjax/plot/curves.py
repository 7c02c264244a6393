"""Pictures of learning: a line a network, a band an ensemble."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from seqjax.plot.figures import COLOURS, LINES, MARKERS, Axes, as_values, axes_or_new


def learning_curves(
    curves: Mapping[str, npt.ArrayLike],
    steps: npt.ArrayLike | None = None,
    *,
    axes: Axes | None = None,
) -> Axes:
    """How training went: one line a network, and for an ensemble its median and the range of all its members.

    Args:
      curves: `[S]`, or `[E, S]` for `E` members, by the name of their line.
      steps: `[S]`, when each was measured; 1, 2, ... by default.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes. Lines of at most 30 points are marked, so that they are told apart without colours.

    Raises:
      ValueError: if a shape does not fit.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> curves = {"gru": [0.7, 0.5], "lstm": [[0.7, 0.6], [0.6, 0.3], [0.7, 0.4]]}
      >>> learning_curves(curves, axes=axes).get_legend_handles_labels()[1]
      ['gru', 'lstm, median of 3', 'lstm, all 3']
    """
    lines = {name: as_values(f"curves[{name!r}]", each, "[S]", "[E, S]") for name, each in curves.items()}
    times = None if steps is None else as_values("steps", steps, "[S]")
    for name, values in lines.items():
        if times is not None and len(times) != values.shape[-1]:
            raise ValueError(f"steps holds {len(times)} numbers, but curves[{name!r}] {values.shape[-1]}.")
    axes = axes_or_new(axes)
    for number, (name, values) in enumerate(lines.items()):
        colour, line, marker = (each[number % len(each)] for each in (COLOURS, LINES, MARKERS))
        where = np.arange(1, values.shape[-1] + 1) if times is None else times
        style = {"color": colour, "linestyle": line, "linewidth": 1.6}
        style |= {"marker": marker, "markersize": 3.5} if len(where) <= 30 else {}
        if values.ndim == 1:
            axes.plot(where, values, label=name, **style)
            continue
        members = len(values)
        axes.plot(where, np.median(values, axis=0), label=f"{name}, median of {members}", **style)
        low, high = values.min(axis=0), values.max(axis=0)
        axes.fill_between(
            where, low, high, color=colour, alpha=0.2, linewidth=0, label=f"{name}, all {members}"
        )
    axes.set_xlabel("step")
    axes.legend(frameon=False, fontsize="small")
    return axes
