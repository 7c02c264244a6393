"""What stands in the padding, NaN included, changes no output, carry or gradient of any layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers
from seqjax.cells import LSTMCarry
from tests.layers.tools import draw

T, B, D = 4, 3, 2
LAYERS = {
    "reversed": layers.recurrent(sj.gru(2), reverse=True),
    "noisy": layers.recurrent(sj.lstm(2), zoneout=LSTMCarry(cell=0.5, hidden=0.1), recurrent_dropout=0.3),
    "bidirectional": layers.bidirectional(layers.stack(sj.gru(2), layers.dropout(0.2)), merge="sum"),
    "stack": layers.stack(
        layers.residual(layers.dense(D)), layers.layer_norm(), layers.dropout(0.5, shared_over_time=True)
    ),
    "embed": layers.embed(5, 2),
}


@pytest.mark.parametrize("name", LAYERS)
def test_padding_changes_nothing_in_training(name, key):
    layer, reads_tokens = LAYERS[name], name == "embed"
    params = draw(layer, 1 if reads_tokens else D)
    lengths = jnp.array([T, 2, 0])
    if reads_tokens:
        xs = jax.random.randint(key, (T, B), 0, 5)
    else:
        xs = jax.random.normal(key, (T, B, D))
    mask = (jnp.arange(T)[:, None] < lengths).reshape((T, B) + (1,) * (xs.ndim - 2))
    spoilt = jnp.where(mask, xs, 99 if reads_tokens else jnp.nan)

    def loss(params, xs):
        carry, ys = layer.unroll(params, xs, lengths=lengths, key=key)
        return (ys**2).sum() + sum(leaf.sum() for leaf in jax.tree.leaves(carry)), ys

    run = jax.jit(jax.value_and_grad(loss, argnums=0 if reads_tokens else (0, 1), has_aux=True))
    clean, spoilt = run(params, xs), run(params, spoilt)
    jax.tree.map(np.testing.assert_array_equal, clean, spoilt)
    assert np.isfinite(clean[0][0])
    ys = clean[0][1]
    assert (ys[2:, 1] == 0).all()
    assert (ys[:, 2] == 0).all()


@pytest.mark.parametrize(("num_steps", "batch_shape"), [(0, (2,)), (2, (0,)), (1, ()), (2, (1, 2))])
def test_any_number_of_steps_and_batch_axes(num_steps, batch_shape, key):
    layer = layers.stack(
        layers.embed(5, 2),
        layers.bidirectional(sj.gru(2)),
        layers.residual(layers.dropout(0.5, shared_over_time=True)),
    )
    params = draw(layer, 1)
    tokens = jnp.zeros((num_steps, *batch_shape), int)
    lengths, resets = jnp.zeros(batch_shape, int), jnp.ones((num_steps, *batch_shape), bool)
    _, ys = jax.jit(layer.unroll)(params, tokens, lengths=lengths, resets=resets, key=key)
    assert ys.shape == (num_steps, *batch_shape, 4)
    assert (ys == 0).all()
