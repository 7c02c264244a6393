"""What the tests of autoregressions share: data, and the equations by numpy loops.

Nearly all the time goes into compiling, so that the tests share shapes: a series alone is the first of three,
the others without a step.
"""

import numpy as np

from seqjax import data

SUNSPOTS = np.asarray(data.sunspots().values, float)


def simulated(num_steps=60, batch=(), seed=0):
    """Two outputs driven by one input, `(ys[T, *B, 2], us[T, *B, 1])`, and what made them."""
    generator = np.random.default_rng(seed)
    coefficients = np.array([[[0.5, 0.2], [-0.3, 0.4]], [[-0.2, 0.1], [0.1, -0.3]]])
    intercept, gain = np.array([1.0, -2.0]), np.array([[0.7], [-0.4]])
    us = generator.normal(size=(num_steps, *batch, 1))
    noise = generator.normal(size=(num_steps, *batch, 2)) @ np.array([[1.0, 0.3], [0.0, 0.5]])
    ys = np.zeros((num_steps, *batch, 2))
    for t in range(num_steps):
        ys[t] = intercept + us[t] @ gain.T + noise[t]
        for lag in range(1, min(t, 2) + 1):
            ys[t] += ys[t - lag] @ coefficients[lag - 1].T
    return ys, us


def lagged(ys, order, first, us=None):
    """The rows of a regression of one series `[T, M]`: a one, the inputs, the lags."""
    rows = []
    for t in range(first, len(ys)):
        parts = [np.ones(1), *([] if us is None else [us[t]]), *(ys[t - lag] for lag in range(1, order + 1))]
        rows.append(np.concatenate(parts))
    return np.array(rows), ys[first:]


YS, US = simulated(batch=(3,))
LENGTHS, ALONE = np.array([60, 41, 3]), np.array([60, 0, 0])
SPOILT = np.where((np.arange(60)[:, None] < LENGTHS)[..., None], YS, np.nan)
"""Three series of 60, 41 and 3 steps, with no number in the padding."""


def padded(rows, num_steps=60, num_rows=3):
    """Series of one output `[T]` side by side, `[num_steps, num_rows, 1]`, and their lengths."""
    ys = np.full((num_steps, num_rows, 1), np.nan)
    for b, row in enumerate(rows):
        ys[: len(row), b, 0] = row
    return ys, np.array([len(row) for row in rows] + [0] * (num_rows - len(rows)))
