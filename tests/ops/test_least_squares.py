"""Least squares against numpy in double precision, and its derivatives against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from seqjax import ops

RNG = np.random.default_rng(0)
N, P, M = 12, 4, 2
DESIGN, TARGETS = RNG.normal(size=(N, P)), RNG.normal(size=(N, M))


def solve(design, targets, **options):
    return ops.least_squares(jnp.asarray(design), jnp.asarray(targets), **options)


def test_coefficients_residuals_and_covariance(x64):
    got = solve(DESIGN, TARGETS)
    wanted = np.linalg.lstsq(DESIGN, TARGETS, rcond=None)[0]
    np.testing.assert_allclose(got.coefficients, wanted, rtol=1e-12)
    np.testing.assert_allclose(got.residuals, TARGETS - DESIGN @ wanted, atol=1e-13)
    np.testing.assert_allclose(got.unscaled_covariance, np.linalg.inv(DESIGN.T @ DESIGN), rtol=1e-12)
    np.testing.assert_allclose(
        got.triangular, np.abs(np.diag(np.diag(got.triangular))) + np.triu(got.triangular, 1)
    )
    np.testing.assert_allclose(got.triangular.T @ got.triangular, DESIGN.T @ DESIGN, atol=1e-12)


def test_rows_of_zeros_count_for_nothing():
    longer = np.concatenate([DESIGN, np.zeros((3, P))]), np.concatenate([TARGETS, np.zeros((3, M))])
    got, wanted = solve(*longer), solve(DESIGN, TARGETS)
    np.testing.assert_allclose(got.coefficients, wanted.coefficients, rtol=1e-5, atol=1e-6)


def test_ridge_one_strength_a_column(x64):
    ridge = np.array([0.0, 0.5, 2.0, 1e3])
    got = solve(DESIGN, TARGETS, ridge=ridge)
    inverse = np.linalg.inv(DESIGN.T @ DESIGN + np.diag(ridge))
    np.testing.assert_allclose(got.coefficients, inverse @ DESIGN.T @ TARGETS, rtol=1e-11)
    np.testing.assert_allclose(
        got.unscaled_covariance, inverse @ DESIGN.T @ DESIGN @ inverse, rtol=1e-9, atol=1e-12
    )
    # More columns than rows are no obstacle then, nor are dependent ones.
    wide = np.concatenate([DESIGN[:3], DESIGN[:3]], axis=1)
    assert np.isfinite(solve(wide, TARGETS[:3], ridge=0.1).coefficients).all()


def test_float32_loses_the_condition_number_and_not_its_square():
    """With a condition of 2e4, normal equations in float32 have no digit left."""
    design = DESIGN.copy()
    design[:, 3] = design[:, 0] + 1e-4 * design[:, 3]
    design = design.astype(np.float32)
    wanted = np.linalg.lstsq(design.astype(float), TARGETS, rcond=None)[0]
    got = solve(design, TARGETS.astype(np.float32)).coefficients
    np.testing.assert_allclose(got, wanted, rtol=0, atol=5e-3 * np.abs(wanted).max())
    orthogonal, _ = ops.qr(jnp.asarray(design))
    np.testing.assert_allclose(orthogonal.T @ orthogonal, np.eye(P), atol=1e-6)


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_plays_no_part(scale):
    """Squares of such columns are out of the range of float32."""
    scales = np.array([1, scale, 1, scale], np.float32)
    got = solve(DESIGN.astype(np.float32) * scales, TARGETS.astype(np.float32))
    wanted = np.linalg.lstsq(DESIGN, TARGETS, rcond=None)[0]
    np.testing.assert_allclose(got.coefficients * scales[:, None], wanted, rtol=1e-4)


@pytest.mark.parametrize("column", ["a multiple", "zeros", "a sum"])
def test_dependent_columns_are_named_or_nan(column):
    design = DESIGN.astype(np.float32)
    design[:, 2] = {"a multiple": 3 * design[:, 1], "zeros": 0, "a sum": design[:, 0] - design[:, 1]}[column]
    with pytest.raises(ValueError, match="design has a column 2 that is a linear combination"):
        solve(design, TARGETS)
    assert np.isnan(jax.jit(ops.least_squares)(design, TARGETS.astype(np.float32)).coefficients).all()
    dependent = ops.dependent_columns(ops.qr(jnp.asarray(design))[1])
    np.testing.assert_array_equal(dependent, [False, False, True, False])


def test_several_problems_at_once(x64):
    designs, targets = RNG.normal(size=(3, N, P)), RNG.normal(size=(3, N, M))
    got = jax.jit(jax.vmap(ops.least_squares))(designs, targets)
    for i in range(3):
        wanted = np.linalg.lstsq(designs[i], targets[i], rcond=None)[0]
        np.testing.assert_allclose(got.coefficients[i], wanted, rtol=1e-11)


@pytest.mark.slow
def test_gradients_are_numerical_gradients(x64):
    """And the gradient of the gradient."""

    def run(design, targets, ridge):
        got = ops.least_squares(design, targets, ridge=ridge)
        return got.coefficients, got.residuals, got.triangular, got.unscaled_covariance

    arguments = jnp.asarray(DESIGN[:6, :3]), jnp.asarray(TARGETS[:6]), jnp.array([0.1, 0.3, 0.5])
    check_grads(jax.jit(run), arguments, 1, ["rev"], 1e-6, 1e-6)
    first = jax.jit(jax.grad(lambda a: jnp.sum(ops.least_squares(a, arguments[1]).coefficients ** 2)))
    check_grads(first, arguments[:1], 1, ["rev"], 1e-5, 1e-5)


def test_no_column_and_no_row():
    none = solve(np.zeros((3, 0), np.float32), TARGETS[:3])
    assert none.coefficients.shape == (0, M)
    np.testing.assert_array_equal(none.residuals, TARGETS[:3].astype(np.float32))
