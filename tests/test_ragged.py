"""A thousand ragged batches, their padding full of NaN, against their sequences one by one."""

import functools

import hypothesis
import hypothesis.strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import ops
from tests import laws
from tests.marks import slow_except
from tests.registry import CELLS

NUM_STEPS, BATCH = 6, 3


@functools.cache
def programs(name, reverse):
    """Value, result and gradients of a padded batch, and of one sequence alone."""
    cell = CELLS[name]

    def loss(params, xs, carry, lengths):
        result = sj.unroll(cell, params, xs, carry=carry, lengths=lengths, reverse=reverse)
        # Zero at padding, so that a batch is the sum of its sequences.
        return sum(jnp.sum(jnp.sin(leaf)) for leaf in jax.tree.leaves(result)), result

    batched = jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))
    alone = jax.jit(
        jax.value_and_grad(lambda params, xs, carry: loss(params, xs, carry, None), (0, 1, 2), has_aux=True)
    )
    return laws.example(cell, NUM_STEPS, (BATCH,)), batched, alone


@pytest.mark.parametrize(("name", "reverse"), slow_except([("lstm_peepholes", False), ("gru", True)]))
@hypothesis.settings(max_examples=500)
@hypothesis.given(
    lengths=st.lists(st.integers(0, NUM_STEPS), min_size=BATCH, max_size=BATCH),
    seed=st.integers(0, 2**32 - 1),
    content=st.sampled_from([np.nan, np.inf, -1e38, 0.0]),
)
def test_ragged_batch_is_its_sequences(name, reverse, lengths, seed, content):
    (params, _, carry), batched, alone = programs(name, reverse)
    xs = np.random.default_rng(seed).normal(size=(NUM_STEPS, BATCH, 3)).astype(np.float32)
    padded = np.where((np.arange(NUM_STEPS)[:, None] < np.array(lengths))[..., None], xs, np.float32(content))
    (value, (last, ys)), (d_params, d_xs, d_carry) = jax.device_get(
        batched(params, padded, carry, np.array(lengths))
    )
    total, sums = 0.0, jax.tree.map(np.zeros_like, params)
    for row, length in enumerate(lengths):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], carry)
        (one, (one_last, one_ys)), grads = jax.device_get(alone(params, xs[:length, row], own))
        laws.check(ys[:length, row], one_ys)
        assert not ys[length:, row].any()
        assert not d_xs[length:, row].any()
        pick = functools.partial(jax.tree.map, lambda leaf, row=row: leaf[row])
        laws.check((pick(last), d_xs[:length, row], pick(d_carry)), (one_last, grads[1], grads[2]))
        total, sums = total + one, jax.tree.map(np.add, sums, grads[0])
    laws.check((value, d_params), (np.float32(total), sums), 1e-4)


@hypothesis.given(
    num_steps=st.sampled_from([0, 1, 7]),  # each of them with each number of rows is compiled
    lengths=st.lists(st.integers(0, 7), max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
def test_reverse_is_its_own_inverse_and_reverses_each_row(num_steps, lengths, seed):
    lengths = np.minimum(np.array(lengths, int), num_steps)
    xs = np.random.default_rng(seed).normal(size=(num_steps, len(lengths), 2)).astype(np.float32)
    reversed_once = np.asarray(ops.reverse(jnp.asarray(xs), jnp.asarray(lengths)))
    for row, length in enumerate(lengths):
        np.testing.assert_array_equal(reversed_once[:length, row], xs[:length, row][::-1])
        np.testing.assert_array_equal(reversed_once[length:, row], xs[length:, row])
    np.testing.assert_array_equal(ops.reverse(jnp.asarray(reversed_once), jnp.asarray(lengths)), xs)
