"""Who speaks? Nine men say two vowels: many to one, over short series of 7 to 29 steps.

A network reads an utterance in both directions, and the mean of what it makes of each step decides. What it
has to beat knows no order at all: a Gaussian for each speaker, over single steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from seqjax import data, layers, tasks, training
from seqjax.data import LabelledSeries
from seqjax.recipes.baselines.bags_of_steps import steps_alone
from seqjax.recipes.material.utterances import NUM_FEATURES, read_utterance, scaled, scaling
from seqjax.recipes.models.blocks import block
from seqjax.recipes.scores.classes import answered, classify, draw_confusions, mistakes, shares_right
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn_task, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.tasks import Task

EXAMPLE = "utterance.csv"


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
    print(layers.summary(task.network, shapes(task, NUM_FEATURES).network), "\n")
    fit = learn_task(
        task, NUM_FEATURES, batches.epoch_batches, batches.batches_per_epoch, unseen, options, folder
    )

    shares = classify(task, fit.best, scaled(held_out.series, scale))
    results = shares_right(
        held_out.labels,
        one_for_all=np.bincount(learned_from.labels).argmax(),
        steps_alone=steps_alone(learned_from, held_out.series),
        network=shares.argmax(axis=1),
    )
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
    like = {"task": shapes(task, NUM_FEATURES), "scale": np.zeros((2, NUM_FEATURES), np.float32)}
    saved = training.load_weights(Path(folder) / "weights.safetensors", like)
    series = [read_utterance(name) for name in texts]
    shares = classify(task, saved["task"], scaled(series, np.asarray(saved["scale"])))
    return answered(shares, [f"speaker {name}" for name in classes], texts)


def _batches(spoken: LabelledSeries, scale: np.ndarray, size: int, seed: int = 0) -> data.Batches:
    # One length to pad to: a second shape would take longer to compile than it saves.
    inputs = scaled(spoken.series, scale)
    return data.Batches(inputs, spoken.labels, batch_size=size, seed=seed, max_buckets=1)


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
    right = np.flatnonzero(guesses == held_out.labels)
    print("\nsome answers, and the most confident mistakes:")
    for row in [*right[:2], *mistakes(shares, held_out.labels)[:4]]:
        truth, guess = (held_out.classes[labels[row]] for labels in (held_out.labels, guesses))
        told = f"told as {guess} with {shares[row].max():.2f}"
        print(f"  speaker {truth}, {told}, {len(held_out.series[row])} steps")
    print(f"\nsaved: {folder}\ntry:   python -m seqjax predict {folder} {folder / EXAMPLE}")
