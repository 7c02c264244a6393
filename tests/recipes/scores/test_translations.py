"""Scores of translations by their definitions."""

import pytest

from seqjax.recipes.scores.translations import scores


def test_scores_are_those_of_the_definitions():
    texts, references = ["the cat sat on the red mat"], ["the cat sat on a red mat"]
    # Of runs of 1 to 4 words, 6 of 7, 4 of 6, 2 of 5 and 1 of 4 are in the reference, which is as long.
    bleu = 100 * (6 / 7 * 4 / 6 * 2 / 5 * 1 / 4) ** 0.25
    assert scores(texts, references).bleu == pytest.approx(bleu)
    assert scores(references, references) == pytest.approx((100, 100))
    assert scores(["xyz"], ["abcd"]).chrf == 0
