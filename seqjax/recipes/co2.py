"""Carbon dioxide over Mauna Loa: a trend and the seasons by the Kalman filter, with weeks missing.

A structural model (Harvey, 1989, section 2.3): a level with a slope that drifts, and the year as a sum of
harmonics, each of which turns a little every week and may change. Its variances are those of the greatest
likelihood. Then it forecasts the last years, which it has not seen, with a band, beside two baselines made
of the last year that it knows. Takes about a minute and a half on two cores.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from seqjax import data, plot
from seqjax.data import Series
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.maximum import maximize
from seqjax.recipes.shared.options import option
from seqjax.statespace import lds
from seqjax.types import Array

WEEKS = 365.25 / 7
START = (0.1, 0.05, 0.001, 0.01)  # standard deviations: measurement, level, slope, seasons; ppm
# What is known at first, in ppm around the mean. Were nothing known, the first weeks, in which the ten states
# look nearly the same, would give them means of millions, and single precision would lose what matters.
PRIOR = (50.0, 0.2, 10.0)  # level, slope, seasons


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train co2` can be told; see `--help`."""

    years_held_out: int = option(5, "years at the end that the model does not see")
    harmonics: int = option(4, "harmonics of the year")
    steps: int = option(25, "steps of L-BFGS")
    seed: int = option(0, "nothing is drawn: the result is the same for any")


def model(log_deviations: Array, harmonics: int) -> lds.LDSParams:
    """A local linear trend and harmonics of the year, of which the order of magnitude is known at the start.

    Equations (Harvey, 1989, sections 2.3.2 and 2.3.4): `level' = level + slope + noise` and
    `slope' = slope + noise`; harmonic `j` is a vector that each week turns by `2 pi j / 52.18`, with noise,
    and whose first part is seen.

    Args:
      log_deviations: `[4]`, of the noise of the measurement, the level, the slope and the seasons.
      harmonics: how many.

    Returns:
      `LDSParams` of `2 + 2 * harmonics` states.
    """
    angles = 2 * np.pi * np.arange(1, harmonics + 1) / WEEKS
    size = 2 + 2 * harmonics
    dynamics, emission = np.zeros((size, size)), np.zeros((1, size))
    dynamics[:2, :2] = [[1, 1], [0, 1]]
    for place, angle in zip(range(2, size, 2), angles, strict=True):
        cosine, sine = np.cos(angle), np.sin(angle)
        dynamics[place : place + 2, place : place + 2] = [[cosine, sine], [-sine, cosine]]
    emission[0, [0, *range(2, size, 2)]] = 1
    variances = jnp.exp(2 * log_deviations)
    noise = jnp.concatenate([variances[1:3], jnp.broadcast_to(variances[3], (2 * harmonics,))])
    return lds.params(
        dynamics=jnp.asarray(dynamics, jnp.float32),
        dynamics_covariance=jnp.diag(noise),
        emission=jnp.asarray(emission, jnp.float32),
        emission_covariance=variances[0].reshape(1, 1),
        initial_covariance=np.diag(np.square([*PRIOR[:2], *PRIOR[2:] * (2 * harmonics)])),
    )


