"""Layers that treat each step by itself: dropout, dense, embed, layer_norm, residual."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers
from tests.layers.tools import close, draw


@pytest.mark.parametrize("shared", [False, True])
def test_dropout_keeps_the_expectation(key, shared):
    xs = jnp.full((30, 20, 40), 3.0)
    layer = layers.dropout(0.25, shared_over_time=shared)
    run = jax.jit(lambda key: layer.unroll((), xs, key=key)[1])
    ys = run(key)
    assert set(np.unique(ys)) == {0, 4}
    assert abs(float((ys == 0).mean()) - 0.25) < 0.05
    constant = bool((ys == ys[0]).all())
    assert constant is shared
    assert (ys != run(jax.random.key(5))).any()
    assert (ys == run(key)).all()


def test_shared_dropout_is_drawn_anew_after_a_reset(key):
    layer = layers.dropout(0.5, shared_over_time=True)
    resets = jnp.zeros((6, 2), bool).at[3, 0].set(True).at[0].set(True)
    _, ys = layer.unroll((), jnp.ones((6, 2, 30)), resets=resets, key=key)
    assert (ys[:3] == ys[0]).all()
    assert (ys[3:, 0] == ys[3, 0]).all()
    assert (ys[3, 0] != ys[0, 0]).any()
    assert (ys[:, 1] == ys[0, 1]).all()


def test_dropout_without_a_key_is_the_identity(key):
    xs = jax.random.normal(key, (3, 2, 4)).astype(jnp.bfloat16)
    layer = layers.dropout(0.9)
    assert (layer.unroll((), xs)[1] == xs).all()
    assert (layers.dropout(0).unroll((), xs, key=key)[1] == xs).all()
    assert layer.unroll((), xs, key=key)[1].dtype == jnp.bfloat16
    assert (layer.step((), (), xs[0])[1] == xs[0]).all()
    assert layer.init(key, 4) == layer.initial_carry(()) == ()


def test_dense_is_the_affine_map(key):
    xs = jax.random.normal(key, (3, 2, 4))
    layer = layers.dense(5, jax.nn.relu)
    params = draw(layer, 4)
    params = params.replace(bias=jnp.arange(5.0) - 2)
    close(layer.unroll(params, xs)[1], jnp.maximum(xs @ params.kernel + params.bias, 0))
    plain = layers.dense(5, use_bias=False)
    params = draw(plain, 4)
    assert params.bias is None
    close(plain.unroll(params, xs)[1], xs @ params.kernel)


def test_layer_norm_is_its_formula(key):
    xs = 7 + 3 * jax.random.normal(key, (3, 2, 6))
    layer = layers.layer_norm()
    params = draw(layer, 6).replace(scale=jnp.arange(6.0), bias=jnp.ones(6))
    x = np.asarray(xs, np.float64)
    mean, variance = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    wanted = np.arange(6.0) * (x - mean) / np.sqrt(variance + 1e-5) + 1
    close(layer.unroll(params, xs)[1], wanted)
    half = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)
    ys = layer.unroll(half, xs)[1]
    assert ys.dtype == jnp.float32
    close(ys, wanted)


def test_embed_looks_rows_up(key):
    layer = layers.embed(5, 3)
    params = draw(layer, 1)
    tokens = jnp.array([[0, 4], [2, 2]])
    for dtype in (jnp.int8, jnp.uint8, jnp.int32, jnp.uint32):
        assert (layer.unroll(params, tokens.astype(dtype))[1] == params.table[tokens]).all()
    assert (layer.step(params, (), tokens[0])[1] == params.table[tokens[0]]).all()
    assert layer.unroll(params, jnp.array([1, 2]))[1].shape == (2, 3)
    gradient = jax.grad(lambda params: layer.unroll(params, tokens)[1].sum())(params).table
    assert gradient[:, 0].tolist() == [1, 0, 2, 0, 1]


def test_embed_reads_bytes_of_a_large_vocabulary(key):
    layer = layers.embed(300, 2)
    params = draw(layer, 1)
    assert (layer.unroll(params, jnp.array([255], jnp.uint8))[1] == params.table[255]).all()


@pytest.mark.parametrize("token", [5, -1, 127, -128])
def test_embed_never_takes_another_token_for_one_out_of_range(key, token):
    layer = layers.embed(5, 3)
    params = draw(layer, 1)
    tokens = jnp.array([[0, 4], [token, 2]], jnp.int8)
    with pytest.raises(ValueError, match=rf"xs has the token {token} at \(1, 0\), expected 0 to 4"):
        layer.unroll(params, tokens)
    with pytest.raises(ValueError, match=r"xs has the token"):
        layer.step(params, (), tokens[1])
    ys = jax.jit(layer.unroll)(params, tokens)[1]
    assert jnp.isnan(ys[1, 0]).all()
    assert not jnp.isnan(ys).at[1, 0].set(False).any()
    # In the padding anything may stand, known values or not.
    lengths = jnp.array([1, 2])
    for run in (layer.unroll, jax.jit(layer.unroll)):
        ys = run(params, tokens, lengths=lengths)[1]
        close(ys[:, 0], jnp.stack([params.table[0], jnp.zeros(3)]))


def test_residual_adds_its_input(key):
    xs = jax.random.normal(key, (3, 2, 4))
    cell = sj.gru(4)
    layer = layers.residual(cell)
    params = draw(layer, 4)
    carry, ys = sj.unroll(cell, params, xs, lengths=jnp.array([3, 1]))
    got_carry, got = layer.unroll(params, xs, lengths=jnp.array([3, 1]))
    valid = jnp.array([[1, 1], [1, 0], [1, 0]])[..., None]
    close((got_carry, got), (carry, valid * xs + ys))
    assert draw(layer, 4).input_kernel.shape == (4, 3, 4)
    assert layers.residual(layers.bidirectional(sj.gru(2))).step is None


def test_residual_of_dropout_keeps_the_path_past_it(key):
    _, ys = layers.residual(layers.dropout(0.5)).unroll((), jnp.ones((20, 10)), key=key)
    assert set(np.unique(ys)) == {1, 3}
