"""The cells of a benchmark as a table, their ratios summed up, and all of it as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness import Cell


class Report:
    """The cells of a run: printed as they come, summed up and saved at the end.

    Args:
      title: the question.
      environment: what `harness.environment` gave.
      libraries: who competes, ours first.
      output: the file to write, or `None`.
      width: of the column of names.
      per_step: whether to print microseconds a step, `T` steps a run, in place of milliseconds.
    """

    def __init__(
        self,
        title: str,
        environment: Mapping[str, Any],
        libraries: Sequence[str],
        output: Path | None,
        *,
        width: int = 40,
        per_step: bool = False,
    ) -> None:
        self.title, self.environment, self.output = title, dict(environment), output
        self.width, self.per_step = width, per_step
        self.libraries = tuple(libraries)
        self.cells: list[Cell] = []
        tuned = all(environment["malloc"].values())
        print(f"{title}\n")
        print(f"{environment['cpu']}, {environment['threads']} threads, jax {environment['versions']['jax']}")
        print(f"device: {environment['device']}, precision of products: {environment['precision']}")
        print(f"malloc settings: {'tuned' if tuned else 'default'}")
        unit = "microseconds a step" if per_step else "milliseconds"
        print(f"{unit}, the least of the rounds, compiling apart; ratio: to the fastest peer\n")
        self._line("cell", *self.libraries, "ratio", "")

    def _line(self, first: str, *rest: str) -> None:
        columns = "".join(f"{text:>12}" for text in rest[:-1])
        print(f"{first:{self.width}}{columns}  {rest[-1]}", flush=True)

    def add(self, cell: Cell) -> None:
        """Prints a cell and keeps it; the file is written anew each time, so that nothing is lost."""
        self.cells.append(cell)
        ratio = cell.ratio()
        remarks = ["SLOWER"] if ratio is not None and ratio < 1 else []
        remarks += [f"{name} skipped: {reason}" for name, reason in cell.skipped.items()]
        self._line(
            cell.label,
            *(self.time(cell, cell.best(library)) for library in self.libraries),
            "-" if ratio is None else f"{ratio:.2f}",
            "; ".join(remarks),
        )
        apart = [
            f"{name} {self.time(cell, entry['min'])}"
            for name, entry in cell.seconds.items()
            if not entry["counts"] and "min" in entry
        ]
        if apart:
            print(f"{'':{self.width}}  not counted: {'; '.join(apart)}", flush=True)
        if cell.shortfall:
            print(f"{'':{self.width}}  {cell.shortfall}", flush=True)
        self.save()

    def time(self, cell: Cell, seconds: float | None) -> str:
        """A time in the unit of the report, without its name."""
        if seconds is None:
            return "-"
        value = 1e6 * seconds / cell.sizes["T"] if self.per_step else 1e3 * seconds
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"

    def summary(self) -> dict[str, Any]:
        """The geometric mean of the ratios by task and by peer, and how many cells were lost."""
        groups = {task: [cell for cell in self.cells if cell.task == task] for task in self._tasks()}
        groups["all"] = self.cells
        figures: dict[str, Any] = {}
        for name, cells in groups.items():
            ratios = [cell.ratio() for cell in cells]
            lost = sum(ratio is not None and ratio < 1 for ratio in ratios)
            figures[name] = {"cells": len(cells), "slower": lost, "fastest peer": geometric_mean(ratios)}
            for library in self.libraries[1:]:
                against = [cell.ratio(library) for cell in cells]
                if any(against):
                    figures[name][library] = geometric_mean(against)
        return figures

    def _tasks(self) -> list[str]:
        return list(dict.fromkeys(cell.task for cell in self.cells))

    def finish(self) -> None:
        """Prints the summary, each cell that was lost once more, and the notes; writes the file."""
        print("\ngeometric means of the ratios, above 1 where we are faster:")
        for task, figures in self.summary().items():
            means = [f"{name} {value:.2f}" for name, value in figures.items() if isinstance(value, float)]
            print(f"  {task:14} slower in {figures['slower']} of {figures['cells']}; {', '.join(means)}")
        for cell in self.cells:
            ratio = cell.ratio()
            if ratio is not None and ratio < 1:
                print(f"  slower: {cell.label}, {ratio:.2f} times as fast as the fastest peer")
        entries = [item for cell in self.cells for item in cell.seconds.items()]
        print(
            "\n" + "\n".join(sorted({f"{name}: {entry['note']}" for name, entry in entries if entry["note"]}))
        )
        self.save()
        if self.output is not None:
            print(f"\nwritten: {self.output}")

    def save(self) -> None:
        """Writes the results so far."""
        if self.output is None:
            return
        document = {
            "title": self.title,
            "environment": self.environment,
            "unit": "seconds",
            "summary": self.summary(),
            "cells": [dataclasses.asdict(cell) | {"ratio": cell.ratio()} for cell in self.cells],
        }
        write(self.output, document)


def write(output: Path, document: Mapping[str, Any]) -> None:
    """Writes results as JSON, whole or not at all."""
    from seqjax.files import write_whole

    output.parent.mkdir(parents=True, exist_ok=True)
    write_whole(output, (json.dumps(document, indent=1, default=str) + "\n").encode("utf-8"))


def geometric_mean(ratios: Sequence[float | None]) -> float:
    """The geometric mean of the ratios that are known: of 2 and 1/2 it is 1."""
    known = [math.log(ratio) for ratio in ratios if ratio is not None]
    return round(math.exp(statistics.fmean(known)), 3) if known else math.nan
