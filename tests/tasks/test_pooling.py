"""Poolings against plain loops over the rows of a batch, and their gradients at the edges."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers
from seqjax.tasks import heads, many_to_one
from seqjax.tasks.pooling import POOLINGS, Pooling, as_pooling

T, LENGTHS, H = 4, (4, 2, 1, 0), 3


def by_hand(name, query, ys):
    """One sequence without padding."""
    if not len(ys):
        return np.zeros(2 * H if name == "ends" else H)
    if name == "attention":
        scores = ys @ query / np.sqrt(H)
        weights = np.exp(scores) / np.exp(scores).sum()
        return weights @ ys
    return {
        "last": ys[-1],
        "ends": np.concatenate([ys[-1], ys[0]]),
        "mean": ys.mean(0),
        "max": ys.max(0),
    }[name]


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_is_a_loop_over_sequences(name):
    generator = np.random.default_rng(0)
    ys, query = generator.normal(size=(T, len(LENGTHS), H)), generator.normal(size=H)
    ys = ys - 5 * (name == "max")  # all negative: the zeros of the padding would win
    valid = np.arange(T)[:, None] < np.array(LENGTHS)
    pooling = POOLINGS[name]
    params = jnp.asarray(query) if name == "attention" else pooling.init(jax.random.key(0), H)
    got = jax.jit(pooling.apply)(params, np.where(valid[..., None], ys, 0), valid)
    wanted = [by_hand(name, query, ys[:length, row]) for row, length in enumerate(LENGTHS)]
    np.testing.assert_allclose(got, np.stack(wanted), rtol=1e-5, atol=1e-6)
    assert got.shape[-1] == pooling.output_size(H)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("num_steps", [0, 3])
def test_gradients_are_finite_where_there_is_no_step(name, num_steps):
    pooling = POOLINGS[name]
    params = pooling.init(jax.random.key(0), H)
    ys, valid = -100 * jnp.ones((num_steps, 2, H)), jnp.zeros((num_steps, 2), bool)

    def total(params, ys):
        return jnp.sum(1 + pooling.apply(params, ys, valid))

    value, gradients = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))(params, ys)
    assert float(value) == 2 * pooling.output_size(H)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(gradients))


def test_attention_starts_as_the_mean_and_never_overflows():
    ys, valid = jnp.array([[1.0], [3.0], [0.0]]), jnp.array([True, True, False])
    attention = as_pooling("attention")
    assert attention.apply(attention.init(jax.random.key(0), 1), ys, valid).tolist() == [2]
    run = jax.jit(jax.value_and_grad(lambda query: attention.apply(query, ys, valid)[0]))
    value, gradient = run(jnp.array([-1e4]))
    assert float(value) == 1
    assert np.isfinite(gradient).all()


def test_ends_holds_what_both_directions_know_of_the_whole_sequence(key):
    network = layers.bidirectional(sj.gru(2))
    task = many_to_one(network, heads.gaussian(1), pooling="ends")
    params = task.init(key, 3)
    assert params.head.kernel.shape[0] == 8
    xs, lengths = jax.random.normal(key, (T, 2, 3)), jnp.array([4, 2])
    carry, ys = network.unroll(params.network, xs, lengths=lengths)
    pooled = as_pooling("ends").apply((), ys, jnp.arange(T)[:, None] < lengths)
    np.testing.assert_array_equal(pooled[:, 0:2], carry.forward)
    np.testing.assert_array_equal(pooled[:, 6:8], carry.backward)


def test_a_pooling_of_ones_own(key):
    total = Pooling(lambda key, size: (), lambda params, ys, valid: ys.sum(0), lambda size: size)
    task = many_to_one(sj.gru(2), heads.gaussian(1), pooling=total)
    params = task.init(key, 3)
    _, prediction = task.predict(params, jnp.ones((T, 5, 3)))
    assert prediction.mean.shape == (5, 1)


def test_errors():
    with pytest.raises(ValueError, match="pooling is 'sum', expected one of 'last', 'ends', 'mean', 'max'"):
        many_to_one(sj.gru(2), heads.categorical(2), pooling="sum")
    with pytest.raises(TypeError, match="pooling is a function"):
        many_to_one(sj.gru(2), heads.categorical(2), pooling=jnp.mean)
