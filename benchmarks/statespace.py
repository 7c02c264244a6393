"""How fast are filters, smoothers and decoders of state-space models beside dynamax, hmmlearn, statsmodels?

    python benchmarks/statespace.py [--quick] [--only hmm K=16] [--threads 1] [--malloc tuned]

Ours and dynamax compute in float32, each on arrays in its own order of axes; hmmlearn (C++) and statsmodels
(Cython) in float64, as they are. Answers are compared before anything is timed.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import harness
import report

LIBRARIES = ("seqjax", "dynamax", "hmmlearn", "statsmodels")
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "scipy", "dynamax", "hmmlearn", "statsmodels")
Wanted = Callable[[str, Mapping[str, int]], bool]


def hmm_cells(quick: bool, wanted: Wanted) -> Iterator[tuple[str, dict, list, dict]]:
    """Hidden Markov models, one sequence and many."""
    from statespace_hmm import contenders, make_chain

    tolerances = {"log-likelihood per step": 1e-4, "probabilities": 2e-3, "score of the path": 1e-4}
    for num_states in (4, 16, 64):
        for num_steps in (1_000,) if quick else (10_000, 100_000):
            for batch in (1, 4) if quick else (1, 64):
                sizes = {"K": num_states, "T": num_steps, "B": batch}
                tasks = [task for task in ("filter", "smoother", "viterbi") if wanted(f"hmm {task}", sizes)]
                chain = make_chain(num_states, num_steps, batch) if tasks else None
                for task in tasks:
                    yield f"hmm {task}", sizes, contenders(task, chain), tolerances


def lds_cells(quick: bool, wanted: Wanted) -> Iterator[tuple[str, dict, list, dict]]:
    """Linear dynamical systems, one sequence and many."""
    from statespace_lds import contenders, make_system

    tolerances = {"log-likelihood per step": 1e-3, "mean": 1e-2, "variance": 1e-2}
    for state_size, observed_size in ((2, 1), (4, 2), (16, 8)):
        for num_steps, batch in ((500, 1), (100, 4)) if quick else ((10_000, 1), (1_000, 64)):
            sizes = {"N": state_size, "M": observed_size, "T": num_steps, "B": batch}
            tasks = [task for task in ("filter", "smoother") if wanted(f"lds {task}", sizes)]
            system = make_system(state_size, observed_size, num_steps, batch) if tasks else None
            for task in tasks:
                yield f"lds {task}", sizes, contenders(task, system), tolerances


def main() -> None:
    """Runs the cells that are asked for."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "statespace_cpu.json"))

    wanted = functools.partial(harness.wanted, options.only)
    environment = harness.environment(options.threads, PACKAGES)
    cells = report.Report(title, environment, LIBRARIES, options.output)
    seconds: dict[str, Any] = {"seconds": 0.05 if options.quick else options.seconds}
    for kind, make in (("hmm", hmm_cells), ("lds", lds_cells)):
        # A kind's peers are imported only where one of its cells can be wanted.
        if not {"hmm", "lds"}.difference({kind}).intersection(options.only):
            for task, sizes, contenders, tolerances in make(options.quick, wanted):
                cell = harness.compare(task, sizes, contenders, tolerances=tolerances, **seconds)
                cell.shortfall = importlib.import_module(f"statespace_{kind}").shortfall(cell)
                cells.add(cell)
    cells.finish()


if __name__ == "__main__":
    main()
