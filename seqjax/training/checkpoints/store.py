"""A folder of checkpoints: each is put there whole, by a rename, and old ones go afterwards."""

from __future__ import annotations

import errno
import os
import re
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import check_size
from seqjax.data.members import is_safe
from seqjax.files import flush
from seqjax.training.checkpoints.arrays import read_arrays, write_arrays
from seqjax.training.checkpoints.errors import BrokenCheckpoint
from seqjax.training.checkpoints.leaves import (
    check_leaves,
    described,
    stored,
    stored_like,
    structure_of,
    unstored,
)
from seqjax.training.checkpoints.manifest import check_files, read_manifest, write_manifest
from seqjax.training.weights import save_weights
from seqjax.types import PyTree

_NAME = re.compile(r"[0-9]{10,}")
_UNFINISHED = ".unfinished-"
STATE = "state"


class Checkpoint(NamedTuple):
    """What `load_checkpoint` found.

    Attributes:
      state: the pytree, with the structure that was asked for.
      step: the number of steps that had been taken.
      notes: what was written beside it.
      path: the checkpoint's folder; weights that were saved with it are files `NAME.safetensors` in there.
    """

    state: PyTree
    step: int
    notes: dict[str, Any]
    path: Path


def save_checkpoint(
    folder: str | os.PathLike,
    state: PyTree,
    *,
    step: int,
    weights: Mapping[str, PyTree] | None = None,
    notes: Mapping[str, Any] | None = None,
) -> Path:
    """Puts a checkpoint into a folder of checkpoints, whole or not at all.

    It is written beside its place, with a manifest that holds the SHA-256 of each file, flushed to the disk,
    and renamed. Killed at any moment, the checkpoints that were there are there still. With several
    processes, each calls this with its arrays and writes its part of them, to one folder that all of them
    see.

    Args:
      folder: which holds checkpoints; made where it is missing.
      state: any pytree of arrays and typed keys, on any devices.
      step: which the checkpoint is named after; one of the same step is replaced.
      weights: further pytrees, each a safetensors file of its own, by name.
      notes: what to keep beside it, as JSON can hold it.

    Returns:
      The checkpoint's own folder.

    Raises:
      ImportError: if orbax or safetensors are missing; the message names the extra.
      OSError: if it cannot be written; the message says which checkpoint is the newest.
      TypeError: if a leaf is no array, or JSON cannot hold a note.
      ValueError: if two leaves of the state have the same name.

    Example:
      >>> save_checkpoint("runs/mine", {"kernel": np.ones(2)}, step=100)  # doctest: +SKIP
      PosixPath('runs/mine/0000000100')
    """
    folder = Path(folder)
    final, draft = folder / f"{step:010d}", folder / f"{_UNFINISHED}{step:010d}"
    leaves = described(state)
    for name in weights or {}:
        if not is_safe(f"{name}.safetensors") or "/" in name:
            raise ValueError(f"weights has the name {name!r}, expected one that a file can have.")
    document = {
        "step": step,
        "versions": _versions(),
        "structure": structure_of(state),
        "leaves": leaves,
        "notes": dict(notes or {}),
    }
    first = jax.process_index() == 0
    try:
        if first:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
        _together("made")
        write_arrays(draft / STATE, [stored(leaf) for leaf in jax.tree.leaves(state)])
        if first:
            for name, tree in (weights or {}).items():
                save_weights(draft / f"{name}.safetensors", tree)
            write_manifest(draft, document)
            _put(draft, final)
        _together("put")
    except OSError as error:
        newest = next(iter(checkpoint_paths(folder)), None)
        whole = f"the newest one is {newest}" if newest else "there is none"
        reason = error.strerror or error
        raise OSError(
            f"the checkpoint of step {step} cannot be written to {folder} ({reason}): free some space or "
            f"mend its permissions, and go on from the newest checkpoint; {whole}."
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return final


def load_checkpoint(path: str | os.PathLike, like: PyTree) -> Checkpoint:
    """Reads a checkpoint, or the newest whole one of a folder of them, and checks all of it.

    Each file's SHA-256 is compared before anything is made of it, names, shapes and dtypes before any memory
    is taken. Of a folder of checkpoints, those that are cut short or changed are passed over with a warning.
    Leaves of `like` that have a `NamedSharding` are read to its devices, however many the checkpoint was
    written from.

    Args:
      path: a checkpoint, or a folder of checkpoints.
      like: a pytree of arrays, keys or of what stands for an array (`jax.ShapeDtypeStruct`), such as a new
        state.

    Returns:
      A `Checkpoint`.

    Raises:
      FileNotFoundError: if there is no checkpoint.
      ImportError: if orbax is missing; the message names the extra.
      ValueError: if none is whole, or the newest that is has a leaf missing, one too many, or one of another
        shape or dtype; the message names it.

    Example:
      >>> load_checkpoint("no-such-folder", {})
      Traceback (most recent call last):
      FileNotFoundError: path is no-such-folder, where there is no checkpoint.
    """
    path = Path(path)
    found = newest_checkpoint(path) or (path if _NAME.fullmatch(path.name) else None)
    if found is None or not found.is_dir():
        raise FileNotFoundError(f"path is {path}, where there is no checkpoint.")
    document = read_manifest(found)
    if found == path:
        check_files(found, document)
    check_leaves(str(found), document["leaves"], like)
    structure = structure_of(like)
    if document["versions"].get("jax") == jax.__version__ and document["structure"] != structure:
        raise ValueError(f"{found} has the structure {document['structure']}, expected {structure}.")
    leaves, treedef = jax.tree.flatten(like)
    arrays = read_arrays(found / STATE, [stored_like(leaf) for leaf in leaves])
    state = treedef.unflatten(unstored(array, leaf) for array, leaf in zip(arrays, leaves, strict=True))
    return Checkpoint(state, document["step"], document["notes"], found)


def newest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The newest checkpoint that is whole: every file is there, and has the SHA-256 that it was written with.

    Args:
      folder: of checkpoints.

    Returns:
      Its folder, or `None` where there are no checkpoints at all.

    Raises:
      BrokenCheckpoint: if there are some, and none is whole.

    Example:
      >>> newest_checkpoint("no-such-folder") is None
      True
    """
    reasons = []
    for path in checkpoint_paths(folder):
        try:
            check_files(path, read_manifest(path))
        except (BrokenCheckpoint, OSError) as error:
            reasons.append(str(error))
            continue
        for reason in reasons:
            warnings.warn(f"{reason} {path} is used instead.", stacklevel=2)
        return path
    if reasons:
        raise BrokenCheckpoint(f"{folder} holds no whole checkpoint: {' '.join(reasons)}")
    return None


def checkpoint_paths(folder: str | os.PathLike) -> list[Path]:
    """The checkpoints of a folder by their names alone, the newest first.

    Args:
      folder: of checkpoints.

    Returns:
      Their folders.

    Example:
      >>> checkpoint_paths("no-such-folder")
      []
    """
    try:
        names = [name for name in os.listdir(Path(folder)) if _NAME.fullmatch(name)]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [Path(folder) / name for name in sorted(names, key=int, reverse=True)]


def prune(folder: Path, keep_last: int, best: list[Path]) -> None:
    """Removes all but the newest checkpoints and the best.

    Args:
      folder: of checkpoints.
      keep_last: how many of the newest to keep.
      best: which to keep besides.

    Example:
      >>> prune(Path("no-such-folder"), 2, [])
    """
    check_size("keep_last", keep_last)
    for path in checkpoint_paths(folder)[keep_last:]:
        if path not in best:
            _discard(path)


def set_aside(folder: Path, step: int) -> None:
    """Renames the checkpoints of later steps: none was whole when that of this step was gone on from.

    Args:
      folder: of checkpoints.
      step: of the newest one that is whole.

    Example:
      >>> set_aside(Path("no-such-folder"), 3)
    """
    for path in checkpoint_paths(folder):
        if int(path.name) > step:
            aside = path.with_name(f"broken-{path.name}")
            shutil.rmtree(aside, ignore_errors=True)
            os.rename(path, aside)


@contextmanager
def opened(folder: Path) -> Iterator[None]:
    """Holds a folder of checkpoints for one training, and clears what a killed one left unfinished.

    The hold is the system's: it ends with the process, however that ends. Where the system has no `fcntl`,
    the folder is not held.

    Args:
      folder: which is made where it is missing.

    Raises:
      OSError: if it cannot be written to, or another training holds it.

    Example:
      >>> import tempfile
      >>> with opened(Path(tempfile.mkdtemp())):
      ...     pass
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("a")
    except OSError as error:
        reason = error.strerror or error
        raise OSError(
            f"checkpoints cannot be written to {folder} ({reason}): give another folder."
        ) from error
    with lock:
        _hold(lock, folder)
        for left in folder.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(left, ignore_errors=True)
        yield


def _hold(lock: Any, folder: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            return  # a file system that knows no locks
        raise OSError(
            f"{folder} is in use by another training: wait for it, or give another folder."
        ) from error


def _put(draft: Path, final: Path) -> None:
    if final.exists():
        _discard(final)
    os.rename(draft, final)
    flush(final.parent)


def _discard(path: Path) -> None:
    """Removes a checkpoint in a way that never leaves a part of it under its name."""
    away = path.with_name(f"{_UNFINISHED}old-{path.name}")
    shutil.rmtree(away, ignore_errors=True)
    with suppress(FileNotFoundError):
        os.rename(path, away)
    shutil.rmtree(away, ignore_errors=True)


def _versions() -> dict[str, str]:
    found = {"jax": jax.__version__, "numpy": np.__version__}
    for name in ("seqjax", "orbax-checkpoint"):
        with suppress(PackageNotFoundError):  # a checkout that is not installed
            found[name] = version(name)
    return found


def _together(name: str) -> None:
    """Waits for the other processes, where there are any."""
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        multihost_utils.sync_global_devices(f"checkpoint {name}")
