"""Rows of numbers, one a step: all of them while they are few, every second or fourth of many."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

LIMIT = 50_000
"""How many rows are kept at most: a training of weeks takes no more memory than one of minutes."""


class Table:
    """Columns of numbers, to which rows are added.

    While there are no more than `LIMIT` rows, all are kept. Of more, each second one is kept, then each
    fourth, and so on: with `stride` the least power of two for which `added // stride <= LIMIT`, those whose
    number, from 1, is a multiple of it. That depends on how many rows there are and on nothing else.

    Attributes:
      added: the number of rows that were added, kept or not.
    """

    def __init__(self, past: Mapping[str, np.ndarray] | None = None, added: int = 0) -> None:
        """An empty table, or one that goes on.

        Args:
          past: the columns of an earlier table that this one goes on from.
          added: how many rows that one was given.
        """
        self.added, self._stride = added, 1
        while added // self._stride > LIMIT:
            self._stride *= 2
        self._parts = [dict(past)] if past else []

    def add(self, columns: Mapping[str, np.ndarray]) -> None:
        """Adds rows, `{name: [rows, ...]}`, with the names of those before.

        Example:
          >>> table = Table()
          >>> table.add({"loss": np.array([3.0, 2.0])})
          >>> table.add({"loss": np.array([1.0])})
          >>> table.columns()["loss"].tolist()
          [3.0, 2.0, 1.0]
        """
        first = -(self.added + 1) % self._stride
        self._parts.append({name: column[first :: self._stride] for name, column in columns.items()})
        self.added += len(next(iter(columns.values())))
        # Few large arrays take less memory than many small ones.
        if len(self._parts) > 100 or self.added // self._stride > LIMIT:
            self.columns()

    def columns(self) -> dict[str, np.ndarray]:
        """The rows that are kept, `{name: [rows, ...]}`, empty where none was added."""
        if len(self._parts) > 1:
            names = self._parts[0]
            self._parts = [{name: np.concatenate([part[name] for part in self._parts]) for name in names}]
        while self.added // self._stride > LIMIT:
            # A copy: what is left out would stay in memory as long as a view of it is there.
            self._parts = [{name: column[1::2].copy() for name, column in self._parts[0].items()}]
            self._stride *= 2
        return dict(self._parts[0]) if self._parts else {}
