"""Letters aligned with phonemes, against enumeration, and the rules they give."""

import itertools

import numpy as np
import pytest

from seqjax.recipes.baselines import letter_rules
from seqjax.recipes.baselines.letter_rules import learn_rules, pronounce


def test_letters_are_aligned_as_enumeration_finds_best():
    generator = np.random.default_rng(0)
    size, letters, spoken = 3, np.array([[1, 2, 3, 2]]), np.array([[0, 2, 1, 1, 0]])
    table = np.log(generator.dirichlet(np.ones(1 + size + size * size), 32))
    splits = [counts for counts in itertools.product(range(3), repeat=4) if sum(counts) == 5]

    def chunks(counts):
        ends = np.cumsum(counts)
        said = [spoken[0, end - count : end] for end, count in zip(ends, counts, strict=True)]
        return [
            [0, *(1 + s for s in chunk)][-1] if len(chunk) < 2 else 1 + size + chunk @ [size, 1]
            for chunk in said
        ]

    best = max(splits, key=lambda counts: table[letters[0], chunks(counts)].sum())
    assert letter_rules._align(table, letters, spoken, np.array([5]), size).tolist() == [chunks(best)]


def test_rules_say_what_the_largest_window_seen_says_most_often():
    words, ways = ["cat", "cet", "act"], [("K", "AE", "T"), ("S", "EH", "T"), ("AE", "K", "T")]
    rules = learn_rules(words, ways)
    assert pronounce(rules, words) == ways
    assert pronounce(rules, ["ce", "tac"]) == [("S", "EH"), ("T", "AE", "K")]
    assert pronounce(rules, ["ce"], reach=0) == [("K", "EH")]
    with pytest.raises(ValueError, match="word is 'Ce', expected the letters a to z"):
        pronounce(rules, ["Ce"])
    with pytest.raises(ValueError, match="at most two phonemes a letter"):
        learn_rules(["a"], [("T", "R", "IH")])
