"""Sentences of a user interface and their translations, joined on the key that both have in JSON files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from seqjax.data.archives import fetch
from seqjax.data.catalogue import HOMEASSISTANT, TRANSLATION_LANGUAGES
from seqjax.data.errors import DataError
from seqjax.data.reading import json_object, text_of

FEWEST_WORDS, MOST_WORDS = 3, 20
_UNWANTED = re.compile(r"[{}<>\[\]]|://|www\.")


class Translations(NamedTuple):
    """Sentences, each with one translation.

    Attributes:
      sources: `N` sentences, no two of them with the same words.
      targets: their translations.
      languages: those of sources and targets, such as `("en", "it")`.
      licence: the licence of the sentences.
      source: where they come from.
    """

    sources: list[str]
    targets: list[str]
    languages: tuple[str, str]
    licence: str
    source: str


def translation(language: str = "it", *, cache: Path | None = None) -> Translations:
    """Return English sentences of Home Assistant's user interface with their translations.

    7,133 pairs for Italian (`"it"`), 5,146 for French (`"fr"`), 12,629 for Spanish (`"es"`), 9,836 for German
    (`"de"`): those with 3 to 20 words on both sides and without placeholders and addresses. Many
    sentences occur hundreds of times: each is kept once, with its most frequent translation, so that any
    split, as of `split_by(pairs, pairs.sources)`, holds out sentences that were not learned from.

    Args:
      language: what to translate to.
      cache: the cache folder; `None` for `cache_folder()`. The archive to fetch has 51 MB.

    Raises:
      ValueError: there is no such language.
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    if language not in TRANSLATION_LANGUAGES:
        raise ValueError(
            f"language is {language!r}, expected one of {', '.join(TRANSLATION_LANGUAGES)}: "
            "the language to translate English to."
        )
    files = fetch(HOMEASSISTANT, cache=cache)
    english, other = (_sentences(files, name) for name in ("en", language))
    pairs = select_pairs((english[key], other[key]) for key in english if key in other)
    return Translations(
        sources=[source for source, _ in pairs],
        targets=[target for _, target in pairs],
        languages=("en", language),
        licence=HOMEASSISTANT.licence,
        source=f"user interface of {HOMEASSISTANT.package} {HOMEASSISTANT.version}",
    )


def select_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the pairs that are sentences, each source once, in the order in which they first occur.

    Runs of white space become one space. A pair is left out where a side has fewer than 3 or more than 20
    words, brackets of any kind but round ones, or an address, and where both sides have the same words.
    Sources with the same words, whatever their capitals and punctuation, count as one, and the most
    frequent pair stands for them.

    >>> select_pairs([("Turn it on", "Accendilo ora qui"), ("Off", "Spento"), ("turn it on.", "Uno due tre")])
    [('Turn it on', 'Accendilo ora qui')]
    """
    groups: dict[str, Counter[tuple[str, str]]] = {}
    for texts in pairs:
        source, target = (" ".join(text.split()) for text in texts)
        words = _same_words(source)
        if _is_sentence(source) and _is_sentence(target) and words and words != _same_words(target):
            groups.setdefault(words, Counter())[source, target] += 1
    return [group.most_common(1)[0][0] for group in groups.values()]


def flatten(tree: Any, name: str, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield every string of nested JSON objects with the keys that lead to it; `name` is for errors.

    Raises:
      DataError: there is something else than strings and objects.

    >>> list(flatten({"state": {"on": "Acceso", "off": "Spento"}}, "it.json"))
    [(('state', 'on'), 'Acceso'), (('state', 'off'), 'Spento')]
    """
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from flatten(value, name, (*path, key))
    else:
        raise DataError(
            f"{name} holds {tree!r} at {'.'.join(path)!r}, expected strings and objects only. Report it."
        )


def _sentences(files: dict[str, bytes], language: str) -> dict[tuple[str, ...], str]:
    """Every string of a language by component and keys."""
    found: dict[tuple[str, ...], str] = {}
    for name in sorted(files):
        *_, component, _, file = name.split("/")
        if file == f"{language}.json":
            tree = json_object(text_of(files, name), name)
            found.update(flatten(tree, name, (component,)))
    return found


def _is_sentence(text: str) -> bool:
    return FEWEST_WORDS <= len(text.split()) <= MOST_WORDS and not _UNWANTED.search(text)


def _same_words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))
