"""Which cases of a test run by default."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_except(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Cases of which only `kept` run by default, others with `-m slow`; a tuple has a value for each name."""
    values = list(values)
    if unknown := [value for value in kept if value not in values]:
        raise ValueError(f"kept has {unknown}, none of the cases {values}.")
    cases = [value if isinstance(value, tuple) else (value,) for value in values]
    marks = [() if value in kept else (pytest.mark.slow,) for value in values]
    return [pytest.param(*case, marks=mark) for case, mark in zip(cases, marks, strict=True)]
