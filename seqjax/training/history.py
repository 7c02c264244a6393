"""What happened during training: a row of numbers a step, fetched from the device now and then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from seqjax.types import Array

Row = dict[str, np.ndarray]


class Log:
    """The metrics of each step, which stay on the device until `fetch`, so that no step waits for another.

    Attributes:
      rows: one a step that was fetched, with the metrics, `step` and `seconds`.
    """

    def __init__(self, first_step: int) -> None:
        """Starts the clock; `first_step` is the number of steps taken before."""
        self.rows: list[Row] = []
        self._steps = first_step
        self._waiting: list[Mapping[str, Array]] = []
        self._start = self._fetched = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long ago the log was started."""
        return time.monotonic() - self._start

    def add(self, metrics: Mapping[str, Array]) -> None:
        """Keeps the metrics of one more step."""
        self._waiting.append(metrics)

    def fetch(self) -> Row:
        """Waits for the steps that were added, and returns the last row.

        Raises:
          FloatingPointError: if a loss or a gradient is not finite; the message names the step.
        """
        fetched = jax.device_get(self._waiting)
        now = time.monotonic()
        # When a step ended is known only of the last: the others are spread evenly since the fetch before.
        ends = np.linspace(self._fetched, now, len(fetched) + 1)[1:] - self._start
        for metrics, seconds in zip(fetched, ends, strict=True):
            self._steps += 1
            check_finite(metrics, ("loss", "gradient_norm"), self._steps)
            self.rows.append({**metrics, "step": np.asarray(self._steps), "seconds": seconds})
        self._waiting, self._fetched = [], now
        return self.rows[-1] if self.rows else {}


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
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]} if rows else {}
