"""What is known of means and covariances before any data: pseudo-observations, and their part in M-steps."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.checks import shown
from seqjax.ops import linear_algebra
from seqjax.statespace.hmm.emissions.normal import Moments, log_cholesky_of, squared_norm
from seqjax.statespace.hmm.emissions.observations import check_pseudo_count, pooled_mean_and_variances
from seqjax.types import Array

FORMS = ("full", "diagonal", "tied")
"""The forms a covariance may have: a matrix a state, variances a state, or one matrix for all states."""


class NormalPrior(NamedTuple):
    """A normal-inverse-Wishart prior, the same for each state, as pseudo-observations.

    Attributes:
      mean_count: `c_m`, how many tell the mean.
      mean: `m_0`, `[M]`.
      covariance_count: `c`, how many tell the covariance; positive.
      covariance: `S_0`, `[M, M]`, or `None` for the pooled variances of the data.
    """

    mean_count: float
    mean: np.ndarray
    covariance_count: float
    covariance: np.ndarray | None


def check_form(covariance: Any) -> str:
    """Refuses a word that names no form of covariance.

    Args:
      covariance: the argument of that name.

    Returns:
      The word.

    Raises:
      ValueError: unless it is one of `FORMS`.

    Example:
      >>> check_form("spherical")
      Traceback (most recent call last):
      ValueError: covariance is 'spherical', expected 'full', 'diagonal' or 'tied'.
    """
    if not isinstance(covariance, str) or covariance not in FORMS:
        raise ValueError(f"covariance is {shown(covariance)}, expected 'full', 'diagonal' or 'tied'.")
    return covariance


def checked_prior(
    size: int, count: Any, covariance: Any, mean_count: Any = 0.0, mean: Any = 0.0
) -> NormalPrior:
    """A prior from a factory's arguments.

    Args:
      size: `M`.
      count: the argument `covariance_pseudo_count`.
      covariance: the argument `prior_covariance`: a number, `[M]` variances, `[M, M]`, or `None`.
      mean_count: the argument `mean_pseudo_count`.
      mean: the argument `prior_mean`: a number or `[M]`.

    Returns:
      A `NormalPrior`.

    Raises:
      TypeError: if they are not numbers.
      ValueError: if a count is out of range, or the covariance not symmetric and positive definite.

    Example:
      >>> checked_prior(2, 1.0, [1.0, -2.0])
      Traceback (most recent call last):
      ValueError: prior_covariance has the eigenvalue -2, expected a symmetric positive definite ...
    """
    count = check_pseudo_count("covariance_pseudo_count", count, positive=True)
    mean_count = check_pseudo_count("mean_pseudo_count", mean_count)
    try:
        values = np.broadcast_to(np.asarray(mean, float), (size,))
    except (TypeError, ValueError) as error:
        raise ValueError(f"prior_mean is {shown(mean)}, expected a number or {size}.") from error
    if not np.isfinite(values).all():
        raise ValueError(f"prior_mean is {shown(mean)}, expected finite numbers.")
    if covariance is not None:
        covariance = checked_covariances("prior_covariance", covariance, (size, size))
    return NormalPrior(mean_count=mean_count, mean=values, covariance_count=count, covariance=covariance)


def in_dtype(prior: NormalPrior) -> NormalPrior:
    """A prior whose arrays have the default dtype of where it is used, not of where it was made.

    Args:
      prior: the prior.

    Returns:
      The same in another dtype.

    Example:
      >>> in_dtype(checked_prior(1, 1.0, None)).mean.dtype
      dtype('float32')
    """
    dtype = ops.default_dtype()
    covariance = None if prior.covariance is None else np.asarray(prior.covariance, dtype)
    return prior._replace(mean=np.asarray(prior.mean, dtype), covariance=covariance)


def checked_covariances(name: str, value: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Covariances as matrices, after a look at their values.

    Args:
      name: the argument's name.
      value: concrete numbers: matrices that broadcast to `shape`, or for all of them `[M]` variances or one
        number.
      shape: `[..., M, M]`.

    Returns:
      An array of that shape.

    Raises:
      TypeError: if they are not numbers.
      ValueError: if the shape does not fit, or a matrix is not symmetric or not positive definite.

    Example:
      >>> checked_covariances("covariances", 2.0, (2, 2)).tolist()
      [[2.0, 0.0], [0.0, 2.0]]
    """
    size = shape[-1]
    expected = "expected a symmetric positive definite matrix, or positive variances"
    try:
        matrices = np.asarray(value, float)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is {shown(value)}, {expected}.") from error
    if matrices.shape in ((), (size,)):
        matrices = matrices * np.eye(size)
    if (
        matrices.ndim < 2
        or matrices.shape[-2:] != (size, size)
        or matrices.shape[:-2] not in ((), shape[:-2])
    ):
        raise ValueError(f"{name} has shape {np.shape(value)}, {expected}: {shape}, {(size,)} or a number.")
    if not np.allclose(matrices, np.swapaxes(matrices, -1, -2), rtol=1e-5, atol=0):
        raise ValueError(f"{name} is not symmetric or not finite, {expected}.")
    if (lowest := np.linalg.eigvalsh(matrices).min()) <= 0:
        raise ValueError(f"{name} has the eigenvalue {lowest:.3g}, {expected}.")
    return np.broadcast_to(matrices, shape)


