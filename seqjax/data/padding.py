"""Sequences of different lengths as one array with time first, and the lengths to pad them to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.orders import whole_number

Numbers = npt.NDArray[Any]
Integers = npt.NDArray[np.int64]


class Ragged(NamedTuple):
    """Sequences of different lengths, end to end in one array.

    Attributes:
      values: `[sum of lengths, ...]`, every step of every sequence.
      lengths: `[N]`, the steps of each sequence.
      offsets: `[N]`, where each begins in `values`.
    """

    values: Numbers
    lengths: Integers
    offsets: Integers


def pad(
    sequences: Sequence[Any], length: int | None = None, value: float = 0
) -> tuple[Numbers, npt.NDArray[np.int32]]:
    """Put sequences side by side in one array, time first, and fill what is past their ends.

    Args:
      sequences: `B` of them, each `[t]` or `[t, ...]` with the same features; `t` may be zero.
      length: how many steps to pad to; `None` for the longest sequence.
      value: what to fill with.

    Returns:
      `(padded, lengths)`: `[T, B, ...]` and `[B]` int32. Arrays keep their dtype; plain Python numbers
      become int32 or float32.

    Raises:
      TypeError: a sequence does not hold numbers.
      ValueError: features differ, a sequence is longer than `length`, or the dtype cannot hold `value`.

    >>> padded, lengths = pad([[1, 2, 3], [4]])
    >>> padded.tolist(), lengths.tolist()
    ([[1, 4], [2, 0], [3, 0]], [3, 1])
    """
    packed = ragged(sequences, "sequences")
    longest = int(packed.lengths.max(initial=0))
    num_steps = longest if length is None else whole_number(length, "length", 0)
    if num_steps < longest:
        place = int(packed.lengths.argmax())
        raise ValueError(
            f"sequences[{place}] has {longest} steps, more than length {num_steps}: give at least "
            f"{longest}, or cut it first."
        )
    fill = check_fill(value, packed.values.dtype, "value")
    return gather(packed, np.arange(len(packed.lengths)), num_steps, fill), packed.lengths.astype(np.int32)


def bucket_lengths(lengths: Sequence[int] | npt.NDArray[Any], max_buckets: int = 8) -> tuple[int, ...]:
    """Choose the lengths to pad to, so that sequences of these `lengths` get the fewest padding steps.

    Each sequence is padded to the smallest chosen length that holds it. The choice is exact, by dynamic
    programming over the distinct lengths: with `cost(j)` the least padding of all sequences up to the
    `j`-th distinct length when that one is chosen, and one bucket more at each pass,
    `cost(j) = min over i < j of cost(i) + padding of the lengths after i up to j, to length j`.

    Args:
      lengths: `[N]` integers. A zero counts as one, so that no batch has an empty time axis.
      max_buckets: how many lengths to choose at most. Every choice is one shape to compile.

    Returns:
      Increasing lengths, the last of them the longest of `lengths`.

    Raises:
      TypeError: `lengths` holds something else than integers.
      ValueError: `lengths` is empty or negative, or `max_buckets` is less than one.

    >>> bucket_lengths([1, 2, 2, 9, 10], max_buckets=2)
    (2, 10)
    """
    max_buckets = whole_number(max_buckets, "max_buckets", 1)
    sizes, counts = np.unique(np.maximum(_check_lengths(lengths), 1), return_counts=True)
    # With how many and how long in total up to each distinct length, the padding of a bucket is one product.
    number = np.concatenate([[0], np.cumsum(counts)])
    total = np.concatenate([[0], np.cumsum(counts * sizes)])
    count = len(sizes)
    best = np.concatenate([[0], sizes * number[1:] - total[1:]])
    choices: list[Integers] = [np.zeros(count + 1, np.int64)]
    for _ in range(min(max_buckets, count) - 1):
        previous, choice = best, np.zeros(count + 1, np.int64)
        best = previous.copy()
        for end in range(1, count + 1):
            start = np.arange(end)
            costs = (
                previous[:end] + sizes[end - 1] * (number[end] - number[start]) - (total[end] - total[start])
            )
            choice[end] = costs.argmin()
            best[end] = costs[choice[end]]
        choices.append(choice)
    return _trace_back(sizes, choices)


def _trace_back(sizes: npt.NDArray[Any], choices: list[Integers]) -> tuple[int, ...]:
    chosen: list[int] = []
    end = len(sizes)
    for choice in reversed(choices):
        if end == 0:
            break
        chosen.append(int(sizes[end - 1]))
        end = int(choice[end])
    return tuple(reversed(chosen))


def _check_lengths(lengths: Sequence[int] | npt.NDArray[Any]) -> Integers:
    array = np.asarray(lengths)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"lengths has shape {array.shape}, expected one axis with at least one length.")
    if array.dtype.kind not in "iu":
        raise TypeError(f"lengths has dtype {array.dtype}, expected integers.")
    if array.min() < 0:
        raise ValueError(f"lengths holds {array.min()}, expected zero or more.")
    return array.astype(np.int64)


def ragged(sequences: Sequence[Any], name: str) -> Ragged:
    """Put sequences end to end. A sequence without steps takes the features of the others.

    Args:
      sequences: each `[t]` or `[t, ...]`.
      name: what the caller's argument is called, for the errors.

    Raises:
      TypeError: a sequence does not hold numbers.
      ValueError: a sequence has no time axis, or other features than the first.
    """
    arrays = [_as_sequence(sequence, f"{name}[{place}]") for place, sequence in enumerate(sequences)]
    lengths = np.array([len(array) for array in arrays], np.int64)
    filled = [array for array in arrays if len(array)]
    if not filled:
        # `[0]` and `[0, D]` both hold nothing, and only the second says how many features.
        first = max(arrays, key=lambda array: array.ndim, default=np.zeros(0))
        # An empty list is no more real numbers than integers, whatever NumPy makes of it.
        filled = [first if any(hasattr(sequence, "dtype") for sequence in sequences) else first.astype(int)]
    features = filled[0].shape[1:]
    for place, array in enumerate(arrays):
        if array.shape[1:] != features and array.shape != (0,):
            raise ValueError(
                f"{name}[{place}] has shape {array.shape}, but others have features of shape {features}: "
                f"expected ({len(array)}, {', '.join(map(str, features))})."
            )
    values = np.concatenate([array for array in filled if array.shape[1:] == features])
    if not any(hasattr(sequence, "dtype") for sequence in sequences):
        values = _narrow(values, name)
    return Ragged(values, lengths, np.cumsum(lengths) - lengths)


def as_numbers(value: Any, name: str) -> Numbers:
    """Return `value` as an array of numbers: arrays keep their dtype, Python numbers become 32 bits wide.

    Raises:
      TypeError: it does not hold numbers.
      ValueError: it is ragged, or holds an integer that 32 bits cannot.
    """
    array = _as_array(value, name)
    return array if hasattr(value, "dtype") else _narrow(array, name)


def gather(packed: Ragged, rows: Integers, num_steps: int, fill: Numbers) -> Numbers:
    """Return the sequences numbered `rows` as `[num_steps, B, ...]`; a row of -1 is all `fill`."""
    lengths = np.where(rows >= 0, packed.lengths[rows], 0)
    steps = np.arange(num_steps)[:, None]
    valid = steps < lengths
    padded = np.full((num_steps, len(rows), *packed.values.shape[1:]), fill, packed.values.dtype)
    padded[valid] = packed.values[(steps + packed.offsets[rows])[valid]]
    return padded


def check_fill(value: float, dtype: np.dtype[Any], name: str) -> Numbers:
    """Return `value` as `dtype`, or raise a `ValueError` that names the argument if that would change it."""
    try:
        with np.errstate(over="ignore"):
            fill = np.asarray(value, dtype)
        # A real number may be rounded to the dtype, as 0.1 is, but not become infinite.
        held = np.isfinite(fill) == np.isfinite(value) if dtype.kind in "fc" else fill == value
    except (TypeError, ValueError, OverflowError):
        held = False
    if np.ndim(value) != 0 or not held:
        raise ValueError(f"{name} is {value!r}, expected one number that dtype {dtype} can hold.")
    return fill


def _as_sequence(sequence: Any, name: str) -> Numbers:
    array = _as_array(sequence, name)
    if array.ndim == 0:
        raise ValueError(
            f"{name} is {sequence!r}, expected a sequence with a time axis: [t] or [t, features]."
        )
    return array


def _as_array(value: Any, name: str) -> Numbers:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is ragged: its steps do not have the same features.") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"{name} has dtype {array.dtype}, expected numbers: encode text with a vocabulary first."
        )
    return array


def _narrow(array: Numbers, name: str) -> Numbers:
    dtype = {"f": np.float32, "i": np.int32, "u": np.int32}.get(array.dtype.kind)
    if dtype is None:
        return array
    with np.errstate(over="ignore"):
        narrow = array.astype(dtype)
    changed = narrow != array if array.dtype.kind in "iu" else np.isfinite(narrow) != np.isfinite(array)
    if changed.any():
        raise ValueError(
            f"{name} holds a number that {dtype.__name__} cannot: give arrays of the dtype you want."
        )
    return narrow
