"""Arrays in a folder, by orbax: from any number of processes, to any other number of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import jax
import numpy as np

from seqjax.training.checkpoints.errors import BrokenCheckpoint


def write_arrays(folder: Path, arrays: Sequence[Any]) -> None:
    """Writes arrays to a folder of their own; each of several processes writes its part of them.

    Args:
      folder: which is made.
      arrays: numpy arrays, or jax arrays on any devices.

    Raises:
      OSError: if they cannot be written.

    Example:
      >>> write_arrays(Path("runs/arrays"), [np.ones(3)])  # doctest: +SKIP
    """
    orbax = _orbax()
    tree = {str(number): array for number, array in enumerate(arrays) if array.size}  # orbax takes no others
    try:
        with orbax.Checkpointer(orbax.PyTreeCheckpointHandler()) as checkpointer:
            checkpointer.save(folder.absolute(), args=orbax.args.PyTreeSave(tree))
    except OSError:
        raise
    except Exception as error:  # tensorstore tells of a full disk by errors of several types
        raise OSError(str(error).splitlines()[0]) from error


def read_arrays(folder: Path, likes: Sequence[jax.ShapeDtypeStruct]) -> list[Any]:
    """Reads arrays, once those in the folder are known to be of the shapes that are expected.

    Args:
      folder: as `write_arrays` made it.
      likes: shapes and dtypes; those with a sharding are read to its devices, others to memory.

    Returns:
      jax arrays where there is a sharding, numpy arrays elsewhere.

    Raises:
      BrokenCheckpoint: if an array is missing, or of another shape or dtype.

    Example:
      >>> read_arrays(Path("runs/arrays"), [jax.ShapeDtypeStruct((3,), "float64")])  # doctest: +SKIP
    """
    orbax = _orbax()
    tree = {str(number): like for number, like in enumerate(likes) if like.size}
    how = {name: _restoring(orbax, like) for name, like in tree.items()}
    try:
        with orbax.Checkpointer(orbax.PyTreeCheckpointHandler()) as checkpointer:
            _check(folder, checkpointer.metadata(folder.absolute()).item_metadata.tree, tree)
            found = checkpointer.restore(
                folder.absolute(), args=orbax.args.PyTreeRestore(item=tree, restore_args=how)
            )
    except BrokenCheckpoint:
        raise
    except Exception as error:  # whatever orbax makes of files that it did not write
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BrokenCheckpoint(f"{folder} cannot be read by orbax: {reason}") from error
    return [
        found.get(str(number), np.zeros(like.shape if not like.size else 0, like.dtype))
        for number, like in enumerate(likes)
    ]


def _restoring(orbax: ModuleType, like: jax.ShapeDtypeStruct) -> Any:
    if like.sharding is None:
        return orbax.RestoreArgs(restore_type=np.ndarray)
    return orbax.ArrayRestoreArgs(sharding=like.sharding, global_shape=like.shape, dtype=like.dtype)


def _check(folder: Path, found: Any, expected: dict[str, jax.ShapeDtypeStruct]) -> None:
    """A header may claim an array, or a piece to store it by, larger than any memory."""
    if not isinstance(found, dict) or found.keys() != expected.keys():
        raise BrokenCheckpoint(f"{folder} holds other arrays than its manifest says.")
    for name, like in expected.items():
        there = found[name]
        shape, dtype = getattr(there, "shape", None), getattr(there, "dtype", None)
        if (shape, dtype) != (like.shape, like.dtype):
            raise BrokenCheckpoint(
                f"{folder} holds {dtype}{shape} as array {name}, expected {like.dtype}{like.shape}."
            )
        piece = getattr(there.storage, "chunk_shape", None) or ()
        if math.prod(piece) > max(math.prod(like.shape), 1):
            raise BrokenCheckpoint(f"{folder} stores array {name} in pieces of {piece}, larger than itself.")


def check_orbax() -> None:
    """Refuses to begin a training whose checkpoints could not be written, without importing anything.

    Raises:
      ImportError: if orbax is missing; the message names the extra.

    Example:
      >>> check_orbax()
    """
    if find_spec("orbax") is None or find_spec("orbax.checkpoint") is None:
        raise ImportError(_MISSING)


_MISSING = 'checkpoints are kept by orbax, which is missing: pip install "seqjax[checkpoints]".'


def _orbax() -> ModuleType:
    try:
        import orbax.checkpoint
    except ImportError as error:
        raise ImportError(_MISSING) from error
    return orbax.checkpoint
