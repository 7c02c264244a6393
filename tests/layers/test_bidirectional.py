"""Both directions against two explicit unrolls, row by row."""

import jax
import jax.numpy as jnp
import pytest

import seqjax as sj
from seqjax import layers
from tests.layers.tools import close, draw

T, B, D, H = 5, 3, 3, 4
LENGTHS = (5, 2, 0)


def row_by_row(cells, params, xs, lengths):
    """The last carries and the outputs of both directions, each row alone and cut to its length."""
    there, back = [], []
    for row, length in enumerate(lengths):
        x = xs[:length, row]
        padding = [(0, T - length), (0, 0)]
        carry, ys = sj.unroll(cells[0], params.forward, x, method="scan")
        there.append((carry, jnp.pad(ys, padding)))
        carry, ys = sj.unroll(cells[1], params.backward, x[::-1], method="scan")
        back.append((carry, jnp.pad(ys[::-1], padding)))

    def join(rows):
        carries, ys = zip(*rows, strict=True)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), *carries), jnp.stack(ys, axis=1)

    return join(there), join(back)


@pytest.mark.parametrize("merge", ["concat", "sum", "average"])
def test_ragged_input_against_two_unrolls(key, merge):
    cells = sj.lstm(H), sj.gru(H)
    layer = layers.bidirectional(*cells, merge=merge)
    params = draw(layer, D)
    xs = jax.random.normal(key, (T, B, D))
    (there, forward), (back, backward) = row_by_row(cells, params, xs, LENGTHS)
    merged = {
        "concat": jnp.concatenate([forward, backward], -1),
        "sum": forward + backward,
        "average": (forward + backward) / 2,
    }
    carry, ys = jax.jit(layer.unroll)(params, xs, lengths=jnp.array(LENGTHS))
    close(ys, merged[merge])
    close((carry.forward, carry.backward), (there, back))
    assert layer.output_size(D) == (2 * H if merge == "concat" else H)


def test_resets_are_boundaries_in_both_directions(key):
    layer = layers.bidirectional(sj.gru(H))
    params = draw(layer, D)
    xs = jax.random.normal(key, (T, 1, D))
    resets = jnp.zeros((T, 1), bool).at[2].set(True)
    _, packed = layer.unroll(params, xs, lengths=[4], resets=resets)
    _, first = layer.unroll(params, xs[:2])
    _, second = layer.unroll(params, xs[2:4])
    close(packed[:4], jnp.concatenate([first, second]))
    assert (packed[4:] == 0).all()


def test_a_whole_stack_that_reads_tokens(key):
    inner = layers.stack(layers.embed(7, D), sj.gru(H), layers.dropout(0.5))
    layer = layers.bidirectional(inner)
    params = draw(layer, 1)
    tokens = jax.random.randint(key, (T, B), 0, 7)
    lengths = jnp.array(LENGTHS)
    _, ys = jax.jit(layer.unroll)(params, tokens, lengths=lengths)
    embedded = params.backward[0].table[tokens]
    _, last = sj.unroll(sj.gru(H), params.backward[1], embedded, lengths=lengths, reverse=True)
    close(ys[..., H:], last)
    noisy = layer.unroll(params, tokens, key=key)[1]
    assert (noisy == 0).any()


def test_both_directions_have_their_own_params_and_noise(key):
    layer = layers.bidirectional(layers.dropout(0.5))
    _, ys = layer.unroll(draw(layer, 1), jnp.ones((50, 1)), key=key)
    assert (ys[:, 0] != ys[:, 1]).any()
    params = layers.bidirectional(layers.dense(2)).init(key, D)
    assert (params.forward.kernel != params.backward.kernel).any()


def test_a_carry_starts_each_direction(key):
    layer = layers.bidirectional(sj.gru(H))
    params = draw(layer, D)
    xs = jax.random.normal(key, (T, B, D))
    run = jax.jit(layer.unroll)
    initial = layer.initial_carry(params, (B,))
    close(run(params, xs, carry=initial), run(params, xs))
    other = initial.replace(backward=initial.backward + 1)
    ys, changed = run(params, xs)[1], run(params, xs, carry=other)[1]
    assert (ys[..., :H] == changed[..., :H]).all()
    assert (ys[..., H:] != changed[..., H:]).any()


def test_streaming_step_says_why_there_is_none():
    for layer in (layers.bidirectional(sj.gru(2)), layers.recurrent(sj.gru(2), reverse=True)):
        assert layer.step is None
        with pytest.raises(ValueError, match="layer has no step: it is bidirectional or reversed"):
            layers.streaming_step(layer)
    cell = sj.gru(2)
    assert layers.streaming_step(cell) is cell.step
