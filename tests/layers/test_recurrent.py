"""Cells as layers: noise against a plain loop, evaluation against the expectation, direction."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers, ops
from seqjax.cell import Affine, Cell, step_of
from seqjax.cells import LSTMCarry
from seqjax.layers import noise
from tests.layers.tools import close, draw
from tests.marks import slow_except

T, B, D, H = 4, 2, 3, 4
RATES = LSTMCarry(cell=0.5, hidden=0.05)


def leaky(size):
    """A linear cell: each unit decays towards its input."""

    def init(key, input_size):
        return {"decay": jax.random.uniform(key, (size,)), "kernel": jnp.ones((input_size, size))}

    def coefficients(params, xs):
        update = ops.product(xs, params["kernel"])
        return jnp.broadcast_to(params["decay"], update.shape), update

    structure = Affine(coefficients, lambda params, carry, x: carry)
    return Cell(
        init=init,
        initial_carry=lambda params, batch_shape=(): jnp.ones((*batch_shape, size)),
        step=step_of(structure),
        output_size=size,
        structure=structure,
    )


@pytest.fixture(scope="module")
def xs():
    return jax.random.normal(jax.random.key(1), (T, B, D))


def masks(cell, params, key, *, zoneout=None, dropout=None, resets=None):
    """The noise that `recurrent` draws from `key`."""
    zoneout_key, dropout_key = jax.random.split(key)
    carry = cell.initial_carry(params)
    keep = scale = None
    if zoneout is not None:
        keep = noise.kept_units(zoneout_key, zoneout, carry, (T, B))
    if dropout is not None:
        mask = noise.once_a_sequence(dropout_key, 1 - dropout, (T, B, H), resets)
        scale = mask / (1 - dropout)
    return keep, scale


def lstm_loop(params, carry, xs, keep=None, scale=None, resets=None, initial=None):
    """An LSTM with noise, one step after the other, written from the papers."""
    ys = []
    for t in range(len(xs)):
        cell, hidden = carry.cell, carry.hidden
        if resets is not None:
            cell = jnp.where(resets[t, :, None], initial.cell, cell)
            hidden = jnp.where(resets[t, :, None], initial.hidden, hidden)
        fed_back = hidden if scale is None else scale[t] * hidden
        parts = jnp.einsum("bd,dgh->gbh", xs[t], params.input_kernel)
        parts += jnp.einsum("bh,hgk->gbk", fed_back, params.recurrent_kernel) + params.bias[:, None]
        i, f, o = (jax.nn.sigmoid(parts[g]) for g in (0, 1, 3))
        new_cell = f * cell + i * jnp.tanh(parts[2])
        new_hidden = o * jnp.tanh(new_cell)
        if keep is not None:
            new_cell = keep.cell[t] * cell + (1 - keep.cell[t]) * new_cell
            new_hidden = keep.hidden[t] * hidden + (1 - keep.hidden[t]) * new_hidden
        carry = LSTMCarry(cell=new_cell, hidden=new_hidden)
        ys.append(new_hidden)
    return carry, jnp.stack(ys)


@pytest.mark.parametrize("dropout", slow_except([None, 0.4], 0.4))
def test_noise_is_the_noise_of_the_papers(xs, key, dropout):
    zoneout = RATES
    cell = sj.lstm(H)
    layer = layers.recurrent(cell, zoneout=zoneout, recurrent_dropout=dropout)
    params = draw(layer, D)
    keep, scale = masks(cell, params, key, zoneout=zoneout, dropout=dropout)
    initial = cell.initial_carry(params, (B,))

    def loss(run, params, xs):
        carry, ys = run(params, xs)
        return (ys**2).sum() + carry.cell.sum(), (carry, ys)

    def fast(params, xs):
        return layer.unroll(params, xs, key=key)

    def plain(params, xs):
        return lstm_loop(params, cell.initial_carry(params, (B,)), xs, keep, scale)

    got, wanted = (
        jax.jit(jax.value_and_grad(lambda p, x, run=run: loss(run, p, x), argnums=(0, 1), has_aux=True))(
            params, xs
        )
        for run in (fast, plain)
    )
    close(got, wanted)
    assert (keep.cell != keep.cell[0]).any()
    still = layer.unroll(params, xs, carry=initial)[1]
    assert not np.allclose(got[0][1][1], still)


def test_recurrent_dropout_is_drawn_anew_after_a_reset(xs, key):
    cell = sj.lstm(H)
    layer = layers.recurrent(cell, recurrent_dropout=0.5)
    params = draw(layer, D)
    resets = jnp.zeros((T, B), bool).at[2, 0].set(True)
    _, scale = masks(cell, params, key, dropout=0.5, resets=resets)
    assert (scale[:2] == scale[0]).all()
    assert (scale[2:] == scale[2]).all()
    assert (scale[0, 0] != scale[2, 0]).any()
    assert (scale[0, 1] == scale[2, 1]).all()
    got = jax.jit(lambda p: layer.unroll(p, xs, resets=resets, key=key))(params)
    initial = cell.initial_carry(params)
    close(got, lstm_loop(params, cell.initial_carry(params, (B,)), xs, None, scale, resets, initial))


@pytest.mark.parametrize(("zoneout", "keep"), [(RATES, RATES), (0.3, LSTMCarry(cell=0.3, hidden=0.3))])
def test_evaluation_takes_the_expectation_of_zoneout_and_no_dropout(xs, key, zoneout, keep):
    cell = sj.lstm(H)
    layer = layers.recurrent(cell, zoneout=zoneout, recurrent_dropout=0.4)
    params = draw(layer, D)
    carry = cell.initial_carry(params, (B,))
    constant = jax.tree.map(lambda rate: [rate] * T, keep)
    got = jax.jit(layer.unroll)(params, xs)
    close(got, lstm_loop(params, carry, xs, constant))
    steps = []
    for x in xs:
        carry, y = layer.step(params, carry, x)
        steps.append(y)
    close(got, (carry, jnp.stack(steps)))


def test_zoneout_of_a_linear_cell(xs, key):
    cell = leaky(H)
    layer = layers.recurrent(cell, zoneout=0.3)
    params = draw(layer, D)
    keep, _ = masks(cell, params, key, zoneout=0.3)

    def loop(keep):
        h, ys = jnp.ones((B, H)), []
        for t in range(T):
            h = keep[t] * h + (1 - keep[t]) * (params["decay"] * h + xs[t] @ params["kernel"])
            ys.append(h)
        return h, jnp.stack(ys)

    close(layer.unroll(params, xs, key=key), loop(keep))
    close(layer.unroll(params, xs), loop([0.3] * T))


def test_zoneout_that_keeps_everything_or_nothing(xs, key):
    cell = sj.gru(H)
    params = draw(cell, D)
    layer = layers.recurrent(cell, zoneout=0.0, recurrent_dropout=0.0)
    close(layer.unroll(params, xs, key=key), sj.unroll(cell, params, xs))


def test_different_keys_draw_different_noise(xs, key):
    layer = layers.recurrent(sj.gru(H), zoneout=0.5)
    params = draw(layer, D)
    run = jax.jit(lambda key: layer.unroll(params, xs, key=key)[1])
    first, same, other = run(key), run(key), run(jax.random.key(7))
    assert (first == same).all()
    assert (first != other).any()


def test_reverse_runs_from_the_last_valid_step(xs, key):
    cell = sj.gru(H)
    layer = layers.recurrent(cell, reverse=True, method="scan")
    params = draw(layer, D)
    assert layer.step is None
    lengths = jnp.array([T, 2])
    carry, ys = layer.unroll(params, xs, lengths=lengths)
    alone, ys_alone = sj.unroll(cell, params, xs[1::-1, 1:])
    close((carry[1:], ys[:2, 1:]), (alone, ys_alone[::-1]))


def test_numpy_rates_leave_the_dtype_of_the_params(x64, key):
    params32 = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), draw(sj.gru(H), D))
    layer = layers.recurrent(sj.gru(H), zoneout=np.float64(0.1), recurrent_dropout=np.float64(0.1))
    for chosen in (None, key):
        carry, ys = layer.unroll(params32, jnp.ones((T, B, D), jnp.float32), key=chosen)
        assert carry.dtype == ys.dtype == jnp.float32
