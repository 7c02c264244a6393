"""What the recipe `yeast` is measured by: a rule of thumb for genes, and how well bases are told apart."""

from __future__ import annotations

import numpy as np

START = (0, 3, 2)
"""ATG, as indices into ACGT."""

STOPS = ((3, 0, 0), (3, 0, 2), (3, 2, 0))
"""TAA, TAG and TGA."""


def open_frames(bases: np.ndarray, num_codons: int) -> np.ndarray:
    """The rule of thumb: what runs from a start codon to a stop codon in its frame, if long, is a gene.

    Args:
      bases: `[T]`.
      num_codons: how long, at least, the stop codon included.

    Returns:
      `[T]` booleans.

    Example:
      >>> open_frames(np.array([1, 0, 3, 2, 1, 1, 1, 3, 0, 0, 1]), 3).astype(int).tolist()
      [0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    """

    def one_strand(bases: np.ndarray) -> np.ndarray:
        found = np.zeros(len(bases), bool)
        words = np.stack([bases[:-2], bases[1:-1], bases[2:]], axis=1) @ np.array([16, 4, 1])
        begins = words == np.dot(START, [16, 4, 1])
        stops = np.isin(words, [np.dot(stop, [16, 4, 1]) for stop in STOPS])
        for frame in range(3):
            first = None
            for place in range(frame, len(words), 3):
                first = place if first is None and begins[place] else first
                if stops[place]:
                    if first is not None and place + 3 - first >= 3 * num_codons:
                        found[first : place + 3] = True
                    first = None
        return found

    return one_strand(bases) | one_strand(3 - bases[::-1])[::-1]


def score(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
    """How well bases are told apart.

    Args:
      truth: `[T]` booleans.
      guess: `[T]` booleans.

    Returns:
      The share that is right; of what is true, and of what is not, the share that is told so; and Matthews'
      correlation, which is 0 if all guesses are the same.

    Example:
      >>> score(np.array([True, True, False, False]), np.array([True, True, True, False]))
      {'accuracy': 0.75, 'sensitivity': 1.0, 'specificity': 0.5, 'correlation': 0.577...}
    """
    both, neither = np.sum(truth & guess, dtype=float), np.sum(~truth & ~guess, dtype=float)
    missed, invented = np.sum(truth & ~guess, dtype=float), np.sum(~truth & guess, dtype=float)
    sides = (both + invented) * (both + missed) * (neither + invented) * (neither + missed)
    return {
        "accuracy": float((both + neither) / len(truth)),
        "sensitivity": float(both / (both + missed)),
        "specificity": float(neither / (neither + invented)),
        "correlation": float((both * neither - missed * invented) / np.sqrt(sides)) if sides else 0.0,
    }
