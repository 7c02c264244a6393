"""Texts as streams of characters: to learn from in chunks, and to be judged on, each character once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from seqjax import data
from seqjax.data import Texts, Vocabulary
from seqjax.types import Batch


def encoded(text: str, vocabulary: Vocabulary) -> np.ndarray:
    """The start token, which a network reads where a text begins and writes where it ends, and the text.

    Args:
      text: any.
      vocabulary: what turns characters into tokens.

    Returns:
      `[t + 1]` int32.

    Example:
      >>> encoded("aba", data.characters(["ab"])).tolist()
      [2, 4, 5, 4]
    """
    return np.array([Vocabulary.start, *vocabulary.encode(text)], np.int32)


def chunks(tokens: np.ndarray, batch_size: int, num_steps: int) -> Iterator[Batch]:
    """One pass over a stream in chunks that go on from each other, and begin anew where a text does.

    Args:
      tokens: `[N]`.
      batch_size: `B`, rows side by side.
      num_steps: `T`, steps a chunk.

    Yields:
      Batches with `inputs`, `targets` and `resets`, each `[T, B]`.

    Example:
      >>> for batch in chunks(np.array([2, 4, 5, 2, 6, 7, 8]), 1, 3):
      ...     print(batch.resets[:, 0].tolist())
      [True, False, False]
      [True, False, False]
    """
    for number, batch in enumerate(data.chunks(tokens, batch_size, num_steps)):
        resets = batch.inputs == Vocabulary.start
        # The carry at hand is of the end of the last pass, or of no text at all.
        resets[0] |= number == 0
        yield dataclasses.replace(batch, resets=resets)


def in_rows(texts: Texts, vocabulary: Vocabulary, num_steps: int) -> list[Batch]:
    """All characters of some texts, each once: a text a row, all of them cut at the same steps.

    Args:
      texts: `B` texts.
      vocabulary: what turns characters into tokens.
      num_steps: `T`, steps a batch.

    Returns:
      Batches with `inputs[T, B]`, `targets[T, B]` and `lengths[B]`.

    Example:
      >>> texts = Texts(["a", "b"], ["aba", "b"], "", "")
      >>> [batch.lengths.tolist() for batch in in_rows(texts, data.characters(["ab"]), 2)]
      [[2, 1], [1, 0]]
    """
    longest = max(map(len, texts.texts))
    rows = [encoded(text, vocabulary) for text in texts.texts]
    tokens, lengths = data.pad(rows, num_steps * -(-longest // num_steps) + 1)
    return [
        Batch(
            inputs=tokens[start : start + num_steps],
            targets=tokens[start + 1 : start + num_steps + 1],
            lengths=np.clip(lengths - 1 - start, 0, num_steps),
        )
        for start in range(0, longest, num_steps)
    ]
