"""How the members of an archive are read, whose content is not to be trusted."""

from __future__ import annotations

import gzip
import json
import zlib
from typing import Any

from seqjax.data.errors import DataError


def text_of(files: dict[str, bytes], name: str) -> str:
    """Return the member `name` as text.

    Raises:
      DataError: it is not UTF-8.
    """
    try:
        return files[name].decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{name} cannot be read: {error}. Report it.") from error


def unzipped_text_of(files: dict[str, bytes], name: str) -> str:
    """Return the member `name`, compressed by gzip, as text.

    Raises:
      DataError: it is damaged, or not UTF-8.
    """
    try:
        return text_of({name: gzip.decompress(files[name])}, name)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name} cannot be read: {error}. Report it.") from error


def json_object(text: str, name: str) -> dict[str, Any]:
    """Return the JSON object that `text` is; `name` is what an error calls it.

    Raises:
      DataError: it is not JSON, or something else than an object.

    >>> json_object('{"a": 1}', "x.json")
    {'a': 1}
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name} cannot be read: {error}. Report it.") from error
    if not isinstance(value, dict):
        raise DataError(f"{name} holds a {type(value).__name__}, expected a JSON object. Report it.")
    return value
