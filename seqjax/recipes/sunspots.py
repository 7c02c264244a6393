"""Sunspots of years not seen: autoregression, TDNN, NARX, linear dynamical system and LSTM side by side.

All learn from the same years, and forecast the same held-out years from each year on: one year ahead, with
all years before known, and further in closed loop, where what they said of a year stands for it in those
after. AR learns by least squares, the LDS by EM, TDNN and LSTM from true years, NARX in closed loop. Networks
are ensembles, whose forecasts are averaged. How they train was chosen on 1900 to 1949, learning from the
years before; other settings had been seen on the held-out years earlier, so that their figures are not
quite those of a first look. Takes one to two minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import seqjax as sj
from seqjax import data, memoryless, plot
from seqjax.data import Series
from seqjax.recipes.models import forecasters
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import option
from seqjax.types import Array, Params

CYCLE = 11
"""The years from one maximum to the next, about."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train sunspots` can be told; see `--help`."""

    num_held_out: int = option(59, "years at the end that no model sees")
    horizon: int = option(CYCLE, "years to forecast in closed loop")
    taps: int = option(CYCLE, "years that TDNN and NARX see; at most as many for the autoregression")
    hidden_size: int = option(8, "hidden units of each network")
    state_size: int = option(5, "states of the linear dynamical system")
    members: int = option(8, "networks of each kind, whose forecasts are averaged")
    steps: int = option(200, "gradient steps of each network")
    learning_rate: float = option(0.01, "of AdamW, falling to zero along a cosine")
    weight_decay: float = option(0.1, "of AdamW")
    em_steps: int = option(200, "iterations of EM for the linear dynamical system")
    seed: int = option(0, "of the networks' weights")


