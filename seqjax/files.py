"""Files that are there whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path


def write_whole(path: str | os.PathLike, content: bytes | bytearray) -> None:
    """Writes a file so that nobody ever finds a part of it.

    It is written beside its place, flushed to the disk, and renamed. Killed at any moment, what was there
    before is there still.

    Args:
      path: the file, which is replaced if it is there.
      content: all of it.

    Raises:
      OSError: if it cannot be written.

    Example:
      >>> import tempfile
      >>> path = Path(tempfile.mkdtemp()) / "numbers"
      >>> write_whole(path, b"123")
      >>> [file.name for file in path.parent.iterdir()], path.read_bytes()
      (['numbers'], b'123')
    """
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(content)
        flush(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def flush(path: str | os.PathLike) -> None:
    """Has the disk hold what was written, so that a rename after it is never seen before it.

    Args:
      path: a file, or a folder, whose names are then on the disk.

    Raises:
      OSError: if there is no such file, or the disk fails.

    Example:
      >>> flush("no-such-file")
      Traceback (most recent call last):
      FileNotFoundError: [Errno 2] No such file or directory: 'no-such-file'
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
