"""Streams of characters: every one once, and each text from its beginning."""

import numpy as np

from seqjax import data
from seqjax.data import Texts, Vocabulary
from seqjax.recipes.material.character_streams import chunks, encoded, in_rows


def test_rows_hold_every_character_once_after_the_one_before():
    texts = Texts(["a", "b", "c"], ["abacus", "dog\n", "hint hint"], "made up", "these tests")
    vocabulary = data.characters(texts.texts)
    read, written = [[], [], []], [[], [], []]
    for batch in in_rows(texts, vocabulary, 4):
        assert batch.inputs.shape == batch.targets.shape == (4, 3)
        for row, length in enumerate(batch.lengths):
            read[row] += batch.inputs[:length, row].tolist()
            written[row] += batch.targets[:length, row].tolist()
    assert [vocabulary.decode(row) for row in written] == texts.texts
    assert read == [[Vocabulary.start, *row[:-1]] for row in written]


def test_chunks_begin_anew_with_each_text_and_each_pass():
    vocabulary = data.characters(["ab"])
    stream = np.concatenate([encoded("aba", vocabulary), encoded("bb", vocabulary), encoded("a", vocabulary)])
    resets = np.concatenate([batch.resets for batch in chunks(stream, 2, 2)])
    assert resets.T.tolist() == [[True, False, False, False], [True, False, False, True]]
