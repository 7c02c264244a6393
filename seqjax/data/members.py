"""Read named members out of an archive, and refuse any that would lead outside of a folder."""

from __future__ import annotations

import gzip
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

from seqjax.data.errors import DataError

NESTED = "!/"
"""Parts the path of an archive from the path of a member inside it: `a/b.tar.gz!/c.txt`."""

_UNREADABLE = (
    EOFError,
    NotImplementedError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class Entry(NamedTuple):
    """One entry of an archive: its name, what it is (`file`, `folder` or `other`), how to read it."""

    name: str
    kind: str
    read: Callable[[], bytes]


def read_members(data: bytes, patterns: Iterable[str], *, strip: int = 0) -> dict[str, bytes]:
    """Read the members of a tar or zip archive that match any of `patterns`.

    A pattern is a path in which each part may hold `*`, `?` and `[...]`, none of which match a `/`.
    What follows a `!/` is a pattern inside the archive that the part before it names.

    Args:
      data: the archive, whole.
      patterns: which members to read.
      strip: how many leading folders of every name in the archive to leave out.

    Returns:
      The members' contents by name; the name of a nested member holds the `!/`.

    Raises:
      DataError: the data are no archive, a pattern matches nothing, or a matching member is a link,
        a device, or has a path that leads outside of the folder it would be put in.

    >>> file = io.BytesIO()
    >>> with zipfile.ZipFile(file, "w") as archive:
    ...     archive.writestr("a/one.txt", "1")
    ...     archive.writestr("a/two.csv", "2")
    >>> read_members(file.getvalue(), ["a/*.txt"])
    {'a/one.txt': b'1'}
    """
    inner: dict[str, list[str]] = {}
    for pattern in patterns:
        outer, _, rest = pattern.partition(NESTED)
        inner.setdefault(outer, []).append(rest)
    found: dict[str, bytes] = {}
    unmatched = set(inner)
    try:
        for entry in _entries(data):
            # The whole name is checked, not what stripping leaves: `../../x` must not pass as `../x`.
            name = "/".join(entry.name.split("/")[strip:])
            for outer, rests in inner.items():
                if entry.kind == "folder" or not _matches(name, outer):
                    continue
                unmatched.discard(outer)
                _check_entry(entry)
                found.update(_contents(name, entry.read(), rests))
    except _UNREADABLE as error:
        raise DataError(
            f"The archive cannot be read: {error}. Report it: its SHA-256 was as expected."
        ) from error
    if unmatched:
        raise DataError(
            f"The archive has no member {sorted(unmatched)[0]!r}: check the members declared for it."
        )
    return found


def _contents(name: str, content: bytes, rests: list[str]) -> dict[str, bytes]:
    found = {name: content} if "" in rests else {}
    nested = [rest for rest in rests if rest]
    if nested:
        found |= {f"{name}{NESTED}{key}": value for key, value in read_members(content, nested).items()}
    return found


def _entries(data: bytes) -> Iterator[Entry]:
    file = io.BytesIO(data)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                yield Entry(info.filename, _zip_kind(info), partial(archive.read, info))
        return
    file.seek(0)
    with tarfile.open(fileobj=file, mode="r:*") as tar:
        for member in tar:
            kind = "file" if member.isreg() else "folder" if member.isdir() else "other"
            yield Entry(member.name, kind, partial(_read_tar, tar, member))


def _zip_kind(info: zipfile.ZipInfo) -> str:
    mode = info.external_attr >> 16
    if info.is_dir():
        return "folder"
    return "file" if stat.S_IFMT(mode) in (0, stat.S_IFREG) else "other"


def _read_tar(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return b"" if file is None else file.read()


def _matches(name: str, pattern: str) -> bool:
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def _check_entry(entry: Entry) -> None:
    if not is_safe(entry.name):
        raise DataError(
            f"The archive's member {entry.name!r} leads outside of its folder: it was not extracted."
        )
    if entry.kind != "file":
        raise DataError(f"The archive's member {entry.name!r} is a link or a device: it was not extracted.")


def is_safe(name: str) -> bool:
    r"""Tell whether `name` is a relative path that stays inside the folder it is joined to.

    >>> [is_safe(name) for name in ("a/b.txt", "/a", "a/../b", "a//b", "c:b", "a\\b")]
    [True, False, False, False, False, False]
    """
    parts = name.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not set(name) & set("\\:\0")
