"""How fast are stacked, bidirectional and ragged networks beside flax, haiku, equinox and torch?

    python benchmarks/layers.py [--quick] [--only lstm ragged gradient] [--device gpu] [--malloc tuned]

Two or three layers, one bidirectional layer, and a ragged batch: two bidirectional layers whose backward
direction starts at each sequence's own end. Lengths are uniform from 1 to T. What the padding holds counts
for nobody, in outputs or gradients; torch packs the sequences, within the time, and works on the valid steps
only. Haiku and equinox have nothing that reverses sequences within their lengths.

As in `cells.py` all compute in float32 from the same weights, and answers are compared before anything is
timed. The gradient is that of a weighted sum of all outputs with respect to weights and inputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness
import report
from cells import PACKAGES

LIBRARIES = ("seqjax", "flax", "haiku", "equinox", "torch")
NETWORKS: dict[str, dict[str, Any]] = {
    "2 layers": {"num_layers": 2},
    "3 layers": {"num_layers": 3},
    "bidirectional": {"bidirectional": True},
    "ragged": {"num_layers": 2, "bidirectional": True, "ragged": True},
}
SIZES = (32, 100, 64, 128)
QUICK = (4, 20, 6, 8)
"""`(B, T, D, H)`, `H` of each direction."""


def main() -> None:
    """Runs the cells that are asked for."""
    title = str(__doc__).splitlines()[0]
    output = str(Path(__file__).parent / "results" / "layers_{device}.json")
    options = harness.start(title, output, seconds=0.5)
    from contenders import contenders
    from peers import Problem

    environment = harness.environment(options.threads, PACKAGES)
    cells = report.Report(title, environment, LIBRARIES, options.output, width=50)
    # Of an answer, the largest difference relative to its own size.
    close = 1e-4 if environment["precision"] == "float32" else 3e-2
    tolerances = dict.fromkeys(("outputs", "value", "inputs' gradient"), close)
    shape = QUICK if options.quick else SIZES
    sizes = dict(zip("BTDH", shape, strict=True))
    for kind in ("lstm", "gru"):
        for name, settings in NETWORKS.items():
            problem: Any = None
            for direction in ("forward", "gradient"):
                task = f"{kind} {name} {direction}"
                if not harness.wanted(options.only, task, sizes):
                    continue
                problem = problem or Problem.make(kind, *shape, **settings)
                cell = harness.compare(
                    task,
                    sizes,
                    list(contenders(problem, direction, options)),
                    tolerances=tolerances,
                    seconds=0.05 if options.quick else options.seconds,
                )
                cells.add(cell)
    cells.finish()


if __name__ == "__main__":
    main()
