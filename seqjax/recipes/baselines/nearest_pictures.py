"""The nearest of the pictures that were learned from, pixel by pixel."""

from __future__ import annotations

import numpy as np


def nearest_pictures(known: np.ndarray, unseen: np.ndarray) -> np.ndarray:
    """Which of some pictures differs least from another, pixel by pixel.

    Equation: `argmin_n sum_p (known_np - unseen_p)^2`.

    Args:
      known: `[N, ...]`, all of one shape, from 0 to 255.
      unseen: `[M, ...]`.

    Returns:
      `[M]` integers from 0 to `N - 1`.

    Example:
      >>> known = np.zeros((2, 28, 28), np.uint8)
      >>> known[1] = 200
      >>> nearest_pictures(known, np.full((1, 28, 28), 90, np.uint8)).tolist()
      [0]
    """
    known, unseen = (images.reshape(len(images), -1).astype(np.float32) / 255 for images in (known, unseen))
    # The square of the unseen picture is the same for all that it is compared with.
    return ((known**2).sum(axis=1) - 2 * unseen @ known.T).argmin(axis=1)
