"""Checkpoints of a running training: when, which are kept, and written while the next steps are taken."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import check_size
from seqjax.training.checkpoints.arrays import check_orbax
from seqjax.training.checkpoints.errors import BrokenCheckpoint
from seqjax.training.checkpoints.manifest import read_manifest
from seqjax.training.checkpoints.store import checkpoint_paths, opened, prune, save_checkpoint, set_aside
from seqjax.training.state import copied, on_host
from seqjax.types import PyTree


class Checkpoints(NamedTuple):
    """Where a training keeps its checkpoints, how often, and how many.

    Attributes:
      folder: of this training alone. Where it holds checkpoints, training goes on from the newest whole one.
      every: after how many steps to save; `None` for as `seconds` says alone.
      seconds: after how many seconds to save; `None` for as `every` says alone.
      keep_last: how many of the newest to keep.
      keep_best: how many of those to keep that were the best in validation when they were saved; with any,
        each validation that is the best so far is followed by a checkpoint. The params of the best validation
        are in every checkpoint besides, in `best.safetensors`.
      at_end: whether to save after the last step.
      notes: what a training that goes on must have in common with the one that was saved, such as options.
    """

    folder: str | os.PathLike
    every: int | None = None
    seconds: float | None = 60.0
    keep_last: int = 2
    keep_best: int = 0
    at_end: bool = True
    notes: Mapping[str, Any] = {}


class Writer:
    """Writes checkpoints one after the other, each while the training goes on.

    Attributes:
      folder: where to.
      saved: the step of the checkpoint that was last begun; -1 for none.
    """

    def __init__(self, settings: Checkpoints) -> None:
        """See `open_writer`, which checks the settings and ends the thread."""
        self.folder, self.saved = Path(settings.folder), -1
        self._settings, self._begun = settings, time.monotonic()
        self._best = _marked_best(self.folder) if settings.keep_best else []
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._waiting: Future | None = None

    def begin_after(self, step: int) -> None:
        """Sets broken checkpoints of later steps aside, which would else count as the newest."""
        self.saved = step
        if jax.process_index() == 0:
            set_aside(self.folder, step)

    def due(self, step: int) -> bool:
        """Whether it is time to save; raises what went wrong with the checkpoint before."""
        if self._waiting is not None and self._waiting.done():
            self.wait()
        every, seconds = self._settings.every, self._settings.seconds
        if every is not None and step % every == 0:
            return True
        return seconds is not None and time.monotonic() - self._begun >= seconds

    def save(
        self, state: PyTree, step: int, weights: Mapping[str, PyTree], notes: Mapping[str, Any], *, best: bool
    ) -> None:
        """Begins a checkpoint: what it holds is copied at once, and written while this returns."""
        self.wait()
        if step == self.saved:
            return
        self.saved, self._begun = step, time.monotonic()
        if jax.process_count() > 1:
            self._write(state, step, jax.tree.map(on_host, dict(weights)), notes, best)
            return
        held, weights = jax.tree.map(_held, (state, dict(weights)))
        self._waiting = self._pool.submit(self._write, held, step, weights, notes, best)

    def wait(self) -> None:
        """Waits for the checkpoint that is being written, and raises what went wrong with it."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.result()

    def close(self) -> None:
        """Waits, and ends the thread."""
        self._pool.shutdown()

    def _write(
        self, state: PyTree, step: int, weights: Mapping[str, PyTree], notes: Mapping[str, Any], best: bool
    ) -> None:
        notes = {**notes, "best": best}
        path = save_checkpoint(self.folder, state, step=step, weights=weights, notes=notes)
        if best:
            self._best = [*self._best, path][-self._settings.keep_best :]
        if jax.process_index() == 0:
            prune(self.folder, self._settings.keep_last, self._best)


@contextmanager
def open_writer(settings: Checkpoints | None) -> Iterator[Writer | None]:
    """Holds the folder of a training's checkpoints while it runs.

    Args:
      settings: where and how often; `None` for no checkpoints.

    Yields:
      The writer, or `None`. At the end the last checkpoint is whole, or the error is raised.

    Raises:
      ImportError: if orbax is missing.
      OSError: if the folder cannot be written to, or another training holds it.
      TypeError, ValueError: if a setting is out of range.

    Example:
      >>> with open_writer(None) as writer:
      ...     print(writer)
      None
    """
    if settings is None:
        yield None
        return
    _check(settings)
    writer = Writer(settings)
    if jax.process_index() != 0:
        yield writer
        return
    with opened(writer.folder):
        try:
            yield writer
            writer.wait()
        finally:
            writer.close()


def _marked_best(folder: Path) -> list[Path]:
    """The checkpoints, oldest first, that an earlier process kept for having been the best."""
    marked = []
    for path in reversed(checkpoint_paths(folder)):
        with suppress(BrokenCheckpoint):
            if read_manifest(path)["notes"].get("best"):
                marked.append(path)
    return marked


def _check(settings: Any) -> None:
    if not isinstance(settings, Checkpoints):
        raise TypeError(
            f"checkpoints is a {type(settings).__name__}, expected training.Checkpoints(folder), or None."
        )
    if settings.every is None and settings.seconds is None:
        raise ValueError("checkpoints has neither every nor seconds: say how often to save.")
    if settings.every is not None:
        check_size("checkpoints.every", settings.every)
    if settings.seconds is not None and not settings.seconds > 0:
        raise ValueError(f"checkpoints.seconds is {settings.seconds}, expected a positive number or None.")
    if jax.process_count() > 1 and settings.seconds is not None:
        raise ValueError("checkpoints.seconds is given, but clocks of processes differ: give every instead.")
    check_size("checkpoints.keep_last", settings.keep_last)
    if type(settings.keep_best) is not int or settings.keep_best < 0:
        raise ValueError(
            f"checkpoints.keep_best is {settings.keep_best!r}, expected an integer of 0 or more."
        )
    check_orbax()


def _held(leaf: Any) -> Any:
    """A copy that the next step cannot reuse the memory of."""
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return copied(leaf)
    return np.array(leaf, copy=True)
