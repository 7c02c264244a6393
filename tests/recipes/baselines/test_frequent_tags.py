"""The most frequent tag, of a word and of an ending."""

import numpy as np

from seqjax.recipes.baselines.frequent_tags import frequent_tags


def test_the_tag_of_a_word_is_its_most_frequent_one():
    words, tags = [["a", "b", "a"], ["a", "c", "c"]], [np.array([1, 2, 1]), np.array([0, 3, 3])]
    others = [["a", "b"], [], ["x", "c"]]
    assert [found.tolist() for found in frequent_tags(words, tags, others)] == [[1, 2], [], [1, 3]]


def test_an_unknown_word_has_the_tag_of_most_words_of_its_ending():
    words = [["koşuyor", "koşuyor", "koşuyor", "motor", "doktor", "gel", "sor"]]
    tags = [np.array([1, 1, 1, 0, 0, 2, 2])]
    others = [["atıyor", "rektör", "traktor", "bor", "xyz"]]
    # By words and not by how often they occur, `or` is the ending of nouns; `r` that of as many as of any.
    found = frequent_tags(words, tags, others, longest_ending=3)
    assert found[0].tolist() == [1, 0, 0, 0, 1]
