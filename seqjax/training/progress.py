"""A line that tells how far training is, for those who watch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np

Show = Callable[[int, Mapping[str, Any]], None]


@contextmanager
def progress_bar(visible: bool, total: int | None, begun: int = 0) -> Iterator[Show]:
    """Shows the number of steps, steps a second, the remaining time and the loss, through `rich`.

    Args:
      visible: whether to show anything.
      total: the number of steps, or `None` if it is not known; then no remaining time is shown.
      begun: how many steps were taken before.

    Yields:
      `(done, metrics) -> None`, to be called now and then.

    Raises:
      ImportError: if the package `rich` is missing.

    Example:
      >>> with progress_bar(False, 10) as show:
      ...     show(1, {"loss": 2.0})
    """
    if not visible:
        yield lambda done, metrics: None
        return
    rich = _import_rich()
    bar = rich.Progress(
        rich.BarColumn(bar_width=16),
        rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[rate]} steps/s"),
        rich.TimeRemainingColumn(elapsed_when_finished=True),
        rich.TextColumn("{task.fields[values]}"),
    )
    start = time.monotonic()
    with bar:
        line = bar.add_task("training", total=total, completed=begun, rate="-", values="")

        def show(done: int, metrics: Mapping[str, Any]) -> None:
            rate = (done - begun) / max(time.monotonic() - start, 1e-9)
            values = " ".join(f"{name} {_short(value)}" for name, value in metrics.items() if name in SHOWN)
            bar.update(line, completed=done, rate=f"{rate:.3g}", values=values)

        yield show


SHOWN = ("loss", "accuracy", "rmse")
"""The metrics that fit in a line."""


def _short(value: Any) -> str:
    return f"{np.mean(value):.3f}"  # the mean over the members, for an ensemble


def _import_rich() -> ModuleType:
    try:
        import rich.progress
    except ImportError as error:
        raise ImportError(
            "Progress is shown with the package rich, which is not installed: "
            'run pip install "seqjax[train]", or leave progress=False.'
        ) from error
    return rich.progress
