"""Pictures of what a network does as it reads: gates, attention, the path of its hidden state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqjax.plot.figures import COLOURS, LINES, MARKERS, Axes, as_values, axes_or_new, check_names

CELL = 0.24
"""Inches a cell of a map, so that labels of a usual size do not touch."""


def gates(
    activations: npt.ArrayLike,
    words: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    *,
    limits: tuple[float, float] = (0.0, 1.0),
    axes: Axes | None = None,
) -> Axes:
    """What gates do over a sentence: black is open, white is shut.

    Args:
      activations: `[T, R]`: at each step a number for each row, such as one gate's units, or the mean of each
        gate.
      words: `T` labels of the steps, from left to right.
      names: `R` labels of the rows, from the top.
      limits: what is white and what is black.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes.

    Raises:
      ValueError: if the shapes do not fit.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> axes = gates(
      ...     [[0.9, 0.1], [0.2, 0.8], [0.9, 0.3]], ["not", "a", "test"], ["input", "forget"], axes=axes
      ... )
      >>> [label.get_text() for label in axes.get_yticklabels()]
      ['input', 'forget']
    """
    activations = as_values("activations", activations, "[T, R]")
    check_names("words", words, len(activations), "step")
    check_names("names", names, activations.shape[1], "row of activations")
    axes = _map(activations.T, names, words, limits, axes)
    axes.set_xlabel("step" if words is None else "")
    return axes


def attention(
    weights: npt.ArrayLike,
    written: Sequence[str] | None = None,
    read: Sequence[str] | None = None,
    *,
    axes: Axes | None = None,
) -> Axes:
    """Where each token that was written looked at what was read: black is all of it, white nothing.

    Args:
      weights: `[T, S]`, rows that sum to one.
      written: `T` labels, from the top.
      read: `S` labels, from left to right.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes. Zero is white and one is black in every map, so that maps can be compared.

    Raises:
      ValueError: if the shapes do not fit.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> axes = attention(np.eye(2), ["AY", "end"], ["i", "t"], axes=axes)
      >>> [label.get_text() for label in axes.get_xticklabels()]
      ['i', 't']
    """
    weights = as_values("weights", weights, "[T, S]")
    check_names("written", written, len(weights), "token that was written")
    check_names("read", read, weights.shape[1], "token that was read")
    axes = _map(weights, written, read, (0, 1), axes)
    axes.xaxis.tick_top()
    return axes


def _map(
    values: npt.NDArray,
    rows: Sequence[str] | None,
    columns: Sequence[str] | None,
    limits: tuple[float, float],
    axes: Axes | None,
) -> Axes:
    """A map in grey, with labels that stand upright where they are words."""
    height, width = values.shape
    axes = axes_or_new(axes, (max(2.5, CELL * width + 1.2), max(1.2, CELL * height + 1.0)))
    low, high = limits
    axes.imshow(values, cmap="Greys", vmin=low, vmax=high, aspect="equal", interpolation="nearest")
    if columns is not None:
        axes.set_xticks(range(width), [_printable(label) for label in columns], rotation=90)
    if rows is not None:
        axes.set_yticks(range(height), [_printable(label) for label in rows])
    axes.tick_params(length=0, labelsize="small")
    axes.spines[:].set_visible(True)
    return axes


def _printable(label: str) -> str:
    """A network that has learned little may write control characters, which no font has."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in label)


def trajectories(
    states: npt.ArrayLike,
    labels: Sequence[str] | None = None,
    *,
    lengths: npt.ArrayLike | None = None,
    axes: Axes | None = None,
) -> Axes:
    """The paths of hidden states in the plane in which they vary most.

    Equation: the two leading right singular vectors of all valid states, less their mean (Pearson, 1901). A
    path begins at a small dot and ends at a mark.

    Args:
      states: `[T, *B, H]`, with at most one batch axis.
      labels: `B` labels of the rows; rows with the same share a colour, a line and a mark.
      lengths: `[B]`, the valid steps of each row; all by default.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes; their labels say how much of the variance each component holds.

    Raises:
      ValueError: if the shapes do not fit, or a state has fewer than two features.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> turn = np.linspace(0, 6, 20)
      >>> states = np.stack([3 * np.cos(turn), np.sin(turn), 0 * turn], axis=-1)
      >>> trajectories(states, axes=axes).get_xlabel()
      'first component (90 % of the variance)'
    """
    states = as_values("states", states, "[T, H]", "[T, B, H]")
    if states.ndim == 2:
        states = states[:, None]
    num_steps, num_rows, size = states.shape
    if size < 2:
        raise ValueError(f"states has feature size {size}, expected at least 2: one is a curve over time.")
    check_names("labels", labels, num_rows, "row of states")
    ends = np.full(num_rows, num_steps) if lengths is None else np.asarray(lengths)
    if ends.shape != (num_rows,) or ends.min() < 0 or ends.max() > num_steps:
        raise ValueError(f"lengths is {ends.tolist()}, expected {num_rows} integers from 0 to {num_steps}.")
    paths, shares = _principal([states[:end, row] for row, end in enumerate(ends)])
    axes = axes_or_new(axes, (5, 4.5))
    kinds = list(dict.fromkeys([""] if labels is None else labels))
    drawn = set()
    for row, path in enumerate(paths):
        if len(path) == 0:
            continue
        kind = 0 if labels is None else kinds.index(labels[row])
        colour, line, marker = (each[kind % len(each)] for each in (COLOURS, LINES, MARKERS))
        axes.plot(*path.T, linestyle=line, color=colour, linewidth=1, alpha=0.8)
        axes.plot(*path[0], ".", color=colour, markersize=4)
        label = kinds[kind] if labels is not None and kind not in drawn else None
        axes.plot(
            *path[-1], marker, color=colour, markersize=6, markeredgecolor="white", label=label, linestyle=""
        )
        drawn.add(kind)
    axes.set_xlabel(f"first component ({shares[0]:.0%} of the variance)".replace("%", " %"))
    axes.set_ylabel(f"second component ({shares[1]:.0%})".replace("%", " %"))
    if labels is not None:
        axes.legend(frameon=False, fontsize="small", title="each path's end")
    return axes


def _principal(paths: list[npt.NDArray]) -> tuple[list[npt.NDArray], npt.NDArray]:
    """Each path in the two leading components of all, and the share of the variance in each of them."""
    together = np.concatenate(paths)
    if not len(together):
        raise ValueError("lengths is 0 in every row: there is no state to draw.")
    centre = together.mean(axis=0)
    _, singular, directions = np.linalg.svd(together - centre, full_matrices=False)
    if len(singular) < 2:  # a single state
        singular, directions = np.append(singular, 0.0), np.vstack([directions, np.zeros_like(directions)])
    variance = singular**2
    shares = variance / max(variance.sum(), np.finfo(float).tiny)
    # Where the largest entry is positive, so that the same states give the same picture everywhere.
    plane = directions[:2]
    signs = np.sign(plane[np.arange(2), np.abs(plane).argmax(axis=1)])
    plane = plane * np.where(signs == 0, 1, signs)[:, None]
    return [(path - centre) @ plane.T for path in paths], shares
