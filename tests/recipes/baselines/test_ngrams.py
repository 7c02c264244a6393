"""N-gram models against their formula with dictionaries."""

from collections import Counter, defaultdict

import numpy as np
import pytest

from seqjax import data
from seqjax.data import Texts
from seqjax.recipes.baselines.ngrams import kneser_ney, ngram_bits


def test_kneser_ney_is_its_formula_with_dictionaries():
    generator = np.random.default_rng(1)
    size, order = 5, 3
    learned = [generator.choice(np.arange(1, size), 60, p=[0.5, 0.3, 0.15, 0.05]).tolist() for _ in range(3)]
    unseen = [generator.integers(1, size, 30).tolist() for _ in range(2)]
    places = [(text, place) for text in unseen for place in range(30)]
    expected = [
        [kneser_ney_of(learned, text, place, n, size) for text, place in places] for n in range(1, order + 1)
    ]
    np.testing.assert_allclose(kneser_ney(learned, unseen, size, order), expected, rtol=1e-12)


def kneser_ney_of(learned, text, place, order, size):
    """The probability of one token, straight from the definition."""

    def grams(sequences, length):
        for sequence in sequences:
            padded = [0] * (length - 1) + list(sequence)
            yield from (tuple(padded[i : i + length]) for i in range(len(sequence)))

    def counts(length, raw):
        if raw:
            return Counter(grams(learned, length))
        return Counter(gram[1:] for gram in set(grams(learned, length + 1)))

    def probability(gram, raw):
        if not gram:
            return 1 / size
        table = counts(len(gram), raw)
        numbers = [sum(count == k for count in table.values()) for k in range(1, 5)]
        cut = dict.fromkeys((1, 2, 3), 0.5)
        if all(numbers):
            share = numbers[0] / (numbers[0] + 2 * numbers[1])
            cut = {k: k - (k + 1) * share * numbers[k] / numbers[k - 1] for k in (1, 2, 3)}
        followers = defaultdict(int)
        for other, count in table.items():
            if other[:-1] == gram[:-1]:
                followers[other[-1]] = count
        lower = probability(gram[1:], raw=False)
        if not followers:
            return lower
        kept = followers[gram[-1]] - cut[min(followers[gram[-1]], 3)] if gram[-1] in followers else 0
        reserved = sum(cut[min(count, 3)] for count in followers.values())
        return (kept + reserved * lower) / sum(followers.values())

    padded = [0] * (order - 1) + list(text)
    return probability(tuple(padded[place : place + order]), raw=True)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_kneser_ney_gives_every_context_a_distribution(order):
    learned = [np.random.default_rng(2).integers(1, 6, 200)]
    contexts = [[1, 2, 3], [5, 5, 5], [], [0, 0, 0]]
    chances = kneser_ney(learned, [[*context, x] for context in contexts for x in range(6)], 6, order)[-1]
    ends = np.cumsum([len(context) + 1 for context in contexts for _ in range(6)]) - 1
    np.testing.assert_allclose(chances[ends].reshape(4, 6).sum(axis=1), 1, rtol=1e-12)


def test_kneser_ney_refuses_what_it_cannot_count():
    with pytest.raises(ValueError, match="max_order is 0"):
        kneser_ney([[1]], [[1]], 3, 0)
    with pytest.raises(ValueError, match="less than 2"):
        kneser_ney([[1]], [[1]], 200, 8)
    with pytest.raises(ValueError, match="learned_from holds no tokens"):
        kneser_ney([[]], [[1]], 3, 2)


def test_the_order_of_the_baseline_is_chosen_in_validation():
    random = np.random.default_rng(0)
    written = " ".join(random.choice(["abacus", "dog", "hint"], 600))
    texts = Texts(["text"], [written], "made up", "these tests")
    vocabulary = data.characters(texts.texts)
    chance = Texts(["chance"], ["".join(random.permutation(list(written)))], "", "")
    found = ngram_bits(texts, chance, texts, vocabulary, 4)
    assert list(found) == ["unigram"]
    assert list(ngram_bits(texts, texts, texts, vocabulary, 4)) == [
        "unigram",
        "3-gram",
        "4-gram",
    ]
