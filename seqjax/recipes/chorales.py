"""Chorales of Bach as piano rolls: synced, one Bernoulli a note, and a MIDI file of what it writes.

A recurrent network reads which notes sound, sixteenth by sixteenth, and gives each note a probability to
sound next. It learns from every piece in keys drawn anew each epoch. What is reported are nats a step on
pieces whose melodies it has not seen, beside counted notes. Takes three to five minutes on two cores.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from seqjax import data, decoding, layers, tasks, training
from seqjax.data import Chorales
from seqjax.data.bach_chorales import LOWEST
from seqjax.recipes.baselines.counted_notes import counted_baselines
from seqjax.recipes.material.midi import write_midi
from seqjax.recipes.material.piano_rolls import NOTES, Roll, draw_rolls, every, rolls_in_batches, transposed
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn_task, shapes
from seqjax.recipes.shared.options import CELLS, option
from seqjax.recipes.shared.published import print_published, published
from seqjax.tasks import Task
from seqjax.types import Batch, Params

BEAT = 4
"""Sixteenths a quarter note."""
BARS = 16
"""Bars of four quarters that are written unless it is told otherwise."""


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train chorales` can be told; see `--help`."""

    every: int = option(1, "take every so many sixteenths; 4 for quarter notes", (1, 2, 4))
    hidden_size: int = option(256, "hidden units of each layer")
    num_layers: int = option(1, "recurrent layers")
    dropout: float = option(0.3, "share of features dropped after each recurrent layer")
    semitones: int = option(6, "how far pieces are transposed up or down for learning, at most")
    batch_size: int = option(8, "pieces a step")
    epochs: int = option(40, "passes over the training pieces")
    learning_rate: float = option(3e-3, "of Adam at its peak, falling to zero along a cosine")


