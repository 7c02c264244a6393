"""Convolutions against sums written out, one output at a time."""

import jax
import numpy as np
import pytest

from seqjax import layers
from tests.layers.tools import close, draw

RNG = np.random.default_rng(0)


def windowed(row, kernel, bias):
    """One sequence `[t, D]` by hand, zeros around it."""
    reach = len(kernel) // 2
    line = np.pad(row, ((reach, reach), (0, 0)))
    return np.stack(
        [sum(line[t + j] @ kernel[j] for j in range(len(kernel))) + bias for t in range(len(row))]
    )


def test_along_time_with_lengths_and_resets():
    xs, lengths = RNG.normal(size=(7, 3, 2)).astype(np.float32), np.array([7, 4, 0])
    resets = np.zeros((7, 3), bool)
    resets[[2, 3, 5], 0] = True
    layer = layers.convolution(3, 5)
    params = draw(layer, 2)
    _, ys = jax.jit(layer.unroll)(params, xs, lengths=lengths, resets=resets)
    for start, stop in ((0, 2), (2, 3), (3, 5), (5, 7)):
        close(ys[start:stop, 0], windowed(xs[start:stop, 0], params.kernel, params.bias))
    close(ys[:4, 1], windowed(xs[:4, 1], params.kernel, params.bias))
    assert not np.asarray(ys[4:, 1]).any()
    assert not np.asarray(ys[:, 2]).any()


@pytest.mark.parametrize(("stride", "size"), [(1, 3), (2, 2)])
def test_over_a_picture(stride, size):
    layer = layers.picture_convolution((4, 5, 2), 3, size, stride=stride)
    params, pictures = draw(layer, 40), RNG.normal(size=(2, 3, 40)).astype(np.float32)
    _, ys = jax.jit(layer.unroll)(params, pictures)
    rows, columns = -(-4 // stride), -(-5 // stride)
    assert ys.shape == (2, 3, layer.output_size(40)) == (2, 3, rows * columns * 3)
    # Zeros around the picture, as many before as after, or one more after.
    extra = [(n - 1) * stride + size - full for n, full in ((rows, 4), (columns, 5))]
    pad = [(max(e, 0) // 2, max(e, 0) - max(e, 0) // 2) for e in extra]
    picture = np.pad(pictures[1, 2].reshape(4, 5, 2), [*pad, (0, 0)])
    wanted = np.array(
        [
            np.tensordot(
                picture[stride * i : stride * i + size, stride * j : stride * j + size], params.kernel, 3
            )
            for i in range(rows)
            for j in range(columns)
        ]
    )
    close(ys[1, 2], (wanted + params.bias).ravel())
