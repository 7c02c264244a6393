"""How fast are recurrent cells, forward and backward, beside flax, haiku, equinox and torch?

    python benchmarks/cells.py [--quick] [--only lstm gradient H=128] [--device gpu] [--malloc tuned]

All compute in float32 from the same weights (on a GPU with `--precision tf32` products in TensorFloat-32, all
alike), and their answers are compared before anything is timed. The gradient is that of a weighted sum of all
outputs with respect to weights and inputs, its value included.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
import report

LIBRARIES = ("seqjax", "flax", "haiku", "equinox", "jax", "torch")
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "flax", "dm-haiku", "equinox", "torch")
SIZES = (
    (32, 100, 64, 128),
    (64, 200, 128, 256),
    (32, 100, 256, 512),
    (1, 1000, 32, 64),
    (256, 50, 64, 128),
    (8, 400, 16, 32),
)
"""`(B, T, D, H)`."""


def main() -> None:
    """Runs the cells that are asked for."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "cells_{device}.json"))
    from contenders import contenders
    from peers import Problem

    environment = harness.environment(options.threads, PACKAGES)
    cells = report.Report(title, environment, LIBRARIES, options.output)
    # Of an answer, the largest difference relative to its own size.
    close = 1e-4 if environment["precision"] == "float32" else 3e-2
    tolerances = dict.fromkeys(("outputs", "value", "inputs' gradient"), close)

    for kind in ("lstm", "gru", "elman"):
        for batch, num_steps, input_size, hidden_size in SIZES[3:4] if options.quick else SIZES:
            sizes = {"B": batch, "T": num_steps, "D": input_size, "H": hidden_size}
            problem: Any = None
            for direction in ("forward", "gradient"):
                if harness.wanted(options.only, f"{kind} {direction}", sizes):
                    problem = problem or Problem.make(kind, batch, num_steps, input_size, hidden_size)
                    cells.add(
                        harness.compare(
                            f"{kind} {direction}",
                            sizes,
                            list(contenders(problem, direction, options)),
                            tolerances=tolerances,
                            seconds=0.05 if options.quick else options.seconds,
                        )
                    )
    cells.finish()


if __name__ == "__main__":
    main()
