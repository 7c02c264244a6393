"""Chorales as piano rolls to learn from, and the baselines that a model of them has to beat."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from seqjax import data
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


def counted_loss(
    learned_from: Sequence[Roll],
    unseen: Sequence[Roll],
    *,
    previous: bool = False,
    period: int = 1,
    weight: float = 1.0,
) -> float:
    """Nats a step of notes whose probabilities are counted, each note by itself.

    Equation: `P(note | c) = (count(note, c) + w P(any | c)) / (count(c) + w)`, where the context `c` may hold
    whether the note sounded a step before, and the place of the step in a beat; `P(any | c)` is the share of
    all notes that sound in that context.

    Args:
      learned_from: rolls `[T, M]` to count in.
      unseen: rolls to predict, whose steps all count the same.
      previous: whether the context holds the step before.
      period: how many places in a beat the context tells apart.
      weight: `w`.

    Returns:
      The mean over steps of the sum over notes of `-log P`.

    Example:
      >>> roll = np.array([[1.0], [0.0], [1.0], [0.0]])
      >>> round(counted_loss([roll], [roll]), 3)
      0.693
      >>> counted_loss([roll] * 99, [roll], period=2) < 0.01
      True
    """

    def contexts(roll: Roll) -> np.ndarray:
        places = np.broadcast_to(np.arange(len(roll))[:, None] % period, roll.shape)
        return places + period * before(roll).astype(int) if previous else places

    num_notes = learned_from[0].shape[1]
    notes, counts = np.arange(num_notes), np.zeros((2 * period, num_notes, 2))
    for roll in learned_from:
        np.add.at(counts, (contexts(roll), np.broadcast_to(notes, roll.shape), roll.astype(int)), 1)
    # One is added to either count of all notes together, for what never happened to any of them.
    pooled = counts.sum(axis=1, keepdims=True) + 1
    prior = weight * pooled / pooled.sum(axis=-1, keepdims=True)
    chances = (counts + prior) / (counts + prior).sum(axis=-1, keepdims=True)
    losses = [-np.log(chances[contexts(roll), notes, roll.astype(int)]).sum(axis=1) for roll in unseen]
    return float(np.concatenate(losses).mean())
