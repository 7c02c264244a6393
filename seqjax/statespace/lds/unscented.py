"""The unscented Kalman filter: functions are replaced by what they make of a few points."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.checks import shown
from seqjax.statespace.lds.beliefs import LDSBelief, LDSFiltered
from seqjax.statespace.lds.nonlinear import Approximation, NonlinearModel, NonlinearParams, nonlinear_filter
from seqjax.types import Array


def unscented_filter(
    model: NonlinearModel,
    params: NonlinearParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    carry: LDSBelief | None = None,
    lengths: Any = None,
    alpha: float = 1.0,
    beta: float = 0.0,
    kappa: float | None = None,
) -> LDSFiltered:
    """Filters a nonlinear system, moments taken from `2 N + 1` points for each function (UKF).

    Equations (Särkkä, 2013, eq. 5.77, algorithm 5.14; van der Merwe & Wan, 2001): the points are the mean and
    `√c` columns of the factor to both sides of it, `c = α² (N + κ)`; their weights `1 / 2c` each, and for the
    mean itself `1 - N / c`, in covariances `2 - N / c - α² + β`. Here the moments are written with first and
    second differences, `d_i = (f(m + √c s_i) - f(m - √c s_i)) / 2` and
    `e_i = (f(m + √c s_i) + f(m - √c s_i)) / 2 - f(m)`:

    `mean = f(m) + δ`, `δ = Σ e_i / c`, `cov = Σ (d_i d_i' + e_i e_i') / c + (β - α²) δ δ'`.

    That is the same, weights below zero included, but a factor of it follows without a subtraction wherever
    `α² κ + N β` is not negative, and small `α` cost few digits. Points are drawn anew before each function.

    Args:
      model: the functions; make it once and keep it, for compiled programs are kept by it.
      params: noise, first state, and what the functions read.
      ys: `[T, *B, M]` observations.
      inputs: `[T, *B, U]`, handed to both functions; `None` hands them `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans: what is false is never read. `None` if all is.
      carry: the belief about the first step; `None` starts from the params'.
      lengths: `[*B]` integers from 0 to `T`; `None` if all `T` steps count.
      alpha: how far the points are spread, positive.
      beta: added weight of the mean in covariances; 2 is best for small `alpha` (van der Merwe & Wan, 2001).
      kappa: a second spread. `None` is `max(3 - N, 0)`: with `alpha` 1 and `beta` 0 the fourth moments are
        exact (Julier & Uhlmann, 1997) for up to three states; for more, all weights but the centre's are
        even, as in the cubature filter (Arasaratnam & Haykin, 2009).

    Returns:
      `LDSFiltered`, as `lds.filter` returns it. `log_normalizer` is the log-likelihood of the approximation,
      the sum of the log-densities of each observation given those before it, all taken to be normal: it is
      neither a bound of the true one nor without bias. Differentiable in params, observations, inputs and the
      carry.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, the result of a function, or a concrete value in `lengths` does not fit; or if
        these `alpha`, `beta` and `kappa` allow covariances that are not positive.

    Example:
      >>> model = NonlinearModel(dynamics=lambda _, x, u: jnp.sin(x), emission=lambda _, x, u: x**2)
      >>> one = jnp.ones((1, 1))
      >>> params = NonlinearParams(jnp.ones(1), one, one, one)
      >>> unscented_filter(model, params, jnp.array([[1.0], [0.5]])).mean.round(3).tolist()
      [[0.714...], [0.293...]]
    """
    num_states = 1
    if isinstance(params, NonlinearParams):  # what is not, nonlinear_filter refuses
        num_states = params.dynamics_cholesky.shape[-1]
    points = _checked_points(num_states, alpha, beta, kappa)
    return nonlinear_filter(
        points, model, params, ys, inputs=inputs, observed=observed, carry=carry, lengths=lengths
    )


@dataclasses.dataclass(frozen=True)
class _Points:
    """The unscented transform; equal where its numbers are, so that the same program serves."""

    spread: float
    weight: float

    def __call__(self, function: Callable, mean: Array, factor: Array) -> Approximation:
        """Moments of a function of a normal vector."""
        size = mean.shape[0]
        scale = math.sqrt(self.spread)
        offsets = scale * factor.T
        centre = function(mean)
        right, left = jax.vmap(function)(mean + offsets), jax.vmap(function)(mean - offsets)
        first = (right - left).T / (2 * scale)
        # Of each side first: what they have in common is gone before they are added.
        second = ((right - centre) + (left - centre)).T / (2 * scale)
        total = jnp.sum(second, axis=-1, keepdims=True)
        # A root of 1 + weight * (ones matrix) / N, which turns Σ e e' / c into that with the term of δ δ'.
        rest = second + (math.sqrt(1 + self.weight) - 1) / size * total
        return Approximation(centre + total[:, 0] / scale, first, rest)


def _checked_points(num_states: int, alpha: Any, beta: Any, kappa: Any) -> _Points:
    """The transform for these parameters, if every covariance that it gives is positive."""
    kappa = max(3 - num_states, 0) if kappa is None else kappa
    for name, value in {"alpha": alpha, "beta": beta, "kappa": kappa}.items():
        if isinstance(value, (bool, jax.Array)) or not isinstance(value, numbers.Real):
            raise TypeError(f"{name} is {shown(value, typed=True)}, expected a number.")
    alpha, beta, kappa = float(alpha), float(beta), float(kappa)
    spread = alpha**2 * (num_states + kappa)
    if not (alpha > 0 and 0 < spread < math.inf):
        raise ValueError(
            f"alpha is {alpha:g} and kappa {kappa:g}, expected a positive alpha, and kappa above "
            f"{-num_states}, minus the number of states: the points lie at alpha**2 * (N + kappa)."
        )
    if not 0 <= alpha**2 * kappa + num_states * beta < math.inf:
        raise ValueError(
            f"alpha is {alpha:g}, beta {beta:g} and kappa {kappa:g}, expected alpha**2 * kappa + N * beta of "
            f"zero or more, N = {num_states}: covariances could have negative variances. Pass kappa=0, or a "
            f"larger beta."
        )
    return _Points(spread, max((beta - alpha**2) * num_states / spread, -1.0))
