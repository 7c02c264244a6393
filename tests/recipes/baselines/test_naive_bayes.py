"""Naive Bayes by hand."""

import numpy as np

from seqjax.recipes.baselines.naive_bayes import naive_bayes


def test_naive_bayes_is_bayes_rule_with_add_one_counts():
    texts, labels = ["good good film", "bad film"], np.array([1, 0])
    # Of three words, P(good given 1) is 3/6 and P(bad given 1) 1/6; given 0 they are 1/5 and 2/5.
    assert naive_bayes(texts, labels, ["good", "bad", "good bad", "film film film"]).tolist() == [1, 0, 1, 0]
