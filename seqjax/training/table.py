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
        self._arrays = {name: np.array(column) for name, column in (past or {}).items()}
        self._size = len(next(iter(self._arrays.values()), ()))

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
        kept = {name: column[first :: self._stride] for name, column in columns.items()}
        self._arrays = {name: _joined(self._arrays.get(name), self._size, kept[name]) for name in kept}
        self.added += len(next(iter(columns.values())))
        self._size += len(next(iter(kept.values())))
        while self.added // self._stride > LIMIT:
            for array in self._arrays.values():
                array[: self._size // 2] = array[1 : self._size : 2]
            self._size //= 2
            self._stride *= 2

    def columns(self) -> dict[str, np.ndarray]:
        """The rows that are kept, `{name: [rows, ...]}`, as they are until the next are added."""
        return {name: array[: self._size] for name, array in self._arrays.items()}


def _joined(array: np.ndarray | None, size: int, column: np.ndarray) -> np.ndarray:
    """An array whose first entries are those of another and a column; there is room for more behind them."""
    array = column[:0] if array is None else array
    dtype = np.promote_types(array.dtype, column.dtype)
    if len(array) < size + len(column) or array.dtype != dtype:
        longer = np.empty((2 * (size + len(column)), *column.shape[1:]), dtype)
        longer[:size] = array[:size]
        array = longer
    array[size : size + len(column)] = column
    return array
