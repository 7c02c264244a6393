"""Who speaks? Nine men say two vowels: many to one, over short series of 7 to 29 steps.

A network reads an utterance in both directions, and the mean of what it makes of each step decides. What it
has to beat knows no order at all: a Gaussian for each speaker, over single steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from seqjax import data, layers, tasks, training
from seqjax.data import LabelledSeries
from seqjax.recipes.models.blocks import block
from seqjax.recipes.scores.classes import classify, draw_confusions
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn
from seqjax.recipes.shared.options import CELLS, option
from seqjax.tasks import Task
from seqjax.types import Params

EXAMPLE = "utterance.csv"
NUM_FEATURES = 12


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train vowels` can be told; see `--help`."""

    cell: str = option("gru", "which recurrent cell, run in both directions", CELLS)
    hidden_size: int = option(64, "hidden units of each direction")
    num_layers: int = option(1, "bidirectional layers")
    pooling: str = option("mean", "what decides of all steps", ("mean", "max", "ends", "attention"))
    dropout: float = option(0.3, "share of features dropped after each recurrent layer")
    epochs: int = option(30, "passes over the training utterances")
    learning_rate: float = option(3e-3, "of Adam at its peak, falling to zero along a cosine")


def network(options: Options, num_classes: int) -> Task:
    """The model: bidirectional recurrent layers, pooling over the steps, a class a speaker.

    Args:
      options: sizes and choices.
      num_classes: `K`, how many speakers.

    Returns:
      A many-to-one task over features `[T, B, D]`.

    Example:
      >>> network(Options(), 9).network.output_size(12)
      128
    """
    parts: list = []
    for _ in range(options.num_layers):
        direction = block(options.cell, options.hidden_size, options.method)
        parts += [layers.bidirectional(direction), layers.dropout(options.dropout)]
    head = tasks.heads.categorical(num_classes)
    return tasks.many_to_one(layers.stack(*parts), head, pooling=options.pooling)


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains on the published training split, prints the accuracy on the other, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: shares of held-out utterances whose speaker is told correctly.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    learned_from, held_out = data.japanese_vowels()
    fitted, validation = data.split_by(learned_from, range(len(learned_from.labels)), 0.2, options.seed)
    _describe(fitted, validation, held_out)

    task = network(options, len(fitted.classes))
    scale = scaling(fitted.series)
    batches = _batches(fitted, scale, options.batch_size, options.seed)
    unseen = list(_batches(validation, scale, len(validation.labels)).epoch_batches())
    evaluate = training.make_evaluation(task.loss)
    key = jax.random.key(options.seed)
    print(layers.summary(task.network, _shapes(task).network), "\n")
    fit = learn(
        task.loss,
        lambda optimizer: training.init_state(key, task, optimizer, NUM_FEATURES),
        batches.epoch_batches,
        batches.batches_per_epoch,
        options,
        lambda params: evaluate(params, unseen),
        checkpoints=runs.checkpoints(folder, options),
    )

    shares = classify(task, fit.best, _scaled(held_out.series, scale))
    results = _results(shares, learned_from, held_out)
    saved = {"task": fit.best, "scale": scale}
    runs.save_run(folder, "vowels", options, saved, results=results, classes=",".join(fitted.classes))
    draw_training(folder / "curve.png", fit, batches.batches_per_epoch, ("loss", "accuracy"))
    draw_confusions(folder / "confusions.png", held_out.labels, shares.argmax(axis=1), held_out.classes)
    np.savetxt(folder / EXAMPLE, held_out.series[0], "%.6g", ",")
    _report(results, shares, held_out, folder)
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      texts: names of files that hold an utterance each: a line a step, its features parted by commas.

    Returns:
      One line a file: the speaker, the probability, the file.

    Raises:
      OSError: if a file cannot be read.
      ValueError: if the folder holds no whole run of this recipe, or a file is no such table.

    Example:
      >>> predict(Path("runs/vowels"), ["utterance.csv"])  # doctest: +SKIP
      ['speaker 1  1.00  utterance.csv']
    """
    options, document = runs.load_run(folder, "vowels", Options)
    classes = document["texts"].get("classes", "").split(",")
    task = network(options, len(classes))
    like = {"task": _shapes(task), "scale": np.zeros((2, NUM_FEATURES), np.float32)}
    saved = training.load_weights(Path(folder) / "weights.safetensors", like)
    series = [read_utterance(name) for name in texts]
    shares = classify(task, saved["task"], _scaled(series, np.asarray(saved["scale"])))
    return [
        f"speaker {classes[int(share.argmax())]}  {share.max():.2f}  {name}"
        for share, name in zip(shares, texts, strict=True)
    ]


def scaling(series: Sequence[np.ndarray]) -> np.ndarray:
    """Mean and standard deviation of each feature over all steps of the training utterances.

    Args:
      series: arrays `[t, D]`.

    Returns:
      `[2, D]` float32, means above deviations.

    Example:
      >>> scaling([np.array([[1.0], [3.0]])]).tolist()
      [[2.0], [1.0]]
    """
    steps = np.concatenate(series)
    return np.stack([steps.mean(axis=0), steps.std(axis=0)]).astype(np.float32)


def steps_alone(learned_from: LabelledSeries, series: Sequence[np.ndarray]) -> np.ndarray:
    """The baseline: a Gaussian for each speaker over single steps, as if they came in no order.

    Equation: `argmax_k sum_t log N(x_t; m_k, C_k)`, with the mean and covariance of all steps of speaker `k`:
    quadratic discriminant analysis of bags of steps. All speakers are equally probable before.

    Args:
      learned_from: utterances and speakers to fit to.
      series: `N` arrays `[t, D]` to classify.

    Returns:
      `[N]` integers, the speakers.

    Example:
      >>> low, high = np.array([[0.0], [1.0]]), np.array([[5.0], [7.0]])
      >>> spoken = LabelledSeries([low, high], np.array([0, 1]), ("1", "2"), "", "")
      >>> steps_alone(spoken, [low + 1, high + 1]).tolist()
      [0, 1]
    """
    scores = np.zeros((len(series), len(learned_from.classes)))
    for speaker in range(len(learned_from.classes)):
        own = [
            one
            for one, label in zip(learned_from.series, learned_from.labels, strict=True)
            if label == speaker
        ]
        steps = np.concatenate(own).astype(float)
        factor = np.linalg.cholesky(np.atleast_2d(np.cov(steps.T)))
        log_volume = np.log(np.diag(factor)).sum()
        for row, one in enumerate(series):
            standardised = np.linalg.solve(factor, (one - steps.mean(axis=0)).T)
            scores[row, speaker] = -0.5 * np.sum(standardised**2) - len(one) * log_volume
    return scores.argmax(axis=1)


def read_utterance(name: str) -> np.ndarray:
    """An utterance from a file of numbers: a line a step, features parted by commas.

    Args:
      name: the file.

    Returns:
      `[t, 12]` float32.

    Raises:
      OSError: if the file cannot be read.
      ValueError: if it is no such table, or a number is not finite.

    Example:
      >>> read_utterance("utterance.csv").shape  # doctest: +SKIP
      (20, 12)
    """
    expected = f"expected lines of {NUM_FEATURES} finite numbers parted by commas, one line a step."
    path = Path(name)
    if not path.is_file():
        raise FileNotFoundError(f"file is {name}, which is not there: give a file, {expected}")
    lines = path.read_text(encoding="utf-8", errors="replace").split()
    try:
        steps = np.array([line.split(",") for line in lines], np.float32)
    except ValueError as error:
        raise ValueError(f"file is {name}, which is no table of numbers: {expected}") from error
    if steps.ndim != 2 or steps.shape[1] != NUM_FEATURES or not np.isfinite(steps).all():
        raise ValueError(f"file is {name}, which holds an array {list(steps.shape)}: {expected}")
    return steps


def _shapes(task: Task) -> Params:
    return jax.eval_shape(lambda key: task.init(key, NUM_FEATURES), jax.random.key(0))


def _scaled(series: Sequence[np.ndarray], scale: np.ndarray) -> list[np.ndarray]:
    return [(one - scale[0]) / scale[1] for one in series]


def _batches(spoken: LabelledSeries, scale: np.ndarray, size: int, seed: int = 0) -> data.Batches:
    # One length to pad to: a second shape would take longer to compile than it saves.
    inputs = _scaled(spoken.series, scale)
    return data.Batches(inputs, spoken.labels, batch_size=size, seed=seed, max_buckets=1)


def _results(shares: np.ndarray, learned_from: LabelledSeries, held_out: LabelledSeries) -> dict[str, float]:
    def accuracy(guesses: np.ndarray | int) -> float:
        return float(np.mean(guesses == held_out.labels))

    return {
        "one_for_all": accuracy(int(np.bincount(learned_from.labels).argmax())),
        "steps_alone": accuracy(steps_alone(learned_from, held_out.series)),
        "network": accuracy(shares.argmax(axis=1)),
    }


def _describe(fitted: LabelledSeries, validation: LabelledSeries, held_out: LabelledSeries) -> None:
    lengths = [len(one) for one in (*fitted.series, *validation.series, *held_out.series)]
    print(f"{fitted.source}, {fitted.licence}")
    print(
        f"{len(fitted.series)} utterances to learn from, {len(validation.series)} to validate, "
        f"{len(held_out.series)} held out (the published split), of {min(lengths)} to {max(lengths)} steps. "
        "For example:"
    )
    for one, label in list(zip(fitted.series, fitted.labels, strict=True))[:2]:
        print(f"  speaker {fitted.classes[label]}, {len(one)} steps, which begin")
        for step in one[:2]:
            print("   ", " ".join(f"{number:6.2f}" for number in step))
    print()


def _report(results: dict[str, float], shares: np.ndarray, held_out: LabelledSeries, folder: Path) -> None:
    guesses, count = shares.argmax(axis=1), len(held_out.labels)
    print(f"\nof {count} held-out utterances the speaker is told correctly:")
    rows = [
        (name.replace("_", " "), f"{100 * value:.1f} %", f"{round(count * (1 - value))}")
        for name, value in results.items()
    ]
    runs.print_table(("", "right", "mistakes"), rows)
    wrong = np.flatnonzero(guesses != held_out.labels)
    right = np.flatnonzero(guesses == held_out.labels)
    print("\nsome answers, and the most confident mistakes:")
    for row in [*right[:2], *sorted(wrong, key=lambda row: -shares[row].max())[:4]]:
        truth, guess = (held_out.classes[labels[row]] for labels in (held_out.labels, guesses))
        told = f"told as {guess} with {shares[row].max():.2f}"
        print(f"  speaker {truth}, {told}, {len(held_out.series[row])} steps")
    print(f"\nsaved: {folder}\ntry:   python -m seqjax predict {folder} {folder / EXAMPLE}")
