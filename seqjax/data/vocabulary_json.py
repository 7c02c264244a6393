"""The JSON of a vocabulary: written plainly, and trusted for nothing when it is read."""

from __future__ import annotations

import json
from typing import Any

FORMAT = "seqjax.vocabulary"
VERSION = 1


def dump(kind: str, symbols: tuple[str, ...], merges: tuple[tuple[str, str], ...]) -> str:
    """Return the JSON text of a vocabulary's three fields.

    >>> dump("characters", ("a",), ())
    '{"format": "seqjax.vocabulary", "version": 1, "kind": "characters", "symbols": ["a"], "merges": []}'
    """
    fields = {"format": FORMAT, "version": VERSION, "kind": kind, "symbols": symbols, "merges": merges}
    return json.dumps(fields)


def load(text: str) -> dict[str, Any]:
    """Return the three fields that `dump` wrote, of the right types; the vocabulary checks what they say.

    Raises:
      TypeError: `text` is not a string.
      ValueError: `text` is not JSON, or not an object of exactly these fields.

    >>> load("[]")
    Traceback (most recent call last):
    ...
    ValueError: text is not the JSON of a vocabulary: it is of type list, expected an object. Write one ...
    """
    if not isinstance(text, str):
        raise TypeError(
            f"text is of type {type(text).__name__}, expected str: read the file with read_text()."
        )
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"it cannot be parsed ({error})") from error
    if not isinstance(fields, dict):
        raise _wrong(f"it is of type {type(fields).__name__}, expected an object")
    expected = ("format", "version", "kind", "symbols", "merges")
    if set(fields) != set(expected):
        names = ", ".join(sorted(map(str, fields))[:8])
        raise _wrong(f"its fields are {names or 'none'}, expected {', '.join(expected)}")
    if (fields["format"], fields["version"]) != (FORMAT, VERSION):
        raise _wrong(
            f"its format is {fields['format']!r} version {fields['version']!r}, expected {FORMAT} {VERSION}"
        )
    return {
        "kind": fields["kind"],
        "symbols": _strings(fields["symbols"], "symbols"),
        "merges": _pairs(fields["merges"]),
    }


def learned(text: str) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """Return the symbols, by id, and the merges out of the JSON of a model that `tokenizers` trained."""
    model = json.loads(text)["model"]
    symbols = tuple(sorted(model["vocab"], key=model["vocab"].__getitem__))
    return symbols, tuple((left, right) for left, right in model["merges"])


def _strings(value: Any, name: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(f"{name} is expected to be a list of strings")
    return tuple(value)


def _pairs(value: Any) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(isinstance(item, list) and len(item) == 2 for item in value):
        raise _wrong("merges is expected to be a list of pairs of strings")
    pairs = [_strings(item, "merges") for item in value]
    return tuple((left, right) for left, right in pairs)


def _wrong(what: str) -> ValueError:
    return ValueError(f"text is not the JSON of a vocabulary: {what}. Write one with to_json().")
