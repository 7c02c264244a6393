"""Factorisations of small matrices against numpy, on graded and on dependent rows, with gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.ops import small_matrices as sm


def front(a):
    return np.moveaxis(a, (-2, -1), (0, 1))


def back(a):
    return np.moveaxis(np.asarray(a), (0, 1), (-2, -1))


@pytest.mark.parametrize(("size", "lanes"), [(2, ()), (3, (2,)), (9, (1,)), (9, (2,))])
def test_against_numpy(size, lanes, x64):
    generator = np.random.default_rng(size)
    a = generator.normal(size=(*lanes, size, 2 * size))
    factor, rows = map(back, jax.jit(sm.orthogonalize)(front(a)))
    square = a @ np.swapaxes(a, -1, -2)
    expected = np.linalg.cholesky(square)
    np.testing.assert_allclose(factor, expected, atol=1e-12)
    np.testing.assert_allclose(factor @ rows, a, atol=1e-12)
    np.testing.assert_allclose(
        rows @ np.swapaxes(rows, -1, -2), np.broadcast_to(np.eye(size), square.shape), atol=1e-12
    )
    np.testing.assert_allclose(back(jax.jit(sm.cholesky)(front(square))), expected, atol=1e-12)
    np.testing.assert_allclose(back(sm.product(front(a), front(np.swapaxes(a, -1, -2)))), square, atol=1e-12)
    for transposed in (False, True):
        matrix = np.swapaxes(expected, -1, -2) if transposed else expected
        solved = back(sm.solve_triangular(front(expected), front(a), transposed=transposed))
        np.testing.assert_allclose(solved, np.linalg.solve(matrix, a), atol=1e-11)


def test_columns_that_differ_by_powers_of_ten_keep_their_digits():
    """What tells the second row from the first is less than a rounding error of their lengths."""
    a = jnp.array([[1e7, 1.0, 0.0], [3e7, 1.0, 1.0]], jnp.float32)
    exact = np.abs(np.linalg.qr(np.asarray(a, float).T, mode="r")).T
    np.testing.assert_allclose(sm.triangularize(a), exact, rtol=1e-5)


@pytest.mark.parametrize("size", [2, 4])
def test_dependent_rows_give_zeros_and_finite_gradients(size):
    generator = np.random.default_rng(0)
    a = generator.normal(size=(size, 2 * size)).astype(np.float32)
    a[-1] = 2 * a[0]
    factor, gradient = jax.jit(
        jax.value_and_grad(lambda a: (triangle := sm.triangularize(a)).sum() + triangle[-1, -1])
    )(a)
    assert np.isfinite(factor)
    assert np.isfinite(gradient).all()
    np.testing.assert_allclose(sm.triangularize(a)[-1, -1], 0, atol=1e-6)
    a[-1] = 0
    assert sm.triangularize(a)[-1, -1] == 0
    low = np.ones((size, size), np.float32)
    gradient = jax.jit(jax.grad(lambda a: sm.cholesky(a).sum()))(low)
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(sm.cholesky(low)[:, 1:], 0)
    assert not sm.solve_triangular(jnp.asarray(low * 0), low).any()