def train(options: Options, folder: Path) -> dict[str, Any]:
    """Estimates the variances, judges the forecast beside two baselines, draws it, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Root mean square errors by method, the share of held-out weeks within the band, and the deviations.

    Example:
      >>> train(Options(steps=2), Path("runs/co2"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    series = data.co2()
    known = len(series.times) - round(options.years_held_out * WEEKS)
    print(f"{series.source}\nlearning from {known} weeks, up to {series.times[known - 1]}\n")
    # Around their mean the numbers are small, and float32 keeps their digits.
    centre = np.nanmean(series.values[:known])
    observed = ~np.isnan(series.values)
    ys = jnp.asarray(series.values - centre, jnp.float32)[:, None]

    def log_likelihood(log_deviations: Array) -> Array:
        params = model(log_deviations, options.harmonics)
        return lds.log_normalizer(params, ys[:known], observed=observed[:known])

    best, _ = maximize(log_likelihood, jnp.log(jnp.array(START)), options.steps)
    params = model(best, options.harmonics)
    smoothed = lds.smooth(params, ys[:known], observed=observed[:known])
    forecast = lds.forecast(params, smoothed.filtered.carry, len(ys) - known)
    mean = centre + np.asarray(forecast.observation_mean[:, 0])
    deviation = np.abs(np.asarray(forecast.observation_cholesky[:, 0, 0]))

    forecasts = {
        "trend and seasons": mean,
        "last known year again": last_year(series.values[:known], len(mean), drift=False),
        "last known year and its rise": last_year(series.values[:known], len(mean), drift=True),
    }
    truth, seen = series.values[known:], observed[known:]
    errors = {name: float(np.sqrt(np.mean((guess - truth)[seen] ** 2))) for name, guess in forecasts.items()}
    inside = float(np.mean(np.abs(mean - truth)[seen] < plot.QUANTILE_90 * deviation[seen]))
    runs.print_table(
        (f"the {len(mean)} weeks held out", "root mean square error (ppm)"),
        [(name, f"{value:.2f}") for name, value in errors.items()],
    )
    names = ("measurement", "level", "slope", "seasons")
    deviations = dict(zip(names, np.exp(np.asarray(best, float)).tolist(), strict=True))
    print(f"\n{100 * inside:.0f} % of them are within the 90 % band; noise a week, in ppm:")
    print("  " + ", ".join(f"{name} {value:.2g}" for name, value in deviations.items()))

    _draw(folder / "co2.png", series, known, centre, smoothed, (mean, deviation))
    results = {
        "errors": errors,
        "inside": inside,
        "deviations": deviations,
        "log-likelihood": float(smoothed.log_normalizer),
    }
    runs.save_run(folder, "co2", options, params, results=results)
    print(f"\nsaved: {folder}")
    return results


def last_year(values: np.ndarray, num_steps: int, *, drift: bool) -> np.ndarray:
    """The last known year over and over, as it was or with its rise over the year before.

    Args:
      values: `[T]`, at least two years, NaN where missing.
      num_steps: how many weeks to go on.
      drift: whether each year rises.

    Returns:
      `[num_steps]`.
    """
    weeks = np.arange(len(values))
    filled = np.interp(weeks, weeks[~np.isnan(values)], values[~np.isnan(values)])
    year, ahead = round(WEEKS), np.arange(num_steps)
    rise = np.mean(filled[-year:] - filled[-2 * year : -year]) if drift else 0.0
    return filled[-year:][ahead % year] + rise * (1 + ahead // year)


def _draw(
    path: Path,
    series: Series,
    known: int,
    centre: float,
    smoothed: lds.LDSSmoothed,
    forecast: tuple[np.ndarray, np.ndarray],
) -> None:
    """The trend over all years, and the forecast beside what was measured."""
    figure, (top, bottom) = plot.new_figure(1, 2, (12, 4), width_ratios=(1, 1.4))
    times = series.times
    top.plot(times, series.values, ".", color="0.65", markersize=1.5, label="measured")
    level, deviation = centre + smoothed.mean[:, 0], jnp.sqrt(jnp.sum(smoothed.cholesky[:, 0] ** 2, axis=-1))
    plot.band(level, deviation, times[:known], label="trend", axes=top)
    plot.held_out(top, times[known], times[-1])
    first = known - 2 * round(WEEKS)
    bottom.plot(times[first:], series.values[first:], "o", color="0.5", markersize=2.5, label="measured")
    plot.band(*forecast, times[known:], label="forecast", colour=plot.COLOURS[1], axes=bottom)
    plot.held_out(bottom, times[known], times[-1])
    for axes in (top, bottom):
        axes.set_xlabel("year")
        axes.set_ylabel("carbon dioxide at Mauna Loa (ppm)")
        plot.legend(axes)
    plot.save(figure, path)
