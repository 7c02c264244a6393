"""Utterances are read with their features side by side, and lines of another form are named."""

from __future__ import annotations

import numpy as np
import pytest

import seqjax.data as sjd
from seqjax.data import spoken_vowels
from seqjax.data.spoken_vowels import parse_ts

FOLDER = "aeon/datasets/data/JapaneseVowels/JapaneseVowels"
HEADER = "# Made up.\n@problemName x\n@classLabel true 1 2\n@data\n"


def test_both_parts_are_read(offer):
    held_out = HEADER + "7.5:-1e-3:2\n"
    files = {f"{FOLDER}_TRAIN.ts": f"{HEADER}1,2,3:4,5,6:1\n\n7,8:9,0:2\n", f"{FOLDER}_TEST.ts": held_out}
    offer(spoken_vowels, {name: text.encode() for name, text in files.items()})
    training, unseen = sjd.japanese_vowels()
    assert [each.tolist() for each in training.series] == [[[1, 4], [2, 5], [3, 6]], [[7, 9], [8, 0]]]
    assert {each.dtype for each in training.series} == {np.dtype(np.float32)}
    assert (training.labels.tolist(), training.classes) == ([0, 1], ("1", "2"))
    np.testing.assert_allclose(unseen.series[0], [[7.5, -1e-3]])
    assert unseen.labels.tolist() == [1]


@pytest.mark.parametrize(
    "line",
    [
        "1,2:3:1",
        "1,2:3,4:5",
        "1,2:3,4",
        "1,x:3,4:1",
        "1,nan:3,4:1",
        "1,inf:3,4:1",
        ":1",
        "1",
        "1,2:3,4:5,6:1",
    ],
)
def test_lines_of_another_form_are_named(line):
    with pytest.raises(sjd.DataError, match=r"Line 6 of a\.ts is not of the form expected"):
        parse_ts(f"{HEADER}1,2:3,4:1\n{line}\n", "a.ts")


@pytest.mark.parametrize("text", ["", "1:2:1\n", HEADER, "@data\n1:2:1\n", "@classLabel false\n@data\n1:1\n"])
def test_a_file_needs_its_header(text):
    with pytest.raises(sjd.DataError, match=r"a\.ts lacks one '@classLabel true', '@data'"):
        parse_ts(text, "a.ts")
