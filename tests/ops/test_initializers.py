"""Initial kernels: orthogonal, uniformly drawn, and made without the routines that stall."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import ops
from seqjax.ops.initializers import orthogonal


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (6, 6), (7, 3), (3, 7)])
def test_rows_or_columns_are_orthonormal(rows, columns, x64):
    matrix = np.asarray(orthogonal(jax.random.key(0), rows, columns, jnp.float64))
    assert matrix.shape == (rows, columns)
    gram = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(gram, np.eye(min(rows, columns)), atol=1e-14)


def test_large_kernels_are_orthonormal_in_single_precision():
    matrix = np.asarray(orthogonal(jax.random.key(0), 256, 256, jnp.float32))
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(256), atol=5e-6)


def test_draws_are_uniform_over_the_orthogonal_group():
    """Moments of the Haar measure on O(3): E Q = 0, E Q_ij^2 = 1/3, E tr(Q)^2 = 1, E det = 0."""
    keys = jax.random.split(jax.random.key(0), 20_000)
    draws = np.asarray(jax.vmap(lambda key: orthogonal(key, 3, 3, jnp.float32))(keys))
    np.testing.assert_allclose(draws.mean(0), 0, atol=0.02)
    np.testing.assert_allclose((draws**2).mean(0), 1 / 3, atol=0.02)
    assert abs(np.linalg.det(draws).mean()) < 0.03
    assert abs((np.trace(draws, axis1=1, axis2=2) ** 2).mean() - 1) < 0.05


@pytest.mark.slow
def test_an_ensemble_of_bidirectional_networks_initialises_in_one_compiled_program():
    """With LAPACK's QR decomposition this call never returned on two cores."""
    network = sj.stack(sj.bidirectional(sj.lstm(8)), sj.bidirectional(sj.lstm(8)))
    keys = jax.random.split(jax.random.key(0), 3)
    params = jax.jit(jax.vmap(lambda key: network.init(key, 4)))(keys)
    assert params[1].backward.recurrent_kernel.shape == (3, 8, 4, 8)


def test_input_kernels_have_the_variance_of_glorot():
    kernel = np.asarray(ops.input_kernel(jax.random.key(0), 200, 2, 100))
    assert kernel.shape == (200, 2, 100)
    np.testing.assert_allclose(kernel.var(axis=(0, 2)), 2 / 300, rtol=0.05)
