"""How parameters start, and what a learned initial carry does."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from tests import laws
from tests.marks import slow_except
from tests.registry import CELLS


def shapes(cell, input_size=3):
    return jax.eval_shape(lambda key: cell.init(key, input_size), jax.random.key(0))


@pytest.fixture(scope="module")
def lstm_params():
    return jax.jit(sj.lstm(8).init, static_argnums=1)(jax.random.key(0), 3)


def test_recurrent_kernels_are_orthogonal_for_each_gate(lstm_params):
    for gate in range(4):
        kernel = lstm_params.recurrent_kernel[:, gate]
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(8), atol=1e-5)


def test_forget_bias_starts_at_one_and_the_others_at_zero(lstm_params):
    np.testing.assert_array_equal(lstm_params.bias, np.array([0.0, 1.0, 0.0, 0.0])[:, None] * np.ones(8))


def test_initial_carry_is_random_and_learned(lstm_params):
    carry = lstm_params.initial_carry
    assert 0.0 < float(jnp.abs(carry.cell).max()) < 1.0
    assert not np.array_equal(carry.cell, carry.hidden)


def test_zeros_leave_the_initial_carry_out_of_the_params():
    cell = sj.lstm(4, initial_carry="zeros")
    params = shapes(cell)
    assert params.initial_carry is None
    carry = cell.initial_carry(laws.example(cell)[0], (2,))
    assert [leaf.shape for leaf in jax.tree.leaves(carry)] == [(2, 4), (2, 4)]
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(carry))


def test_irnn_copies_its_state_before_it_is_trained():
    cell = sj.irnn(4)
    params = cell.init(jax.random.key(0), 3)
    carry = jnp.array([1.0, 2.0, 0.0, 3.0])
    last, _ = sj.unroll(cell, params, jnp.zeros((50, 3)), carry=carry)
    np.testing.assert_array_equal(last, carry)


def test_irnn_inputs_start_small():
    params = sj.irnn(64).init(jax.random.key(0), 64)
    assert 0.0009 < float(jnp.std(params.input_kernel)) < 0.0011


def test_different_keys_give_different_params_and_the_same_key_the_same():
    init = jax.jit(sj.gru(4).init, static_argnums=1)
    first, again, other = (init(jax.random.key(seed), 3) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.input_kernel, again.input_kernel)
    assert not np.array_equal(first.input_kernel, other.input_kernel)
    assert not np.array_equal(first.recurrent_kernel[:, 0], first.recurrent_kernel[:, 1])


@pytest.mark.parametrize("name", sorted(CELLS))
def test_params_are_double_under_x64(name, x64):
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(shapes(CELLS[name]))}
    assert dtypes == {jnp.dtype(jnp.float64)}


@pytest.mark.parametrize(
    "name", slow_except(sorted(CELLS.keys() - {"elman_zeros"}), "elman_tanh", "lstm", "gru", "lru", "mamba2")
)
def test_learned_initial_carry_gets_a_gradient(name):
    cell = CELLS[name]
    params, xs, _ = laws.example(cell)
    grads = jax.jit(jax.grad(lambda params: laws.reduced(sj.unroll(cell, params, xs)[1])))(params)
    start = grads["initial_carry"] if isinstance(grads, dict) else grads.initial_carry
    moved = [bool(np.asarray(leaf).any()) for leaf in jax.tree.leaves(start)]
    assert any(moved)
    # Only the hidden units that do not feed back have a start that nothing reads.
    assert all(moved) or name == "elman_context"
