"""Chorales as piano rolls: on coarser grids, in other keys, in batches and in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from seqjax import data, plot
from seqjax.data import Chorales
from seqjax.data.bach_chorales import HIGHEST, LOWEST

NOTES = HIGHEST - LOWEST + 1
Roll = npt.NDArray[np.float32]


def transposed(pitches: np.ndarray, generator: np.random.Generator, most: int = 6) -> np.ndarray:
    """A piece in another key, drawn from those in which every note is within the range of all chorales.

    Args:
      pitches: `[T, voices]`, MIDI numbers, 0 for a rest.
      generator: what draws.
      most: how many semitones up or down, at most.

    Returns:
      `[T, voices]`, rests as they were.

    Example:
      >>> moved = transposed(np.array([[60, 48], [0, 36]]), np.random.default_rng(0))
      >>> bool(moved[1, 1] >= 36), int(moved[1, 0]), int(moved[0, 0] - moved[0, 1])
      (True, 0, 12)
    """
    sounding = pitches[pitches > 0]
    if not sounding.size:
        return pitches
    down, up = min(most, int(sounding.min()) - LOWEST), min(most, HIGHEST - int(sounding.max()))
    return np.where(pitches > 0, pitches + generator.integers(-down, up + 1), 0)


def rolls_in_batches(pieces: Sequence[np.ndarray], batch_size: int, seed: int = 0) -> data.Batches:
    """Batches that predict each step from those before it; before the first is silence.

    Args:
      pieces: `[T, voices]` MIDI numbers each, 0 for a rest.
      batch_size: pieces a batch, at most.
      seed: of their order.

    Returns:
      `Batches` with `inputs[T, B, 46]` and `targets[T, B, 46]`.

    Example:
      >>> batches = rolls_in_batches([np.array([[36], [38]])], 1)
      >>> batch = next(batches.epoch_batches())
      >>> batch.inputs[:, 0, :3].tolist(), batch.targets[:, 0, :3].tolist()
      ([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    """
    rolls = [data.piano_roll(piece) for piece in pieces]
    return data.Batches(
        [before(roll) for roll in rolls],
        rolls,
        batch_size=min(batch_size, len(rolls)),
        seed=seed,
        targets_are="steps",
        max_buckets=4,
    )


def before(roll: Roll) -> Roll:
    """The step before each, silence before the first.

    Args:
      roll: `[T, M]`.

    Returns:
      `[T, M]`.

    Example:
      >>> before(np.array([[1.0], [2.0]])).tolist()
      [[0.0], [1.0]]
    """
    return np.concatenate([np.zeros_like(roll[:1]), roll[:-1]])


def every(pieces: Chorales, step: int) -> Chorales:
    """Pieces of which only every so manyth sixteenth is left.

    Args:
      pieces: on a grid of sixteenths.
      step: how many sixteenths a step.

    Returns:
      The same pieces on a coarser grid.

    Example:
      >>> pieces = Chorales(["a"], [np.arange(8).reshape(8, 1)], [np.ones((8, 1), bool)], [(0,)], "", "")
      >>> every(pieces, 4).pitches[0][:, 0].tolist()
      [0, 4]
    """
    return pieces._replace(
        pitches=[pitches[::step] for pitches in pieces.pitches],
        attacks=[attacks[::step] for attacks in pieces.attacks],
    )


def draw_rolls(path: Path, rolls: Mapping[str, Roll], num_steps: int, steps_per_quarter: int) -> None:
    """Draws which notes sound over time, one roll below the other.

    Args:
      path: the picture to write.
      rolls: `[T, 46]` each, by name.
      num_steps: how many steps of each are shown.
      steps_per_quarter: steps a quarter note.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> draw_rolls(Path("rolls.png"), {"silence": np.zeros((8, NOTES))}, 8, 4)  # doctest: +SKIP
    """
    figure, panels = plot.new_figure(len(rolls), 1, (10, 2.6 * len(rolls)), sharex=True)
    for axes, (name, roll) in zip(panels, rolls.items(), strict=True):
        end = min(len(roll), num_steps) / steps_per_quarter
        extent = (0, end, LOWEST - 0.5, LOWEST + NOTES - 0.5)
        axes.imshow(
            roll[:num_steps].T,
            cmap="Greys",
            aspect="auto",
            origin="lower",
            extent=extent,
            interpolation="nearest",
        )
        axes.set_title(name, loc="left", fontsize="medium")
        axes.set_ylabel("MIDI number")
        axes.set_xlim(0, num_steps / steps_per_quarter)
    panels[-1].set_xlabel("quarter notes")
    plot.save(figure, path)
