"""The baselines of tagging: the most frequent tag of each word, and of words never seen, of their ending."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Sentences = Sequence[Sequence[str]]
Tags = Sequence[npt.NDArray[np.int32]]


def frequent_tags(words: Sentences, tags: Tags, others: Sentences, *, longest_ending: int = 0) -> Tags:
    """Tags each word as it was tagged most often.

    A word never seen gets the tag that most words have which share its longest ending that was seen: those
    that were seen count once each, since words that are still to come are more like rare words than like
    frequent ones (Brants, 2000, sec. 2.3). Where endings have no length, it is the tag of most words of the
    text. Of tags that are as frequent the lowest counts.

    Args:
      words: sentences to learn from.
      tags: for each sentence `[t]`, the tags of its words.
      others: sentences to tag.
      longest_ending: how many letters of a word's ending are looked at; 0 for none.

    Returns:
      The tags of `others`.

    Example:
      >>> words, tags = [["geldi", "ev", "ev", "dev"]], [np.array([1, 0, 0, 2])]
      >>> others = [["ev", "güldü", "gitti"]]
      >>> frequent_tags(words, tags, others)[0].tolist()
      [0, 0, 0]
      >>> frequent_tags(words, tags, others, longest_ending=3)[0].tolist()
      [0, 0, 1]
    """
    seen: dict[str, Counter[int]] = defaultdict(Counter)
    overall: Counter[int] = Counter()
    for sentence, labels in zip(words, tags, strict=True):
        for word, label in zip(sentence, labels.tolist(), strict=True):
            seen[word][label] += 1
            overall[label] += 1
    of_word = {word: _most_frequent(counts) for word, counts in seen.items()}
    endings: dict[str, Counter[int]] = defaultdict(Counter)
    for word, label in of_word.items():
        for length in range(1, min(len(word), longest_ending) + 1):
            endings[word[-length:]][label] += 1
    of_ending = {ending: _most_frequent(counts) for ending, counts in endings.items()}
    rest = _most_frequent(overall)

    def tag(word: str) -> int:
        if word in of_word:
            return of_word[word]
        for length in range(min(len(word), longest_ending), 0, -1):
            if word[-length:] in of_ending:
                return of_ending[word[-length:]]
        return rest

    return [np.array([tag(word) for word in sentence], np.int32) for sentence in others]


def _most_frequent(counts: Counter[int]) -> int:
    return min(counts, key=lambda label: (-counts[label], label))
