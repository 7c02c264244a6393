"""Layers one after the other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers
from seqjax.cells import LSTMCarry
from tests.layers.tools import close, draw


def network():
    return layers.stack(
        layers.embed(11, 4),
        sj.lstm(5),
        layers.stack(layers.layer_norm(), layers.residual(sj.gru(5)), layers.dropout(0.5)),
        layers.dense(3, jnp.tanh),
    )


def test_steps_are_the_unroll(key):
    layer = network()
    params = draw(layer, 1)
    tokens = jax.random.randint(key, (4, 2), 0, 11)
    carry = layer.initial_carry(params, (2,))
    wanted = jax.jit(layer.unroll)(params, tokens)
    step, ys = jax.jit(layers.streaming_step(layer)), []
    for token in tokens:
        carry, y = step(params, carry, token)
        ys.append(y)
    close((carry, jnp.stack(ys)), wanted)


def test_params_and_carry_are_tuples_with_one_entry_a_layer(key):
    layer = network()
    params = draw(layer, 1)
    assert [type(part).__name__ for part in params] == ["EmbedParams", "LSTMParams", "tuple", "DenseParams"]
    assert params[1].input_kernel.shape == (4, 4, 5)
    assert params[2][1].input_kernel.shape == (5, 3, 5)
    carry = layer.initial_carry(params, (2,))
    assert carry[0] == carry[3] == ()
    assert isinstance(carry[1], LSTMCarry)
    assert carry[2][1].shape == (2, 5)
    assert layer.output_size(1) == 3


def test_a_carried_carry_continues_the_sequence(key):
    layer = network()
    params = draw(layer, 1)
    tokens = jax.random.randint(key, (4, 2), 0, 11)
    run = jax.jit(layer.unroll)
    whole_carry, whole = run(params, tokens)
    carry, first = run(params, tokens[:2], carry=layer.initial_carry(params, (2,)))
    carry, second = run(params, tokens[2:], carry=carry)
    close((carry, jnp.concatenate([first, second])), (whole_carry, whole))


def test_each_layer_draws_from_a_key_of_its_own(key):
    layer = layers.stack(layers.dropout(0.5), layers.dropout(0.5))
    _, ys = layer.unroll(((), ()), jnp.ones((50, 40)), key=key)
    kept = float((ys == 4).mean())
    assert set(np.unique(ys)) == {0, 4}
    assert 0.2 < kept < 0.3


def test_a_part_without_a_step_leaves_the_stack_without():
    assert layers.stack(sj.gru(2), layers.bidirectional(sj.gru(2))).step is None
    assert layers.stack(sj.gru(2), layers.stack(layers.recurrent(sj.gru(2), reverse=True))).step is None


def test_the_network_of_the_contract(key):
    layer = layers.stack(layers.embed(256, 8), sj.lstm(8), layers.residual(sj.lstm(8)), layers.dropout(0.1))
    params = draw(layer, 1)
    _, ys = jax.jit(layer.unroll)(params, jnp.ones((3, 2), jnp.uint8), key=key)
    assert ys.shape == (3, 2, 8)


@pytest.mark.slow
def test_params_decide_the_dtype(key):
    layer = network()
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), draw(layer, 1))
    tokens = jnp.ones((3, 2), int)
    run = jax.jit(jax.value_and_grad(lambda params: layer.unroll(params, tokens)[1].sum()))
    value, gradients = run(params)
    assert value.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves(gradients)} == {jnp.dtype(jnp.bfloat16)}


def test_layers_are_hashable_and_vmap_over_params():
    layer = network()
    assert len({layer, network(), layer}) == 2
    members = [draw(layer, 1, seed) for seed in range(3)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    tokens = jnp.ones((3, 2), int)
    _, ys = jax.jit(jax.vmap(lambda params: layer.unroll(params, tokens)))(params)
    assert ys.shape == (3, 3, 2, 3)
    close(ys[1], layer.unroll(members[1], tokens)[1])
