"""Words are cut as documented; vocabularies know what they saw, and read JSON from anyone."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys

import numpy as np
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

import seqjax.data as sjd
from seqjax.data.tokens import byte_characters

CORPUS = [
    "Yay! Another good phone interview :)",
    "I don't like it... at all!!!",
    "naïve café, 日本語 😂",
    "low lower lowest, new newer newest",
]


@pytest.fixture(scope="module")
def pairs() -> sjd.Vocabulary:
    pytest.importorskip("tokenizers")
    return sjd.byte_pairs(CORPUS * 3, 300)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't CAN'T isn’t", "do n't ca n't is n't"),
        ("it's we'll I'm they'd", "it 's we 'll i 'm they 'd"),
        ("good!!! bad?! so... well..", "good !!! bad ? ! so ... well .."),
        ("Sooooo!!!!!!", "sooo !!!"),
        (":) :-( :D ;P :'( =] :/ <3 </3 (: ^_^ -_-", ":) :-( :d ;p :'( =] :/ <3 </3 (: ^_^ -_-"),
        ("love it:)", "love it :)"),
        (":))))", ":)))"),
        ("@Someone: #fun http://x.org/a?b=1 www.x.org", "@someone : #fun http://x.org/a?b=1 www.x.org"),
        ("at 2:30, 1,299 or 3.5 (8)", "at 2:30 , 1,299 or 3.5 ( 8 )"),
        ("100000", "100000"),
        ("2nite 3.5mm", "2nite 3 . 5mm"),
        ("well-made 'quoted'", "well - made ' quoted '"),
        ("CAFE\u0301 naïve Привет", "café naïve привет"),
        ("dataset:d nota:p", "dataset : d nota : p"),
        ("", ""),
        (" \n\t", ""),
    ],
)
def test_words_are_cut_as_documented(text, expected):
    assert sjd.split_words(text) == expected.split()


@settings(max_examples=300)
@given(st.text() | st.text(alphabet="aAn't :;=-o*)(<3d/^_.@#1,!?'"))
def test_words_cut_again_stay_the_same(text):
    pieces = sjd.split_words(text)
    assert sjd.split_words(" ".join(pieces)) == pieces
    assert not any(piece.isspace() or not piece for piece in pieces)


def test_words_are_ordered_by_count_then_alphabet():
    vocabulary = sjd.words(["b b a c", "c d"])
    assert vocabulary.symbols == ("b", "c", "a", "d")
    assert sjd.words(["b b a c", "c d"], min_count=2).symbols == ("b", "c")
    assert sjd.words(["b b a c", "c d"], max_size=7).symbols == ("b", "c", "a")
    assert len(sjd.words(["b b a c", "c d"], max_size=7)) == 7
    assert len(sjd.words([])) == 4


def test_unknown_words_and_reserved_ids():
    vocabulary = sjd.words(["a b"])
    assert vocabulary.encode("a x b") == [4, 1, 5]
    assert (vocabulary.padding, vocabulary.unknown, vocabulary.start, vocabulary.end) == (0, 1, 2, 3)
    assert vocabulary.decode([2, 4, 1, 5, 3, 0, 0]) == "a \ufffd b"
    assert vocabulary.decode(np.array([4, 5], np.int32)) == "a b"
    assert vocabulary.decode([]) == ""


@given(st.lists(st.text(), max_size=5))
def test_words_round_trip(texts):
    vocabulary = sjd.words(texts)
    for text in texts:
        ids = vocabulary.encode(text)
        assert vocabulary.unknown not in ids
        assert vocabulary.encode(vocabulary.decode(ids)) == ids


@given(st.lists(st.text(), max_size=5))
def test_characters_round_trip(texts):
    vocabulary = sjd.characters(texts)
    assert all(vocabulary.decode(vocabulary.encode(text)) == text for text in texts)


@given(st.text())
def test_bytes_round_trip(text):
    vocabulary = sjd.utf8()
    ids = vocabulary.encode(text)
    assert vocabulary.decode([2, *ids, 3, 0]) == text
    assert ids == [4 + byte for byte in text.encode()]
    assert len(vocabulary) == 260


@given(text=st.text())
def test_byte_pairs_round_trip(pairs, text):
    ids = pairs.encode(text)
    assert pairs.decode(ids) == text
    assert len(ids) <= len(text.encode())
    assert all(4 <= number < len(pairs) for number in ids)


def test_byte_pairs_learn_what_is_frequent(pairs):
    assert len(pairs) <= 300
    assert len(pairs.encode("lowest")) < len("lowest")
    assert pairs == sjd.byte_pairs(CORPUS * 3, 300)
    assert sjd.byte_pairs([], 1000).encode("ab") == [sjd.byte_pairs([], 260).encode(c)[0] for c in "ab"]


def test_byte_pairs_decode_without_the_package(pairs, monkeypatch):
    read = sjd.Vocabulary.from_json(pairs.to_json())
    ids = pairs.encode(CORPUS[2])
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert read.decode(ids) == CORPUS[2]
    with pytest.raises(ImportError, match=r'pip install "seqjax\[text\]"'):
        read.encode("a")
    with pytest.raises(ImportError, match=r"seqjax\[text\]"):
        sjd.byte_pairs(CORPUS, 300)


def test_bytes_that_are_no_text_are_replaced(pairs):
    assert sjd.utf8().decode([4 + 0xC3]) == "\ufffd"
    assert sjd.utf8().decode([1]) == "\ufffd"
    assert pairs.decode(pairs.encode("é")[:1]) in ("\ufffd", "é")


def test_byte_characters_are_256_and_printable():
    table = byte_characters()
    assert sorted(table) == list(range(256))
    assert len(set(table.values())) == 256
    assert all(character.isprintable() and not character.isspace() for character in table.values())


def test_vocabularies_are_immutable_and_equal_by_content():
    vocabulary = sjd.words(["a"])
    with pytest.raises(dataclasses.FrozenInstanceError):
        vocabulary.symbols = ()
    assert vocabulary == sjd.words(["a", "a"])
    assert hash(vocabulary) == hash(sjd.words(["a"]))
    assert vocabulary != sjd.characters(["a"])


@given(st.lists(st.text(st.characters()), max_size=4))
def test_json_round_trip(texts):
    for vocabulary in (sjd.words(texts), sjd.characters(texts), sjd.utf8()):
        assert sjd.Vocabulary.from_json(vocabulary.to_json()) == vocabulary


def test_json_round_trip_of_byte_pairs(pairs):
    read = sjd.Vocabulary.from_json(pairs.to_json())
    assert read == pairs
    assert [read.encode(text) for text in CORPUS] == [pairs.encode(text) for text in CORPUS]


GOOD = {"format": "seqjax.vocabulary", "version": 1, "kind": "words", "symbols": ["a", "b"], "merges": []}
BYTES = sorted(byte_characters().values())


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"format": "other"}, "format is 'other'"),
        ({"version": 2}, "version 2"),
        ({"kind": "pickle"}, "kind is 'pickle'"),
        ({"kind": ["words"]}, "kind is"),
        ({"kind": None}, "kind is None"),
        ({"symbols": "ab"}, "symbols is expected to be a list"),
        ({"symbols": {"a": 1}}, "symbols is expected to be a list"),
        ({"symbols": ["a", 1]}, "list of strings"),
        ({"symbols": ["a", ""]}, "none of them empty"),
        ({"symbols": ["a", "a"]}, "'a' twice"),
        ({"kind": "characters", "symbols": ["ab"]}, "single characters"),
        ({"kind": "utf8"}, "expected to be empty"),
        ({"merges": [["a", "b"]]}, "merges is expected to be empty"),
        ({"merges": "ab"}, "list of pairs"),
        ({"merges": [["a"]]}, "list of pairs"),
        ({"merges": [["a", 1]]}, "list of strings"),
        ({"kind": "byte_pairs"}, "lacks 254 of the 256 bytes"),
        ({"kind": "byte_pairs", "symbols": [*BYTES, "日"]}, "stands for no byte"),
        ({"kind": "byte_pairs", "symbols": BYTES, "merges": [["a", "b"]]}, "symbols lacks"),
        ({"kind": "byte_pairs", "symbols": [*BYTES, "abc"], "merges": [["ab", "c"]]}, "symbols lacks"),
        ({"__class__": "os.system"}, "its fields are"),
    ],
)
def test_json_of_anything_else_is_refused(change, match):
    with pytest.raises((ValueError, TypeError), match=match):
        sjd.Vocabulary.from_json(json.dumps({**GOOD, **change}))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "1", '"a"', "{}", "NaN", "[" * 100_000, '{"format": ' + "9" * 5000 + "}"],
    ids=lambda text: text[:12] or "empty",
)
def test_json_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="not the JSON of a vocabulary"):
        sjd.Vocabulary.from_json(text)


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, "x"]), inner, max_size=5)
        ),
    )
)
def test_any_json_gives_a_vocabulary_or_a_named_error(value):
    fields = {**GOOD, **value} if isinstance(value, dict) else value
    # Any other error than these two fails the test.
    with contextlib.suppress(ValueError, TypeError):
        vocabulary = sjd.Vocabulary.from_json(json.dumps(fields))
        event(vocabulary.kind)
        assert len(vocabulary) >= 4


@pytest.mark.parametrize("value", [b"{}", None, {}])
def test_json_that_is_no_text(value):
    with pytest.raises(TypeError, match=r"text is of type .* expected str"):
        sjd.Vocabulary.from_json(value)


@pytest.mark.parametrize(
    ("ids", "error", "match"),
    [
        ([4, 6], ValueError, r"ids\[1\] is 6, but this vocabulary has 6 ids, 0 to 5"),
        ([-1], ValueError, r"ids\[0\] is -1"),
        ([4.0], TypeError, r"ids\[0\] is 4.0, expected an integer"),
        (["a"], TypeError, r"ids\[0\] is 'a'"),
        ([[4]], TypeError, r"ids\[0\]"),
    ],
)
def test_ids_that_are_not_in_the_vocabulary(ids, error, match):
    with pytest.raises(error, match=match):
        sjd.words(["a b"]).decode(ids)


@pytest.mark.parametrize("make", [sjd.words, sjd.characters, lambda texts: sjd.byte_pairs(texts, 300)])
def test_texts_that_are_none(make):
    with pytest.raises(TypeError, match="texts is one string"):
        make("abc")
    with pytest.raises(TypeError, match=r"texts\[1\] is of type bytes"):
        make(["abc", b"abc"])


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: sjd.words([], min_count=0), "min_count is 0, expected at least 1"),
        (lambda: sjd.words([], max_size=3), "max_size is 3, expected at least 4"),
        (lambda: sjd.byte_pairs([], 259), "size is 259, expected at least 260"),
    ],
)
def test_sizes_that_are_too_small(make, match):
    with pytest.raises(ValueError, match=match):
        make()


def test_encoding_what_is_no_text(pairs):
    for vocabulary in (sjd.words(["a"]), sjd.characters(["a"]), sjd.utf8(), pairs):
        with pytest.raises(TypeError, match="text is of type list"):
            vocabulary.encode(["a"])
    for vocabulary in (sjd.utf8(), pairs):
        with pytest.raises(ValueError, match="text holds half of a surrogate pair at position 1"):
            vocabulary.encode("a\ud800")
    with pytest.raises(ValueError, match="surrogate"):
        sjd.byte_pairs(["\ud800"], 300)