def train(options: Options, folder: Path) -> dict[str, Any]:
    """Fits all models, prints their errors beside three baselines, draws them, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      By model, the root mean square error in sunspots for each number of years ahead.

    Example:
      >>> train(Options(steps=100), Path("runs/sunspots"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    series = data.sunspots()
    num_known = len(series.values) - options.num_held_out
    print(f"{series.source}\nlearning from {series.times[0]} to {series.times[num_known - 1]}")
    forecasts, params = fit_all(series.values, num_known, options)
    models = list(forecasts)
    forecasts |= baselines(series.values, num_known, options.horizon)
    errors = {
        name: [error(series.values, means, num_known, ahead) for ahead in range(1, options.horizon + 1)]
        for name, means in forecasts.items()
    }
    print(f"root mean square error on {series.times[num_known]} to {series.times[-1]}, by years ahead,")
    print("the first in one step, the others in closed loop:\n")
    shown = [ahead for ahead in (1, 2, 5, 8, CYCLE) if ahead <= options.horizon]
    runs.print_table(
        ("", *map(str, shown)),
        [(name, *(f"{values[ahead - 1]:.1f}" for ahead in shown)) for name, values in errors.items()],
    )
    _draw(folder / "sunspots.png", series, forecasts, errors, models, num_known)
    runs.save_run(folder, "sunspots", options, params, results=errors)
    print(f"\nsaved: {folder}")
    return errors


def fit_all(values: np.ndarray, num_known: int, options: Options) -> tuple[dict, dict]:
    """Every model, on square roots, whose noise is of one size, of zero mean and unit variance where known.

    Args:
      values: `[T]` sunspots.
      num_known: how many of them are learned from.
      options: those of the recipe.

    Returns:
      By model, the forecasts `[T, S]` in sunspots, and the params.
    """
    roots = np.sqrt(values)
    mean, deviation = roots[:num_known].mean(), roots[:num_known].std()
    ys = jnp.asarray((roots - mean) / deviation, jnp.float32)[:, None]
    known, horizon = ys[:num_known], options.horizon
    schedule = optax.cosine_decay_schedule(options.learning_rate, options.steps)
    optimizer = optax.adamw(schedule, weight_decay=options.weight_decay)
    keys = jax.random.split(jax.random.key(options.seed), options.members)

    def network(network: forecasters.Network) -> tuple[Array, Params]:
        return forecasters.fit_network(known, ys, network, optimizer, options.steps, keys)

    tdnn = memoryless.tdnn(options.taps, (options.hidden_size,), 1)
    lstm = sj.stack(sj.lstm(options.hidden_size), sj.dense(1))
    start = forecasters.damped_waves(options.state_size, period=CYCLE)
    fits = {
        "AR": forecasters.fit_ar(known, ys, horizon, options.taps),
        "TDNN": network(forecasters.reads_and_says_next(tdnn, horizon)),
        "NARX": network(forecasters.simulates(options.taps, options.hidden_size, horizon)),
        "LDS": forecasters.fit_lds(known, ys, horizon, start, options.em_steps),
        "LSTM": network(forecasters.reads_and_says_next(lstm, horizon)),
    }
    forecasts = {
        name: np.maximum(np.asarray(means) * deviation + mean, 0) ** 2 for name, (means, _) in fits.items()
    }
    return forecasts, {name: params for name, (_, params) in fits.items()}


def baselines(values: np.ndarray, num_known: int, horizon: int) -> dict[str, np.ndarray]:
    """What can be said without a model.

    Args:
      values: `[T]`.
      num_known: how many of them the mean is of.
      horizon: `S`.

    Returns:
      By name, the forecasts `[T, S]`.

    Example:
      >>> baselines(np.arange(12.0), 3, 2)["as 11 years before"][-1].tolist()
      [1.0, 2.0]
    """
    steps = np.arange(len(values))[:, None] + 1 + np.arange(horizon)
    back = CYCLE * (1 + np.arange(horizon) // CYCLE)
    return {
        "as the last year": np.repeat(values[:, None], horizon, axis=1),
        "as 11 years before": values[np.maximum(steps - back, 0)],
        "mean": np.full((len(values), horizon), values[:num_known].mean()),
    }


def error(values: np.ndarray, forecasts: np.ndarray, first: int, ahead: int) -> float:
    """The root mean square error over the held-out years.

    Args:
      values: `[T]`.
      forecasts: `[T, S]`; entry `t, s` is what is said, knowing the years up to `t`, of the year `t + s + 1`.
      first: the first year that is held out.
      ahead: how many years.

    Returns:
      The error of all forecasts of held-out years from the year before the first of them on.

    Example:
      >>> error(np.array([1.0, 2.0, 4.0]), np.array([[2.0], [3.0], [9.0]]), 1, 1)
      0.707...
    """
    said = forecasts[first - 1 : len(values) - ahead, ahead - 1]
    return float(np.sqrt(np.mean((said - values[first - 1 + ahead :]) ** 2)))


def _draw(
    path: Path,
    series: Series,
    forecasts: dict[str, np.ndarray],
    errors: dict[str, list[float]],
    models: list[str],
    first: int,
) -> None:
    """What each model said in the last known year, and errors by the years ahead."""
    figure, (left, right) = plot.new_figure(1, 2, (12, 4), width_ratios=(1.5, 1))
    begin, ahead = first - 40, 1 + np.arange(len(errors["mean"]))
    times = series.times
    left.plot(times[begin:], series.values[begin:], "o-", c="0.55", ms=2.5, lw=0.8, label="measured")
    for name, marker, colour in zip(models, "osD^v", plot.COLOURS, strict=False):
        style = {"marker": marker, "color": colour, "markersize": 3, "linewidth": 1.2, "label": name}
        left.plot(times[first - 1] + ahead, forecasts[name][first - 1], **style)
        right.plot(ahead, errors[name], **style)
    for name, line in zip(sorted(set(errors) - set(models)), (":", "--", "-."), strict=True):
        right.plot(ahead, errors[name], line, color="0.2", linewidth=1.2, label=name)
    plot.held_out(left, times[first] - 0.5, times[-1])
    left.set_xlabel("year")
    left.set_ylabel("sunspots (mean of the year)")
    plot.legend(left, columnspacing=0.8)
    right.set_xlabel("years ahead, in closed loop")
    right.set_ylabel("root mean square error, held out (sunspots)")
    right.set_ylim(0)
    plot.legend(right, ncols=4, columnspacing=0.8)
    plot.save(figure, path)
