"""What a checkpoint says of itself: its files with their SHA-256, its leaves, who wrote it."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seqjax.data.members import is_safe
from seqjax.files import flush
from seqjax.training.checkpoints.errors import BrokenCheckpoint

MANIFEST = "manifest.json"
FORMAT = "seqjax checkpoint"
VERSION = 1
_LARGEST = 2**26
"""Bytes of the longest manifest that is read."""
_FIELDS = {"step": int, "versions": dict, "structure": str, "leaves": list, "notes": dict, "files": dict}


def write_manifest(folder: Path, document: dict[str, Any]) -> None:
    """Writes the manifest over all files that are in the folder, which makes them a checkpoint.

    Args:
      folder: a checkpoint that has no manifest yet.
      document: `step`, `versions`, `structure`, `leaves` and `notes`, all of which JSON can hold.

    Raises:
      OSError: if it cannot be written.

    Example:
      >>> import tempfile
      >>> folder = Path(tempfile.mkdtemp())
      >>> _ = (folder / "a").write_bytes(b"123")
      >>> content = {"step": 1, "versions": {}, "structure": "", "leaves": [], "notes": {}}
      >>> write_manifest(folder, content)
      >>> read_manifest(folder)["files"]["a"]["bytes"]
      3
    """
    files = {}
    for name in sorted(_names(folder)):
        path = folder / name
        files[name] = {"bytes": path.stat().st_size, "sha256": _digest(path)}
        flush(path)
    document = json.loads(json.dumps({"format": FORMAT, "version": VERSION, **document, "files": files}))
    content = _canonical(document)  # of what reading it gives: names that were numbers are sorted as strings
    (folder / MANIFEST).write_bytes(content)
    for path in (folder / MANIFEST, *(place for place in folder.rglob("*") if place.is_dir()), folder):
        flush(path)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads a manifest, and refuses one of which a single bit was changed.

    Args:
      folder: the checkpoint.

    Returns:
      The document.

    Raises:
      BrokenCheckpoint: if there is none, or it is not as it was written.

    Example:
      >>> read_manifest(Path("no-such-folder"))
      Traceback (most recent call last):
      seqjax.training.checkpoints.errors.BrokenCheckpoint: no-such-folder has no manifest.json: it is no ...
    """
    path = folder / MANIFEST
    if folder.is_symlink() or path.is_symlink() or not path.is_file():
        raise BrokenCheckpoint(f"{folder} has no {MANIFEST}: it is no whole checkpoint.")
    if path.stat().st_size > _LARGEST:
        raise BrokenCheckpoint(f"{path} is larger than any manifest: it was not read.")
    content = path.read_bytes()
    try:
        document = json.loads(content)
        whole = isinstance(document, dict) and _canonical(document) == content
    except (ValueError, RecursionError) as error:
        raise BrokenCheckpoint(f"{path} is not JSON ({error}): it was changed or cut off.") from error
    if not whole:
        raise BrokenCheckpoint(f"{path} is not as it was written: its SHA-256 is another.")
    if document.get("format") != FORMAT or document.get("version") != VERSION:
        found = f"{document.get('format')!r}, version {document.get('version')!r}"
        raise BrokenCheckpoint(f"{path} is of {found}, expected {FORMAT!r}, version {VERSION}.")
    for name, kind in _FIELDS.items():
        if type(document.get(name)) is not kind:
            raise BrokenCheckpoint(f"{path} lacks the field {name}, or it is of another type.")
    return document


def check_files(folder: Path, document: dict[str, Any]) -> None:
    """Refuses a checkpoint that holds a file more or less than its manifest says, or one that was changed.

    Links, devices and names that lead outside of the folder are refused before anything of them is read.

    Args:
      folder: the checkpoint.
      document: its manifest.

    Raises:
      BrokenCheckpoint: the message names the file.

    Example:
      >>> check_files(Path("x"), {"files": {"../a": {"bytes": 1, "sha256": ""}}})
      Traceback (most recent call last):
      seqjax.training.checkpoints.errors.BrokenCheckpoint: x lists the file '../a', whose name leads ...
    """
    for name, listed in document["files"].items():
        if not is_safe(name):
            raise BrokenCheckpoint(f"{folder} lists the file {name!r}, whose name leads outside of it.")
        if not isinstance(listed, dict) or listed.keys() != {"bytes", "sha256"}:
            raise BrokenCheckpoint(f"{folder} lists the file {name!r} without its length and SHA-256.")
    there, expected = set(_names(folder)) - {MANIFEST}, document["files"].keys()
    for name in sorted(expected - there):
        raise BrokenCheckpoint(f"{folder / name} is missing.")
    for name in sorted(there - expected):
        raise BrokenCheckpoint(f"{folder / name} is there, but not in the manifest.")
    for name, listed in document["files"].items():
        size = (folder / name).stat().st_size
        if size != listed["bytes"]:
            raise BrokenCheckpoint(f"{folder / name} has {size} bytes, expected {listed['bytes']}.")
        if _digest(folder / name) != listed["sha256"]:
            raise BrokenCheckpoint(f"{folder / name} was changed: its SHA-256 is another.")


def _canonical(document: dict[str, Any]) -> bytes:
    """The one way to write a document, with its digest: any other bytes are one that was changed."""
    content = {name: value for name, value in document.items() if name != "sha256"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, "sha256": digest}, indent=1, sort_keys=True).encode()


def _names(folder: Path) -> Iterator[str]:
    """The files in a folder and the folders below it, by relative names, none of them through a link."""
    waiting = [""]
    while waiting:
        inside = waiting.pop()
        with os.scandir(folder / inside) as entries:
            for entry in entries:
                name, mode = f"{inside}{entry.name}", entry.stat(follow_symlinks=False).st_mode
                if stat.S_ISDIR(mode):
                    waiting.append(f"{name}/")
                elif stat.S_ISREG(mode):
                    yield name
                else:
                    raise BrokenCheckpoint(f"{folder / name} is a link or a device: it was not read.")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
