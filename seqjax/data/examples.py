"""Some of the examples of a data set, and a split of any data set that leaks nothing."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from seqjax.data.datasets import split_rows

Dataset = TypeVar("Dataset", bound=tuple[Any, ...])
"""A named tuple whose lists and arrays hold one entry an example; tuples and strings are of all examples."""


def take(dataset: Dataset, rows: Sequence[int] | npt.NDArray[Any]) -> Dataset:
    """Return the examples of a data set that `rows` numbers, in that order.

    Args:
      dataset: any data set of this package: a named tuple. Its lists and arrays hold one entry an example;
        its other fields stay as they are.
      rows: `[n]` integers from 0 to `N - 1`.

    Returns:
      A data set of the same type.

    Raises:
      TypeError: `dataset` is no data set, or `rows` are not integers.
      ValueError: `rows` holds a number that no example has, or has more than one axis.

    >>> from seqjax.data import LabelledTexts
    >>> texts = LabelledTexts(["a", "b", "c"], np.array([1, 0, 1]), ("bad", "good"), "CC0", "here")
    >>> taken = take(texts, [2, 0])
    >>> taken.texts, taken.labels.tolist(), taken.classes
    (['c', 'a'], [1, 1], ('bad', 'good'))
    """
    count = _count(dataset)
    numbers = np.asarray(rows)
    if numbers.ndim != 1:
        raise ValueError(f"rows has shape {numbers.shape}, expected one axis.")
    if numbers.size == 0:
        numbers = numbers.astype(np.int64)
    if numbers.dtype.kind not in "iu":
        raise TypeError(f"rows has dtype {numbers.dtype}, expected integers.")
    if numbers.size and not (numbers.min() >= 0 and numbers.max() < count):
        raise ValueError(
            f"rows holds numbers from {numbers.min()} to {numbers.max()}, expected 0 to {count - 1}: "
            f"the data set has {count} examples."
        )
    chosen = {name: _chosen(field, numbers) for name, field in _per_example(dataset).items()}
    return dataset._replace(**chosen)  # type: ignore[attr-defined]


def split_by(
    dataset: Dataset, keys: Sequence[Hashable] | npt.NDArray[Any], fraction: float = 0.2, seed: int = 0
) -> tuple[Dataset, Dataset]:
    """Split a data set into a part to learn from and a part held out, with no key on both sides.

    Args:
      dataset: any data set of this package.
      keys: one for each example; examples with equal keys stay together. `range(N)` splits at random.
      fraction: the share to hold out, between 0 and 1, met as nearly as whole groups allow from below.
      seed: which split; the same seed gives the same split everywhere.

    Returns:
      `(training, held_out)`, each in the order of `dataset`.

    Raises:
      TypeError: `dataset` is no data set, or `fraction` or `seed` is not a number.
      ValueError: there is not one key an example, or `fraction` or `seed` is out of range.

    >>> from seqjax.data import LabelledTexts
    >>> texts = LabelledTexts(["a", "b", "a", "c"], np.array([1, 0, 1, 1]), ("bad", "good"), "CC0", "here")
    >>> training, held_out = split_by(texts, texts.texts, fraction=0.5, seed=1)
    >>> set(training.texts) & set(held_out.texts)
    set()
    """
    count = _count(dataset)
    if len(keys) != count:
        raise ValueError(f"keys has {len(keys)} entries, expected {count}: one for each example.")
    training, held_out = split_rows(list(keys), fraction, seed)
    return take(dataset, training), take(dataset, held_out)


def _per_example(dataset: Any) -> dict[str, Any]:
    fields = dataset._asdict() if isinstance(dataset, tuple) and hasattr(dataset, "_asdict") else {}
    found = {name: field for name, field in fields.items() if isinstance(field, list | np.ndarray)}
    if not found:
        raise TypeError(
            f"dataset is of type {type(dataset).__name__}, expected a data set: a named tuple with a list or "
            "an array that holds one entry an example."
        )
    return found


def _count(dataset: Any) -> int:
    counts = {name: len(field) for name, field in _per_example(dataset).items()}
    if len(set(counts.values())) > 1:
        raise ValueError(f"dataset holds {counts} entries, expected as many in each of them.")
    return next(iter(counts.values()))


def _chosen(field: Any, rows: npt.NDArray[Any]) -> Any:
    return field[rows] if isinstance(field, np.ndarray) else [field[row] for row in rows]
