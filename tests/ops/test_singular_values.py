"""Singular values by rotations against numpy's, whatever the shape and the scale."""

import jax
import numpy as np
import pytest

from seqjax.ops.singular_values import singular_values

compiled = jax.jit(singular_values)


@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (7, 7), (1, 3), (4, 1)])
def test_they_are_numpys(shape, x64):
    matrix = np.random.default_rng(0).normal(size=shape)
    np.testing.assert_allclose(compiled(matrix), np.linalg.svd(matrix, compute_uv=False), rtol=1e-12)


def test_small_ones_are_as_precise_as_large_ones(x64):
    """Columns that differ by powers of ten: what a product of many Jacobians looks like."""
    orthogonal, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(7, 7)))
    values = 10.0 ** -np.arange(0, 70, 10)
    np.testing.assert_allclose(compiled(orthogonal * values), values, rtol=1e-10)
    np.testing.assert_allclose(compiled(1e-200 * orthogonal), np.full(7, 1e-200), rtol=1e-12)


def test_dependent_columns_and_zeros_have_zeros(x64):
    dependent = np.ones((7, 7))
    np.testing.assert_allclose(compiled(dependent), [7, 0, 0, 0, 0, 0, 0], atol=1e-14)
    assert not np.asarray(compiled(np.zeros((7, 7)))).any()


def test_what_is_no_matrix_is_refused():
    with pytest.raises(ValueError, match=r"matrix has shape \(3,\)"):
        singular_values(np.ones(3))
    with pytest.raises(TypeError, match="matrix has dtype int"):
        singular_values(np.ones((3, 3), int))
