"""Validation: which params were the best, and whether there is anything left to wait for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from seqjax.training.history import Log, check_finite
from seqjax.training.state import copied
from seqjax.training.table import Table
from seqjax.types import Params

Validate = Callable[[Params], Mapping[str, Any]]


class Selection:
    """Validates, keeps the best params, and says when to stop.

    Attributes:
      stopped: whether validation has stopped improving, or has reached the target.
      best: the best value, its params and its step; `None` before the first validation.
      waited: how many validations in a row were not better.
      last_step: the step of the last validation; `None` before the first.
      table: the metrics of the validations.
    """

    def __init__(
        self,
        validate: Validate | None,
        metric: str,
        mode: str,
        patience: int | None,
        target: float | None,
    ) -> None:
        """As `fit` is given them.

        Raises:
          ValueError: if `mode` is unknown, or there is no validation to wait for.
        """
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, expected 'min' or 'max'.")
        for name, value in {"patience": patience, "target": target}.items():
            if validate is None and value is not None:
                raise ValueError(f"{name} is given, but validate is None: there is nothing to wait for.")
        self._validate, self._metric, self._patience = validate, metric, patience
        self._sign = 1 if mode == "min" else -1
        self._target = None if target is None else self._sign * target
        self.table = Table()
        self.last_step: int | None = None
        self.best: tuple[float, Params, int] | None = None
        self.waited = 0
        self.stopped = False

    def consider(self, params: Params, step: int, log: Log) -> bool:
        """Validates these params, if there is a validation; whether they are the best so far."""
        if self._validate is None:
            return False
        log.fetch()  # a loss that is not finite is named before a validation that follows from it
        metrics = jax.device_get(dict(self._validate(params)))
        value = self._sign * self._value(metrics, step)
        row = {**metrics, "step": step, "seconds": log.seconds}
        self.table.add({name: np.asarray(number)[None] for name, number in row.items()})
        self.last_step = step
        better = self.best is None or value < self.best[0]
        if better:
            self.best, self.waited = (value, copied(params), step), 0
        else:
            self.waited += 1
        waited_enough = self._patience is not None and self.waited >= self._patience
        self.stopped = waited_enough or (self._target is not None and value < self._target)
        return better

    def validated(self, step: int) -> bool:
        """Whether the last validation was after this step."""
        return self.last_step == step

    def columns(self) -> dict[str, np.ndarray]:
        """The metrics of the validations, `{name: [validations]}`, with `step` and `seconds`."""
        return self.table.columns()

    def _value(self, metrics: Mapping[str, Any], step: int) -> float:
        if self._metric not in metrics:
            names = ", ".join(sorted(metrics)) or "none"
            raise ValueError(f"metric is {self._metric!r}, expected one that validate returns: {names}.")
        if np.size(metrics[self._metric]) != 1:
            shape = np.shape(metrics[self._metric])
            raise ValueError(f"validate returned a {self._metric} of shape {shape}, expected a scalar.")
        check_finite(metrics, (self._metric,), step)
        return float(np.reshape(metrics[self._metric], ()))
