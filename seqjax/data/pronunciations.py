"""Words and how they are pronounced, from the CMU Pronouncing Dictionary."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from seqjax.data.archives import fetch
from seqjax.data.catalogue import CMUDICT
from seqjax.data.errors import DataError
from seqjax.data.reading import text_of

_ENTRY = re.compile(r"([a-z'.-]+)(?:\([0-9]+\))?((?: [A-Z]+[0-2]?)+)")


class Pronunciations(NamedTuple):
    """Words, each with the ways it is pronounced.

    Attributes:
      words: `N` words, each once.
      phonemes: for each word its pronunciations, the usual one first; a pronunciation is a tuple of
        phonemes in ARPAbet.
      symbols: every phoneme that occurs, in alphabetical order.
      licence: the licence of the dictionary.
      source: where it comes from.
    """

    words: list[str]
    phonemes: list[tuple[tuple[str, ...], ...]]
    symbols: tuple[str, ...]
    licence: str
    source: str


def pronunciation(*, stress: bool = False, cache: Path | None = None) -> Pronunciations:
    """Return 124,926 words of North American English with their phonemes, 28 of them at most.

    The words are those of CMUdict that consist of the letters a to z and apostrophes; 8,113 of them have two
    to four pronunciations (8,383 with stress), and a model is right if it gives any of these. In
    `data.Vocabulary("words", symbols)`, which decodes, `symbols[i]` has the id `4 + i`.

    Args:
      stress: whether vowels say how they are stressed, by a digit: 0 for not, 1 for most, 2 for second; then
        there are 69 symbols. Without, as the literature compares systems, there are 39.
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      TypeError: `stress` is neither `True` nor `False`.
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    if not isinstance(stress, bool):
        raise TypeError(f"stress is {stress!r}, expected True or False.")
    files = fetch(CMUDICT, cache=cache)
    entries = parse_cmudict(text_of(files, CMUDICT.members[0]), stress=stress)
    kept = {word: ways for word, ways in entries.items() if re.fullmatch(r"[a-z']+", word)}
    return Pronunciations(
        words=list(kept),
        phonemes=list(kept.values()),
        symbols=tuple(sorted({phoneme for ways in kept.values() for way in ways for phoneme in way})),
        licence=CMUDICT.licence,
        source=f"CMU Pronouncing Dictionary, in the package {CMUDICT.package} {CMUDICT.version}",
    )


def parse_cmudict(text: str, *, stress: bool) -> dict[str, tuple[tuple[str, ...], ...]]:
    r"""Parse lines of a word and its phonemes, parted by spaces.

    Another pronunciation of a word has a number after it in brackets. What follows a `#` is a comment.

    Args:
      text: the lines.
      stress: whether to keep the digits of phonemes.

    Returns:
      For each word its different pronunciations, in the order of the lines.

    Raises:
      DataError: a line is not of that form.

    >>> parse_cmudict("a AH0\na(2) EY1 # letter\nat AE1 T\n", stress=False)
    {'a': (('AH',), ('EY',)), 'at': (('AE', 'T'),)}
    """
    entries: dict[str, dict[tuple[str, ...], None]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        match = _ENTRY.fullmatch(line.split("#")[0].rstrip())
        if match is None:
            raise DataError(
                f"Line {number} of the pronouncing dictionary is {line!r}, expected a word and its phonemes, "
                "parted by single spaces. Report it."
            )
        word, phonemes = match.groups()
        # A dictionary keeps the order, and each pronunciation once where digits made the difference.
        spoken = phonemes if stress else re.sub("[0-2]", "", phonemes)
        entries.setdefault(word, {})[tuple(spoken.split())] = None
    return {word: tuple(ways) for word, ways in entries.items()}
