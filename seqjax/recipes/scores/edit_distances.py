"""How far answers are from references: the least number of symbols to insert, delete and substitute."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple


class ErrorRates(NamedTuple):
    """How often answers are wrong.

    Attributes:
      symbols: edits in all, divided by the symbols of the references in all.
      sequences: the share of answers that are none of their references.
    """

    symbols: float
    sequences: float


def edit_distance(first: Sequence[Any], second: Sequence[Any]) -> int:
    """The least insertions, deletions and substitutions that make one sequence of another.

    Equation (Levenshtein, 1966; Wagner & Fischer, 1974): `d(i, j) = min(d(i-1, j) + 1, d(i, j-1) + 1,
    d(i-1, j-1) + [first_i != second_j])`, with `d(i, 0) = i` and `d(0, j) = j`.

    Args:
      first: symbols that can be compared, or a string.
      second: the same.

    Returns:
      The number of edits.

    Example:
      >>> edit_distance("kitten", "sitting")
      3
    """
    above = list(range(len(second) + 1))
    for i, symbol in enumerate(first, 1):
        row = [i]
        for j, other in enumerate(second, 1):
            row.append(min(above[j] + 1, row[-1] + 1, above[j - 1] + (symbol != other)))
        above = row
    return above[-1]


def error_rates(
    answers: Sequence[Sequence[Any]], references: Sequence[Sequence[Sequence[Any]]]
) -> ErrorRates:
    """Error rates, where each answer is compared with that of its references which is closest.

    Of references that are equally close, the first counts, with its length.

    Args:
      answers: `N` sequences of symbols.
      references: for each one or more, none of them empty.

    Returns:
      Both rates; that of symbols may exceed one.

    Raises:
      ValueError: if there are no answers, or not as many of each.

    Example:
      >>> error_rates(["ab", "cd"], [["ab", "abc"], ["cdef"]])
      ErrorRates(symbols=0.333..., sequences=0.5)
    """
    if not answers or len(answers) != len(references):
        raise ValueError(
            f"answers has {len(answers)} entries and references {len(references)}, expected as many."
        )
    closest = [
        min((edit_distance(answer, way), place, len(way)) for place, way in enumerate(ways))
        for answer, ways in zip(answers, references, strict=True)
    ]
    edits, symbols = sum(item[0] for item in closest), sum(item[2] for item in closest)
    return ErrorRates(edits / symbols, sum(item[0] > 0 for item in closest) / len(answers))
