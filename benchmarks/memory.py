"""How much scratch memory does a gradient take, by the compiler's own account?

    python benchmarks/memory.py [--quick] [--only lstm T=1000] [--device gpu] [--output FILE]

The value and gradient of a weighted sum of all outputs, with respect to weights and inputs, is compiled and
never run: what it takes besides its arguments and results is known then. Every number is exact, and the same
each time. The outputs themselves are among what it takes, for whoever runs the cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import report

SIZES = {"B": 8, "D": 16, "H": 32}
STEPS = (100, 1000, 10_000, 100_000)
METHODS = {"scan": "scan", "fused": "fused", "checkpointed": "checkpointed"}
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "flax", "dm-haiku", "equinox")


def rows(kind: str, num_steps: int) -> Iterator[tuple[str, int]]:
    """By name the bytes of each way to run the cell."""
    from contenders import lowered
    from peers import Problem, networks

    problem = Problem.make(kind, SIZES["B"], num_steps, SIZES["D"], SIZES["H"])
    yield "the outputs themselves", problem.output_weights.nbytes
    for network in networks(problem, METHODS):
        analysis = lowered(problem, "gradient", network)[0].compile().memory_analysis()
        yield network.name, analysis.temp_size_in_bytes


def main() -> None:
    """Compiles, prints a table, and writes what was found."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "memory_{device}.json"))
    environment = harness.environment(options.threads, PACKAGES)
    print(
        f"{title}\n\n{environment['device']}, jax {environment['versions']['jax']}; (B, D, H) = (8, 16, 32)"
    )
    steps = STEPS[:2] if options.quick else STEPS
    results: list[dict[str, Any]] = []
    for kind in ("lstm", "gru", "elman"):
        found: dict[str, dict[int, int]] = {}
        for num_steps in steps:
            if not {kind, f"T={num_steps}"}.issuperset(options.only):
                continue
            for name, size in rows(kind, num_steps):
                found.setdefault(name, {})[num_steps] = size
                results.append({"kind": kind, "T": num_steps, "name": name, "bytes": size})
        if found:
            print(f"\n{kind + ', MiB':32}" + "".join(f"{f'T={num_steps:,}':>14}" for num_steps in steps))
        for name, sizes in found.items():
            cells = (f"{sizes[num_steps] / 2**20:,.2f}" if num_steps in sizes else "-" for num_steps in steps)
            print(f"{name:32}" + "".join(f"{cell:>14}" for cell in cells), flush=True)
    if options.output is not None:
        document = {
            "title": title, "environment": environment, "unit": "bytes", "sizes": SIZES, "results": results,
        }  # fmt: skip
        report.write(options.output, document)
        print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
