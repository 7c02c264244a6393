"""Orders that depend on a seed and on nothing else: not on the machine, nor on the version of NumPy."""

from __future__ import annotations

import operator

import numpy as np
import numpy.typing as npt


def permutation(count: int, *key: int) -> npt.NDArray[np.int64]:
    """Return a random order of `count` things, fixed by `key` for ever.

    NumPy promises the raw draws of a bit generator between versions, but not what `Generator.permutation`
    makes of them, and a resumed run or a published split must not change with an upgrade.

    Args:
      count: how many things there are.
      *key: integers of zero or more, such as a seed and an epoch.

    Returns:
      `[count]` integers, each of `0 ... count - 1` once.

    Raises:
      TypeError: `count` is not an integer.
      ValueError: `count` is negative.

    >>> permutation(5, 0).tolist() == permutation(5, 0).tolist()
    True
    >>> sorted(permutation(5, 0, 1).tolist())
    [0, 1, 2, 3, 4]
    """
    count = whole_number(count, "count", 0)
    draws = np.random.PCG64(np.random.SeedSequence(key)).random_raw(count)
    return np.argsort(draws, kind="stable").astype(np.int64)


def whole_number(value: object, name: str, minimum: int) -> int:
    """Return `value` as an `int`, or raise an error that names the argument `name`.

    Raises:
      TypeError: it is not an integer.
      ValueError: it is less than `minimum`.

    >>> whole_number(0, "batch_size", 1)
    Traceback (most recent call last):
    ...
    ValueError: batch_size is 0, expected at least 1.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        number = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} is {value!r}, expected an integer.") from None
    if number < minimum:
        raise ValueError(f"{name} is {number}, expected at least {minimum}.")
    return number