def num_covariance_parameters(form: str, num_states: int, size: int) -> int:
    """How many numbers a form of covariance leaves free.

    Args:
      form: one of `FORMS`.
      num_states: `K`.
      size: `M`.

    Returns:
      The number.

    Example:
      >>> [num_covariance_parameters(form, 3, 2) for form in FORMS]
      [9, 6, 3]
    """
    triangle = size * (size + 1) // 2
    return {"full": num_states * triangle, "diagonal": num_states * size, "tied": triangle}[form]


def covariance_shape(form: str, states: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The shape of the log-Cholesky factors of a form.

    Args:
      form: one of `FORMS`.
      states: `*S`.
      size: `M`.

    Returns:
      `[*S, M, M]`, `[*S, M]`, or `[1, ..., M, M]` where tied.

    Example:
      >>> [covariance_shape(form, (3,), 2) for form in FORMS]
      [(3, 2, 2), (3, 2), (1, 2, 2)]
    """
    if form == "diagonal":
        return (*states, size)
    return (*((1,) * len(states) if form == "tied" else states), size, size)


def prior_covariance(prior: NormalPrior, ys: Array, weights: Array | None) -> Array:
    """The covariance of the pseudo-observations.

    Args:
      prior: the prior.
      ys: `[T, *B, M]`.
      weights: `[T, *B]`, or `None` for ones.

    Returns:
      `S_0`, `[M, M]`.

    Example:
      >>> prior_covariance(checked_prior(1, 1.0, None), jnp.array([[1.0], [3.0]]), None).tolist()
      [[1.0]]
    """
    if prior.covariance is not None:
        return jnp.asarray(prior.covariance, ys.dtype)
    _, variances = pooled_mean_and_variances(ys, weights)
    return variances[:, None] * jnp.eye(ys.shape[-1], dtype=ys.dtype)


def maximal_mean(prior: NormalPrior, found: Moments, means: Array) -> tuple[Array, Array]:
    """The means that observations and pseudo-observations make most probable, and the scatter they leave.

    Equations: `mean_k = (n_k y_k + c_m m_0) / (n_k + c_m)`, with `y_k` the mean of what state `k` saw, and
    `S_k + n_k c_m / (n_k + c_m) (y_k - m_0)(y_k - m_0)ᵀ`.

    Args:
      prior: the prior.
      found: what the states saw.
      means: `[S, M]`, kept where neither counts.

    Returns:
      `[S, M]` and an array like `found.scatter`.

    Example:
      >>> found = Moments(jnp.array([1.0]), jnp.array([[4.0]]), jnp.zeros((1, 1)))
      >>> [x.tolist() for x in maximal_mean(checked_prior(1, 1.0, None, 3.0), found, jnp.zeros((1, 1)))]
      [[[1.0]], [[12.0]]]
    """
    total = found.counts + prior.mean_count
    share = jnp.where(total == 0, 0, found.counts / jnp.where(total == 0, 1, total))[:, None]
    away = found.means - jnp.asarray(prior.mean, found.means.dtype)
    moved = jnp.where((total == 0)[:, None], means, found.means - (1 - share) * away)
    squares = jnp.square(away) if found.scatter.ndim == 2 else away[:, :, None] * away[:, None, :]
    drawn = (prior.mean_count * share).reshape((-1,) + (1,) * (squares.ndim - 1))
    return moved, found.scatter + drawn * squares


def maximal_covariance(form: str, count: Any, covariance: Array, counts: Array, scatter: Array) -> Array:
    """The covariances that observations and pseudo-observations make most probable, as log-Cholesky factors.

    Equation: `Sigma_k = (S_k + c S_0) / (n_k + c)`, with `S_k` and `n_k` summed over all states where tied.

    Args:
      form: one of `FORMS`.
      count: `c`, the number of pseudo-observations.
      covariance: `S_0`, `[M, M]`.
      counts: `n`, `[S]`.
      scatter: `S`, `[S, M, M]`, or `[S, M]` where diagonal.

    Returns:
      `[S, M, M]`, `[S, M]` where diagonal, `[1, M, M]` where tied.

    Example:
      >>> prior, counts, scatter = jnp.eye(1), jnp.ones((1,)), jnp.full((1, 1), 3.0)
      >>> jnp.exp(2 * maximal_covariance("diagonal", 1.0, prior, counts, scatter)).round(3).tolist()
      [[2.0]]
    """
    if form == "diagonal":
        variances = scatter + count * jnp.diagonal(covariance)
        return 0.5 * jnp.log(variances / (counts + count)[:, None])
    if form == "tied":
        counts, scatter = jnp.sum(counts, keepdims=True), jnp.sum(scatter, axis=0, keepdims=True)
    return log_cholesky_of((scatter + count * covariance) / (counts + count)[:, None, None])


def log_normal_prior(
    form: str, prior: NormalPrior, covariance: Array, means: Array, log_cholesky: Array
) -> Array:
    """The log-prior of means and covariances, up to a constant.

    Equation: `-1/2 [sum_k c_m ‖L_k⁻¹ (mean_k - m_0)‖² + sum_k c (log |Sigma_k| + tr(S_0 Sigma_k⁻¹))]`, where
    a tied covariance has one term of the second kind. But for the exponents, a normal-inverse-Wishart
    density.

    Args:
      form: one of `FORMS`.
      prior: the prior.
      covariance: `S_0`, `[M, M]`.
      means: `[S, M]`.
      log_cholesky: `[S, M, M]`, `[S, M]` or `[1, M, M]`.

    Returns:
      `[]`.

    Example:
      >>> prior = checked_prior(2, 1.0, None)
      >>> float(log_normal_prior("diagonal", prior, jnp.eye(2), jnp.zeros((1, 2)), jnp.zeros((1, 2))))
      -1.0
    """
    away = means - jnp.asarray(prior.mean, means.dtype)
    if form == "diagonal":
        logs = log_cholesky
        distances = jnp.square(away * jnp.exp(-log_cholesky))
        traces = jnp.diagonal(covariance) * jnp.exp(-2 * log_cholesky)
    else:
        logs = jnp.diagonal(log_cholesky, axis1=-2, axis2=-1)
        distances = squared_norm(log_cholesky, away)
        # tr(S_0 Sigma⁻¹) is the sum of the squared distances of the columns of a factor of S_0.
        columns = linear_algebra.cholesky(covariance).T[:, None, :]
        traces = squared_norm(
            log_cholesky, jnp.broadcast_to(columns, (len(columns), *log_cholesky.shape[:-1]))
        )
    traced = 2 * jnp.sum(logs) + jnp.sum(traces)
    return -0.5 * (prior.mean_count * jnp.sum(distances) + prior.covariance_count * traced)
