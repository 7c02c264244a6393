"""How a text is cut into words, and how bytes are written as printable characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType

_WORD = re.compile(
    r"""
      (?:https?://|www\.)\S+                            # an address
    | [<>]?[:;=][-o*']?[)(\]\[}{/\\|*]+                 # :)  ;-(  :'(  =]  :/
    | (?<!\w)[<>]?[:;=][-o*']?[dpc3](?!\w)              # :D  ;p  :3, but not the :3 of 2:30
    | [(\[][-o*']?[:;=](?!\w)                           # (:
    | </?3(?!\d)                                        # <3  </3
    | \^[-_.]*\^ | -_+-                                 # ^_^  -_-
    | [@#]\w+                                           # @name  #topic
    | \d+(?:[.,:]\d+)*(?!\w)                            # 1,299  3.5  2:30
    | n't(?!\w) | '(?:s|m|d|re|ve|ll)(?!\w)             # what is left of don't, it's, we're
    | \w+?(?=n't(?!\w)) | \w+                           # a word
    | ([^\w\s])\1*                                      # one sign, or a run of it: !!!  ...
    """,
    re.VERBOSE,
)
_LONG_RUN = re.compile(r"([^\d\s])\1{3,}")


def split_words(text: str) -> list[str]:
    """Cut a text into lowercase words, emoticons and runs of punctuation.

    A sign or letter more than three times in a row counts as three times, so that `soooooo` and `!!!!!!!!`
    are words that come back. Contractions part as in the Penn Treebank: `don't` is `do` and `n't`. Curved
    apostrophes become straight, characters their composed form (NFC). Addresses, `@names`, `#topics` and
    numbers stay whole; a hyphen parts two words. Joined with spaces and cut again, the words stay the same.

    >>> split_words("YAY!!!!! Don't worry, it's sooooooo good :-) #fun")
    ['yay', '!!!', 'do', "n't", 'worry', ',', 'it', "'s", 'sooo', 'good', ':-)', '#fun']
    """
    folded = unicodedata.normalize("NFC", text.lower().replace("\u2019", "'"))
    return [match.group() for match in _WORD.finditer(_LONG_RUN.sub(r"\1\1\1", folded))]


def byte_characters() -> Mapping[int, str]:
    """Return the printable character that stands for each byte in byte-pair symbols (Radford et al., 2019).

    Bytes that print stand for themselves, the others for the characters from U+0100 on.

    >>> byte_characters()[ord("a")], byte_characters()[ord(" ")]
    ('a', 'Ġ')
    """
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    table = {byte: chr(byte) for byte in printable}
    return MappingProxyType(table | {byte: chr(256 + place) for place, byte in enumerate(others)})
