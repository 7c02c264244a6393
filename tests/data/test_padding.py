"""Padding keeps every step, and buckets are the best there are."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd

LENGTHS = st.lists(st.integers(0, 12), min_size=1, max_size=30)


def padding_of(lengths, buckets) -> int:
    return sum(min(bucket for bucket in buckets if bucket >= length) - length for length in lengths)


@given(LENGTHS, st.integers(1, 5))
def test_buckets_are_as_good_as_any(lengths, max_buckets):
    counted = [max(length, 1) for length in lengths]
    chosen = sjd.bucket_lengths(lengths, max_buckets)
    assert list(chosen) == sorted(set(chosen))
    assert 1 <= len(chosen) <= max_buckets
    assert chosen[-1] == max(counted)
    distinct = sorted(set(counted))
    best = min(
        padding_of(counted, (*some, distinct[-1]))
        for count in range(min(max_buckets, len(distinct)))
        for some in combinations(distinct[:-1], count)
    )
    assert padding_of(counted, chosen) == best


def test_enough_buckets_need_no_padding():
    assert sjd.bucket_lengths([3, 1, 4, 1, 5], max_buckets=4) == (1, 3, 4, 5)
    assert sjd.bucket_lengths([7, 7], max_buckets=8) == (7,)
    assert sjd.bucket_lengths([0], max_buckets=1) == (1,)
    assert sjd.bucket_lengths(np.array([2, 9], np.uint8)) == (2, 9)


def test_many_long_lengths_do_not_overflow():
    lengths = np.arange(1, 2_000) * 1_000_003
    assert len(sjd.bucket_lengths(lengths, 8)) == 8


@pytest.mark.parametrize(
    ("lengths", "max_buckets", "error", "match"),
    [
        ([], 8, ValueError, r"lengths has shape \(0,\)"),
        ([[1]], 8, ValueError, "expected one axis"),
        ([1, -2], 8, ValueError, "lengths holds -2"),
        ([1.5], 8, TypeError, "lengths has dtype float64"),
        ([1], 0, ValueError, "max_buckets is 0"),
        ([1], 2.0, TypeError, "max_buckets is 2.0"),
    ],
)
def test_buckets_of_anything_else(lengths, max_buckets, error, match):
    with pytest.raises(error, match=match):
        sjd.bucket_lengths(lengths, max_buckets)


@given(st.lists(st.lists(st.integers(1, 9), max_size=6), max_size=6), st.integers(0, 3))
def test_padding_keeps_every_step(sequences, extra):
    longest = max(map(len, sequences), default=0)
    for length in (None, longest + extra):
        padded, lengths = sjd.pad(sequences, length, value=-1)
        assert padded.shape == (longest if length is None else length, len(sequences))
        assert lengths.dtype == np.int32
        for row, sequence in enumerate(sequences):
            assert padded[: lengths[row], row].tolist() == sequence
            assert np.all(padded[lengths[row] :, row] == -1)


def test_features_and_dtypes_are_kept():
    padded, lengths = sjd.pad([np.ones((2, 3), np.float16), np.zeros((0, 3), np.float16)])
    assert padded.shape == (2, 2, 3)
    assert padded.dtype == np.float16
    assert lengths.tolist() == [2, 0]
    assert sjd.pad([[1], [2, 3]])[0].dtype == np.int32
    assert sjd.pad([[1.0], []])[0].dtype == np.float32
    assert sjd.pad([[[1.0, 2.0]], []])[0].shape == (1, 2, 2)
    assert sjd.pad([[True]])[0].dtype == np.bool_
    assert sjd.pad([np.zeros((0, 3))] * 2)[0].shape == (0, 2, 3)
    assert sjd.pad([])[0].shape == (0, 0)
    assert np.isnan(sjd.pad([[1.0], []], value=np.nan)[0][0, 1])


def test_arrays_of_jax_are_read():
    jnp = pytest.importorskip("jax.numpy")
    assert sjd.pad([jnp.arange(3), jnp.arange(2)])[0].tolist() == [[0, 0], [1, 1], [2, 0]]


@pytest.mark.parametrize(
    ("sequences", "options", "error", "match"),
    [
        ([[1, 2, 3], [1]], {"length": 2}, ValueError, r"sequences\[0\] has 3 steps, more than length 2"),
        ([[1]], {"length": -1}, ValueError, "length is -1"),
        ([[1]], {"length": 2.0}, TypeError, "length is 2.0"),
        ([[1]], {"value": 0.5}, ValueError, "value is 0.5, expected one number that dtype int32 can hold"),
        ([[1]], {"value": 2**40}, ValueError, "value is 1099511627776"),
        ([[1]], {"value": float("nan")}, ValueError, "value is nan"),
        ([[1.0]], {"value": 1e300}, ValueError, r"value is 1e\+300"),
        ([[1]], {"value": [1, 2]}, ValueError, "expected one number"),
        ([[1]], {"value": "x"}, ValueError, "value is 'x'"),
        ([np.ones(2, np.uint8)], {"value": -1}, ValueError, "uint8"),
        ([1, 2], {}, ValueError, r"sequences\[0\] is 1, expected a sequence with a time axis"),
        (["abc"], {}, TypeError, "expected numbers: encode text with a vocabulary"),
        ([["a", "b"]], {}, TypeError, r"sequences\[0\] has dtype <U1, expected numbers"),
        ([[None]], {}, TypeError, "expected numbers"),
        ([[1, [2]]], {}, ValueError, r"sequences\[0\] is ragged"),
        ([np.ones((2, 3)), np.ones((1, 4))], {}, ValueError, r"sequences\[1\] has shape \(1, 4\)"),
        ([np.ones((2, 3)), np.ones(2)], {}, ValueError, r"sequences\[1\] has shape \(2,\)"),
        ([[2**31]], {}, ValueError, "sequences holds a number that int32 cannot"),
        ([[1e39]], {}, ValueError, "sequences holds a number that float32 cannot"),
        ([[2**70]], {}, TypeError, "expected numbers"),
    ],
)
def test_padding_of_anything_else(sequences, options, error, match):
    with pytest.raises(error, match=match):
        sjd.pad(sequences, **options)
