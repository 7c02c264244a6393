"""How long do tracing and compiling take, and does it depend on the length of the sequences?

    python benchmarks/compile_time.py [--quick] [--only lstm] [--device gpu] [--output FILE]

The value and gradient of a weighted sum of all outputs. Before each trace jax forgets what it knows, so each
is a first call; contenders take turns, and the least of the rounds counts. Nothing is run.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import harness
import report

SIZES = {"B": 8, "D": 16, "H": 32}
STEPS = (10, 1000, 100_000)
METHODS = {"scan": "scan", "fused": "fused", "checkpointed": "checkpointed"}
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "flax", "dm-haiku", "equinox")
ROUNDS = 3


def measure(kind: str, num_steps: int, rounds: int) -> dict[str, tuple[float, float]]:
    """By name the seconds of tracing and of compiling, the least of each."""
    import jax
    from contenders import lowered
    from peers import Problem, networks

    problem = Problem.make(kind, SIZES["B"], num_steps, SIZES["D"], SIZES["H"])
    found: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for network in networks(problem, METHODS):
            jax.clear_caches()
            begin = time.perf_counter()
            traced = lowered(problem, "gradient", network)[0]
            middle = time.perf_counter()
            traced.compile()
            new = middle - begin, time.perf_counter() - middle
            old = found.get(network.name, new)
            found[network.name] = min(old[0], new[0]), min(old[1], new[1])
    return found


def main() -> None:
    """Compiles, prints a table, and writes what was found."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "compile_time_{device}.json"))
    environment = harness.environment(options.threads, PACKAGES)
    print(
        f"{title}\n\n{environment['device']}, jax {environment['versions']['jax']}; (B, D, H) = (8, 16, 32)"
    )
    print("milliseconds of tracing + compiling, the least of the rounds")
    steps = STEPS[:2] if options.quick else STEPS
    results: list[dict[str, Any]] = []
    for kind in ("lstm", "gru", "elman"):
        if not {kind}.issuperset(options.only):
            continue
        tables = {num_steps: measure(kind, num_steps, 1 if options.quick else ROUNDS) for num_steps in steps}
        print(f"\n{kind:32}" + "".join(f"{f'T={num_steps:,}':>16}" for num_steps in steps))
        for name in tables[steps[0]]:
            cells = [tables[num_steps][name] for num_steps in steps]
            print(
                f"{name:32}" + "".join(f"{f'{1e3 * a:.0f} + {1e3 * b:.0f}':>16}" for a, b in cells),
                flush=True,
            )
            results += [
                {"kind": kind, "T": num_steps, "name": name, "trace": trace, "compile": rest}
                for num_steps, (trace, rest) in zip(steps, cells, strict=True)
            ]
    if options.output is not None:
        document = {
            "title": title, "environment": environment, "unit": "seconds", "sizes": SIZES, "results": results,
        }  # fmt: skip
        report.write(options.output, document)
        print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
