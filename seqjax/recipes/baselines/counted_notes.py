"""Notes whose probabilities are counted, each note by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqjax import data
from seqjax.data import Chorales
from seqjax.recipes.material.piano_rolls import Roll, before


def counted_baselines(fitted: Chorales, held_out: Chorales, period: int) -> dict[str, float]:
    """Nats a held-out step of notes that are counted, each by itself.

    Args:
      fitted: what to count in.
      held_out: what to predict.
      period: steps a quarter note.

    Returns:
      By name: how often a note sounds; given whether it sounded a step before; and the place in the beat.

    Example:
      >>> counted_baselines(fitted, held_out, 4)  # doctest: +SKIP
      {'independent notes': 12.3, 'the step before': 3.2, 'and the place in the beat': 2.2}
    """
    known = [data.piano_roll(pitches) for pitches in fitted.pitches]
    unseen = [data.piano_roll(pitches) for pitches in held_out.pitches]
    return {
        "independent notes": counted_loss(known, unseen),
        "given the step before": counted_loss(known, unseen, previous=True),
        "and the place in the beat": counted_loss(known, unseen, previous=True, period=period),
    }


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
