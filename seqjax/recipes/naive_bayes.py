"""The baseline that a classifier of texts has to beat: words counted, their order ignored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqjax.data import split_words


def naive_bayes(
    texts: Sequence[str], labels: np.ndarray, unseen: Sequence[str], *, smoothing: float = 1.0
) -> np.ndarray:
    """Multinomial naive Bayes with add-one smoothing (Manning et al., 2008, eqs. 13.3 and 13.7).

    Equation: `argmax_c log P(c) + sum_w log P(w | c)`, with
    `P(w | c) = (count(w, c) + smoothing) / (count(c) + smoothing V)`; words never seen are left out.

    Args:
      texts: what to learn from.
      labels: `[N]` integers from 0, the class of each text.
      unseen: texts to classify.
      smoothing: what is added to each count.

    Returns:
      `[len(unseen)]` integers, the classes.

    Example:
      >>> naive_bayes(["good film", "bad film"], np.array([1, 0]), ["good", "a bad one"]).tolist()
      [1, 0]
    """
    classes = range(int(np.max(labels)) + 1)
    counts: list[Counter[str]] = [Counter() for _ in classes]
    for text, label in zip(texts, labels, strict=True):
        counts[label].update(split_words(text))
    vocabulary = sorted(set().union(*counts))
    table = np.array([[count[word] for word in vocabulary] for count in counts], float) + smoothing
    log_likelihood = np.log(table / table.sum(axis=1, keepdims=True))
    log_prior = np.log(np.bincount(labels, minlength=len(counts)) / len(labels))
    place = {word: i for i, word in enumerate(vocabulary)}
    known = [[place[word] for word in split_words(text) if word in place] for text in unseen]
    return np.array([int(np.argmax(log_prior + log_likelihood[:, row].sum(axis=1))) for row in known], int)