def network(options: Options) -> Task:
    """The model: recurrent layers over piano rolls, and one probability a note.

    Args:
      options: sizes and choices.

    Returns:
      A synced task over `[T, B, 46]`.

    Example:
      >>> network(Options()).network.output_size(46)
      256
    """
    parts: list = []
    for _ in range(options.num_layers):
        parts.append(layers.recurrent(CELLS[options.cell](options.hidden_size), method=options.method))
        parts.append(layers.dropout(options.dropout))
    return tasks.synced(layers.stack(*parts), tasks.heads.bernoulli(NOTES))


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains, prints nats a step beside the baselines, writes a sample as MIDI and picture, saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Nats a step on held-out pieces, by model.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    pieces = every(data.chorales(), options.every)
    learned_from, held_out = data.split_by(pieces, pieces.melodies, 0.2, options.seed)
    fitted, validation = data.split_by(learned_from, learned_from.melodies, 0.125, options.seed)
    _describe(pieces, fitted, validation, held_out)

    task = network(options)
    print(layers.summary(task.network, shapes(task, NOTES).network), "\n")
    unseen = list(rolls_in_batches(validation.pitches, 32).epoch_batches())

    def batches(epoch: int) -> Iterator[Batch]:
        generator = np.random.default_rng((options.seed, epoch))
        moved = [transposed(piece, generator, options.semitones) for piece in fitted.pitches]
        return rolls_in_batches(moved, options.batch_size, int(generator.integers(2**31))).epoch_batches()

    steps_per_epoch = -(-len(fitted.names) // options.batch_size)
    fit = learn_task(task, NOTES, batches, steps_per_epoch, unseen, options, folder)

    evaluate = training.make_evaluation(task.loss)
    loss = evaluate(fit.best, rolls_in_batches(held_out.pitches, 32).epoch_batches())["loss"]
    results = counted_baselines(fitted, held_out, BEAT // options.every) | {"network": float(loss)}
    runs.save_run(folder, "chorales", options, fit.best, results=results)
    draw_training(folder / "curve.png", fit, steps_per_epoch)
    sample = composed(task, fit.best, np.zeros((0, NOTES), np.float32), _num_steps(options), options.seed)
    _write(folder / "sample.mid", sample, options)
    shown = {
        "written by the network": sample,
        f"Bach, {held_out.names[0]}": data.piano_roll(held_out.pitches[0]),
    }
    draw_rolls(folder / "rolls.png", shown, _num_steps(options), BEAT // options.every)
    _report(results, options, folder)
    return results


def generate(
    folder: Path, prompt: str = "", *, num_steps: int | None = None, seed: int = 0, **cuts: Any
) -> Iterator[str]:
    """Writes another MIDI file with a saved run, into its folder.

    Args:
      folder: what `train` saved to.
      prompt: the name of a chorale, such as `bwv66.6`, whose first eight quarters to go on from; empty to
        begin with silence.
      num_steps: how many steps to write; `None` for 16 bars.
      seed: of the draws, and in the file's name.
      **cuts: none; what other recipes take is refused.

    Yields:
      One line: the file.

    Raises:
      ValueError: if the folder holds no whole run of this recipe, or there is no such chorale.

    Example:
      >>> list(generate(Path("runs/chorales"), seed=1))  # doctest: +SKIP
      ['runs/chorales/sample-1.mid: 64 quarter notes']
    """
    options, _ = runs.load_run(folder, "chorales", Options)
    if cuts:
        raise ValueError(f"{', '.join(cuts)} given, but this draws notes and no tokens: leave it out.")
    task = network(options)
    params = training.load_weights(folder / "weights.safetensors", shapes(task, NOTES))
    beginning = np.zeros((0, NOTES), np.float32)
    if prompt:
        pieces = every(data.chorales(), options.every)
        if prompt not in pieces.names:
            raise ValueError(
                f"prompt is {prompt!r}, expected a chorale, from {pieces.names[0]} to {pieces.names[-1]}."
            )
        beginning = data.piano_roll(pieces.pitches[pieces.names.index(prompt)])[: 8 * BEAT // options.every]
    written = composed(task, params, beginning, _num_steps(options) if num_steps is None else num_steps, seed)
    path = folder / f"sample-{seed}.mid"
    _write(path, written, options)
    yield f"{path}: {len(written) * options.every / BEAT:g} quarter notes"


def composed(task: Task, params: Params, beginning: Roll, num_steps: int, seed: int) -> Roll:
    """A beginning, and what is drawn after it.

    Args:
      task: the model.
      params: its params.
      beginning: `[t, 46]`, which may have no step.
      num_steps: how many steps to draw.
      seed: of the draws.

    Returns:
      `[t + num_steps, 46]`, ones and zeros.
    """
    silence = np.zeros((1, NOTES), np.float32)
    prompt = np.concatenate([silence, beginning])
    drawn = decoding.generate(task, params, prompt, num_steps=num_steps, key=jax.random.key(seed))
    return np.concatenate([beginning, np.asarray(drawn)])


def _num_steps(options: Options) -> int:
    return 4 * BARS * BEAT // options.every


def _write(path: Path, roll: Roll, options: Options) -> None:
    write_midi(path, roll, lowest=LOWEST, steps_per_quarter=BEAT // options.every)


def _describe(pieces: Chorales, fitted: Chorales, validation: Chorales, held_out: Chorales) -> None:
    print(f"{pieces.source}; {pieces.licence}")
    counts = [
        f"{len(part.names)} ({sum(map(len, part.pitches)):,} steps)"
        for part in (fitted, validation, held_out)
    ]
    print(
        f"{len(pieces.names)} chorales, settings of one melody kept together: {counts[0]} to learn from,\n"
        f"{counts[1]} to validate, {counts[2]} held out. {fitted.names[0]} begins with the MIDI numbers:"
    )
    for pitches in fitted.pitches[0][:3]:
        print("  " + " ".join(f"{pitch:3}" for pitch in pitches))
    print()


def _report(results: dict[str, float], options: Options, folder: Path) -> None:
    print()
    runs.print_table(
        ("held-out pieces", "nats a step", "nats a quarter"),
        [(name, f"{value:.3f}", f"{value * BEAT / options.every:.3f}") for name, value in results.items()],
    )
    print_published(published("chorales", every=options.every, cell=options.cell))
    print(f"\nsaved: {folder}, with sample.mid\ntry:   python -m seqjax generate {folder} --seed 1")
