"""Vocabularies: what turns text into integer tokens and back.

All kinds share one type and the same four ids at the start: padding 0, unknown 1, start 2, end 3. No text
can spell those four, so no text can forge the end of a sequence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal, get_args

from seqjax.data import vocabulary_json
from seqjax.data.orders import whole_number
from seqjax.data.tokens import byte_characters, split_words

Kind = Literal["words", "characters", "utf8", "byte_pairs"]
KINDS: tuple[str, ...] = get_args(Kind)
RESERVED = 4


@dataclass(frozen=True)
class Vocabulary:
    """A fixed set of symbols and how text is cut into them, as the functions of this module make it.

    Attributes:
      kind: how text is cut.
      symbols: symbol `i` has id `4 + i`. Empty for `utf8`, whose id of a byte is `4 + byte`.
      merges: for `byte_pairs`, which neighbours become one symbol, first to last; empty for others.
      padding, unknown, start, end: the reserved ids, the same in every vocabulary.

    Raises:
      TypeError, ValueError: a field is not of that form.

    >>> vocabulary = words(["good morning", "good night"])
    >>> vocabulary.encode("Good evening")
    [4, 1]
    >>> vocabulary.decode([2, 4, 6, 3, 0, 0])
    'good night'
    >>> len(vocabulary), Vocabulary.from_json(vocabulary.to_json()) == vocabulary
    (7, True)
    """

    padding: ClassVar[int] = 0
    unknown: ClassVar[int] = 1
    start: ClassVar[int] = 2
    end: ClassVar[int] = 3

    kind: Kind
    symbols: tuple[str, ...] = ()
    merges: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        check(self.kind, self.symbols, self.merges)

    def __len__(self) -> int:
        """Return how many ids there are, the four reserved ones included: the size to give an embedding."""
        return RESERVED + (256 if self.kind == "utf8" else len(self.symbols))

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`; what is not in the vocabulary becomes `unknown`.

        Args:
          text: any string. Neither start nor end is added.

        Raises:
          TypeError: `text` is not a string.
          ValueError: `text` holds half of a surrogate pair, and this kind of vocabulary works on bytes.
        """
        if not isinstance(text, str):
            raise TypeError(
                f"text is of type {type(text).__name__}, expected str: encode one text at a time."
            )
        if self.kind == "utf8":
            return [RESERVED + byte for byte in _utf8(text)]
        if self.kind == "byte_pairs":
            _utf8(text)
            return [RESERVED + number for number in self._byte_pair_model.encode(text).ids]
        pieces = split_words(text) if self.kind == "words" else text
        return [self._ids.get(piece, self.unknown) for piece in pieces]

    def decode(self, ids: Iterable[int]) -> str:
        """Return the text of `ids`, without padding, start and end; words are joined with spaces.

        Args:
          ids: integers, a list or an array `[t]`. An unknown one reads as the replacement character U+FFFD,
            as do bytes that are not UTF-8.

        Raises:
          TypeError: an id is not an integer.
          ValueError: an id is not in the vocabulary.
        """
        numbers = [self._known(number, place) for place, number in enumerate(ids)]
        kept = [number for number in numbers if number not in (self.padding, self.start, self.end)]
        if self.kind in ("utf8", "byte_pairs"):
            return b"".join(map(self._bytes, kept)).decode("utf-8", errors="replace")
        pieces = ["\ufffd" if number == self.unknown else self.symbols[number - RESERVED] for number in kept]
        return (" " if self.kind == "words" else "").join(pieces)

    def to_json(self) -> str:
        """Return the vocabulary as JSON text, which `from_json` reads."""
        return vocabulary_json.dump(self.kind, self.symbols, self.merges)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """Read what `to_json` wrote. The text may come from anyone: it is checked, and none of it is run.

        Raises:
          TypeError: `text` is not a string.
          ValueError: it is not the JSON of a vocabulary; the message says what is wrong.
        """
        return cls(**vocabulary_json.load(text))

    def _known(self, number: int, place: int) -> int:
        known = whole_number(number, f"ids[{place}]", 0)
        if known >= len(self):
            raise ValueError(
                f"ids[{place}] is {known}, but this vocabulary has {len(self)} ids, 0 to {len(self) - 1}: "
                "decode with the vocabulary that encoded."
            )
        return known

    def _bytes(self, number: int) -> bytes:
        if number == self.unknown:
            return "\ufffd".encode()
        if self.kind == "utf8":
            return bytes([number - RESERVED])
        return bytes(self._byte_of[character] for character in self.symbols[number - RESERVED])

    @cached_property
    def _ids(self) -> dict[str, int]:
        return {symbol: RESERVED + place for place, symbol in enumerate(self.symbols)}

    @cached_property
    def _byte_of(self) -> dict[str, int]:
        return {character: byte for byte, character in byte_characters().items()}

    @cached_property
    def _byte_pair_model(self) -> Any:
        tokenizers = _import_tokenizers()
        places = {symbol: place for place, symbol in enumerate(self.symbols)}
        model = tokenizers.Tokenizer(tokenizers.models.BPE(vocab=places, merges=list(self.merges)))
        model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
        return model


