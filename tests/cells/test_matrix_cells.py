"""Cells with a matrix for their carry against the equations in numpy, and their chunks against steps."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import ops
from seqjax.backends import chunkwise
from seqjax.ops.unit_triangular import inverse_plus_one
from tests import laws


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def silu(x):
    return x * sigmoid(x)


def softplus(x):
    return np.log1p(np.exp(x))


def heads(x, kernel):
    return np.einsum("d,dnk->nk", x, kernel)


def mlstm(params, carry, x, forget_gate=sigmoid):
    """With the weights as they are: eqs. 19-27, without a stabilizer."""
    q = heads(x, params.query_kernel) + params.query_bias
    k = heads(x, params.key_kernel) / np.sqrt(q.shape[-1]) + params.key_bias
    v = heads(x, params.value_kernel) + params.value_bias
    o = sigmoid(heads(x, params.output_kernel) + params.output_bias)
    gates = np.einsum("d,dgn->gn", x, params.gate_kernel) + params.gate_bias
    scale = np.exp(carry.log_scale)[:, None, None]
    memory, normalizer = carry.matrix[..., :-1] * scale, carry.matrix[..., -1] * scale[..., 0]
    i, f = np.exp(gates[0]), forget_gate(gates[1])
    ys = []
    for n in range(len(q)):
        memory[n] = f[n] * memory[n] + i[n] * np.outer(k[n], v[n])
        normalizer[n] = f[n] * normalizer[n] + i[n] * k[n]
        ys.append(o[n] * (q[n] @ memory[n]) / max(abs(q[n] @ normalizer[n]), 1))
    log_scale = np.maximum(np.log(f) + carry.log_scale, gates[0])
    matrix = np.concatenate([memory, normalizer[..., None]], -1) / np.exp(log_scale)[:, None, None]
    return ops.MatrixCarry(matrix, log_scale), np.concatenate(ys)


def mlstm_exponential(params, carry, x):
    return mlstm(params, carry, x, forget_gate=np.exp)


def mamba2(params, carry, x):
    v, k, q = (
        silu(heads(x, kernel)) for kernel in (params.value_kernel, params.key_kernel, params.query_kernel)
    )
    step = softplus(x @ params.step_kernel + params.step_bias)
    matrix, ys = carry.matrix.copy(), []
    for n in range(len(v)):
        matrix[n] = np.exp(-np.exp(params.log_rate[n]) * step[n]) * matrix[n] + step[n] * np.outer(k[0], v[n])
        ys.append(q[0] @ matrix[n] + params.skip[n] * v[n])
    return ops.MatrixCarry(matrix), np.concatenate(ys)


def gated_delta_net(params, carry, x):
    v, k, q = (
        silu(heads(x, kernel)) for kernel in (params.value_kernel, params.key_kernel, params.query_kernel)
    )
    gates = np.einsum("d,dgn->gn", x, params.gate_kernel) + params.gate_bias
    matrix, ys = carry.matrix.copy(), []
    for n in range(len(v)):
        key, query = (x[n] / np.sqrt(x[n] @ x[n] + 1e-6) for x in (k, q))
        a, b = np.exp(-np.exp(params.log_rate[n]) * softplus(gates[0, n])), sigmoid(gates[1, n])
        matrix[n] = a * (np.eye(len(key)) - b * np.outer(key, key)) @ matrix[n] + b * np.outer(key, v[n])
        ys.append(query @ matrix[n])
    return ops.MatrixCarry(matrix), np.concatenate(ys)


CASES = {
    mlstm: sj.mlstm(4, num_heads=2, key_size=3),
    mlstm_exponential: sj.mlstm(4, num_heads=2, exponential_forget=True),
    mamba2: sj.mamba2(4, num_heads=2, state_size=3),
    gated_delta_net: sj.gated_delta_net(4, num_heads=2, key_size=3),
}


@pytest.mark.parametrize("reference", CASES, ids=lambda function: function.__name__)
def test_unroll_follows_the_equations(reference, x64):
    laws.follows_the_equations(CASES[reference], reference)


@pytest.mark.parametrize(("reference", "size"), [(mlstm, 37), (gated_delta_net, 5)])
def test_chunks_of_any_size_are_steps(reference, size, x64):
    """Over more steps than the laws have, with sequences that begin and end at any place of a chunk."""
    cell = CASES[reference]
    params, xs, carry = laws.example(cell, num_steps=37)
    lengths, resets = np.array([37, 0, 20]), np.random.default_rng(0).random((37, 3)) < 0.1

    def run(method):
        return laws.unroll(cell, params, xs, carry=carry, lengths=lengths, resets=resets, method=method)

    laws.check(run(functools.partial(chunkwise, chunk_size=size)), run("scan"), 1e-10)


@pytest.mark.parametrize("method", ["scan", "chunkwise"])
def test_exponential_gates_of_any_size_are_finite(method):
    """The exponential of either gate would be zero or infinite."""
    cell = CASES[mlstm_exponential]
    params, xs, _ = laws.example(cell, batch_shape=())

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        ys = sj.unroll(cell, params, xs, method=method)[1]
        return jnp.sum(ys), ys

    for gate in (0, 1):
        for size in (-1e4, 1e4):
            bias = params.gate_bias.copy()
            bias[gate] = size
            result = gradient(params.replace(gate_bias=bias))
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(result))


def test_a_step_that_forgets_nearly_all_leaves_the_steps_after_it_exact():
    """Differences of sums of logarithms would lose `1e4` times the rounding: a thousandth."""
    generator = np.random.default_rng(0)
    query, key, value = generator.normal(size=(3, 16, 1, 4)).astype(np.float32)
    log_decay = np.full((16, 1), -0.1, np.float32)
    log_decay[5] = -1e4
    entries = ops.Entries(query, key, value, log_decay)
    start = ops.MatrixCarry(np.ones((1, 4, 4), np.float32))
    carry, read = jax.jit(ops.linear_attention)(start, entries)
    wanted = jax.jit(lambda start, entries: jax.lax.scan(ops.attention_step, start, entries))(start, entries)
    laws.check((carry, read), wanted, 1e-6)


def test_the_delta_rule_replaces_what_stood_at_a_key():
    """Keys that are orthogonal, written twice with full weight and no decay: the second value is read."""
    key = np.concatenate([np.eye(3), np.eye(3)])[:, None, :]
    value = np.random.default_rng(0).normal(size=(6, 1, 2))
    entries = ops.Entries(key, key, value, np.zeros((6, 1)), erase=key)
    run = jax.jit(functools.partial(ops.linear_attention, chunk_size=4))
    carry, read = run(ops.MatrixCarry(np.ones((1, 3, 2))), entries)
    np.testing.assert_allclose(carry.matrix[0], value[3:, 0], atol=1e-6)
    np.testing.assert_allclose(read.vectors, value, atol=1e-6)


@pytest.mark.parametrize("size", [1, 5])
def test_the_inverse_of_a_unit_triangle_is_one(size, x64):
    lower = np.tril(np.random.default_rng(size).normal(size=(3, size, size)), -1)
    inverse, tangent = jax.jit(functools.partial(jax.jvp, inverse_plus_one))((lower,), (np.ones_like(lower),))
    np.testing.assert_allclose(inverse, np.linalg.inv(lower + np.eye(size)), atol=1e-10)
    step = 1e-6 * np.tril(np.ones((size, size)), -1)
    difference = np.linalg.inv(lower + step + np.eye(size)) - np.linalg.inv(lower - step + np.eye(size))
    np.testing.assert_allclose(tangent, difference / 2e-6, atol=1e-5)


def test_entries_that_erase_hold_their_weights_in_the_key():
    ones = jnp.ones((1, 2))
    entries = ops.Entries(ones, ones, ones, ones[:, 0], log_write=ones[:, 0], erase=ones)
    with pytest.raises(ValueError, match="entries has both log_write and erase, expected one of them"):
        ops.attention_step(ops.MatrixCarry(jnp.ones((1, 2, 2)), jnp.ones(1)), entries)
