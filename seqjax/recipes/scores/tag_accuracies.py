"""How well words are tagged: of all and of those never seen, beside two baselines, and what is mistaken."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqjax.data import TaggedSentences
from seqjax.recipes.baselines.frequent_tags import Tags, frequent_tags
from seqjax.recipes.models.spelling import folded
from seqjax.recipes.shared import runs

NEVER_SEEN = "words never seen"
SHARE = f"share of {NEVER_SEEN}"


def accuracies(guesses: Tags, fitted: TaggedSentences, held_out: TaggedSentences) -> dict[str, float]:
    """Shares of words that are tagged correctly, by who tags.

    Args:
      guesses: what a network answers for the held-out sentences.
      fitted: what it has learned from, and the baselines learn from.
      held_out: other sentences, of a word or more.

    Returns:
      For the most frequent tag of each word, the same with the endings of words never seen, and the network,
      two figures each: of all words, and of those that no training sentence holds, if there are any. And
      how many those are.

    Example:
      >>> classes, first, second = ("a", "b"), [["x", "y", "x"]], [["x", "z"]]
      >>> rest = ([], classes, "", "")
      >>> fitted = TaggedSentences(first, [np.array([1, 0, 1], np.int32)], *rest)
      >>> held_out = TaggedSentences(second, [np.array([1, 0], np.int32)], *rest)
      >>> found = accuracies([np.array([1, 0])], fitted, held_out)
      >>> found["network"], found["most frequent tag"], found["most frequent tag, words never seen"]
      (1.0, 0.5, 0.0)
    """
    small = [[[folded(word) for word in words] for words in part.words] for part in (fitted, held_out)]
    found = {
        "most frequent tag": frequent_tags(fitted.words, fitted.tags, held_out.words),
        "most frequent tag, by ending": frequent_tags(small[0], fitted.tags, small[1], longest_ending=6),
        "network": guesses,
    }
    truth = np.concatenate(held_out.tags)
    known = {word for words in fitted.words for word in words}
    new = np.array([word not in known for words in held_out.words for word in words])
    results = {}
    for name, labels in found.items():
        correct = np.concatenate(labels) == truth
        results[name] = float(correct.mean())
        if new.any():
            results[f"{name}, {NEVER_SEEN}"] = float(correct[new].mean())
    return results | {SHARE: float(new.mean())}


def print_accuracies(results: Mapping[str, float]) -> None:
    """Prints them as a table.

    Args:
      results: what `accuracies` gave.

    Example:
      >>> print_accuracies({"network": 0.9, "network, words never seen": 0.8, SHARE: 0.25})
                all  the 25 % never seen
      network  90.0                 80.0
    """
    names = [name for name in results if not name.endswith(NEVER_SEEN)]

    def percent(key: str) -> str:
        return f"{100 * results[key]:.1f}" if key in results else "-"

    runs.print_table(
        ("", "all", f"the {100 * results[SHARE]:.0f} % never seen"),
        [(name, percent(name), percent(f"{name}, {NEVER_SEEN}")) for name in names],
    )


def print_mistakes(guesses: Tags, held_out: TaggedSentences, most: int = 8) -> None:
    """Prints which tags are most often taken for which, with examples.

    Args:
      guesses: what was answered.
      held_out: the sentences.
      most: how many lines at most.

    Example:
      >>> sentences = TaggedSentences([["x", "z"]], [np.array([1, 0], np.int32)], [], ("a", "b"), "", "")
      >>> print_mistakes([np.array([1, 1])], sentences)
      truth  answer  times  such as
      a           b      1        z
    """
    mistakes: dict[tuple[int, int], list[str]] = {}
    for words, labels, found in zip(held_out.words, held_out.tags, guesses, strict=True):
        for word, label, guess in zip(words, labels.tolist(), found.tolist(), strict=True):
            if label != guess:
                mistakes.setdefault((label, guess), []).append(word)
    runs.print_table(
        ("truth", "answer", "times", "such as"),
        [
            (held_out.classes[label], held_out.classes[guess], f"{len(words)}", ", ".join(words[:3]))
            for (label, guess), words in sorted(mistakes.items(), key=lambda item: -len(item[1]))[:most]
        ],
    )
