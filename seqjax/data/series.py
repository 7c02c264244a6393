"""Short real series that ship with the library: facts in CSV files, each of which names its source."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.errors import DataError


class Series(NamedTuple):
    """A series of numbers over time.

    Attributes:
      times: `[T]`, increasing: integers (years, or numbers in their order) or dates (`datetime64[D]`).
      values: `[T]`, or `[T, M]` where several things were measured; float64, NaN where a measurement is
        missing, or int64 for counts.
      columns: what `values` holds, a name for each of the `M`.
      units: the unit of each column; empty for counts.
      source: what the numbers are and who published them.
    """

    times: npt.NDArray[Any]
    values: npt.NDArray[Any]
    columns: tuple[str, ...]
    units: tuple[str, ...]
    source: str


def nile() -> Series:
    """Return the flow of the Nile at Aswan in each year from 1871 to 1970: 100 values (Cobb, 1978).

    Raises:
      DataError: the installed file was changed.

    >>> series = nile()
    >>> series.times[:2], series.values[:2]
    (array([1871, 1872]), array([1120., 1160.]))
    """
    return _load("nile", 100, flow="10⁸ m³ a year")


def sunspots() -> Series:
    """Return the mean sunspot number of each year from 1700 to 2008: 309 values.

    Raises:
      DataError: the installed file was changed.

    >>> series = sunspots()
    >>> series.values.shape, series.values.max()
    ((309,), np.float64(190.2))
    """
    return _load("sunspots", 309, sunspots="")


def co2() -> Series:
    """Return the carbon dioxide in the air at Mauna Loa, in 2,284 weeks from 1958 to 2001.

    The measurements are those of Keeling & Whorf (2004). The times are dates a week apart. 59 weeks have no
    measurement: their value is NaN.

    Raises:
      DataError: the installed file was changed.

    >>> series = co2()
    >>> str(series.times[0]), int(np.isnan(series.values).sum())
    ('1958-03-29', 59)
    """
    return _load("co2", 2284, read_time=np.datetime64, read_value=_number_or_missing, co2="ppm")


def earthquakes() -> Series:
    """Return how many earthquakes of magnitude 7 and over each year from 1900 to 2006 had.

    The 107 counts are those of Zucchini & MacDonald (2009, table 1.1).

    Raises:
      DataError: the installed file was changed.

    >>> series = earthquakes()
    >>> series.values.shape, int(series.values.sum())
    ((107,), 2072)
    """
    return _load("earthquakes", 107, read_value=int, earthquakes="")


def geyser() -> Series:
    """Return 299 eruptions of Old Faithful in August 1985, in their order (Azzalini & Bowman, 1990).

    `values[t]` is the time from the eruption before to this one, then how long this one lasted, in minutes.
    Some eruptions at night were noted as short, medium or long only: their durations are 2, 3 and 4.

    Raises:
      DataError: the installed file was changed.

    >>> geyser().values[0].tolist()
    [80.0, 4.0166667]
    """
    return _load("geyser", 299, waiting="min", duration="min")


def _load(
    name: str,
    length: int,
    read_time: Callable[[str], Any] = int,
    read_value: Callable[[str], float] = float,
    **units: str,
) -> Series:
    """A series of `length` rows, with a column for each of `units`."""
    try:
        content = (resources.files("seqjax.data") / "series" / f"{name}.csv").read_text(encoding="utf-8")
        source, header, times, values = parse_series(content, read_time, read_value)
        if len(values) != length or header[1:] != tuple(units):
            raise ValueError(
                f"it has {len(values)} rows of {', '.join(header[1:])}, "
                f"expected {length} of {', '.join(units)}."
            )
    except (OSError, ValueError) as error:
        raise DataError(
            f"{name}.csv, a part of seqjax, cannot be read or was changed: {error} Install seqjax anew."
        ) from error
    values = values[:, 0] if len(units) == 1 else values
    return Series(times, values, header[1:], tuple(units.values()), source)


def parse_series(
    content: str, read_time: Callable[[str], Any] = int, read_value: Callable[[str], float] = float
) -> tuple[str, tuple[str, ...], npt.NDArray[Any], npt.NDArray[Any]]:
    r"""Parse lines of a time and one value or more, parted by commas, below lines of comment and a header.

    Args:
      content: the lines. Those at the top that start with `#` name the source.
      read_time: what makes a time of a cell.
      read_value: what makes a value of a cell. Only of an empty one may it make NaN.

    Returns:
      `(source, header, times[T], values[T, M])`.

    Raises:
      ValueError: a line is not of that form, a value is not finite, or times do not increase: the message
        names the line.

    >>> parse_series("# Made up.\nyear,level\n1900,1.5\n1901,2\n")[1:]
    (('year', 'level'), array([1900, 1901]), array([[1.5],
           [2. ]]))
    >>> parse_series("# Made up.\nyear,level\n1900,1.5\n1901,high\n")
    Traceback (most recent call last):
    ...
    ValueError: line 4 is '1901,high', expected year,level.
    """
    lines = content.splitlines()
    start = next((number for number, line in enumerate(lines) if not line.startswith("#")), len(lines))
    if start in (0, len(lines)) or "," not in lines[start]:
        raise ValueError("there is no header, of two names or more, under comments that name the source.")
    header = tuple(lines[start].split(","))
    times: list[Any] = []
    rows: list[list[float]] = []
    for number, line in enumerate(lines[start + 1 :], start + 2):
        cells = line.split(",")
        try:
            time, row = read_time(cells[0]), [read_value(cell) for cell in cells[1:]]
            finite = all(np.isfinite(value) or not cell for cell, value in zip(cells[1:], row, strict=True))
            # A date that is missing is not equal to itself.
            if len(cells) != len(header) or time != time or not finite:
                raise ValueError
        except ValueError:
            raise ValueError(f"line {number} is {line!r}, expected {','.join(header)}.") from None
        if times and time <= times[-1]:
            raise ValueError(f"line {number} is {line!r}, expected a time after {times[-1]}.")
        times.append(time)
        rows.append(row)
    source = " ".join(line.lstrip("# ") for line in lines[:start])
    return source, header, np.array(times), np.array(rows).reshape(len(rows), len(header) - 1)


def _number_or_missing(cell: str) -> float:
    return float(cell) if cell else float("nan")
