"""Nine speakers who say two vowels: short series of different lengths, each with one label."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import AEON
from seqjax.data.errors import DataError
from seqjax.data.reading import text_of


class LabelledSeries(NamedTuple):
    """Series of measurements with one label each.

    Attributes:
      series: `N` arrays `[t, D]` float32; `t` differs.
      labels: `[N]` int32, an index into `classes`.
      classes: what each label means.
      licence: their licence.
      source: where they come from.
    """

    series: list[npt.NDArray[np.float32]]
    labels: npt.NDArray[np.int32]
    classes: tuple[str, ...]
    licence: str
    source: str


def japanese_vowels(*, cache: Path | None = None) -> tuple[LabelledSeries, LabelledSeries]:
    """Return 270 utterances to learn from and 370 held out, as Kudo et al. (1999) split them.

    Nine men say two Japanese vowels one after the other; who speaks? An utterance is 7 to 29 steps of 12
    coefficients of linear prediction.

    Args:
      cache: the cache folder; `None` for `cache_folder()`.

    Returns:
      `(training, held_out)`.

    Raises:
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    files = fetch(AEON, cache=cache)
    training, held_out = (parse_ts(text_of(files, name), name) for name in AEON.members)
    return training, held_out


def parse_ts(text: str, name: str) -> LabelledSeries:
    r"""Parse a `.ts` file: a header with `@classLabel true`, then one series a line.

    Args:
      text: comments that start with `#`, a header of lines that start with `@`, and after `@data` lines of
        dimensions and a label, parted by `:`. The values of a dimension over time are parted by commas.
      name: what to call the file in an error.

    Raises:
      DataError: it is not of that form.

    >>> parsed = parse_ts("@classLabel true a b\n@data\n1,2,3:4,5,6:b\n7:8:a\n", "example")
    >>> parsed.series[0].tolist(), parsed.labels.tolist(), parsed.classes
    ([[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]], [1, 0], ('a', 'b'))
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    header = [line for _, line in lines if line.startswith("@")]
    classes = [tuple(line.split()[2:]) for line in header if line.lower().startswith("@classlabel true ")]
    rows = [(number, line) for number, line in lines if not line.startswith("@")]
    if len(classes) != 1 or not header[-1].lower() == "@data" or not rows:
        raise DataError(f"{name} lacks one '@classLabel true', '@data' or what follows it. Report it.")
    series: list[npt.NDArray[np.float32]] = []
    labels: list[int] = []
    for number, line in rows:
        *dimensions, label = line.split(":")
        try:
            values = np.array([dimension.split(",") for dimension in dimensions], np.float32).T
            labels.append(classes[0].index(label))
            if not values.size or not np.isfinite(values).all():
                raise ValueError
            if series and values.shape[1] != series[0].shape[1]:
                raise ValueError
        except ValueError:
            raise DataError(
                f"Line {number} of {name} is not of the form expected: as many dimensions as in other lines, "
                "each of as many finite values, and one of the labels declared. Report it."
            ) from None
        series.append(np.ascontiguousarray(values))
    source = f"UCI Japanese Vowels (Kudo et al., 1999), in the package {AEON.package} {AEON.version}"
    return LabelledSeries(series, np.array(labels, np.int32), classes[0], AEON.licence, source)
