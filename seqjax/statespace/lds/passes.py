"""What the passes over time hand on to each other, in lanes (see `model`)."""

from __future__ import annotations

from typing import NamedTuple

from seqjax.statespace.lds.conditioning import Update
from seqjax.types import Array


class Filtering(NamedTuple):
    """What filtering gives in lanes, for the smoother to go on from.

    Attributes:
      predicted: `[N, N, T, B]`, factors.
      update: what each step's observations do.
      predicted_mean: `[N, T, B]`.
      residuals: `[M, T, B]`, whitened.
      mean: `[N, T, B]`.
      log_normalizer: `[B]`.
      carry_mean: `[N, B]`.
      carry_factor: `[N, N, B]`.
    """

    predicted: Array
    update: Update
    predicted_mean: Array
    residuals: Array
    mean: Array
    log_normalizer: Array
    carry_mean: Array
    carry_factor: Array


class Links(NamedTuple):
    """How the state of each step follows from the next one, given the observations up to the step.

    With `x_t = filtered mean + filtered factor z` and `x_{t+1} = predicted mean + predicted factor q`, it is
    `z = coefficients q + noise e` with `e ~ N(0, I)`.

    Attributes:
      coefficients: `[N, N, T | 1, B | 1]`.
      noise: `[N, N, T | 1, B | 1]`.
    """

    coefficients: Array
    noise: Array


class Smoothing(NamedTuple):
    """Covariances given all observations.

    Attributes:
      factor: `[N, N, T, B | 1]`.
      across: `[N, N, T, B | 1]`: the state of a step is its mean plus `across e` plus what is independent of
        the next step, for which `x_{t+1}` is its mean plus `factor e`.
      lag_one: `[N, N, T, B | 1]`, of the next state and this one; without meaning in the last step.
    """

    factor: Array
    across: Array
    lag_one: Array
