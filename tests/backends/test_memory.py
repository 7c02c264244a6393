"""How much a gradient keeps, by the compiler's own account."""

import functools

import jax
import jax.numpy as jnp
import pytest

import seqjax as sj
from seqjax.backends import checkpointed
from tests.marks import slow_except


def gradient_bytes(cell, method, num_steps):
    """Scratch memory of the gradient of a loss on the last carry, as a reader of a long sequence has it."""
    params = jax.eval_shape(lambda key: cell.init(key, 8), jax.random.key(0))
    xs = jax.ShapeDtypeStruct((num_steps, 2, 8), jnp.float32)

    def loss(params, xs):
        last, _ = sj.unroll(cell, params, xs, method=method)
        return sum(jnp.sum(leaf**2) for leaf in jax.tree.leaves(last))

    compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
    return compiled.memory_analysis().temp_size_in_bytes


@pytest.mark.parametrize("factory", slow_except([sj.lstm, sj.gru], sj.gru))
def test_gradient_of_20000_steps(factory):
    cell = factory(32)
    scan = gradient_bytes(cell, "scan", 20_000)
    assert gradient_bytes(cell, "checkpointed", 20_000) < scan / 10
    assert gradient_bytes(cell, "fused", 20_000) < 0.6 * scan


def test_segment_length_trades_carries_for_recomputed_steps():
    cell = sj.lstm(32)
    short, root, long = (
        gradient_bytes(cell, functools.partial(checkpointed, segment_length=length), 4096)
        for length in (4, 64, 2048)
    )
    assert root < short
    assert root < long


@pytest.mark.slow
def test_no_matrix_but_the_first_of_each_chunk_is_kept():
    cell = sj.mlstm(32, num_heads=1)
    # A matrix a step is 35 of the 38 MB that scan takes; queries, keys and values are most of the rest here.
    assert gradient_bytes(cell, "chunkwise", 4096) < gradient_bytes(cell, "scan", 4096) / 5
