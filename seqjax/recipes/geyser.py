"""What Old Faithful does next: Gaussian hidden Markov models of waiting times and durations.

A state gives an eruption its waiting time since the one before and its duration, jointly Gaussian. Models of
1 to 4 states are learned by Baum-Welch from the first eruptions, and compared by AIC and BIC; those held out,
each predicted from all before it, say how good that choice was. Takes about a minute on two cores, most
of it to compile four programs.
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
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import option
from seqjax.statespace import hmm

COVARIANCES = ("full", "diagonal", "tied")
CRITERIA = ("aic", "bic")


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train geyser` can be told; see `--help`."""

    min_states: int = option(1, "states of the smallest model")
    max_states: int = option(4, "states of the largest; all sizes between are compared too")
    criterion: str = option("bic", "which criterion chooses the one that is drawn", CRITERIA)
    covariance: str = option("full", "the form of the states' covariances", COVARIANCES)
    pseudo_count: float = option(1.0, "eruptions, spread like all, that each covariance has seen before")
    num_held_out: int = option(75, "eruptions at the end that no model sees")
    restarts: int = option(10, "random starts of each model, of which the best counts")
    iterations: int = option(300, "steps of Baum-Welch at most")
    seed: int = option(0, "of the random starts")


def train(options: Options, folder: Path) -> dict[str, Any]:
    """Learns the models, prints what they make of the held-out eruptions, draws the chosen one's states.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      By name, a list with an entry for each number of states: nats per eruption learned from and held out,
      AIC, BIC; and of the one chosen its `states`, `means`, `transition` and `path`.

    Raises:
      ValueError: if an option is out of range.

    Example:
      >>> train(Options(max_states=2), Path("runs/geyser"))  # doctest: +SKIP
    """
    series = data.geyser()
    ys = jnp.asarray(series.values, jnp.float32)
    num_steps = len(ys) - options.num_held_out
    if not 0 < num_steps < len(ys):
        raise ValueError(f"num_held_out is {options.num_held_out}, expected 1 to {len(ys) - 1}.")
    if not 1 <= options.min_states <= options.max_states:
        raise ValueError(
            f"min_states is {options.min_states}, expected 1 to max_states, {options.max_states}."
        )
    folder = runs.open_folder(folder)
    print(f"{series.source}\nlearning from the first {num_steps} of {len(ys)} eruptions\n")

    numbers = range(options.min_states, options.max_states + 1)
    # A duration that was only noted as long is exactly 4 minutes: without a prior, a state of such eruptions
    # alone would have no variance. A transition that was not seen may still come.
    models = [
        hmm.gaussian(num_states, 2, options.covariance, covariance_pseudo_count=options.pseudo_count)
        for num_states in numbers
    ]
    found = hmm.select(
        models,
        jax.random.key(options.seed),
        ys[:num_steps],
        criterion=options.criterion,
        num_restarts=options.restarts,
        num_iterations=options.iterations,
        transition_pseudo_count=0.5,
    )
    scores = [
        model.log_likelihoods(fit.emission_params, ys) for model, fit in zip(models, found.fits, strict=True)
    ]
    seen = found.log_likelihood / num_steps
    unseen = np.array(
        [_unseen(fit.params, score, num_steps) for fit, score in zip(found.fits, scores, strict=True)]
    )
    runs.print_table(
        ("states", "nats per eruption", "held out", "AIC", "BIC"),
        [
            (f"{number}", f"{a:.3f}", f"{b:.3f}", f"{c:.1f}", f"{d:.1f}")
            for number, a, b, c, d in zip(numbers, seen, unseen, found.aic, found.bic, strict=True)
        ],
    )
    fit = found.fits[found.best]
    path = np.asarray(hmm.viterbi(fit.params, scores[found.best])[0])
    means, transition = np.asarray(fit.emission_params.means), np.asarray(fit.params.transition)
    print(f"\n{options.criterion.upper()} chooses {numbers[found.best]} states:")
    for number, (mean, row) in enumerate(zip(means, transition, strict=True), 1):
        onward = " ".join(f"{share:.2f}" for share in row)
        print(f"  {number}: {mean[0]:.1f} min of waiting, {mean[1]:.2f} min of eruption; then {onward}")

    results = {
        "sizes": list(numbers),
        "states": numbers[found.best],
        "learned from": seen.tolist(),
        "held out": unseen.tolist(),
        "aic": found.aic.tolist(),
        "bic": found.bic.tolist(),
        "means": means.tolist(),
        "transition": transition.tolist(),
        "path": path.tolist(),
    }
    _draw(folder / "geyser.png", series.values, num_steps, fit, path, (numbers, seen, unseen))
    params = {"chain": fit.params, "emission": fit.emission_params}
    runs.save_run(folder, "geyser", options, params, results=results)
    print(f"\nsaved: {folder}")
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """How long a saved model expects to wait for the next eruption.

    Args:
      folder: what `train` saved to.
      texts: eruptions in their order, each as its waiting time and its duration: `"80,4.2"`.

    Returns:
      A line an eruption: its most probable state, and the expected waiting time and duration of the next.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or a text is not of that form.

    Example:
      >>> predict(Path("runs/geyser"), ["80,4.2", "79,2"])  # doctest: +SKIP
      ['80,4.2  state 2; next: 71 min of waiting, 3.2 min of eruption', ...]
    """
    options, document = runs.load_run(folder, "geyser", Options)
    num_states = document["results"]["states"]
    model = hmm.gaussian(num_states, 2, options.covariance)
    like = {
        "chain": hmm.HMMParams(jnp.zeros(num_states), jnp.zeros((num_states, num_states))),
        "emission": jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((2, 2)))),
    }
    params = training.load_weights(folder / "weights.safetensors", like)
    try:
        ys = np.array([[float(part) for part in text.split(",")] for text in texts])
        if ys.shape != (len(texts), 2) or not np.isfinite(ys).all():
            raise ValueError
    except ValueError:
        raise ValueError(
            f"texts is {' '.join(texts)}, expected a waiting time and a duration each, such as 80,4.2."
        ) from None
    known = hmm.filter(params["chain"], model.log_likelihoods(params["emission"], ys)).filtered
    onward = np.asarray(known @ params["chain"].transition @ params["emission"].means)
    return [
        f"{text}  state {state + 1}; next: {wait:.0f} min of waiting, {duration:.1f} min of eruption"
        for text, state, (wait, duration) in zip(texts, np.argmax(known, axis=-1), onward, strict=True)
    ]


