"""Ensembles over seeds and learning rates, in one compiled step: each member as if it were trained alone."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import layers, training
from seqjax.tasks import heads, synced
from tests.layers.tools import close

INPUTS = np.random.default_rng(0).normal(size=(3, 4, 2, 2)).astype(np.float32)
BATCHES = [sj.Batch(xs, xs[..., :1]) for xs in INPUTS]
TASK = synced(layers.stack(sj.elman(2), layers.dropout(0.2)), heads.gaussian(1, scale=1.0))


def optimizer(learning_rate):
    return optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate)


def member(key, learning_rate):
    return training.init_state(key, TASK, optimizer(learning_rate), input_size=2)


@pytest.mark.slow
def test_members_are_trained_as_if_alone(key):
    keys, rates = jax.random.split(key, 2), jnp.array([1e-1, 1e-3])
    states = jax.jit(jax.vmap(member))(keys, rates)
    step = training.make_step(TASK.loss, optimizer(0.0), carry_over=True)
    together = jax.jit(jax.vmap(step, in_axes=(0, None)), donate_argnums=0)
    losses = []
    for batch in BATCHES:
        states, metrics = together(states, batch)
        losses.append(metrics["loss"])
    assert losses[0].shape == (2,)
    assert together._cache_size() == 2  # without a carry, and with one

    alone, init = jax.jit(step), jax.jit(member)
    for number in range(2):
        state = init(keys[number], rates[number])
        for batch, loss in zip(BATCHES, losses, strict=True):
            state, metrics = alone(state, batch)
            np.testing.assert_allclose(metrics["loss"], loss[number], rtol=1e-4)
        got = jax.tree.map(lambda leaf, number=number: leaf[number], (states.params, states.carry))
        close(got, (state.params, state.carry))


def test_seeds_alone_with_any_optimizer(key):
    adam = optax.adam(0.05)
    states = jax.jit(jax.vmap(lambda key: training.init_state(key, TASK, adam, 2)))(jax.random.split(key, 2))
    step = jax.vmap(training.make_step(TASK.loss, adam), in_axes=(0, None))
    result = training.fit(states, step, BATCHES, epochs=4)
    losses = result.history["loss"]
    assert losses.shape == (12, 2)
    assert (losses[0] != losses[1]).all()
    assert (losses[-3:].mean(0) < losses[:3].mean(0)).all()
    assert result.history["step"].tolist() == list(range(1, 13))
