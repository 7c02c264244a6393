"""Utterances: on one scale, and from files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

NUM_FEATURES = 12


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


def scaled(series: Sequence[np.ndarray], scale: np.ndarray) -> list[np.ndarray]:
    """Utterances whose features have about zero mean and unit variance.

    Args:
      series: arrays `[t, D]`.
      scale: what `scaling` gave for the training utterances.

    Returns:
      As many arrays.

    Example:
      >>> scaled([np.array([[1.0], [3.0]])], np.array([[2.0], [1.0]]))[0].tolist()
      [[-1.0], [1.0]]
    """
    return [(one - scale[0]) / scale[1] for one in series]


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
