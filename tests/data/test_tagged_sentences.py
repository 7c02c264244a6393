"""Sentences are read with the tag of each word, words that are written as one can be joined."""

from __future__ import annotations

import numpy as np
import pytest

import seqjax.data as sjd
from seqjax.data import tagged_sentences
from seqjax.data.tagged_sentences import PARTS_OF_SPEECH, parse_conllu


def row(number, word, tag, head=0, relation="root", other="_"):
    return f"{number}\t{word}\t_\t{tag}\t_\t_\t{head}\t{relation}\t_\t{other}\n"


# Two pieces of one word, a word beside it without a space between them, and a full stop.
FIRST = (
    "# text = Açıkla (dün).\n"
    + row(1, "Açık", "ADJ", 2, "ig", "SpaceAfter=No")
    + row("1-2", "Açıkla", "_")
    + row(2, "la", "VERB")
    + row("2.1", "la", "VERB")
    + row(3, "(dün)", "ADV", 2, "advmod", "SpaceAfter=No")
    + row(4, ".", "PUNCT", 2, "p", "x=y|SpaceAfter=No")
)
SECOND = row(1, "Evet", "ADV", 2, "ig", "SpaceAfter=No").replace("\n", "\r\n")


def test_words_tags_and_what_continues(offer):
    offer(
        tagged_sentences,
        {"data/web.conllu": f"{FIRST}\n\n# next\n{SECOND}".encode(), "data/wiki.conllu": FIRST.encode()},
    )
    found = sjd.treebank("web")
    assert found.words == [["Açık", "la", "(dün)", "."], ["Evet"]]
    assert [[found.classes[tag] for tag in tags] for tags in found.tags] == [
        ["ADJ", "VERB", "ADV", "PUNCT"],
        ["ADV"],
    ]
    assert [each.tolist() for each in found.continued] == [[True, False, False, False], [False]]
    assert sjd.treebank("wiki").words == found.words[:1]


def test_whole_words_keep_the_tag_that_inflects():
    sentences = parse_conllu(f"{FIRST}\n{SECOND}", "x")
    joined = sjd.whole_words(sentences)
    assert joined.words == [["Açıkla", "(dün)", "."], ["Evet"]]
    assert [joined.classes[tag] for tag in joined.tags[0]] == ["VERB", "ADV", "PUNCT"]
    assert sjd.whole_words(joined).words == joined.words
    nothing = sentences._replace(words=[[]], tags=[np.zeros(0, int)], continued=[np.zeros(0, bool)])
    assert sjd.whole_words(nothing).words == [[]]


def test_tenths_are_those_of_the_publishers():
    sentences = parse_conllu("\n".join(row(1, f"w{number}", "X") for number in range(23)), "x")
    parts = [[int(words[0][1:]) for words in part.words] for part in sjd.split_tenths(sentences)]
    assert parts == [[*range(8), *range(10, 18), 20, 21, 22], [8, 18], [9, 19]]


@pytest.mark.parametrize(
    "line",
    [
        row(1, "", "X"),
        row(1, "a", "x"),
        row("x", "a", "X"),
        row("1-x", "a", "X"),
        row("", "a", "X"),
        row(1, "a", "X")[:-3],
        row(1, "a", "X").replace("\n", "\tmore\n"),
        "1 a X\n",
    ],
)
def test_lines_of_another_form_are_named(line):
    with pytest.raises(sjd.DataError, match=r"Line 3 of x is .*ten fields parted by tabs"):
        parse_conllu(row(1, "a", "X") + "# next\n" + line, "x")


def test_sentences_need_words():
    with pytest.raises(sjd.DataError, match="x has a sentence without words before line 4"):
        parse_conllu(row(1, "a", "X") + "\n" + row("1-2", "ab", "_"), "x")


def test_every_tag_has_its_place():
    assert len(set(PARTS_OF_SPEECH)) == 14
    assert parse_conllu("".join(row(1, "a", tag) for tag in PARTS_OF_SPEECH), "x").tags[0].tolist() == [
        *range(14)
    ]