def words(texts: Iterable[str], *, min_count: int = 1, max_size: int | None = None) -> Vocabulary:
    """Return the vocabulary of the words of `texts`, as `split_words` cuts them, the most frequent first.

    Args:
      texts: what to count the words of: the training part only.
      min_count: leave out words that occur fewer times.
      max_size: keep at most this many ids, the four reserved ones included; `None` keeps all.

    Raises:
      TypeError: `texts` is one string, or holds something else than strings.
      ValueError: `min_count` or `max_size` is too small.

    >>> words(["a b", "b c"], max_size=5).symbols
    ('b',)
    """
    whole_number(min_count, "min_count", 1)
    if max_size is not None:
        whole_number(max_size, "max_size", RESERVED)
    counts = Counter(word for text in _strings(texts) for word in split_words(text))
    frequent = sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda w: (-counts[w], w)
    )
    return Vocabulary("words", tuple(frequent if max_size is None else frequent[: max_size - RESERVED]))


def characters(texts: Iterable[str]) -> Vocabulary:
    """Return the vocabulary of every character of `texts`, in the order of their code points.

    Raises:
      TypeError: `texts` is one string, or holds something else than strings.

    >>> characters(["banana"]).symbols
    ('a', 'b', 'n')
    """
    return Vocabulary(
        "characters", tuple(sorted({character for text in _strings(texts) for character in text}))
    )


def utf8() -> Vocabulary:
    """Return the vocabulary of the 256 bytes of UTF-8, which knows every text.

    >>> utf8().decode(utf8().encode("é"))
    'é'
    """
    return Vocabulary("utf8")


def byte_pairs(texts: Iterable[str], size: int) -> Vocabulary:
    """Return a byte-pair vocabulary learned from `texts` (Sennrich et al., 2016), which knows every text.

    The symbols are the 256 bytes and then, one by one, the most frequent pair of neighbours in a word.

    Args:
      texts: what to learn from: the training part only.
      size: how many ids, at least 260: the reserved ones and the bytes. A small text may give fewer.

    Raises:
      ImportError: the package `tokenizers` is missing.
      TypeError: `texts` is one string, or holds something else than strings.
      ValueError: `size` is too small.
    """
    whole_number(size, "size", RESERVED + 256)
    tokenizers = _import_tokenizers()
    model = tokenizers.Tokenizer(tokenizers.models.BPE())
    model.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size - RESERVED,
        initial_alphabet=sorted(byte_characters().values()),
        show_progress=False,
    )
    model.train_from_iterator((_utf8(text).decode() for text in _strings(texts)), trainer)
    symbols, merges = vocabulary_json.learned(model.to_str())
    return Vocabulary("byte_pairs", symbols, merges)


def check(kind: Any, symbols: Any, merges: Any) -> None:
    """Raise a `TypeError` or `ValueError` that names the field unless the three make a vocabulary."""
    if kind not in KINDS:
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(KINDS)}.")
    if not isinstance(symbols, tuple) or not all(isinstance(symbol, str) and symbol for symbol in symbols):
        raise TypeError("symbols is expected to be a tuple of strings, none of them empty.")
    if len(set(symbols)) != len(symbols):
        repeated = next(symbol for symbol, count in Counter(symbols).items() if count > 1)
        raise ValueError(f"symbols holds {repeated!r} twice, expected each symbol once.")
    if kind == "characters" and any(len(symbol) != 1 for symbol in symbols):
        raise ValueError("symbols is expected to hold single characters where kind is 'characters'.")
    if kind == "utf8" and symbols:
        raise ValueError("symbols is expected to be empty where kind is 'utf8': its 256 bytes are implied.")
    _check_merges(kind, symbols, merges)


def _check_merges(kind: str, symbols: tuple[str, ...], merges: Any) -> None:
    pairs = isinstance(merges, tuple) and all(
        isinstance(merge, tuple) and len(merge) == 2 for merge in merges
    )
    if not pairs or not all(isinstance(part, str) for merge in merges for part in merge):
        raise TypeError("merges is expected to be a tuple of pairs of strings.")
    if kind != "byte_pairs":
        if merges:
            raise ValueError(f"merges is expected to be empty where kind is {kind!r}.")
        return
    alphabet, known = set(byte_characters().values()), set(symbols)
    if not alphabet <= known:
        raise ValueError(
            f"symbols lacks {len(alphabet - known)} of the 256 bytes that 'byte_pairs' are made of."
        )
    if not set().union(*symbols) <= alphabet:
        raise ValueError("symbols holds a character that stands for no byte, where kind is 'byte_pairs'.")
    for left, right in merges:
        if not {left, right, left + right} <= known:
            raise ValueError(
                f"merges joins {left!r} and {right!r}, but symbols lacks one of them or what they make."
            )


def _strings(texts: Iterable[str]) -> Iterable[str]:
    if isinstance(texts, str):
        raise TypeError("texts is one string, expected several: put it in a list.")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{place}] is of type {type(text).__name__}, expected str.")
        yield text


def _utf8(text: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"text holds half of a surrogate pair at position {error.start}, which UTF-8 cannot write: "
            "decode it from its source with errors='replace'."
        ) from error


def _import_tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            'Byte pairs need the package tokenizers, which is not installed: run pip install "seqjax[text]".'
        ) from error
    return tokenizers
