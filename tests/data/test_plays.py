"""Texts are read by name, and the end of each is held out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd
from seqjax.data import plays


def test_texts_are_named_after_their_files(monkeypatch):
    files = {f"shksprdata/texts/{name}_gut.txt": name.upper().encode() for name in ("othello", "hamlet")}
    monkeypatch.setattr(plays, "fetch", lambda *_, **__: files)
    texts = sjd.shakespeare()
    assert (texts.names, texts.texts) == (["hamlet", "othello"], ["HAMLET", "OTHELLO"])


def texts(*contents):
    return sjd.Texts([str(number) for number in range(len(contents))], list(contents), "", "")


@given(st.lists(st.text(alphabet="ab\n", max_size=40), max_size=5), st.floats(0.01, 0.99))
def test_ends_are_held_out_line_by_line(contents, fraction):
    beginnings, ends = sjd.split_ends(texts(*contents), fraction)
    for whole, start, end in zip(contents, beginnings.texts, ends.texts, strict=True):
        assert start + end == whole
        assert len(end) >= round(fraction * len(whole))
        if "\n" in start:
            # No more than the line that the share begins in.
            assert start.endswith("\n")
            assert "\n" not in end[: max(0, len(end) - round(fraction * len(whole)) - 1)]


def test_a_single_line_is_cut():
    beginnings, ends = sjd.split_ends(texts("0123456789"), 0.3)
    assert (beginnings.texts, ends.texts) == (["0123456"], ["789"])


def test_other_encodings_are_named(monkeypatch):
    monkeypatch.setattr(plays, "fetch", lambda *_, **__: {"shksprdata/texts/x_gut.txt": b"\xff"})
    with pytest.raises(sjd.DataError, match=r"x_gut\.txt cannot be read"):
        sjd.shakespeare()
