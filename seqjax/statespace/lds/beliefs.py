"""What is known about the states of a linear dynamical system: means and factors of covariances."""

from __future__ import annotations

from flax import struct

from seqjax.types import Array


@struct.dataclass
class LDSBelief:
    """A normal distribution of the state of one step.

    Attributes:
      mean: `[*B, N]`.
      cholesky: `[*B, N, N]`, lower triangular, no negative entry on the diagonal.
    """

    mean: Array
    cholesky: Array


@struct.dataclass
class LDSFiltered:
    """What the observations up to each step say about its state.

    Attributes:
      mean: `[T, *B, N]`, given the observations up to and with step `t`; zero at padding.
      cholesky: `[T, *B, N, N]`, of the covariance of the same.
      predicted_mean: `[T, *B, N]`, given the observations before step `t`.
      predicted_cholesky: `[T, *B, N, N]`.
      log_normalizer: `[*B]`, the log-likelihood of the observations.
      carry: the belief about the step after the last valid one, given all observations.
    """

    mean: Array
    cholesky: Array
    predicted_mean: Array
    predicted_cholesky: Array
    log_normalizer: Array
    carry: LDSBelief


@struct.dataclass
class LDSSmoothed:
    """What all observations say about the state of each step.

    Attributes:
      mean: `[T, *B, N]`; zero at padding.
      cholesky: `[T, *B, N, N]`.
      lag_one: `[T - 1, *B, N, N]`, entry `t` the covariance of the states of steps `t + 1` and `t`, in this
        order, given all observations; zero where step `t + 1` is padding.
      log_normalizer: `[*B]`, the log-likelihood of the observations.
      filtered: what the observations up to each step say.
    """

    mean: Array
    cholesky: Array
    lag_one: Array
    log_normalizer: Array
    filtered: LDSFiltered


@struct.dataclass
class LDSForecast:
    """What is known about steps that are still to come.

    Attributes:
      mean: `[S, *B, N]` of the states.
      cholesky: `[S, *B, N, N]`.
      observation_mean: `[S, *B, M]` of the observations, their noise included in the covariance.
      observation_cholesky: `[S, *B, M, M]`.
    """

    mean: Array
    cholesky: Array
    observation_mean: Array
    observation_cholesky: Array


@struct.dataclass
class SteadyState:
    """Where the covariances of a time-invariant system converge.

    Attributes:
      predicted_cholesky: `[N, N]`, of the state given the observations before it.
      filtered_cholesky: `[N, N]`, of the state given the observations up to and with its own.
      gain: `[N, M]`: `filtered mean = predicted mean + gain (y - predicted observation)`.
    """

    predicted_cholesky: Array
    filtered_cholesky: Array
    gain: Array
