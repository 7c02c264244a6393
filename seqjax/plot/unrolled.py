"""A picture of a small network that is laid out in time: one replica a step, all with the same weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from seqjax.checks import check_size
from seqjax.plot.figures import COLOURS, Axes, as_values, axes_or_new

Point = tuple[float, float]

STRIDE = 2.4
"""How far apart two steps are, where two units are one apart."""


def unrolled(
    recurrent_kernel: npt.ArrayLike,
    input_kernel: npt.ArrayLike | None = None,
    output_kernel: npt.ArrayLike | None = None,
    *,
    num_steps: int = 3,
    axes: Axes | None = None,
) -> Axes:
    """The computation graph of a small recurrent network over some steps, unit by unit.

    A line is a weight: thick where it is large, solid where it is positive, dashed and orange where it is
    negative. The same lines come back at every step, because the weights are shared.

    Args:
      recurrent_kernel: `[H, H]`, from each unit to each at the next step.
      input_kernel: `[D, H]`, from inputs; `None` for none.
      output_kernel: `[H, O]`, to outputs; `None` for none.
      num_steps: how many steps.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes, without ticks.

    Raises:
      ValueError: if the shapes do not fit together, or there are more units than can be told apart.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> len(
      ...     unrolled(np.eye(2), np.ones((1, 2)), num_steps=3, axes=axes).patches
      ... )  # initial state, steps, inputs
      11
    """
    check_size("num_steps", num_steps)
    recurrent = as_values("recurrent_kernel", recurrent_kernel, "[H, H]")
    size = len(recurrent)
    inputs = (
        np.zeros((0, size)) if input_kernel is None else as_values("input_kernel", input_kernel, "[D, H]")
    )
    outputs = (
        np.zeros((size, 0)) if output_kernel is None else as_values("output_kernel", output_kernel, "[H, O]")
    )
    if recurrent.shape != (size, size) or inputs.shape[1] != size or len(outputs) != size:
        raise ValueError(
            f"recurrent_kernel has shape {recurrent.shape}, input_kernel {inputs.shape} and output_kernel "
            f"{outputs.shape}, expected [H, H], [D, H] and [H, O]."
        )
    if max(size, len(inputs), outputs.shape[1]) > 8:
        raise ValueError("a layer has more than 8 units, expected a small network: draw part of its kernels.")
    axes = axes_or_new(axes, (2.2 * (num_steps + 1), 1.2 + 0.75 * size))
    largest = max(np.abs(kernel).max() for kernel in (recurrent, inputs, outputs) if kernel.size)
    middle = (size - 1) / 2
    hidden = [[(STRIDE * step, float(unit)) for unit in range(size)] for step in range(num_steps + 1)]
    for step in range(1, num_steps + 1):
        read = _row(STRIDE * (step - 0.5), -1.4, len(inputs))
        written = _row(STRIDE * (step + 0.5), size + 0.4, outputs.shape[1])
        _lines(axes, hidden[step - 1], hidden[step], recurrent, largest)
        _lines(axes, read, hidden[step], inputs, largest)
        _lines(axes, hidden[step], written, outputs, largest)
        _units(axes, read, "white", "s")
        _units(axes, hidden[step], "0.85", "o")
        _units(axes, written, "white", "D")
        _name(axes, read, f"x$_{{{step}}}$", -0.45)
        _name(axes, written, f"y$_{{{step}}}$", 0.45)
        _name(axes, hidden[step][-1:], f"h$_{{{step}}}$", 0.45)
    _units(axes, hidden[0], "white", "o")
    _name(axes, hidden[0][-1:], "h$_0$", 0.45)
    low, high = (-2.3 if len(inputs) else -0.7), (size + 1.2 if outputs.size else size)
    axes.set_xlim(-0.7, STRIDE * (num_steps + (0.5 if outputs.size else 0)) + 0.7)
    axes.set_ylim(min(low, middle - 1), max(high, middle + 1))
    axes.set_aspect("equal")
    axes.set_axis_off()
    return axes


def _row(x: float, y: float, count: int) -> list[Point]:
    """Units side by side, around a point."""
    return [(x + 0.55 * (number - (count - 1) / 2), y) for number in range(count)]


def _lines(axes: Axes, sources: list[Point], ends: list[Point], kernel: npt.NDArray, largest: float) -> None:
    for (source, end), weight in np.ndenumerate(kernel):
        if weight == 0:
            continue
        (x, y), (to_x, to_y) = sources[source], ends[end]
        style = (
            {"color": "black", "linestyle": "-"} if weight > 0 else {"color": COLOURS[1], "linestyle": "--"}
        )
        axes.plot([x, to_x], [y, to_y], linewidth=0.4 + 2.4 * abs(weight) / largest, zorder=1, **style)


def _units(axes: Axes, places: list[Point], colour: str, shape: str) -> None:
    """Circles for hidden units, squares for inputs, diamonds for outputs."""
    from matplotlib.patches import Circle, RegularPolygon

    for place in places:
        options = {"facecolor": colour, "edgecolor": "black", "zorder": 2}
        if shape == "o":
            axes.add_patch(Circle(place, 0.2, **options))
        else:
            turn = np.pi / 4 if shape == "s" else 0.0
            axes.add_patch(RegularPolygon(place, 4, radius=0.25, orientation=turn, **options))


def _name(axes: Axes, places: list[Point], name: str, above: float) -> None:
    if places:
        x, y = np.mean(places, axis=0)
        axes.text(x, y + above, name, ha="center", va="center")
