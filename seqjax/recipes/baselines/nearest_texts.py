"""The most similar of many texts, by the words they share: what a translation memory looks up."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from seqjax.data import split_words


def nearest(queries: Sequence[str], texts: Sequence[str]) -> list[int]:
    """The text that shares most with each query, where rare words count more than frequent ones.

    Equation (Dice, 1945, with the weights of Sparck Jones, 1972): `2 w(a and b) / (w(a) + w(b))`, where `w`
    sums `log(1 + N / n)` over the different words of a text, `n` of the `N` texts hold the word, and a word
    that none holds counts as if one did.

    Args:
      queries: what to look up.
      texts: `N` of them, one or more.

    Returns:
      For each query the place of a text, the first where several are as near.

    Raises:
      ValueError: if there are no texts.

    Example:
      >>> nearest(["turn the light on"], ["turn the heating off", "the light is on", "good night"])
      [1]
    """
    if not texts:
        raise ValueError("texts is empty, expected at least one.")
    holders: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(texts):
        for word in set(split_words(text)):
            holders[word].append(place)
    weights = {word: math.log(1 + len(texts) / len(places)) for word, places in holders.items()}
    sizes = np.zeros(len(texts))
    for word, places in holders.items():
        sizes[places] += weights[word]
    found = []
    for query in queries:
        counts = Counter(dict.fromkeys(split_words(query), 1))
        shared = np.zeros(len(texts))
        for word in counts:
            shared[holders.get(word, [])] += weights.get(word, 0.0)
        size = sum(weights.get(word, math.log(1 + len(texts))) for word in counts)
        found.append(int(np.argmax(2 * shared / np.maximum(sizes + size, 1e-9))))
    return found
