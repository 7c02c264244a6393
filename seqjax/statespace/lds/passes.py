"""What the passes over time hand on to each other, in lanes (see `model`)."""

from __future__ import annotations

from typing import NamedTuple

from seqjax.types import Array


class FilteredSteps(NamedTuple):
    """What the observations up to each step say about its state.

    Attributes:
      predicted: `[N, N, T, B | 1]`, factors of the covariances before the step is observed.
      filtered: `[N, N, T, B | 1]`, factors after it.
      whitened: `[N, N, T, B | 1]`: the filtered factor is the predicted one times this.
      predicted_mean: `[N, T, B]`.
      mean: `[N, T, B]`.
      news: `[N, T, B]`: the mean is the predicted one plus the predicted factor times this.
      log_density: `[T, B]`, of each observation given those before.
    """

    predicted: Array
    filtered: Array
    whitened: Array
    predicted_mean: Array
    mean: Array
    news: Array
    log_density: Array


class Filtering(NamedTuple):
    """What filtering gives in lanes, for the smoother to go on from.

    Attributes:
      steps: each of the steps.
      log_normalizer: `[B]`.
      carry_mean: `[N, B]`.
      carry_factor: `[N, N, B | 1]`.
      repeats: for each segment of `over_settling_time`, whether its covariances repeat those of the last step
        before it; `None` where nothing is known of that.
    """

    steps: FilteredSteps
    log_normalizer: Array
    carry_mean: Array
    carry_factor: Array
    repeats: Array | None


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


class SmoothedFactors(NamedTuple):
    """Covariances given all observations.

    Attributes:
      factor: `[N, N, T | 1, B | 1]`.
      across: `[N, N, T | 1, B | 1]`: the state of a step is its mean plus `across e` plus what is independent
        of the next step, for which `x_{t+1}` is its mean plus `factor e`.
      lag_one: `[N, N, T | 1, B | 1]`, of the next state and this one; without meaning in the last step.
    """

    factor: Array
    across: Array
    lag_one: Array


class Smoothing(NamedTuple):
    """What all observations say about the states.

    Attributes:
      mean: `[N, T, B]`.
      factors: of the covariances.
      rest: `[N, N, T, B | 1]`, the factor of what is independent of the next step.
    """

    mean: Array
    factors: SmoothedFactors
    rest: Array
