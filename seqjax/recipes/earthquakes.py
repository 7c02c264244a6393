"""How many kinds of years there are: great earthquakes a year by Poisson hidden Markov models.

The example of Zucchini & MacDonald (2009): in each state, the number of earthquakes of a year is Poisson with
a rate of its own. Models of 1 to 5 states are learned by Baum-Welch from several starts and compared by AIC
and BIC; the most probable path of states is drawn. Takes about a minute on two cores, most of it to
compile five programs.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import data, plot, training
from seqjax.data import Series
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import option
from seqjax.statespace import hmm

CRITERIA = ("aic", "bic")


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train earthquakes` can be told; see `--help`."""

    min_states: int = option(1, "states of the smallest model")
    max_states: int = option(5, "states of the largest; all sizes between are compared too")
    criterion: str = option("aic", "which criterion chooses the one that is drawn", CRITERIA)
    restarts: int = option(10, "random starts of each model, of which the best counts")
    iterations: int = option(1000, "steps of Baum-Welch at most")
    tolerance: float = option(1e-7, "stop when the log-likelihood of a year gains less than this")
    seed: int = option(0, "of the random starts")


def train(options: Options, folder: Path) -> dict[str, Any]:
    """Learns the models, prints their criteria, draws the path of the chosen one, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      By name, a list with an entry for each number of states; the number chosen, `states`, and its `path`.

    Raises:
      ValueError: if an option is out of range.

    Example:
      >>> train(Options(max_states=2), Path("runs/earthquakes"))  # doctest: +SKIP
    """
    if not 1 <= options.min_states <= options.max_states:
        raise ValueError(
            f"min_states is {options.min_states}, expected 1 to max_states, {options.max_states}."
        )
    folder = runs.open_folder(folder)
    series = data.earthquakes()
    print(f"{series.source}\n")
    numbers = range(options.min_states, options.max_states + 1)
    models = [hmm.poisson(num_states) for num_states in numbers]
    found = hmm.select(
        models,
        jax.random.key(options.seed),
        series.values,
        criterion=options.criterion,
        num_restarts=options.restarts,
        num_iterations=options.iterations,
        tolerance=options.tolerance,
    )
    fits = [_by_rate(fit) for fit in found.fits]
    rates = [np.asarray(fit.emission_params.rates) for fit in fits]
    runs.print_table(
        ("states", "-log-likelihood", "parameters", "AIC", "BIC", "rates"),
        [
            (
                f"{num_states}",
                f"{-found.log_likelihood[row]:.4f}",
                f"{found.num_parameters[row]}",
                f"{found.aic[row]:.2f}",
                f"{found.bic[row]:.2f}",
                " ".join(f"{rate:.2f}" for rate in rates[row]),
            )
            for row, num_states in enumerate(numbers)
        ],
    )
    best = fits[found.best]
    scores = models[found.best].log_likelihoods(best.emission_params, series.values)
    path = np.asarray(hmm.viterbi(best.params, scores)[0])
    print(f"\n{options.criterion.upper()} chooses {numbers[found.best]} states, with the transitions")
    for row in np.asarray(best.params.transition):
        print("  " + "  ".join(f"{share:.3f}" for share in row))

    results = {
        "sizes": list(numbers),
        "states": numbers[found.best],
        "negative log-likelihood": (-found.log_likelihood).tolist(),
        "aic": found.aic.tolist(),
        "bic": found.bic.tolist(),
        "rates": [each.tolist() for each in rates],
        "path": path.tolist(),
    }
    _draw(folder / "earthquakes.png", series, path, rates[found.best], (numbers, found.aic, found.bic))
    params = {"chain": best.params, "emission": best.emission_params}
    runs.save_run(folder, "earthquakes", options, params, results=results)
    print(f"\nsaved: {folder}")
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """What a saved model expects of years to come.

    Args:
      folder: what `train` saved to.
      texts: years after the last one that was counted.

    Returns:
      A line a year: the expected number of earthquakes, and an interval that holds it with 90 % probability.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or a text is no later year.

    Example:
      >>> predict(Path("runs/earthquakes"), ["2007"])  # doctest: +SKIP
      ['2007  13.5 expected, 90 % from 8 to 20']
    """
    _, document = runs.load_run(folder, "earthquakes", Options)
    num_states, series = document["results"]["states"], data.earthquakes()
    like = {
        "chain": hmm.HMMParams(jnp.zeros(num_states), jnp.zeros((num_states, num_states))),
        "emission": hmm.PoissonParams(jnp.zeros(num_states)),
    }
    params = training.load_weights(folder / "weights.safetensors", like)
    model, last = hmm.poisson(num_states), int(series.times[-1])
    carry = hmm.filter(params["chain"], model.log_likelihoods(params["emission"], series.values)).carry
    years = [int(text) if text.isdecimal() else 0 for text in texts]
    if min(years) <= last:
        raise ValueError(f"texts is {', '.join(texts)}, expected years after {last}, the last of the series.")
    chances = np.asarray(hmm.predict(params["chain"], carry, max(years) - last))
    rates = np.asarray(params["emission"].rates)
    density = np.exp(model.log_likelihoods(params["emission"], np.arange(200)))
    lines = []
    for year in years:
        chance = chances[year - last - 1]
        low, high = np.searchsorted(np.cumsum(density @ chance), (0.05, 0.95))
        lines.append(f"{year}  {chance @ rates:.1f} expected, 90 % from {low} to {high}")
    return lines


def _by_rate(fit: hmm.HMMFit) -> hmm.HMMFit:
    """The same model with its states from the least rate to the greatest: their order means nothing."""
    order = np.argsort(np.asarray(fit.emission_params.log_rates))
    params = hmm.HMMParams(
        initial_logits=fit.params.initial_logits[order],
        transition_logits=fit.params.transition_logits[order][:, order],
    )
    emission = dataclasses.replace(fit.emission_params, log_rates=fit.emission_params.log_rates[order])
    return dataclasses.replace(fit, params=params, emission_params=emission)


def _draw(path: Path, series: Series, states: np.ndarray, rates: np.ndarray, sizes: tuple) -> None:
    """The years with the most probable path, and the criteria by the number of states."""
    figure, (left, right) = plot.new_figure(1, 2, (11, 3.6), width_ratios=(3, 1))
    counts = {"color": "0.6", "markersize": 3, "linewidth": 0.8, "label": "earthquakes"}
    left.plot(series.times, series.values, "o-", **counts)
    name, colour = "rate on the most probable path", plot.COLOURS[1]
    left.step(series.times, rates[states], where="mid", color=colour, label=name)
    for rate in rates:
        left.axhline(rate, color="0.85", linewidth=0.7, zorder=0)
    left.set_xlabel("year")
    left.set_ylabel("earthquakes of magnitude 7 and over")
    left.set_ylim(0)
    left.margins(x=0.01)
    plot.legend(left)
    numbers, *criteria = sizes
    for values, name, style, colour in zip(
        criteria, ("AIC", "BIC"), ("o-", "s--"), plot.COLOURS, strict=False
    ):
        right.plot(numbers, values, style, color=colour, markersize=4, label=name)
        best = np.argmin(values)
        right.plot(numbers[best], values[best], "o", color=colour, markersize=10, fillstyle="none")
    right.set_xlabel("states")
    right.set_ylabel("criterion (less is better)")
    right.set_xticks(numbers)
    plot.legend(right)
    plot.save(figure, path)
