"""Pictures of digits: as sequences, distorted, in files."""

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.recipes import digits
from seqjax.recipes.material.digit_pictures import distort, read_picture, write_picture

DISTORT = jax.jit(distort)


def test_pictures_are_written_and_read_exactly(tmp_path):
    image = np.random.default_rng(0).integers(0, 120, (28, 28)).astype(np.uint8)
    write_picture(tmp_path / "digit.png", image)
    np.testing.assert_array_equal(read_picture(str(tmp_path / "digit.png")), image)


def test_pixels_come_in_the_order_of_reading():
    images = np.arange(2 * 784).reshape(2, 28, 28) % 256
    rows, pixels = (digits.sequences(images, pixels)[1] for pixels in (False, True))
    assert rows.shape == (28, 28)
    assert pixels.shape == (784, 1)
    np.testing.assert_array_equal(rows.ravel(), pixels[:, 0])
    assert pixels[3, 0] == np.float32(images[1, 0, 3]) / np.float32(255)


def test_a_distortion_keeps_what_stands_in_the_middle_and_moves_the_rest():
    images = jnp.zeros((20, 28, 28)).at[:, 12:16, 12:16].set(1.0).at[:, 4, 12:16].set(1.0)
    moved = DISTORT(jax.random.key(0), images, shift=1.0, turn=10.0, zoom=0.1)
    assert moved.shape == images.shape
    np.testing.assert_allclose(moved[:, 13:15, 13:15].mean(axis=(1, 2)), 1, atol=0.1)
    # Each picture is moved in a way of its own, and hardly any ink is lost or made.
    assert len(np.unique(np.round(np.asarray(moved).reshape(20, -1), 3), axis=0)) == 20
    np.testing.assert_allclose(moved.sum(axis=(1, 2)) / images.sum(axis=(1, 2)), 1, atol=0.25)


def test_a_shift_is_a_shift():
    # Linear interpolation is exact on a plane: whatever is drawn, inner pixels grow by the same amount.
    images = jnp.tile(jnp.arange(784.0).reshape(1, 28, 28), (20, 1, 1))
    moved = DISTORT(jax.random.key(1), images, shift=3.0, turn=0.0, zoom=0.0)
    grown = (moved - images)[:, 4:24, 4:24]
    np.testing.assert_allclose(grown, jnp.broadcast_to(grown[:, :1, :1], grown.shape), atol=1e-2)
    assert 30 < float(jnp.abs(grown).max()) < 3 * 29
