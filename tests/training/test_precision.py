"""Mixed precision: products in 16 bits; params, sums, carries and losses in 32."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import training

GENERATOR = np.random.default_rng(0)
BATCH = sj.Batch(*(GENERATOR.normal(size=(4, 3, size)).astype(np.float32) for size in (2, 1)))
OPERANDS = re.compile(r"dot_general.* : \(tensor<.*x(\w+)>, tensor<.*x(\w+)>\)")


def test_products_are_in_16_bits_and_all_else_in_32(key):
    task, optimizer = sj.tasks.synced(sj.elman(3), sj.heads.gaussian(1, scale=1.0)), optax.sgd(1.0)
    state = jax.jit(lambda: training.init_state(key, task, optimizer, 2))()
    losses = (task.loss, training.in_precision(task.loss, jnp.bfloat16))
    steps = [jax.jit(training.make_step(loss, optimizer, carry_over=True)) for loss in losses]
    texts = [jax.jit(loss).lower(state.params, BATCH).as_text() for loss in losses]
    operands = [set(OPERANDS.findall(text)) for text in texts]
    assert operands == [{("f32", "f32")}, {("bf16", "bf16")}]
    (exact, _), (found, metrics) = (step(state, BATCH) for step in steps)
    assert {leaf.dtype for leaf in jax.tree.leaves((found.params, found.carry, metrics["loss"]))} == {
        jnp.dtype(jnp.float32)
    }
    moved = [jax.tree.map(jnp.subtract, after.params, state.params) for after in (exact, found)]
    norm = optax.tree.norm(moved[0])
    apart = optax.tree.norm(jax.tree.map(jnp.subtract, *moved)) / norm
    assert 1e-5 < apart < 0.02


def test_mistakes():
    with pytest.raises(TypeError, match=r"dtype is .*int32.*, expected a floating one"):
        training.in_precision(lambda params, batch: 0.0, jnp.int32)
    with pytest.raises(TypeError, match="loss is"):
        training.in_precision(None, jnp.bfloat16)
