"""Pronunciation without a network: letters aligned with phonemes, and what each letter says among others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[Any]

REACH = 4
"""Letters to either side that a rule may look at."""

_BITS = 5
"""Of a letter in a key: 26 letters, the apostrophe, and 0 for the space around a word."""

_CHUNK_BITS = 16
"""Of a chunk's number beside a key of 45 bits."""

_NOT_SEEN = 1e-3
"""A count given to every letter and chunk, so that no alignment is impossible."""


class LetterRules(NamedTuple):
    """What letters say, by windows of letters around them.

    Attributes:
      chunks: what a letter may say: each none, one or two phonemes.
      windows: for each size of a window, from 1 letter to `2 REACH + 1`, the keys of those that were seen, in
        increasing order, and which chunk is the most frequent in each.
    """

    chunks: list[tuple[str, ...]]
    windows: list[tuple[Integers, Integers]]


def learn_rules(words: Sequence[str], phonemes: Sequence[Sequence[str]], rounds: int = 4) -> LetterRules:
    """Aligns each letter with the phonemes that it says, and counts them in windows of each size.

    A letter says none, one or two phonemes, a chunk. Chunks are spread evenly over each word at first; then,
    in rounds, `P(chunk given letter)` is counted and each word aligned as is most probable (hard expectation
    maximisation, by Viterbi's recursion). Words that have more than two phonemes a letter are left out.

    Args:
      words: `N` of the letters a to z and apostrophes.
      phonemes: for each its phonemes.
      rounds: how often alignments are made anew.

    Returns:
      `LetterRules`.

    Raises:
      ValueError: if no word can be aligned.

    Example:
      >>> rules = learn_rules(["tea", "eat"], [("T", "IY"), ("IY", "T")])
      >>> pronounce(rules, ["teat"])
      [('T', 'IY', 'T')]
    """
    symbols = sorted({phoneme for spoken in phonemes for phoneme in spoken})
    size = len(symbols)
    groups = _groups(words, phonemes, {symbol: number for number, symbol in enumerate(symbols)})
    if not groups:
        raise ValueError("words holds none with at most two phonemes a letter, expected words and phonemes.")
    chosen = [_spread(letters, spoken, lengths, size) for letters, spoken, lengths in groups]
    for _ in range(rounds):
        counts = np.full((1 << _BITS, 1 + size + size * size), _NOT_SEEN)
        for (letters, _, _), chunks in zip(groups, chosen, strict=True):
            np.add.at(counts, (letters, chunks), 1)
        table = np.log(counts / counts.sum(axis=1, keepdims=True))
        chosen = [_align(table, letters, spoken, lengths, size) for letters, spoken, lengths in groups]
    singles = [(symbol,) for symbol in symbols]
    couples = [(first, second) for first in symbols for second in symbols]
    keys = np.concatenate([_keys(letters) for letters, _, _ in groups], axis=1)
    says = np.concatenate([chunks.ravel() for chunks in chosen])
    return LetterRules([(), *singles, *couples], [_most_frequent(row, says) for row in keys])


def pronounce(rules: LetterRules, words: Sequence[str], reach: int = REACH) -> list[tuple[str, ...]]:
    """What words say if each letter says what it most often does in the largest window that was seen.

    The windows grow by a letter to the right, then one to the left, and so on, as decision trees for this
    task do (Daelemans & van den Bosch, 1997).

    Args:
      rules: what `learn_rules` gave.
      words: of the letters a to z and apostrophes.
      reach: letters to either side that are looked at, at most; 0 for each letter by itself.

    Returns:
      The phonemes of each word.

    Raises:
      ValueError: if a word has other characters.

    Example:
      >>> rules = learn_rules(["cat", "cot", "nice"], [("K", "AE", "T"), ("K", "AO", "T"), ("N", "AY", "S")])
      >>> pronounce(rules, ["ice"]), pronounce(rules, ["ice"], reach=0)
      ([('AY', 'S')], [('AY', 'K')])
    """
    spoken = []
    for word in words:
        keys = _keys(_letters(word)[None])[: 2 * reach + 1]
        says = np.zeros(len(word), np.int64)
        for (seen, chunks), row in zip(rules.windows, keys, strict=False):
            places = np.searchsorted(seen, row).clip(max=len(seen) - 1)
            says = np.where(seen[places] == row, chunks[places], says)
        spoken.append(tuple(phoneme for chunk in says for phoneme in rules.chunks[chunk]))
    return spoken


