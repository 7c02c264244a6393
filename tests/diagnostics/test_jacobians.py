"""Jacobians along trajectories against finite differences, and what follows from them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import diagnostics
from seqjax.ops.rows import Rows
from tests import laws
from tests.registry import CELLS, KINDS

NAMES = ["elman_tanh", *(pytest.param(name, marks=pytest.mark.slow) for name in KINDS)]


@pytest.mark.parametrize("name", NAMES)
def test_they_are_finite_differences_of_the_unroll(name, x64):
    """Of one step, and over several: the carry after step t as a function of the one after step k."""
    cell = CELLS[name]
    params, xs, carry = laws.example(cell, num_steps=4, batch_shape=(2,))
    jacobians = diagnostics.state_jacobians(cell, params, xs, carry=carry)
    rows = Rows.of(carry, 1)
    states = np.concatenate([rows.flat(carry)[None], rows.flat(jacobians.carries)])  # h_{-1}, h_0, ...
    pairs = [(0, -1), (2, 1), (3, -1), (3, 0)]
    products = diagnostics.jacobian_products(jacobians.matrices, pairs)
    run = jax.jit(
        lambda xs, flat: rows.flat(sj.unroll(cell, params, xs, carry=rows.tree(flat), method="scan")[0])
    )
    small = 1e-6
    for (last, first), product in zip(pairs, products, strict=True):
        piece, start = xs[first + 1 : last + 1], states[first + 1]
        for unit in range(rows.size):
            moved = small * np.eye(rows.size)[unit]
            slope = (run(piece, start + moved) - run(piece, start - moved)) / (2 * small)
            np.testing.assert_allclose(product[..., unit], slope, atol=1e-7)


@functools.cache
def measured():
    """An Elman network in float64: its Jacobians, products by numpy, and their norms."""
    with jax.enable_x64(True):
        cell = CELLS["elman_tanh"]
        params, xs, carry = laws.example(cell, num_steps=5, batch_shape=(2,))
        matrices = np.asarray(diagnostics.state_jacobians(cell, params, xs, carry=carry).matrices)
    products = np.zeros((5, 5, 2, 4, 4))
    for k in range(5):
        products[k, k] = np.eye(4)
        for t in range(k + 1, 5):
            products[t, k] = matrices[t] @ products[t - 1, k]
    return cell, params, xs, carry, matrices, products


def test_norms_are_those_of_the_products(x64):
    *_, matrices, products = measured()
    spectral = diagnostics.product_norms(matrices)
    np.testing.assert_allclose(spectral, np.linalg.norm(products, 2, (-2, -1)), rtol=1e-10)
    frobenius = diagnostics.product_norms(matrices, norm="frobenius")
    np.testing.assert_allclose(frobenius, np.linalg.norm(products, axis=(-2, -1)), rtol=1e-10)


def test_products_without_matrices_are_those_with_them(x64):
    cell, params, xs, carry, matrices, products = measured()
    generator = np.random.default_rng(3)
    tangent, cotangent = generator.normal(size=(2, 2, 4))
    pushed = diagnostics.push_forward(cell, params, xs, tangent, carry=carry)
    from_start = [products[t, 0] @ matrices[0] for t in range(5)]
    np.testing.assert_allclose(pushed, np.einsum("tbij,bj->tbi", from_start, tangent), rtol=1e-9)
    pulled = diagnostics.pull_back(cell, params, xs, cotangent, carry=carry)
    np.testing.assert_allclose(pulled, np.einsum("kbij,bi->kbj", products[4], cotangent), rtol=1e-9)
    largest = diagnostics.largest_singular_value(cell, params, xs, jax.random.key(0), carry=carry)
    np.testing.assert_allclose(largest, np.linalg.norm(from_start[4], 2, (-2, -1)), rtol=1e-6)


def test_padding_keeps_the_carry_and_resets_cut_it(x64):
    cell, params, xs, carry, *_ = measured()
    resets = np.zeros((5, 2), bool)
    resets[2, 1] = True
    matrices = diagnostics.state_jacobians(
        cell, params, xs, carry=carry, lengths=np.array([3, 5]), resets=resets
    ).matrices
    np.testing.assert_array_equal(matrices[3:, 0], np.broadcast_to(np.eye(4), (2, 4, 4)))
    assert not np.asarray(matrices[2, 1]).any()
    assert np.asarray(matrices[3, 1]).any()


def test_mistakes_are_named():
    matrices = jnp.ones((3, 2, 2))
    with pytest.raises(ValueError, match=r"pairs has \(3, 0\) at 0, expected .* < 3"):
        diagnostics.jacobian_products(matrices, [(3, 0)])
    with pytest.raises(ValueError, match=r"matrices has shape \(2, 2\)"):
        diagnostics.product_norms(jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="norm is 'nuclear', expected 'spectral' or 'frobenius'"):
        diagnostics.product_norms(matrices, norm="nuclear")
    cell = sj.gru(2)
    params = laws.example(cell)[0]
    with pytest.raises(ValueError, match=r"tangent has shape \(5,\), expected \(2,\)"):
        diagnostics.push_forward(cell, params, jnp.ones((4, 3)), jnp.ones(5))
    with pytest.raises(ValueError, match="cell has no structure"):
        diagnostics.state_jacobians(CELLS["unstructured"], params, jnp.ones((4, 3)), feedback=False)
