"""Pictures of gradients: how strongly one step is felt at another, and how they shrink or grow on the way."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from seqjax.plot.figures import COLOURS, LINES, Axes, as_values, axes_or_new

RANGE = 1e-12
"""Norms that are smaller than this share of the largest look the same."""


def gradient_norms(
    norms: npt.ArrayLike,
    bound: npt.ArrayLike | None = None,
    *,
    limits: tuple[float, float] | None = None,
    axes: Axes | None = None,
) -> Axes:
    """A map of how strongly the state of each step depends on that of each step before, and of its bound.

    Dark is weak, on a logarithmic scale. The bound is drawn as dashed lines, labelled with what no norm on
    them may exceed; places that do exceed their bound are crossed.

    Args:
      norms: `[T, T]`, `‖∂h_t/∂h_k‖` at row `t` and column `k`; what is above the diagonal is not read.
      bound: `[T, T]`, an upper bound of each, such as that of Pascanu et al. (2013, eq. 7).
      limits: which norms are darkest and brightest, so that maps can be compared; by default the least, but
        no less than 1e-12 of the largest, and the largest.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes.

    Raises:
      ValueError: if the shapes do not fit, no norm is positive and finite, or limits do not rise from a
        positive number.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> lag = np.subtract.outer(np.arange(9), np.arange(9))
      >>> gradient_norms(0.5**lag, 0.6**lag, axes=axes).get_ylabel()
      't: the state that depends'
    """
    norms = as_values("norms", norms, "[T, T]")
    if norms.shape[0] != norms.shape[1]:
        raise ValueError(f"norms has shape {norms.shape}, expected [T, T], the two equal.")
    before = np.tri(len(norms), dtype=bool)
    positive = norms[before & np.isfinite(norms) & (norms > 0)]
    if not positive.size:
        raise ValueError("norms holds no positive, finite number on or below its diagonal.")
    if bound is not None:
        bound = as_values("bound", bound, "[T, T]")
        if bound.shape != norms.shape:
            raise ValueError(f"bound has shape {bound.shape}, expected that of norms, {norms.shape}.")
    from matplotlib.colors import LogNorm

    axes = axes_or_new(axes, (5.2, 4))
    low, high = _checked_limits(limits, positive)
    image = axes.imshow(
        np.ma.masked_array(np.maximum(norms, low), ~before),
        cmap="cividis",
        norm=LogNorm(low, high),
        interpolation="nearest",
    )
    below, above = norms[before].min() < low, positive.max() > high
    extend = {(True, True): "both", (True, False): "min", (False, True): "max"}.get((below, above), "neither")
    axes.figure.colorbar(image, ax=axes, label="‖∂h$_t$/∂h$_k$‖", extend=extend)
    if bound is not None:
        _draw_bound(axes, norms, bound, before, low)
    axes.set_xlabel("k: the state that it depends on")
    axes.set_ylabel("t: the state that depends")
    return axes


def _checked_limits(limits: tuple[float, float] | None, positive: npt.NDArray) -> tuple[float, float]:
    if limits is None:
        high = positive.max()
        low = max(positive.min(), high * RANGE)
        return (low, high) if low < high else (high / 10, high)
    low, high = limits
    if not 0 < low < high < np.inf:
        raise ValueError(f"limits is {limits}, expected two positive numbers, the first the smaller.")
    return low, high


def _draw_bound(axes: Axes, norms: npt.NDArray, bound: npt.NDArray, before: npt.NDArray, low: float) -> None:
    """Lines along which the bound has some round value, and crosses where it is exceeded."""
    from matplotlib import patheffects

    kept = before & np.isfinite(bound) & (bound > 0)
    values = bound[kept]
    levels = _round_values(max(values.min(), low), values.max()) if values.size else np.zeros(0)
    if levels.size:
        logs = np.ma.masked_array(np.log10(np.where(kept, bound, 1)), ~kept)
        lines = axes.contour(logs, np.log10(levels), colors="white", linestyles="dashed", linewidths=1.2)
        labels = axes.clabel(lines, fmt=_as_limit, fontsize="x-small")
        # White is seen on dark squares, and its dark edge on bright ones.
        for drawn in (lines, *labels):
            drawn.set_path_effects([patheffects.withStroke(linewidth=2.4, foreground="0.25")])
    rows, columns = np.nonzero(before & (norms > bound * (1 + 1e-6)))
    if rows.size:
        axes.plot(columns, rows, "x", color=COLOURS[1], markersize=4, label="exceeds the bound")
        axes.legend(loc="upper right", fontsize="small")


def _as_limit(log: float) -> str:
    """A power of ten, or three of them, as readers write it."""
    power = np.floor(log + 1e-9)
    factor = round(10 ** (log - power))
    if -3 <= power <= 3:
        return f"≤ {factor * 10.0**power:g}"
    return f"≤ {f'{factor}·' if factor > 1 else ''}10$^{{{power:.0f}}}$"


def _round_values(low: float, high: float) -> npt.NDArray:
    """At most six values between two others: powers of ten, and threes between where those are few."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    tens, threes = 10.0**powers, 3 * 10.0**powers
    inside = tens[(tens > low) & (tens < high)]
    if len(inside) < 3:
        both = np.sort(np.concatenate([tens, threes]))
        inside = both[(both > low) & (both < high)]
    return inside[:: -(-len(inside) // 6) or 1]


def gradient_flow(norms: npt.ArrayLike | Mapping[str, npt.ArrayLike], *, axes: Axes | None = None) -> Axes:
    """How the gradient of a loss shrinks or grows on its way back through time.

    Args:
      norms: `[T]`, `‖∂E/∂h_k‖` at each step, or several of these by name, such as one a layer.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes, the scale of norms logarithmic.

    Raises:
      ValueError: if a shape does not fit, or nothing is positive.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> gradient_flow({"first layer": [0.1, 0.5], "second layer": [0.2, 0.6]}, axes=axes).get_yscale()
      'log'
    """
    named = dict(norms) if isinstance(norms, Mapping) else {"": norms}
    lines = {
        name: as_values(f"norms[{name!r}]" if name else "norms", each, "[T]") for name, each in named.items()
    }
    if not any((values > 0).any() for values in lines.values()):
        raise ValueError("norms holds no positive number: there is no gradient to draw.")
    axes = axes_or_new(axes)
    for number, (name, values) in enumerate(lines.items()):
        style = {"color": COLOURS[number % len(COLOURS)], "linestyle": LINES[number % len(LINES)]}
        # A logarithm has no place for zero: the line ends where the gradient does.
        values = np.where(values > 0, values, np.nan)
        axes.plot(np.arange(1, len(values) + 1), values, linewidth=1.6, label=name or None, **style)
    axes.set_yscale("log")
    axes.set_xlabel("step k")
    axes.set_ylabel("‖∂E/∂h$_k$‖")
    if isinstance(norms, Mapping):
        axes.legend(frameon=False, fontsize="small")
    return axes


def singular_values(
    values: npt.ArrayLike,
    bound: npt.ArrayLike | None = None,
    *,
    lags: npt.ArrayLike | None = None,
    axes: Axes | None = None,
) -> Axes:
    """How much of each direction of a state is left after some steps.

    The largest singular value is the norm: a perturbation is stretched by no more. The others lie below it,
    in grey.

    Args:
      values: `[L, R]`, the singular values of `∂h_{k+lag}/∂h_k`, in any order.
      bound: `[L]`, an upper bound of the largest.
      lags: `[L]`, how many steps; 0, 1, ... by default.
      axes: where to draw; `None` for a new figure.

    Returns:
      The axes, the scale of values logarithmic.

    Raises:
      ValueError: if a shape does not fit.

    Example:
      >>> from seqjax.plot import new_figure
      >>> figure, (axes,) = new_figure()
      >>> singular_values([[1.0, 1.0], [0.8, 0.5]], [1.0, 0.9], axes=axes).get_xlabel()
      'steps between the two states'
    """
    values = -np.sort(-as_values("values", values, "[L, R]"), axis=1)
    times = np.arange(len(values)) if lags is None else as_values("lags", lags, "[L]")
    for name, given in {"bound": bound, "lags": lags}.items():
        if given is not None and np.shape(given) != (len(values),):
            raise ValueError(
                f"{name} has shape {np.shape(given)}, expected ({len(values)},), one a row of values."
            )
    axes = axes_or_new(axes)
    shown = np.where(values > 0, values, np.nan)
    if values.shape[1] > 1:
        others = axes.plot(times, shown[:, 1:], color="0.55", linewidth=0.8)
        others[0].set_label("the others")
    axes.plot(
        times, shown[:, 0], "o-", color=COLOURS[0], markersize=3, linewidth=1.6, label="largest: the norm"
    )
    if bound is not None:
        axes.plot(
            times, as_values("bound", bound, "[L]"), "--", color=COLOURS[1], linewidth=1.6, label="bound"
        )
    axes.axhline(1, color="0.8", linewidth=0.8, zorder=0)
    axes.set_yscale("log")
    axes.set_xlabel("steps between the two states")
    axes.set_ylabel("singular value")
    axes.legend(frameon=False, fontsize="small")
    return axes
