"""How the level of the Nile fell: a local level model by the Kalman filter, with a diffuse start.

The example of Durbin & Koopman (2012, chapter 2): the flow of a year is a level and noise, the level a random
walk. Both variances by maximum likelihood, then the level given all years, with its band, and the flow of the
years to come. Takes about 10 seconds on two cores.
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

PUBLISHED = {"noise variance": 15098.5, "level variance": 1469.2}


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train nile` can be told; see `--help`."""

    horizon: int = option(10, "years to forecast")
    steps: int = option(25, "steps of L-BFGS")
    seed: int = option(0, "nothing is drawn: the result is the same for any")


def model(log_variances: Array, scale: float = 1.0) -> lds.LDSParams:
    """A local level: `y_t = level_t + noise`, `level_{t+1} = level_t + noise` (Durbin & Koopman, eq. 2.3).

    Args:
      log_variances: `[2]`, of the noise of the flow and of the level, relative to `scale` squared.
      scale: the unit of the flow.

    Returns:
      `LDSParams` of one state, of which nothing is known at the start.
    """
    noise, level = scale**2 * jnp.exp(log_variances)
    one = jnp.ones((1, 1))
    return lds.params(
        dynamics=one,
        dynamics_covariance=level * one,
        emission=one,
        emission_covariance=noise * one,
        diffuse=[True],
    )


def train(options: Options, folder: Path) -> dict[str, Any]:
    """Estimates the variances, prints them beside the published ones, draws the level, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      The variances, the log-likelihood, and the forecast with its standard deviation.

    Example:
      >>> train(Options(), Path("runs/nile"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    series = data.nile()
    print(f"{series.source}\n")
    scale = float(series.values.std())
    ys = jnp.asarray(series.values / scale, jnp.float32)[:, None]
    best, _ = maximize(lambda logs: lds.log_normalizer(model(logs), ys), jnp.zeros(2), options.steps)

    params, ys = model(best, scale), scale * ys
    smoothed = lds.smooth(params, ys)
    forecast = lds.forecast(params, smoothed.filtered.carry, options.horizon)
    noise, level = (float(variance) for variance in scale**2 * jnp.exp(best))
    results: dict[str, Any] = {"noise variance": noise, "level variance": level}
    runs.print_table(
        ("", "here", "published"),
        [(name, f"{value:.1f}", f"{PUBLISHED[name]:.1f}") for name, value in results.items()],
    )
    results |= {
        "log-likelihood": float(smoothed.log_normalizer),
        "forecast": forecast.observation_mean[:, 0].tolist(),
        "forecast deviation": jnp.abs(forecast.observation_cholesky[:, 0, 0]).tolist(),
    }
    print(f"log-likelihood, diffuse: {results['log-likelihood']:.2f}\n")
    for ahead in sorted({1, options.horizon}):
        mean, reach = results["forecast"][ahead - 1], results["forecast deviation"][ahead - 1]
        reach *= plot.QUANTILE_90
        year = series.times[-1] + ahead
        print(f"{year}: {mean:.0f}, with probability 90 % between {mean - reach:.0f} and {mean + reach:.0f}")
    _draw(folder / "nile.png", series, smoothed, forecast)
    runs.save_run(folder, "nile", options, params, results=results)
    print(f"\nsaved: {folder}")
    return results


def _draw(path: Path, series: Series, smoothed: lds.LDSSmoothed, forecast: lds.LDSForecast) -> None:
    """The flow, the level given all years, and the years to come."""
    figure, (axes,) = plot.new_figure(size=(9, 4))
    axes.plot(series.times, series.values, "o", color="0.5", markersize=3, label="flow")
    level, deviation = smoothed.mean[:, 0], jnp.abs(smoothed.cholesky[:, 0, 0])
    plot.band(level, deviation, series.times, label="level", axes=axes)
    later = series.times[-1] + np.arange(1, len(forecast.observation_mean) + 1)
    mean, deviation = forecast.observation_mean[:, 0], jnp.abs(forecast.observation_cholesky[:, 0, 0])
    plot.band(mean, deviation, later, label="forecast of the flow", colour=plot.COLOURS[1], axes=axes)
    plot.held_out(axes, series.times[-1] + 0.5, later[-1], "years to come")
    axes.set_xlabel("year")
    axes.set_ylabel(f"flow of the Nile at Aswan ({series.units[0]})")
    axes.set_xlim(series.times[0] - 1, later[-1])
    plot.legend(axes)
    plot.save(figure, path)
