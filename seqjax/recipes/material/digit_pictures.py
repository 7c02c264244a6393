"""Pictures of digits: as sequences, distorted, from and to files."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.types import Array, Key

SIDE = 28


def sequences(images: np.ndarray, pixels: bool) -> list[np.ndarray]:
    """Pictures as sequences of rows, or of pixels in the order of reading.

    Args:
      images: `[N, 28, 28]` from 0 to 255.
      pixels: whether a step is a pixel.

    Returns:
      `N` arrays `[28, 28]` or `[784, 1]` float32, from 0 to 1.

    Example:
      >>> sequences(np.zeros((2, 28, 28), np.uint8), True)[0].shape
      (784, 1)
    """
    shape = (SIDE * SIDE, 1) if pixels else (SIDE, SIDE)
    return [image.reshape(shape).astype(np.float32) / 255 for image in images]


def distort(key: Key, images: Array, *, shift: float, turn: float, zoom: float) -> Array:
    """Moves, turns and scales each picture at random about its middle, with linear interpolation.

    Args:
      key: a random key.
      images: `[B, 28, 28]`.
      shift: how far at most, in pixels.
      turn: how far at most, in degrees.
      zoom: the share that a picture is made larger or smaller by, at most.

    Returns:
      `[B, 28, 28]`; what comes in from outside is 0.

    Example:
      >>> image = jnp.arange(784.0).reshape(1, 28, 28)
      >>> bool(jnp.allclose(distort(jax.random.key(0), image, shift=0, turn=0, zoom=0), image))
      True
    """
    drawn = jax.random.uniform(key, (4, len(images)), minval=-1, maxval=1)
    shifts, angles = shift * drawn[:2].T, jnp.deg2rad(turn) * drawn[2]
    cosines, sines = (wave(angles) / (1 + zoom * drawn[3]) for wave in (jnp.cos, jnp.sin))
    middle = (SIDE - 1) / 2
    grid = jnp.stack(jnp.meshgrid(*(jnp.arange(SIDE) - middle,) * 2, indexing="ij"))

    def one(image: Array, moved: Array, cosine: Array, sine: Array) -> Array:
        turned = jnp.einsum("ij,jyx->iyx", jnp.array([[cosine, -sine], [sine, cosine]]), grid)
        places = turned + moved[:, None, None] + middle
        return jax.scipy.ndimage.map_coordinates(image, list(places), order=1)

    return jax.vmap(one)(images, shifts, cosines, sines)


def read_picture(name: str) -> np.ndarray:
    """A digit from a file of any format and size.

    Args:
      name: the file. A picture that is mostly light is taken for dark ink on paper, and inverted.

    Returns:
      `[28, 28]` uint8, 0 for paper and 255 for ink.

    Raises:
      ImportError: if pillow is not installed; the message names the extra.
      OSError: if there is no such file.
      ValueError: if it is no picture.

    Example:
      >>> read_picture("digit.png").shape  # doctest: +SKIP
      (28, 28)
    """
    pillow = _pillow()
    if not Path(name).is_file():
        raise FileNotFoundError(f"file is {name}, which is not there: give a file that holds a picture.")
    try:
        with pillow.open(name) as picture:
            grey = np.asarray(picture.convert("L").resize((SIDE, SIDE), pillow.Resampling.BOX))
    except (OSError, SyntaxError, ValueError, pillow.DecompressionBombError) as error:
        raise ValueError(f"file is {name}, which is no picture that can be read: {error}.") from error
    return 255 - grey if grey.mean() > 127 else grey


def write_picture(path: Path, image: np.ndarray) -> None:
    """Writes a digit to a file, white ink on black.

    Args:
      path: the file, a PNG.
      image: `[28, 28]` uint8.

    Raises:
      ImportError: if pillow is not installed; the message names the extra.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "digit.png"
      >>> write_picture(file, np.eye(28, dtype=np.uint8))
      >>> int(read_picture(str(file)).sum())
      28
    """
    _pillow().fromarray(image).save(path)


def _pillow() -> ModuleType:
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError('pictures are read and written by pillow: pip install "seqjax[data]".') from error
    return Image
