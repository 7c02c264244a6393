"""When is a nonlinear recurrence faster in parallel over time than one step after the other?

    python benchmarks/parallel_in_time.py [--quick] [--only forward T=1000] [--device gpu] [--output FILE]

A GRU with new params (which forgets, so that few iterations suffice), and one whose recurrent kernel is
scaled (which forgets slowly). Newton's method in its four forms takes turns with the loops over steps, and
their answers are compared before anything is timed; the ratio is that of the fastest of each. Below each line
stands what each form took, and in how many iterations; a form that did not converge ran the loop as well, and
its time is that of both.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parent.parent))
import harness
import report

LIBRARIES = ("seqjax", "loop")
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy")
FORMS = {
    "DEER": {},
    "quasi-DEER": {"jacobian": "diagonal"},
    "ELK": {"damping": 1.0},
    "quasi-ELK": {"jacobian": "diagonal", "damping": 1.0},
}
GAINS = {"new": 1.0, "scaled": 2.0}
"""Of the recurrent kernel; at 3 it can be chaotic, where two orders of the same sums give other outputs."""
INPUT_SIZE = 4
SIZES = {
    "cpu": [(1, 1000, 4), (1, 10_000, 4), (16, 1000, 4), (1, 1000, 16)],
    "gpu": [(1, 1000, 4), (1, 10_000, 4), (1, 100_000, 4), (16, 10_000, 4), (1, 10_000, 16)],
    "quick": [(1, 200, 2)],
}
"""`(B, T, H)`."""


@dataclasses.dataclass
class Problem:
    """A GRU and its data."""

    cell: Any
    arguments: tuple[Any, Any, Any]  # params, carry, inputs

    @classmethod
    def make(cls, gain: float, batch: int, num_steps: int, hidden_size: int) -> Problem:
        import jax

        import seqjax as sj

        cell = sj.gru(hidden_size)
        params = cell.init(jax.random.key(0), INPUT_SIZE)
        params = dataclasses.replace(params, recurrent_kernel=gain * params.recurrent_kernel)
        xs = jax.random.normal(jax.random.key(1), (num_steps, batch, INPUT_SIZE))
        return cls(cell, (params, cell.initial_carry(params, (batch,)), xs))

    def prepare(self, method: Any, direction: str) -> Callable[[], Any]:
        """A compiled function without arguments."""
        import jax
        import jax.numpy as jnp

        import seqjax as sj

        def forward(params: Any, carry: Any, xs: Any) -> Any:
            return sj.unroll(self.cell, params, xs, carry=carry, method=method)[1]

        def gradient(params: Any, carry: Any, xs: Any) -> Any:
            # The mean over steps keeps numbers of one size for all lengths.
            return jax.grad(lambda params: jnp.mean(jnp.sin(forward(params, carry, xs))))(params)

        function = {"forward": forward, "gradient": gradient}[direction]
        program = jax.jit(function).lower(*self.arguments).compile()
        return lambda: jax.block_until_ready(program(*self.arguments))

    def iterations(self, form: Mapping[str, Any]) -> str:
        """How many iterations a form takes, in the slowest row."""
        import jax

        from seqjax.backends.newton import solve

        info = jax.jit(lambda *x: solve(self.cell, *x, **form)[2]._replace(carries=None))(*self.arguments)
        count = int(info.iterations.max())
        return f"{count} iterations" if info.converged.all() else f"not converged in {count} iterations"


def contenders(problem: Problem, direction: str) -> Iterator[harness.Contender]:
    """Ours first, then the loops."""
    import jax
    import numpy as np

    from seqjax.backends import newton

    def answer(result: Any) -> dict[str, Any]:
        return {direction: np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(result)])}

    for name, form in FORMS.items():
        prepare = functools.partial(problem.prepare, functools.partial(newton, **form), direction)
        yield harness.Contender(f"seqjax, {name}", prepare, answer)
    for method in ("scan", "fused"):
        yield harness.Contender(
            f"loop, {method}", functools.partial(problem.prepare, method, direction), answer
        )


def details(cell: harness.Cell, counts: Mapping[str, str]) -> str:
    """What each form took."""
    parts = []
    for name, entry in cell.seconds.items():
        library, form = name.split(", ")
        time = f"{1e3 * entry['min']:,.3g} ms" if "min" in entry else "too slow to be timed"
        parts.append(f"{form} {time}" + (f" ({counts[form]})" if library == "seqjax" else ""))
    return "; ".join(parts)


def main() -> None:
    """Runs the cells that are asked for."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "parallel_in_time_{device}.json"))
    environment = harness.environment(options.threads, PACKAGES)
    cells = report.Report(title, environment, LIBRARIES, options.output)
    for kind, gain in GAINS.items():
        for batch, num_steps, hidden_size in SIZES["quick" if options.quick else options.device]:
            sizes = {"B": batch, "T": num_steps, "H": hidden_size}
            problem = Problem.make(gain, batch, num_steps, hidden_size)
            counts: dict[str, str] = {}
            for direction in ("forward", "gradient"):
                if not harness.wanted(options.only, f"{kind} gru {direction}", sizes):
                    continue
                counts = counts or {name: problem.iterations(form) for name, form in FORMS.items()}
                cell = harness.compare(
                    f"{kind} gru {direction}",
                    sizes,
                    list(contenders(problem, direction)),
                    tolerances={"forward": 1e-3, "gradient": 1e-3},
                    seconds=0.05 if options.quick else options.seconds,
                )
                for name, entry in cell.seconds.items():
                    entry["iterations"] = counts.get(name.split(", ")[1])
                cells.add(cell)
                print(f"{'':8}{details(cell, counts)}", flush=True)
    cells.finish()


if __name__ == "__main__":
    main()
