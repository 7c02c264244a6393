"""How does the time of a step grow with the number of steps, of rows, and of hidden units?

    python benchmarks/scaling.py [--quick] [--only gru forward T] [--device gpu] [--output FILE]

From one shape a single axis at a time: T, B or H. LSTM and GRU by our loop with the fused gradient (`fused`)
and by plain `lax.scan`, beside linen's and torch's; LRU and minGRU, which have no peer here, by `associative`
(on a CPU the loop with a gradient of its own) and by `scan`. Printed are microseconds a step.

Who would take longer than ten seconds, going by the size before, is skipped, and a line says so. A run of
more than two seconds is not repeated: its first run, which also touches fresh memory, stands.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import harness
import report
from cells import PACKAGES

LIBRARIES = ("seqjax", "flax", "torch")
FORMS = {"lstm": ("fused", "scan"), "gru": ("fused", "scan")}
FORMS |= {"lru": ("associative", "scan"), "min_gru": ("associative", "scan")}
LINEN = ("flax, linen", "flax, linen OptimizedLSTMCell")
BASE = {"T": 1000, "B": 1, "D": 16, "H": 32}
AXES: dict[str, tuple[int, ...]] = {
    "T": (100, 1000, 10_000, 100_000, 1_000_000),
    "B": (1, 16, 256),
    "H": (32, 128, 512),
}
QUICK_BASE = {"T": 20, "B": 1, "D": 4, "H": 4}
QUICK_AXES: dict[str, tuple[int, ...]] = {"T": (20, 200), "B": (1, 4), "H": (4, 8)}
LONGEST = 10.0
"""Seconds a run that nobody waits for."""
PATIENCE = 2.0
"""Seconds a run that is not repeated."""


def contenders(
    kind: str, direction: str, sizes: Mapping[str, int], options: argparse.Namespace
) -> Iterator[harness.Contender]:
    """Ours, linen's and torch's."""
    from contenders import jax_contender, torch_contender
    from peers import TORCH_KIND, Problem, networks, torch

    problem = Problem.make(kind, sizes["B"], sizes["T"], sizes["D"], sizes["H"])
    # About what a gradient by `scan` keeps.
    arrays = 1 if direction == "forward" else 16
    gigabytes = 4e-9 * sizes["T"] * sizes["B"] * (2 * sizes["D"] + arrays * sizes["H"])
    for network in networks(problem, {form: form for form in FORMS[kind]}, peers=("linen",)):
        if network.name.startswith("seqjax") or network.name in LINEN:
            contender = jax_contender(problem, direction, network._replace(counts=True))
            yield dataclasses.replace(contender, gigabytes=gigabytes)
    if torch and kind in TORCH_KIND:
        yield dataclasses.replace(torch_contender(problem, direction, options), gigabytes=gigabytes)


def measure(
    kind: str,
    direction: str,
    sizes: Mapping[str, int],
    expected: Mapping[str, float],
    options: argparse.Namespace,
    close: float,
) -> harness.Cell:
    """One shape; `expected` are seconds by contender, where they are known."""
    everyone = list(contenders(kind, direction, sizes, options))
    patient = [contender for contender in everyone if expected.get(contender.name, 0) <= LONGEST]
    cell = harness.compare(
        f"{kind} {direction}",
        sizes,
        patient,
        tolerances=dict.fromkeys(("outputs", "value", "inputs' gradient"), close),
        seconds=0.05 if options.quick else options.seconds,
        patience=PATIENCE,
    )
    for contender in everyone:
        if contender not in patient:
            cell.skipped[contender.name] = f"would take about {expected[contender.name]:.0f} s"
    return cell


def main() -> None:
    """Runs the shapes that are asked for."""
    title = str(__doc__).splitlines()[0]
    output = str(Path(__file__).parent / "results" / "scaling_{device}.json")
    options = harness.start(title, output, seconds=0.2)
    base, axes = (QUICK_BASE, QUICK_AXES) if options.quick else (BASE, AXES)
    environment = harness.environment(options.threads, PACKAGES) | {"base": base}
    cells = report.Report(title, environment, LIBRARIES, options.output, width=46, per_step=True)
    close = 1e-3 if environment["precision"] == "float32" else 3e-2
    done: dict[tuple[Any, ...], harness.Cell] = {}
    for kind in FORMS:
        for direction in ("forward", "gradient"):
            for axis, values in axes.items():
                a_unit: dict[str, float] = {}
                for value in values:
                    sizes = base | {axis: value}
                    key = (kind, direction, *sizes.values())
                    if not harness.wanted(options.only, f"{kind} {direction} {axis}", sizes):
                        continue
                    if key not in done:
                        expected = {name: value * seconds for name, seconds in a_unit.items()}
                        done[key] = measure(kind, direction, sizes, expected, options, close)
                        cells.add(done[key])
                        print(f"{'':8}{apart(cells, done[key])}", flush=True)
                    for name, entry in done[key].seconds.items():
                        a_unit[name] = entry["min"] / value
    cells.finish()


def apart(cells: report.Report, cell: harness.Cell) -> str:
    """What each contender took."""
    return "; ".join(f"{name} {cells.time(cell, entry['min'])}" for name, entry in cell.seconds.items())


if __name__ == "__main__":
    main()
