"""Series told apart by their steps alone, as if those came in no order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from seqjax.data import LabelledSeries


def steps_alone(learned_from: LabelledSeries, series: Sequence[np.ndarray]) -> np.ndarray:
    """A Gaussian for each speaker over single steps, as if they came in no order.

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
