"""The maximisation step of learning: regressions of what is known up to normal distributions only.

Each covariance that enters is a factor, a few columns whose outer products sum to it, and stands beside the
means as further rows of data would. The whole is then least squares by orthogonalisation: no moment is
formed, none is subtracted from another, and what is left of the targets is the factor of the noise.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax.numpy as jnp
from jax import lax

from seqjax.ops.small_matrices import above, beside, product, solve_triangular, transpose, triangularize
from seqjax.statespace.lds.checks import Evidence
from seqjax.statespace.lds.expectation import Expected, Moments
from seqjax.statespace.lds.model import lanes
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array

SHORTEST = 32
"""Columns that are orthogonalised together at least."""

DEPENDENCE = 64
"""A regressor is left out where less than this many roundings of it remain beside those before it."""


class Coefficients(NamedTuple):
    """The terms of a regression, in lanes; `None` for those that are to be found.

    Attributes:
      bias: `[K, T | 1, B | 1]`.
      inputs: `[K, U, T | 1, B | 1]`.
      matrix: `[K, N, T | 1, B | 1]`.
    """

    bias: Array | None
    inputs: Array | None
    matrix: Array | None


class Regression(NamedTuple):
    """What a regression came to: the terms that were not given, and the noise.

    Attributes:
      bias: `[K]`, or `None` where it was given.
      inputs: `[K, U]`, or `None`.
      matrix: `[K, N]`, or `None`.
      cholesky: `[K, K]`, the factor of the mean square of what is left.
      num_steps: `[]`, how many steps counted.
    """

    bias: Array | None
    inputs: Array | None
    matrix: Array | None
    cholesky: Array
    num_steps: Array


def first_state(
    params: LDSParams, evidence: Evidence, expected: Expected, fixed: tuple[str, ...]
) -> dict[str, Array]:
    """Mean and factor of the first state, of greatest expected likelihood.

    Equation (Shumway & Stoffer, 1982, eq. 8): the mean and the mean square around it of the smoothed first
    states, over the rows that share them.

    Args:
      params: the params before the step.
      evidence: checked observations and what belongs to them.
      expected: what smoothing gave.
      fixed: names of the fields that keep their value.

    Returns:
      `initial_mean` and `initial_cholesky`; what is diffuse, and rows without a step, as before.
    """
    batch_shape = evidence.ys.shape[1:-1]
    size, batch_size = expected.mean.shape[0], expected.mean.shape[-1]
    unknown = jnp.array(params.diffuse or (False,) * size)
    started = jnp.ones((batch_size,), bool) if evidence.lengths is None else evidence.lengths.reshape(-1) > 0
    count = jnp.sum(started, dtype=expected.mean.dtype)

    before = jnp.broadcast_to(params.initial_mean, (*batch_shape, size)).reshape(-1, size).T
    means = jnp.where(started, expected.mean[:, 0], 0)
    if params.initial_mean.ndim == 1:
        means = (jnp.sum(means, axis=-1) / jnp.maximum(count, 1))[:, None]
    means = jnp.where(started & ~unknown[:, None], means, before)
    mean = means.T.reshape(*batch_shape, size)
    if params.initial_mean.ndim == 1:
        # The first row that has a step stands for all of them.
        mean = means[:, jnp.argmax(started)]
    around = before if "initial_mean" in fixed else means

    free = started & ~unknown[:, None]
    away = jnp.where(free, expected.mean[:, 0] - around, 0)[:, None]
    spread = beside(jnp.where(free[:, None], expected.factor[:, :, 0], 0), away)
    if params.initial_cholesky.ndim == 2:
        factor = triangularize(spread.reshape(size, -1)) / jnp.sqrt(jnp.maximum(count, 1))
        factor = jnp.where(count > 0, factor, params.initial_cholesky)
    else:
        factor = jnp.moveaxis(triangularize(spread), -1, 0).reshape(*batch_shape, size, size)
        factor = jnp.where(started.reshape(*batch_shape, 1, 1), factor, params.initial_cholesky)
    return {"initial_mean": mean, "initial_cholesky": factor}


def regression(
    name: str, moments: Moments, params: LDSParams, batch_shape: tuple[int, ...], fixed: tuple[str, ...]
) -> dict[str, Array]:
    """The matrix, the inputs' matrix, the bias and the noise of dynamics or emission.

    Args:
      name: `"dynamics"` or `"emission"`.
      moments: of both sides.
      params: the params before the step.
      batch_shape: the shape of `*B`.
      fixed: names of the fields that keep their value.

    Returns:
      The fields that were found, as before where no step counted. The noise is among them even if it is
      fixed.
    """
    num_steps = moments.target.shape[1]

    def given(field: str, rank: int) -> Array | None:
        leaf = getattr(params, field)
        if field not in fixed or leaf is None:
            return None
        leaf = lanes(leaf, rank, batch_shape)
        return leaf if leaf.shape[-2] == 1 else leaf[..., :num_steps, :]

    found = regress(
        moments,
        Coefficients(bias=given(f"{name}_bias", 1), inputs=given(f"{name}_inputs", 2), matrix=given(name, 2)),
    )
    values = {
        f"{name}_bias": found.bias,
        f"{name}_inputs": found.inputs,
        name: found.matrix,
        f"{name}_cholesky": found.cholesky,
    }
    return {
        field: value if field in fixed else jnp.where(found.num_steps > 0, value, getattr(params, field))
        for field, value in values.items()
        if value is not None
    }


def regress(moments: Moments, given: Coefficients) -> Regression:
    """The terms that are not given, and the covariance of the noise, of greatest expected likelihood.

    Equation (Shumway & Stoffer, 1982, eq. 12-14; Ghahramani & Hinton, 1996, with inputs and a bias): with the
    regressors `z = (1, u, x)` that are free and the targets `r` less the terms that are given,
    `sum E[(z, r) (z, r)'] = L L'`, `coefficients = L_rz / L_zz`, `covariance = L_rr L_rr' / count`. The
    covariance of the noise does not change the coefficients, for all targets have the same regressors. A
    regressor that depends on those before it up to rounding gets a coefficient of zero.

    Args:
      moments: of both sides.
      given: the terms that stay as they are.

    Returns:
      The rest.
    """
    regressors, rest, spread = _free_sides(moments, given)
    if moments.weight is not None:
        regressors, rest, spread = (jnp.where(moments.weight, side, 0) for side in (regressors, rest, spread))
    num_free, num_targets, batch_size = len(regressors), len(rest), rest.shape[-1]
    if spread.shape[-1] < batch_size:  # one covariance for all rows
        spread = spread * jnp.sqrt(jnp.asarray(batch_size, spread.dtype))
    means = jnp.concatenate([regressors, rest]).reshape(num_free + num_targets, -1)
    # Biases and inputs, which come first, are known.
    spread = spread.reshape(len(spread), -1)
    spread = jnp.pad(spread, ((len(means) - len(spread), 0), (0, 0)))
    factor = gram_factor(beside(means, spread))
    found = jnp.zeros((0, num_targets), factor.dtype)
    if num_free:
        factor = _without_dependent(factor, num_free)
        found = solve_triangular(
            factor[:num_free, :num_free], transpose(factor[num_free:, :num_free]), transposed=True
        )
    count = jnp.asarray(rest.shape[1] * batch_size, factor.dtype)
    if moments.weight is not None:
        count = jnp.sum(jnp.broadcast_to(moments.weight, rest.shape[1:]), dtype=factor.dtype)
    return Regression(
        *_split(transpose(found), moments, given),
        cholesky=factor[num_free:, num_free:] / jnp.sqrt(jnp.maximum(count, 1)),
        num_steps=count,
    )


def _without_dependent(factor: Array, num_free: int) -> Array:
    """The factor without those regressors, its first rows, of which the ones before leave only rounding."""
    lengths = jnp.sqrt(jnp.sum(factor**2, axis=1))
    dependent = jnp.diagonal(factor) <= DEPENDENCE * jnp.finfo(factor.dtype).eps * lengths
    dependent = dependent & (jnp.arange(len(lengths)) < num_free)
    return triangularize(jnp.where(dependent[:, None], 0, factor), in_a_loop=True)


def _free_sides(moments: Moments, given: Coefficients) -> tuple[Array, Array, Array]:
    """The regressors that are free `[k, T, B]`, the targets less what is given, and factors of both."""
    rest, rest_factor = moments.target, moments.target_factor
    free = []
    if given.bias is None:
        free.append(jnp.ones((1, *rest.shape[1:]), rest.dtype))
    else:
        rest = rest - given.bias
    if moments.inputs is not None:
        if given.inputs is None:
            free.append(jnp.broadcast_to(moments.inputs, (moments.inputs.shape[0], *rest.shape[1:])))
        else:
            rest = rest - product(given.inputs, moments.inputs)
    if given.matrix is None:
        free.append(moments.regressor)
        spread = above(moments.regressor_factor, rest_factor)
    else:
        rest = rest - product(given.matrix, moments.regressor)
        spread = rest_factor - product(given.matrix, moments.regressor_factor)
    return jnp.concatenate([*free, rest[:0]]), rest, spread


def _split(
    found: Array, moments: Moments, given: Coefficients
) -> tuple[Array | None, Array | None, Array | None]:
    """`[K, k]` -> bias, inputs and matrix."""
    bias = inputs = None
    if given.bias is None:
        bias, found = found[:, 0], found[:, 1:]
    if moments.inputs is not None and given.inputs is None:
        size = moments.inputs.shape[0]
        inputs, found = found[:, :size], found[:, size:]
    return bias, inputs, found if given.matrix is None else None


def gram_factor(columns: Array) -> Array:
    """The lower triangular `L` with `L L' = A A'` for a matrix of many columns.

    Stretches of columns are orthogonalised side by side, then the triangles that they leave, for a sum over
    all of the columns would add up rounding errors.

    Args:
      columns: `A`, `[n, m]`.

    Returns:
      `[n, n]`.

    Example:
      >>> gram_factor(jnp.ones((1, 9))).round(4).tolist()
      [[3.0]]
    """
    size, count = columns.shape
    length = max(math.isqrt(count), SHORTEST)
    stretches = -(-count // length)
    columns = jnp.pad(columns, ((0, 0), (0, stretches * length - count)))
    triangles = triangularize(columns.reshape(size, length, stretches), in_a_loop=True)
    return triangularize(triangles.reshape(size, -1), in_a_loop=True)


def diagonal_factor(factor: Array) -> Array:
    """The factor of the diagonal of a covariance: roots of its variances.

    Args:
      factor: `[..., n, n]`.

    Returns:
      `[..., n, n]`.

    Example:
      >>> diagonal_factor(jnp.array([[1.0, 0.0], [3.0, 4.0]])).tolist()
      [[1.0, 0.0], [0.0, 5.0]]
    """
    deviations = jnp.sqrt(jnp.sum(lax.square(factor), axis=-1))
    return deviations[..., None] * jnp.eye(factor.shape[-1], dtype=factor.dtype)