def _letters(word: str) -> Integers:
    numbers = np.array([27 if letter == "'" else ord(letter) - 96 for letter in word], np.int64)
    if not np.all((numbers >= 1) & (numbers <= 27)):
        raise ValueError(f"word is {word!r}, expected the letters a to z and apostrophes.")
    return numbers


def _groups(
    words: Sequence[str], phonemes: Sequence[Sequence[str]], numbers: Mapping[str, int]
) -> list[tuple[Integers, ...]]:
    """Words of equal lengths side by side: letters `[N, L]`, phonemes `[N, P]`, their numbers `[N]`."""
    by_length: dict[int, list[int]] = {}
    for row, (word, spoken) in enumerate(zip(words, phonemes, strict=True)):
        if 0 < len(spoken) <= 2 * len(word):
            by_length.setdefault(len(word), []).append(row)
    groups: list[tuple[Integers, ...]] = []
    for rows in by_length.values():
        lengths = np.array([len(phonemes[row]) for row in rows])
        padded = np.zeros((len(rows), lengths.max()), np.int64)
        padded[np.arange(lengths.max()) < lengths[:, None]] = [
            numbers[phoneme] for row in rows for phoneme in phonemes[row]
        ]
        groups.append((np.stack([_letters(words[row]) for row in rows]), padded, lengths))
    return groups


def _spread(letters: Integers, spoken: Integers, lengths: Integers, size: int) -> Integers:
    """Chunks `[N, L]` of phonemes spread evenly over the letters."""
    num_letters = letters.shape[1]
    # Rounded up, so that letters which say nothing stand late in a word, as they more often do.
    edges = -(-np.arange(num_letters + 1) * lengths[:, None] // num_letters)
    return _chunk_ids(spoken, edges[:, 1:], np.diff(edges, axis=1), size)


def _chunk_ids(spoken: Integers, ends: Integers, counts: Integers, size: int) -> Integers:
    """Numbers of the chunks of so many phonemes before each end."""
    last, first = (
        np.take_along_axis(spoken, (ends - back).clip(0, spoken.shape[1] - 1), axis=1) for back in (1, 2)
    )
    return np.choose(counts, [np.zeros_like(last), 1 + last, 1 + size + first * size + last])


def _align(
    table: npt.NDArray[np.float64], letters: Integers, spoken: Integers, lengths: Integers, size: int
) -> Integers:
    """The most probable chunks `[N, L]` by Viterbi's recursion over the number of phonemes said so far."""
    rows = np.arange(len(letters))
    score = np.full((len(letters), spoken.shape[1] + 1), -np.inf)
    score[:, 0] = 0
    couples = 1 + size + spoken[:, :-1] * size + spoken[:, 1:]
    choices = []
    for letter in letters.T[:, :, None]:
        ways = np.full((3, *score.shape), -np.inf)
        ways[0] = score + table[letter, 0]
        ways[1, :, 1:] = score[:, :-1] + table[letter, 1 + spoken]
        ways[2, :, 2:] = score[:, :-2] + table[letter, couples]
        choices.append(ways.argmax(axis=0))
        score = ways.max(axis=0)
    ends, counts = np.zeros_like(letters), np.zeros_like(letters)
    said = lengths
    for place in reversed(range(letters.shape[1])):
        ends[:, place], counts[:, place] = said, choices[place][rows, said]
        said = said - counts[:, place]
    return _chunk_ids(spoken, ends, counts, size)


def _keys(letters: Integers) -> Integers:
    """A number for each window around each letter: `[2 REACH + 1, N L]`, from one letter to the most."""
    num_letters = letters.shape[1]
    padded = np.pad(letters, ((0, 0), (REACH, REACH)))
    offsets = [0, *(sign * step for step in range(1, REACH + 1) for sign in (1, -1))]
    key, keys = np.zeros(letters.size, np.int64), []
    for place, offset in enumerate(offsets):
        start = REACH + offset
        key = key + (padded[:, start : start + num_letters].ravel() << _BITS * place)
        keys.append(key)
    return np.stack(keys)


def _most_frequent(keys: Integers, chunks: Integers) -> tuple[Integers, Integers]:
    """Each key, in increasing order, and the chunk that is the most frequent with it."""
    together, counts = np.unique(keys << _CHUNK_BITS | chunks, return_counts=True)
    keys, chunks = together >> _CHUNK_BITS, together & (1 << _CHUNK_BITS) - 1
    order = np.lexsort((-counts, keys))
    seen, places = np.unique(keys[order], return_index=True)
    return seen, chunks[order][places]
