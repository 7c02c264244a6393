"""Which cases of a test run by default."""

from collections.abc import Iterable
from typing import Any

import pytest


def slow_except(values: Iterable[Any], *kept: Any) -> list[Any]:
    """Cases of which only `kept` run by default; the others run with `-m slow`."""
    values = list(values)
    if unknown := [value for value in kept if value not in values]:
        raise ValueError(f"kept has {unknown}, none of the cases {values}.")
    return [value if value in kept else pytest.param(value, marks=pytest.mark.slow) for value in values]
