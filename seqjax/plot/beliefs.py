"""Pictures of beliefs: the band around a Gaussian's mean, the probabilities of discrete states, a path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqjax.plot.figures import COLOURS, QUANTILE_90, Axes, as_values, axes_or_new, check_names


def band(
    mean: npt.ArrayLike,
    deviation: npt.ArrayLike,
    times: npt.ArrayLike | None = None,
    *,
    observations: npt.ArrayLike | None = None,
    label: str = "mean",
    colour: str = COLOURS[0],
    axes: Axes | None = None,
) -> Axes:
    """A line and, around it, where a Gaussian is with probability 90 %: what a Kalman filter believes.

    Args:
      mean: `[T]`.
      deviation: `[T]`, standard deviations.
      times: `[T]`; 0, 1, ... by default.
      observations: `[T]`, drawn as grey dots; NaN for none at that time.
      label: of the line; the band's says 90 %.
      colour: of both.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes.

    Raises:
      ValueError: if the shapes differ.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> band([2, 3], [1, 1], label="level", axes=axes).get_legend_handles_labels()[1]
      ['level', 'its 90 % band']
    """
    mean, reach = as_values("mean", mean, "[T]"), QUANTILE_90 * as_values("deviation", deviation, "[T]")
    times = np.arange(len(mean)) if times is None else np.asarray(times)
    for name, each in {"deviation": reach, "times": times, "observations": observations}.items():
        if each is not None and np.shape(each) != mean.shape:
            raise ValueError(f"{name} has shape {np.shape(each)}, expected that of mean, {mean.shape}.")
    axes = axes_or_new(axes)
    if observations is not None:
        points = as_values("observations", observations, "[T]")
        axes.plot(times, points, "o", color="0.5", markersize=3, label="observed")
    axes.plot(times, mean, color=colour, linewidth=1.5, label=label)
    axes.fill_between(
        times, mean - reach, mean + reach, color=colour, alpha=0.22, linewidth=0, label="its 90 % band"
    )
    return axes


def state_probabilities(
    probabilities: npt.ArrayLike,
    path: npt.ArrayLike | None = None,
    times: npt.ArrayLike | None = None,
    *,
    names: Sequence[str] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """How probable each state of a hidden Markov model is at each step, and its most probable path.

    Black is certain, white impossible. The path, as Viterbi's algorithm finds it, is a line through its
    states.

    Args:
      probabilities: `[T, K]`, filtered or smoothed.
      path: `[T]`, states as integers.
      times: `[T]`, evenly spaced; 0, 1, ... by default.
      names: `K` labels of the states.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes, the first state lowest.

    Raises:
      ValueError: if the shapes do not fit, times are not evenly spaced, or the path holds what is no state.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> axes = state_probabilities([[0.9, 0.1], [0.4, 0.6]], [0, 1], names=["rain", "sun"], axes=axes)
      >>> [label.get_text() for label in axes.get_yticklabels()]
      ['rain', 'sun']
    """
    probabilities = as_values("probabilities", probabilities, "[T, K]")
    num_steps, num_states = probabilities.shape
    check_names("names", names, num_states, "state")
    times = np.arange(num_steps) if times is None else as_values("times", times, "[T]")
    for name, each in {"path": path, "times": times}.items():
        if each is not None and np.shape(each) != (num_steps,):
            raise ValueError(f"{name} has shape {np.shape(each)}, expected ({num_steps},), one a step.")
    step = (times[-1] - times[0]) / (num_steps - 1) if num_steps > 1 else 1.0
    if num_steps > 1 and not (step > 0 and np.allclose(np.diff(times), step, rtol=1e-2)):
        raise ValueError("times are not evenly spaced and rising: draw over 0, 1, ... and label the steps.")
    axes = axes_or_new(axes, (8, 0.9 + 0.35 * num_states))
    axes.imshow(
        probabilities.T,
        cmap="Greys",
        vmin=0,
        vmax=1,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(times[0] - step / 2, times[-1] + step / 2, -0.5, num_states - 0.5),
    )
    if path is not None:
        _draw_path(axes, times, np.asarray(path), num_states)
    axes.set_yticks(range(num_states), names)
    axes.set_ylabel("state" if names is None else "")
    return axes


def _draw_path(axes: Axes, times: npt.NDArray, states: npt.NDArray, num_states: int) -> None:
    if states.dtype.kind not in "iu" or states.min() < 0 or states.max() >= num_states:
        raise ValueError(f"path holds other than integers from 0 to {num_states - 1}, the states.")
    # A white edge keeps the line apart from what is black beneath it.
    axes.plot(times, states, drawstyle="steps-mid", color="white", linewidth=4, solid_capstyle="round")
    line = {"drawstyle": "steps-mid", "color": COLOURS[1], "linewidth": 2, "solid_capstyle": "round"}
    axes.plot(times, states, label="most probable path", **line)