def _unseen(params: hmm.HMMParams, scores: jax.Array, num_steps: int) -> float:
    """Nats per eruption that is held out, each predicted from all before it."""
    nats = jax.nn.logsumexp(hmm.filter(params, scores).log_predicted + scores, axis=-1)
    return float(jnp.mean(nats[num_steps:]))


def _draw(
    path: Path, values: np.ndarray, num_steps: int, fit: hmm.HMMFit, states: np.ndarray, nats: tuple
) -> None:
    """The states among all eruptions, along the held-out ones, and nats by the number of states."""
    figure, (left, middle, right) = plot.new_figure(1, 3, (13, 3.8), width_ratios=(1.1, 1.7, 0.9))
    angles = np.linspace(0, 2 * np.pi, 100)
    # A Gaussian in two dimensions is within this many deviations with probability 90 %.
    circle = np.sqrt(-2 * np.log(0.1)) * np.stack([np.cos(angles), np.sin(angles)])
    covariances = np.asarray(fit.emission_params.covariances)
    markers = "osD^vP"
    for state, (mean, covariance) in enumerate(
        zip(np.asarray(fit.emission_params.means), covariances, strict=True)
    ):
        colour, marker = plot.COLOURS[state % 6], markers[state % 6]
        those = states == state
        dots = {"color": colour, "markersize": 3.5, "alpha": 0.7, "label": f"state {state + 1}"}
        left.plot(*values[those].T, marker, **dots)
        left.plot(*(mean[:, None] + np.linalg.cholesky(covariance) @ circle), color=colour, linewidth=1)
        numbers = np.flatnonzero(those)
        middle.plot(numbers + 1, values[numbers, 1], marker, color=colour, markersize=4, zorder=3)
    left.set_xlabel("waiting before (min)")
    left.set_ylabel("duration (min)")
    plot.legend(left, columnspacing=0.8, handletextpad=0.1)
    middle.plot(np.arange(len(values)) + 1, values[:, 1], color="0.75", linewidth=0.8)
    first = max(0, num_steps - len(values) + num_steps)
    plot.held_out(middle, num_steps + 0.5, len(values) + 0.5)
    middle.set_xlim(first + 0.5, len(values) + 0.5)
    middle.set_xlabel("eruption")
    middle.set_ylabel("duration (min)")
    plot.legend(middle)
    numbers, *lines = nats
    for each, name, style, colour in zip(
        lines, ("learned from", "held out"), ("s--", "o-"), plot.COLOURS, strict=False
    ):
        right.plot(numbers, each, style, color=colour, markersize=4, label=name)
    right.set_xlabel("states")
    right.set_xticks(numbers)
    right.set_ylabel("log-likelihood (nats per eruption)")
    plot.legend(right)
    plot.save(figure, path)
