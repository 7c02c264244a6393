"""A delay line is what numpy's shifts give, wherever a sequence starts, ends or is cut."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import layers
from seqjax.layers import DelayLineParams

T, B, D = 7, 3, 2
RNG = np.random.default_rng(0)
XS = RNG.normal(size=(T, B, D)).astype(np.float32)


def shifted(row, before, taps, dilation):
    """One sequence by hand: `row[T, D]` after the window `before[W, D]`."""
    line = np.concatenate([before, row])
    start = len(before)
    return np.stack(
        [np.concatenate([line[start + t - tap * dilation] for tap in range(taps)]) for t in range(len(row))]
    )


def params_and_window(taps, dilation):
    size = (taps - 1) * dilation
    initial = RNG.normal(size=(size, D)).astype(np.float32)
    return DelayLineParams(jnp.asarray(initial)), initial


# Windows shorter and longer than the sequences, and none.
@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (1, 4), (3, 1), (2, 3), (4, 3)])
def test_outputs_and_window_are_shifts(taps, dilation):
    layer = layers.delay_line(taps, dilation)
    params, initial = params_and_window(taps, dilation)
    carry = RNG.normal(size=(B, *initial.shape)).astype(np.float32)
    lengths = np.array([T, 4, 0])
    resets = np.zeros((T, B), bool)
    resets[[2, 5], 0] = True
    resets[[0, 6], 1] = True  # the second lies in the padding
    resets[0, 2] = True
    window, ys = layer.unroll(params, XS, carry=carry, lengths=lengths, resets=resets)

    pieces = [(carry[0], 0, 2), (initial, 2, 5), (initial, 5, 7)]
    wanted = np.concatenate([shifted(XS[a:b, 0], before, taps, dilation) for before, a, b in pieces])
    np.testing.assert_array_equal(ys[:, 0], wanted)
    np.testing.assert_array_equal(ys[:4, 1], shifted(XS[:4, 1], initial, taps, dilation))
    assert not np.asarray(ys[4:, 1]).any()
    assert not np.asarray(ys[:, 2]).any()
    size = len(initial)
    np.testing.assert_array_equal(window[0], np.concatenate([initial, XS[5:, 0]])[2:])
    np.testing.assert_array_equal(window[1], np.concatenate([initial, XS[:4, 1]])[4:])
    np.testing.assert_array_equal(window[2], carry[2])
    assert window.shape == (B, size, D)


def test_one_tap_is_the_identity(key):
    layer = layers.delay_line(1)
    params = layer.init(key, D)
    carry, ys = layer.unroll(params, XS)
    np.testing.assert_array_equal(ys, XS)
    assert carry.shape == (B, 0, D)
    assert layer.output_size(D) == D


def test_the_initial_window_is_trained():
    """Its gradient counts every sequence and every reset that reads it."""
    layer = layers.delay_line(3)
    params, _ = params_and_window(3, 1)
    resets = np.zeros((T, B), bool)
    resets[4, 0] = True

    def total(params):
        return layer.unroll(params, XS, resets=resets)[1].sum()

    # The newest of both rows is read by two steps of each of four sequences, the oldest by one.
    np.testing.assert_array_equal(jax.grad(total)(params).initial_window, [[4, 4], [8, 8]])


def test_zeros_are_no_parameter_that_could_change(key):
    layer = layers.delay_line(3, 2, "zeros")
    params = layer.init(key, D)
    assert params.initial_window.size == 0
    carry = layer.initial_carry(params, (B,))
    assert carry.shape == (B, 4, D)
    assert not np.asarray(carry).any()


@pytest.mark.parametrize("word", ["learned", "zeros"])
def test_16_bit_params_keep_float32(word, key):
    layer = layers.delay_line(2, initial_window=word)
    params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), layer.init(key, D))
    carry, ys = jax.eval_shape(layer.unroll, params, jnp.asarray(XS, jnp.bfloat16))
    assert carry.dtype == ys.dtype == layer.initial_carry(params).dtype == jnp.float32


def test_in_a_stack_and_its_summary(key):
    network = layers.stack(layers.delay_line(3), layers.dense(2))
    params = jax.eval_shape(lambda key: network.init(key, D), key)
    assert params[1].kernel.shape == (3 * D, 2)
    assert "initial_window  [2, 2]" in layers.summary(network, params)
