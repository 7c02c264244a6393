"""Passes over batches, which a training can go on with where an earlier one stood."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np

from seqjax.training.state import on_host
from seqjax.types import Batch

Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]


class Passes:
    """The batches that `fit` was given, epoch by epoch.

    Attributes:
      epochs: how many passes there are at most; `None` for no limit.
    """

    def __init__(self, batches: Any, steps: int | None, epochs: int | None, *, resumable: bool) -> None:
        """As `fit` is given them.

        Args:
          batches: an iterable, an iterator, or a function from the epoch.
          steps: how many steps there are at most, or `None`.
          epochs: how many passes, or `None`.
          resumable: whether they must be of a kind that can be gone on with.

        Raises:
          TypeError: if they cannot be iterated over.
          ValueError: if an iterator is to be passed over twice, or cannot be gone on with and must.
        """
        self._batches, self._first = batches, {"epoch": 0, "batch": ""}
        self._one_pass, self._watched = isinstance(batches, Iterator), resumable
        self._continued = self._one_pass and hasattr(batches, "state") and hasattr(batches, "restore")
        self.epochs = 1 if steps is None and epochs is None else epochs
        self._size = len(batches) if hasattr(batches, "__len__") else None
        if callable(batches):
            return
        if not isinstance(batches, Iterable):
            hint = " For one batch, pass [batch]." if isinstance(batches, Batch) else ""
            raise TypeError(
                f"batches is a {type(batches).__name__}, expected an iterable of seqjax.Batch, or a function "
                f"from the epoch to one.{hint}"
            )
        if not self._one_pass:
            return
        if self.epochs is not None and self.epochs > 1:
            raise ValueError(
                f"batches is an iterator, which has one pass, but epochs is {self.epochs}: pass a list, or a "
                f"function from the epoch to an iterable."
            )
        if resumable and not self._continued:
            raise ValueError(
                f"batches is a {type(batches).__name__}, which cannot be gone on with from a checkpoint: "
                f"pass a list, a function from the epoch to an iterable, or seqjax.data.Batches."
            )
        self.epochs = 1

    def total(self, steps: int | None) -> int | None:
        """The number of steps, where it is known beforehand."""
        known = [] if steps is None else [steps]
        if self.epochs is not None and self._size is not None and not self._one_pass:
            known.append(self.epochs * self._size)
        return min(known, default=None)

    def over(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of an epoch from one of them on."""
        if self._one_pass:
            return self._batches  # which stands where it was restored to
        batches = iter(self._whole(epoch))
        if self._watched:
            first = next(batches, None)
            self._first = {"epoch": epoch, "batch": "" if first is None else digest(first)}
            batches = iter(()) if first is None else itertools.chain([first], batches)
        return itertools.islice(batches, start, None)

    def state(self) -> dict[str, Any]:
        """Where the batches stand and which they are, as JSON can hold it."""
        return self._batches.state() if self._continued else dict(self._first)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes back to a `state`, and checks that the batches are those it was of.

        Raises:
          TypeError, ValueError: if they are not.
        """
        if self._continued:
            self._batches.restore(state)
            return
        if not isinstance(state, Mapping) or state.keys() != self._first.keys():
            raise ValueError(
                f"batches were at {state!r} in the checkpoint: those were an iterator, these not."
            )
        first = next(iter(self._whole(state["epoch"])), None)
        if (digest(first) if first is not None else "") != state["batch"]:
            raise ValueError(
                f"batches differ from those of the checkpoint: the first of epoch {state['epoch']} is "
                f"another. Give the same data, the same order and the same seed."
            )
        self._first = {"epoch": state["epoch"], "batch": state["batch"]}

    def example(self) -> Batch | None:
        """A batch to see shapes by; what comes next stays the same."""
        if not self._continued:
            return next(iter(self._whole(0)), None)
        state = self._batches.state()
        batch = next(self._batches, None)
        self._batches.restore(state)
        return batch

    def _whole(self, epoch: int) -> Iterable[Batch]:
        return self._batches(epoch) if callable(self._batches) else self._batches


def digest(batch: Any) -> str:
    """What tells one batch from another.

    Args:
      batch: any pytree of arrays.

    Returns:
      16 letters of a SHA-256 over the leaves' dtypes, shapes and bytes.

    Example:
      >>> digest(Batch(np.zeros(3))) == digest(Batch(np.zeros(4)))
      False
    """
    hashed = hashlib.sha256(str(jax.tree.structure(batch)).encode())
    for leaf in map(on_host, jax.tree.leaves(batch)):
        hashed.update(f"{leaf.dtype}{leaf.shape}".encode())
        hashed.update(np.ascontiguousarray(leaf).tobytes())
    return hashed.hexdigest()[:16]
