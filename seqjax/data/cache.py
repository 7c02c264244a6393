"""The folder of fetched data: found by `SEQJAX_CACHE`, written atomically, verified at every read.

A stored archive is a folder of files and a `manifest.json` with the SHA-256 of each. Every file gets to
its place by a rename, the manifest last. What an archive holds is fixed by its hash, so two processes that
store the same one at once put the same bytes in the same places, and no lock is needed.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from seqjax.data.errors import DataError
from seqjax.data.members import is_safe

MANIFEST = "manifest.json"
_WORKSPACE = ".fetching-"
_ABANDONED_SECONDS = 24 * 3600


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the folder where fetched data live: `$SEQJAX_CACHE`, else the platform's cache folder.

    Args:
      environment: where to look the variable up.

    Raises:
      ImportError: the variable is not set, and the package `platformdirs` is missing.

    >>> cache_folder({"SEQJAX_CACHE": "here"}).as_posix()
    'here'
    """
    named = environment.get("SEQJAX_CACHE")
    if named:
        return Path(named).expanduser()
    try:
        import platformdirs
    except ImportError as error:
        raise ImportError(
            "The cache folder is found with the package platformdirs, which is not installed: "
            'run pip install "seqjax[data]", or name a folder in SEQJAX_CACHE.'
        ) from error
    return platformdirs.user_cache_path("seqjax", appauthor=False)


def load(folder: Path, key: str) -> dict[str, bytes] | None:
    """Read the files stored in `folder` under `key`.

    Args:
      folder: where `store` was told to put them.
      key: what identifies the content; a folder stored under another key counts as empty.

    Returns:
      The files' contents by name, or `None` where nothing whole is stored: nothing at all, or a file
      that is missing, cut short or changed since.
    """
    try:
        digests = _read_manifest(folder / MANIFEST, key)
        files = {name: _path(folder, name).read_bytes() for name in digests}
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return None
    whole = all(hashlib.sha256(files[name]).hexdigest() == digest for name, digest in digests.items())
    return files if whole else None


def store(folder: Path, key: str, files: Mapping[str, bytes], workspace: Path) -> None:
    """Put `files` into `folder`, each by a rename, then the manifest that makes them count.

    Args:
      folder: where to put them; made where it is missing.
      key: what `load` will ask for.
      files: contents by name.
      workspace: a folder on the same disk, as `workspace_in` makes it, to write them in first.

    Raises:
      OSError: the disk is full, or the folder cannot be written to.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    for name, content in files.items():
        _write(_path(folder, name), content, workspace)
    manifest = json.dumps({"key": key, "files": digests}, indent=1, sort_keys=True)
    _write(folder / MANIFEST, manifest.encode(), workspace)


@contextmanager
def workspace_in(root: Path) -> Iterator[Path]:
    """Make a temporary folder inside `root`, removed at the end along with any that a killed process left."""
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob(f"{_WORKSPACE}*"):
        with suppress(FileNotFoundError):
            if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=_WORKSPACE, dir=root, ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def explained(root: Path) -> Iterator[None]:
    """Turn an `OSError` of the block into a `DataError` that says what to do about the cache `root`."""
    try:
        yield
    except OSError as error:
        raise DataError(_explanation(error, root)) from error


def _explanation(error: OSError, root: Path) -> str:
    elsewhere = "set the environment variable SEQJAX_CACHE to a folder"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of the cache {root} is full: free some space, or {elsewhere} on another disk."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"The cache {root} cannot be written or read: mend its permissions, or {elsewhere} that can."
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
        return f"The cache {root} has a file where a folder belongs: move it, or {elsewhere} elsewhere."
    return f"The cache {root} cannot be used ({error}): mend that, or {elsewhere} elsewhere."


def _read_manifest(path: Path, key: str) -> dict[str, str]:
    manifest = json.loads(path.read_bytes())
    if not isinstance(manifest, dict) or manifest.get("key") != key:
        raise ValueError("the manifest is of another archive")
    digests = manifest.get("files")
    if not isinstance(digests, dict) or not digests or not all(is_safe(name) for name in digests):
        raise ValueError("the manifest names no files")
    return digests


def _path(folder: Path, name: str) -> Path:
    # Names were checked when they left the archive; they are checked again because a cache can be edited.
    if not is_safe(name) or name == MANIFEST:
        raise ValueError(
            f"name is {name!r}, expected a relative path inside the cache other than {MANIFEST}."
        )
    return folder.joinpath(*name.split("/"))


def _write(target: Path, content: bytes, workspace: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A plain file, not one of `tempfile`, which nobody but its owner could read in a shared cache.
    part = workspace / "part"
    part.write_bytes(content)
    os.replace(part, target)
