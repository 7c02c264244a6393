"""Labelled texts, and a split of them that leaks nothing."""

from __future__ import annotations

import html
import numbers
import re
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import VADER_FOLDER, VADER_SENTIMENT
from seqjax.data.orders import permutation, whole_number


class LabelledTexts(NamedTuple):
    """Texts with one label each.

    Attributes:
      texts: `N` strings.
      labels: `[N]` int32, an index into `classes`.
      classes: what each label means.
      licence: the licence of the texts.
      source: where they come from.
    """

    texts: list[str]
    labels: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    licence: str
    source: str


def tweets(*, cache: Path | None = None) -> LabelledTexts:
    """Return 4,196 tweets with their sentiment: 2,897 positive, 1,299 negative, of 1 to 32 words.

    Twenty people rated each from -4 to 4 (Hutto & Gilbert, ICWSM 2014). The label is whether the mean is
    above zero; the four tweets with a mean of exactly zero are left out. Names of users read `@anonymous`.
    Some tweets are there in six variants that differ in capitals and punctuation: see `split`.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      DataError: they are not cached and cannot be fetched.
    """
    return _vader("tweets_GroundTruth.txt", cache)


def movie_snippets(*, cache: Path | None = None) -> LabelledTexts:
    """Return 10,568 sentences from film reviews: 5,242 positive, 5,326 negative, of 1 to 51 words.

    The sentences are of Pang & Lee (2005), rated for sentiment again as in `tweets`.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      DataError: they are not cached and cannot be fetched.
    """
    return _vader("movieReviewSnippets_GroundTruth.txt", cache)


def split(
    dataset: LabelledTexts, fraction: float = 0.2, seed: int = 0
) -> tuple[LabelledTexts, LabelledTexts]:
    """Split into a part to learn from and a part held out, with no text on both sides.

    Texts that have the same words, whatever their capitals, spaces and punctuation, stay together: a tweet
    and its variant with more exclamation marks would tell a model the answer.

    Args:
      dataset: what to split.
      fraction: the share to hold out, between 0 and 1.
      seed: which split; the same seed gives the same split everywhere.

    Returns:
      `(training, held_out)`, each in the order of `dataset`.

    Raises:
      TypeError: `dataset` holds no labelled texts, or `fraction` or `seed` is not a number.
      ValueError: `fraction` or `seed` is out of range.

    >>> few = LabelledTexts(["Yes!", "no", "YES", "so"], np.array([1, 0, 1, 0]), ("bad", "good"), "", "")
    >>> training, held_out = split(few, fraction=0.5, seed=0)
    >>> sorted(len(part.texts) for part in (training, held_out))
    [2, 2]
    """
    if not isinstance(dataset, LabelledTexts):
        raise TypeError(f"dataset is a {type(dataset).__name__}, expected LabelledTexts, such as tweets().")
    training, held_out = split_rows([_same_words(text) for text in dataset.texts], fraction, seed)
    return _take(dataset, training), _take(dataset, held_out)


def split_rows(
    keys: Sequence[Hashable], fraction: float, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Split `0 ... len(keys) - 1` in two, with rows of equal keys on the same side.

    Args:
      keys: one key a row.
      fraction: the share to hold out, between 0 and 1. It is met as nearly as whole groups allow from below.
      seed: which split.

    Returns:
      The rows to learn from and the rows held out, both in increasing order.

    Raises:
      TypeError: `fraction` or `seed` is not a number.
      ValueError: `fraction` or `seed` is out of range.

    >>> training, held_out = split_rows(["a", "b", "a", "c"], 0.5, seed=1)
    >>> sorted([*training.tolist(), *held_out.tolist()])
    [0, 1, 2, 3]
    """
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real):
        raise TypeError(f"fraction is {fraction!r}, expected a share between 0 and 1 to hold out.")
    if not 0 < fraction < 1:
        raise ValueError(
            f"fraction is {fraction!r}, expected a share between 0 and 1 to hold out, such as 0.2."
        )
    seed = whole_number(seed, "seed", 0)
    groups: dict[Hashable, list[int]] = {}
    for row, key in enumerate(keys):
        groups.setdefault(key, []).append(row)
    members = list(groups.values())
    room = round(fraction * len(keys))
    held_out: list[int] = []
    for number in permutation(len(members), seed):
        if len(held_out) + len(members[number]) <= room:
            held_out += members[number]
    training = sorted(set(range(len(keys))).difference(held_out))
    return np.array(training, np.int64), np.array(sorted(held_out), np.int64)


def _same_words(text: str) -> str:
    # A text without any word, such as a lone emoticon, is only the same as itself.
    return " ".join(re.findall(r"\w+", text.casefold())) or text


def _take(dataset: LabelledTexts, rows: npt.NDArray[np.int64]) -> LabelledTexts:
    return dataset._replace(texts=[dataset.texts[row] for row in rows], labels=dataset.labels[rows])


def _vader(name: str, cache: Path | None) -> LabelledTexts:
    content = fetch(VADER_SENTIMENT, cache=cache)[f"{VADER_FOLDER}/{name}"]
    return parse_vader(content.decode("utf-8", errors="replace"))


def parse_vader(content: str) -> LabelledTexts:
    r"""Parse lines of number, mean score and text, parted by tabs, into texts with a label each.

    Character references such as `&amp;` become the characters they stand for, as `&lt;3` is an emoticon.

    >>> parse_vader("1\t2.5\tNice &lt;3\r\n2\t0.0\tWell\r\n3\t-1\tBad\r\n").texts
    ['Nice <3', 'Bad']
    """
    rows = [line.split("\t", 2) for line in content.split("\n") if line.strip()]
    scored = [(float(score), html.unescape(text.strip())) for _, score, text in rows]
    kept = [(score, text) for score, text in scored if score != 0]
    return LabelledTexts(
        texts=[text for _, text in kept],
        labels=np.array([score > 0 for score, _ in kept], np.int32),
        classes=("negative", "positive"),
        licence=VADER_SENTIMENT.licence,
        source="Hutto & Gilbert, VADER, ICWSM 2014; in the package vaderSentiment 2.5",
    )
