"""Any data set can be taken from and split by keys."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd

CHORALES = sjd.Chorales(
    names=["a", "b", "c", "d"],
    pitches=[np.full((number + 1, 4), 60 + number) for number in range(4)],
    attacks=[np.ones((number + 1, 4), bool) for number in range(4)],
    melodies=[(0, 2), (0, 1), (0, 2), (0, 3)],
    licence="CC0",
    source="here",
)


def test_take_follows_the_order_of_rows_in_every_field():
    taken = sjd.take(CHORALES, [3, 0, 3])
    assert (taken.names, taken.licence) == (["d", "a", "d"], "CC0")
    assert [len(pitches) for pitches in taken.pitches] == [4, 1, 4]
    assert taken.melodies == [(0, 3), (0, 2), (0, 3)]
    digits = sjd.Digits(np.arange(3)[:, None, None], np.arange(3), "", "")
    assert sjd.take(digits, np.array([2, 1])).labels.tolist() == [2, 1]
    assert sjd.take(digits, []).images.shape == (0, 1, 1)


@given(st.integers(0, 100), st.sampled_from([0.25, 0.5]))
def test_equal_keys_stay_together(seed, fraction):
    training, held_out = sjd.split_by(CHORALES, CHORALES.melodies, fraction, seed)
    assert sorted(training.names + held_out.names) == CHORALES.names
    assert not set(training.melodies) & set(held_out.melodies)
    assert held_out.names


def test_an_array_may_be_the_keys():
    digits = sjd.Digits(np.zeros((6, 1, 1)), np.array([0, 1, 0, 1, 2, 2]), "", "")
    training, held_out = sjd.split_by(digits, digits.labels, 0.4)
    assert len(held_out.labels) == 2
    assert not set(training.labels.tolist()) & set(held_out.labels.tolist())


def test_fields_of_different_lengths_are_named():
    with pytest.raises(ValueError, match=r"dataset holds \{'images': 2, 'labels': 3\} entries"):
        sjd.take(sjd.Digits(np.zeros((2, 1, 1)), np.zeros(3), "", ""), [0])
