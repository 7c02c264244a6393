"""Attention against its equations, written for one query and one sequence at a time in numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.layers import attention
from seqjax.layers.attention import Memory
from tests.layers.tools import close

S, T, B, Q, H = 4, 3, 3, 6, 6
LENGTHS = np.array([4, 2, 0])
VALID = np.arange(S)[:, None] < LENGTHS
RNG = np.random.default_rng(0)
VALUES = RNG.normal(size=(S, B, H)).astype(np.float32)
QUERIES = RNG.normal(size=(T, B, Q)).astype(np.float32)
KINDS = {
    "additive": attention.additive(5),
    "dot": attention.dot(),
    "general": attention.general(),
    "multi_head": attention.multi_head(2, 4),
}


def params_of(kind):
    shapes = jax.eval_shape(lambda: KINDS[kind].init(jax.random.key(0), Q, H))
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda leaf: rng.normal(0, 0.5, leaf.shape).astype(np.float32), shapes)


def softmax(scores):
    return np.exp(scores) / np.exp(scores).sum()


def by_hand(kind, params, query, memory):
    """The context and the weights of one query `[Q]` over one sequence `[S, H]` without padding."""
    if kind == "multi_head":
        contexts, weights = [], []
        for head in range(2):
            keys, values = memory @ params.key_kernel[:, head], memory @ params.value_kernel[:, head]
            weights.append(softmax(keys @ (query @ params.query_kernel[:, head]) / np.sqrt(2)))
            contexts.append(weights[-1] @ values)
        return np.concatenate(contexts) @ params.output_kernel, np.mean(weights, axis=0)
    if kind == "additive":
        hidden = np.tanh(query @ params.query_kernel + memory @ params.memory_kernel)
        scores = hidden @ params.score_kernel
    elif kind == "dot":
        scores = memory @ query
    else:
        scores = memory @ params.kernel @ query
    return softmax(scores) @ memory, softmax(scores)


def run(kind):
    layer = KINDS[kind]

    @jax.jit
    def both(params, values, queries):
        prepared = layer.prepare(params, Memory(values, VALID))
        return layer.attend(params, prepared, queries), layer.weights(params, prepared, queries)

    return both


@pytest.mark.parametrize("kind", KINDS)
def test_equations_lengths_and_padding(kind):
    params, both = params_of(kind), run(kind)

    def loss(params, values, queries):
        context, weights = both(params, values, queries)
        return jnp.sum(jnp.sin(context)) + jnp.sum(weights**2), (context, weights)

    gradient = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True))
    clean = gradient(params, VALUES, QUERIES)
    contexts, weights = clean[1]
    assert weights.shape == (T, S, B)
    assert contexts.shape == (T, B, KINDS[kind].output_size(H))
    for row in (0, 1):
        n = LENGTHS[row]
        for t in range(T):
            context, share = by_hand(kind, params, QUERIES[t, row], VALUES[:n, row])
            close(contexts[t, row], context)
            close(weights[t, :n, row], share)
            assert not np.asarray(weights[t, n:, row]).any()
    # A sequence without steps gives nothing, and no NaN.
    assert not np.asarray(contexts[:, 2]).any()
    assert not np.asarray(weights[:, :, 2]).any()

    for content in (np.nan, 1e30):
        spoilt = np.where(VALID[..., None], VALUES, np.float32(content))
        jax.tree.map(np.testing.assert_array_equal, gradient(params, spoilt, QUERIES), clean)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    assert not np.asarray(clean[0][1])[~VALID].any()


@pytest.mark.parametrize("kind", KINDS)
def test_any_axes_of_queries_and_batch(kind):
    """One query a row, no batch axes, two of them, and memories without steps."""
    layer, params = KINDS[kind], params_of(kind)
    wanted, wanted_weights = run(kind)(params, VALUES, QUERIES)

    def look(values, valid, queries):
        prepared = layer.prepare(params, Memory(values, valid))
        return layer.attend(params, prepared, queries), layer.weights(params, prepared, queries)

    @jax.jit
    def together():
        return (
            look(VALUES, VALID, QUERIES[1]),
            look(VALUES[:2, 1], VALID[:2, 1], QUERIES[:, 1]),
            look(VALUES[:, None], VALID[:, None], QUERIES[None, :, None]),
            look(VALUES[:0], VALID[:0], QUERIES),
        )

    instant, alone, two, empty = together()
    close(instant, (wanted[1], wanted_weights[1]))
    close(alone, (wanted[:, 1], wanted_weights[:, :2, 1]))
    close(two, (wanted[None, :, None], wanted_weights[None, :, :, None]))
    assert not np.asarray(empty[0]).any()


def test_scores_that_would_overflow():
    layer = attention.dot()
    prepared = layer.prepare((), Memory(jnp.array([[1e3], [-1e3], [1e30]]), jnp.array([True, True, False])))
    look = jax.jit(jax.value_and_grad(lambda q: layer.attend((), prepared, q)[0]))
    context, gradient = look(jnp.array([1e4]))
    assert float(context) == pytest.approx(1e3)
    assert np.isfinite(gradient).all()


def test_half_precision_params_are_summed_in_single():
    for kind in ("additive", "general", "multi_head"):
        layer = KINDS[kind]
        params = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params_of(kind))

        def look(params, layer=layer):
            return layer.attend(params, layer.prepare(params, Memory(VALUES, VALID)), QUERIES)

        assert jax.eval_shape(look, params).dtype == jnp.float32
