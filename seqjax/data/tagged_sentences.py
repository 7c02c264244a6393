"""Turkish sentences with the part of speech of each word, from CoNLL-U files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import TURKISH_TREEBANKS
from seqjax.data.errors import DataError
from seqjax.data.examples import take
from seqjax.data.reading import text_of

Genre = Literal["web", "wiki"]
GENRES: tuple[str, ...] = get_args(Genre)
PARTS_OF_SPEECH: tuple[str, ...] = (
    *("ADJ", "ADP", "ADV", "AFFIX", "CONJ", "DET", "NOUN"),
    *("NUM", "ONOM", "PRON", "PRT", "PUNCT", "VERB", "X"),
)
"""The coarse tags, by index."""


class TaggedSentences(NamedTuple):
    """Sentences, each word with a tag.

    Attributes:
      words: for each of `N` sentences its words.
      tags: for each sentence `[t]` int32, an index into `classes` for each word.
      continued: for each sentence `[t]` booleans: whether a word goes on in the next one, with no space
        between them, as the parts of a Turkish word that derive one part of speech from another do.
      classes: what each tag means.
      licence: the licence of the sentences.
      source: where they come from.
    """

    words: list[list[str]]
    tags: list[npt.NDArray[np.int32]]
    continued: list[npt.NDArray[np.bool_]]
    classes: tuple[str, ...]
    licence: str
    source: str


def treebank(genre: Genre = "web", *, cache: Path | None = None) -> TaggedSentences:
    """Return Turkish sentences with one of 14 parts of speech for each word.

    2,541 sentences of web pages with 32,422 words, or 2,310 of Wikipedia with 48,948 (Kayadelen et al.,
    2020). What counts as a word is an inflectional group: `Açık la nma yan` are four, with the tags ADJ VERB
    VERB ADJ, that are written as one. `whole_words` joins them; `split_tenths` splits as the publishers do.

    Args:
      genre: `"web"` or `"wiki"`.
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      ValueError: there is no such genre.
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    if genre not in GENRES:
        raise ValueError(f"genre is {genre!r}, expected one of {', '.join(GENRES)}.")
    name = f"data/{genre}.conllu"
    return parse_conllu(text_of(fetch(TURKISH_TREEBANKS, cache=cache), name), name)


def whole_words(sentences: TaggedSentences) -> TaggedSentences:
    r"""Join the words that are written as one; the last of them, which inflects, gives the tag.

    >>> text = "1\tAçık\t_\tADJ\t_\t_\t2\tig\t_\tSpaceAfter=No\n2\tla\t_\tVERB\t_\t_\t0\troot\t_\t_\n"
    >>> joined = whole_words(parse_conllu(text, "example"))
    >>> joined.words, [joined.classes[tag] for tag in joined.tags[0]]
    ([['Açıkla']], ['VERB'])
    """
    words, tags = [], []
    for pieces, labels, continued in zip(sentences.words, sentences.tags, sentences.continued, strict=True):
        ends = np.flatnonzero(~continued)
        starts = np.append(0, ends + 1)[: len(ends)]
        words.append(["".join(pieces[start : end + 1]) for start, end in zip(starts, ends, strict=True)])
        tags.append(labels[ends])
    whole = [np.zeros(len(sentence), np.bool_) for sentence in words]
    return sentences._replace(words=words, tags=tags, continued=whole)


def split_tenths(sentences: TaggedSentences) -> tuple[TaggedSentences, TaggedSentences, TaggedSentences]:
    """Split as the treebank's publishers do: of every ten sentences eight, the ninth, and the tenth.

    Returns:
      `(training, validation, held_out)`.
    """
    place = np.arange(len(sentences.words)) % 10
    training, validation, held_out = (
        take(sentences, np.flatnonzero(rows)) for rows in (place < 8, place == 8, place == 9)
    )
    return training, validation, held_out


def parse_conllu(text: str, name: str) -> TaggedSentences:
    """Parse sentences parted by empty lines, each line a word and its tag.

    Args:
      text: lines of ten fields parted by tabs: number, word, lemma, tag, fine tag, features, head, relation,
        further dependencies, miscellaneous. Lines that start with `#` are comments; those numbered
        `1-2` or `1.1` are no words, and left out.
      name: what to call the file in an error.

    Raises:
      DataError: a line is not of that form, or a tag is unknown.
    """
    words: list[list[str]] = []
    tags: list[npt.NDArray[np.int32]] = []
    continued: list[npt.NDArray[np.bool_]] = []
    for lines in _sentences(text):
        rows = [_parse_word(line, number, name) for number, line in lines]
        kept = [row for row in rows if row is not None]
        if not kept:
            raise DataError(f"{name} has a sentence without words before line {lines[-1][0] + 1}. Report it.")
        words.append([word for word, _, _ in kept])
        tags.append(np.array([tag for _, tag, _ in kept], np.int32))
        # Nothing follows the last word, whatever its line says.
        continued.append(np.array([*(more for _, _, more in kept[:-1]), False]))
    return TaggedSentences(
        words=words,
        tags=tags,
        continued=continued,
        classes=PARTS_OF_SPEECH,
        licence=TURKISH_TREEBANKS.licence,
        source=f"Turkish treebanks, in the package {TURKISH_TREEBANKS.package} {TURKISH_TREEBANKS.version}",
    )


def _sentences(text: str) -> Iterator[list[tuple[int, str]]]:
    """The lines of each sentence with their numbers, without comments."""
    lines: list[tuple[int, str]] = []
    for number, line in enumerate([*text.split("\n"), ""], 1):
        if line.startswith("#"):
            continue
        if line.strip():
            lines.append((number, line))
        elif lines:
            yield lines
            lines = []


def _parse_word(line: str, number: int, name: str) -> tuple[str, int, bool] | None:
    """The word, its tag, and whether it goes on in the next; `None` where the line is no word."""
    fields = line.rstrip("\r").split("\t")
    try:
        place, word, _, tag, _, _, head, relation, _, other = fields
        if not place.isdecimal():
            if not all(part.isdecimal() for part in place.replace(".", "-", 1).split("-", 1)):
                raise ValueError
            return None
        if not word:
            raise ValueError
        more = relation == "ig" and head == str(int(place) + 1) and "SpaceAfter=No" in other.split("|")
        return word, PARTS_OF_SPEECH.index(tag), more
    except ValueError:
        raise DataError(
            f"Line {number} of {name} is {line!r}, expected ten fields parted by tabs: a number, a word, "
            f"and as the fourth one of {' '.join(PARTS_OF_SPEECH)}. Report it."
        ) from None
