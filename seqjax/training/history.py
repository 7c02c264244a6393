"""What happened during training: a row of numbers a step, fetched from the device now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.training.table import Table
from seqjax.types import Array, Params

Row = dict[str, np.ndarray]


class Place(NamedTuple):
    """Which batch a step was given.

    Attributes:
      epoch: the number of the pass, from 0.
      batch: the number within it, from 0.
    """

    epoch: int
    batch: int


class NonFinite(FloatingPointError):
    """So many steps in a row were skipped that training has stopped; the message names batch and leaf.

    Attributes:
      params: the last good ones, which the skipped steps left as they were.
    """

    params: Params = None


class Past(NamedTuple):
    """What a log goes on from.

    Attributes:
      columns: of the steps that were kept.
      done: how many steps there were.
      seconds: how long they took.
      skipped: how many of them were skipped, those of all members together for an ensemble.
      in_a_row: how many of the last were, one number a member for an ensemble.
    """

    columns: dict[str, np.ndarray]
    done: int
    seconds: float
    skipped: int
    in_a_row: np.ndarray


class Log:
    """The metrics of each step, which stay on the device until `fetch`, so that no step waits for another.

    Attributes:
      steps: the number of steps fetched, those before the log was started included.
      skipped: how many steps were skipped, those of all members together for an ensemble.
      in_a_row: how many of the last steps were, one number a member for an ensemble.
    """

    def __init__(
        self,
        first_step: int,
        *,
        max_skipped: int = 10,
        leaf_names: Sequence[str] = (),
        past: Past | None = None,
    ) -> None:
        """Starts the clock.

        Args:
          first_step: the number of steps taken before the first that is logged.
          max_skipped: after how many skipped steps in a row to stop.
          leaf_names: of the params, for errors.
          past: the log that this one goes on from.
        """
        past = past or Past({}, 0, 0.0, 0, np.zeros((), int))
        self.steps = first_step + past.done
        self.skipped, self.in_a_row = past.skipped, past.in_a_row
        self._max_skipped, self._leaf_names = max_skipped, leaf_names
        self._table = Table(past.columns, past.done)
        self._last: Row = {}
        self._waiting: list[tuple[Mapping[str, Array], Place]] = []
        self._fetched = time.monotonic()
        self._start = self._fetched - past.seconds

    @property
    def seconds(self) -> float:
        """How long ago the log was started."""
        return time.monotonic() - self._start

    def add(self, metrics: Mapping[str, Array], place: Place) -> None:
        """Keeps the metrics of one more step, and which batch it was given."""
        self._waiting.append((metrics, place))

    def fetch(self) -> Row:
        """Waits for the steps that were added, and returns the metrics of the last step.

        Raises:
          NonFinite: if too many steps in a row were skipped.
          FloatingPointError: if a loss or a gradient is not finite, of a step that does not tell whether it
            was skipped; the message names the step.
        """
        if not self._waiting:
            return self._last
        fetched, self._waiting = self._waiting, []
        found = columns(_on_host([metrics for metrics, _ in fetched]))
        begun, self._fetched = self._fetched, time.monotonic()
        found["step"] = np.arange(self.steps + 1, self.steps + len(fetched) + 1)
        # When a step ended is known only of the last: the others are spread evenly since the fetch before.
        found["seconds"] = np.linspace(begun, self._fetched, len(fetched) + 1)[1:] - self._start
        self.steps += len(fetched)
        self._table.add(found)
        self._last = _row(found, -1)
        self._look(found, [place for _, place in fetched])
        return self._last

    def columns(self) -> dict[str, np.ndarray]:
        """The metrics of the steps that are kept, `{name: [steps, ...]}`, with `step` and `seconds`."""
        return self._table.columns()

    def _look(self, found: dict[str, np.ndarray], places: Sequence[Place]) -> None:
        """Goes through the steps one by one only where one of them was not as it should be."""
        if "skipped" not in found:
            watched = [name for name in ("loss", "gradient_norm") if name in found]
            if not all(np.isfinite(found[name]).all() for name in watched):
                for number, step in enumerate(found["step"]):
                    check_finite(_row(found, number), watched, int(step))
            return
        if not found["skipped"].any():
            self.in_a_row = np.zeros(found["skipped"].shape[1:], int)
            return
        self.skipped += int(found["skipped"].sum())
        for number, place in enumerate(places):
            self._count(_row(found, number), place)

    def _count(self, metrics: Row, place: Place) -> None:
        self.in_a_row = np.where(metrics["skipped"], self.in_a_row + 1, 0)
        if self.in_a_row.max() < self._max_skipped:
            return
        member = np.unravel_index(np.argmax(self.in_a_row), self.in_a_row.shape)
        loss, norm, leaf = (metrics[name][member] for name in _TELLING)
        name = self._leaf_names[leaf] if 0 <= leaf < len(self._leaf_names) else None
        where = (
            f"the gradient of {name} is the first that is not finite" if name else "no leaf alone is to blame"
        )
        of = f" of member {', '.join(map(str, member))}" if member else ""
        raise NonFinite(
            f"{self._max_skipped} steps in a row{of} were skipped, the last at step {metrics['step']} with "
            f"batch {place.batch} of epoch {place.epoch}: loss is {loss}, gradient_norm {norm}; {where}. "
            f"Look for NaN or targets out of range in that batch, lower the learning rate, or clip gradients."
        )


_TELLING = ("loss", "gradient_norm", "nonfinite_leaf")


def check_finite(metrics: Mapping[str, Any], names: Sequence[str], step: int) -> None:
    """Refuses metrics that are not finite, for nothing that follows from them can be trusted.

    Args:
      metrics: numbers by name.
      names: which of them to look at, where they are there.
      step: the step they are of, for the error.

    Raises:
      FloatingPointError: if one is NaN or infinite.

    Example:
      >>> check_finite({"loss": float("nan")}, ["loss"], 7)
      Traceback (most recent call last):
      FloatingPointError: loss is nan at step 7. Look for targets out of range or NaN in that batch, ...
    """
    for name in names:
        if name in metrics and not np.isfinite(metrics[name]).all():
            raise FloatingPointError(
                f"{name} is {metrics[name]} at step {step}. Look for targets out of range or NaN in that "
                f"batch, lower the learning rate, or clip gradients: "
                f"optax.chain(optax.clip_by_global_norm(1.0), ...)."
            )


def columns(rows: Sequence[Row]) -> dict[str, np.ndarray]:
    """One array a name instead of one dictionary a row.

    Args:
      rows: dictionaries with the same names.

    Returns:
      `{name: [rows, ...]}`, empty if there are no rows.

    Example:
      >>> columns([{"loss": np.array(2.0)}, {"loss": np.array(1.0)}])
      {'loss': array([2., 1.])}
    """
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}


def _on_host(rows: list[Mapping[str, Array]]) -> list[Row]:
    if jax.default_backend() == "cpu":  # nothing has to be copied, and `device_get` takes ten times as long
        return [{name: np.asarray(value) for name, value in row.items()} for row in rows]
    return jax.device_get(rows)


def _row(found: Mapping[str, np.ndarray], number: int) -> Row:
    return {name: column[number] for name, column in found.items()}
