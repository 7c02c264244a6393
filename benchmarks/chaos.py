"""Does Newton's method converge on a network that was trained to be chaotic?

    python benchmarks/chaos.py [--quick] [--output FILE]

A GRU learns to predict the next point of the Hénon map from the last, and then runs on its own predictions:
its largest Lyapunov exponent is positive, as the map's is (0.42). Its states are then sought by each form of
Newton's method from zeros, in float64. Printed is the sum of squares that the method must bring to zero
(`misfit`), relative to what it was at first: undamped steps throw it up by many orders of magnitude first,
and damped ones never let it rise (Gonzalez et al., 2024, figure 4). Counts and errors, not times.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import harness
import report

PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "optax")
LENGTHS = (32, 64, 128, 256)
LOOKS = (1, 2, 5, 10, 20, 50, 100, 200)
"""After how many iterations to look."""


def henon(num_steps: int, batch: int, seed: int) -> Any:
    """Points of the map (Hénon, 1976), `[num_steps, batch, 1]`, its way to the attractor left out."""
    import numpy as np

    x, y = np.random.default_rng(seed).uniform(-0.1, 0.1, (2, batch))
    points = []
    for _ in range(100 + num_steps):
        x, y = 1 - 1.4 * x**2 + y, 0.3 * x
        points.append(x)
    return np.stack(points[100:])[..., None]


def trained(hidden_size: int, steps: int) -> tuple[Any, Any, float]:
    """The cell that feeds itself, its params, and the mean squared error of the predictions it learned."""
    import jax
    import jax.numpy as jnp
    import optax

    import seqjax as sj

    cell, readout = sj.gru(hidden_size), sj.layers.dense(1)
    points = jnp.asarray(henon(101, 64, seed=0))
    keys = jax.random.split(jax.random.key(0))
    params = (cell.init(keys[0], 1), readout.init(keys[1], hidden_size))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-2, steps))

    def loss(params: Any) -> Any:
        outputs = sj.unroll(cell, params[0], points[:-1])[1]
        predicted = readout.unroll(params[1], outputs)[1]
        return jnp.mean((predicted - points[1:])[10:] ** 2)

    def learn(state: Any, _: Any) -> tuple[Any, Any]:
        params, memory = state
        error, gradient = jax.value_and_grad(loss)(params)
        updates, memory = optimizer.update(gradient, memory)
        return (optax.apply_updates(params, updates), memory), error

    def step(params: Any, carry: Any, x: Any) -> tuple[Any, Any]:
        predicted = readout.step(params[1], (), carry)[1]
        return cell.step(params[0], carry, predicted + x)[0], predicted

    state = (params, optimizer.init(params))
    (params, _), errors = jax.jit(lambda state: jax.lax.scan(learn, state, length=steps))(state)
    fed = cell._replace(
        init=lambda key, input_size: params,
        initial_carry=lambda params, batch_shape=(): cell.initial_carry(params[0], batch_shape),
        step=step,
        output_size=1,
        structure=None,
    )
    return fed, params, float(errors[-1])


def misfits(cell: Any, params: Any, carry: Any, xs: Any, form: Mapping[str, Any]) -> tuple[list[float], int]:
    """After each of `LOOKS` iterations, relative to the first; and how many it took to converge, or 0."""
    import jax
    import jax.numpy as jnp

    from seqjax.backends.newton_iterations import Search, iterate

    def transition(before: Any) -> Any:
        return jax.vmap(cell.step, (None, 0, 0))(params, before, xs)[0]

    dense, damping = form.get("jacobian") != "diagonal", form.get("damping", 0.0)
    tolerance = 4 * float(jnp.finfo(carry.dtype).eps)

    @jax.jit
    def run(count: Any) -> Any:
        guess = jnp.zeros((len(xs), *carry.shape))
        found = iterate(transition, carry, guess, Search(dense, damping, tolerance, count))
        return found.misfit, found.residual <= tolerance, found.iterations

    (first, _, _), *found = [run(count) for count in (0, *LOOKS, 10 * LOOKS[-1])]
    *_, (_, converged, iterations) = found
    return [float(misfit / first) for misfit, _, _ in found[:-1]], int(iterations) if converged else 0


def main() -> None:
    """Trains, looks at each form at each length, and writes what was found."""
    title = str(__doc__).splitlines()[0]
    options = harness.start(title, str(Path(__file__).parent / "results" / "chaos_{device}.json"))
    environment = harness.environment(options.threads, PACKAGES)
    import jax
    import jax.numpy as jnp
    from parallel_in_time import FORMS

    import seqjax as sj

    print(f"{title}\n\n{environment['device']}, jax {environment['versions']['jax']}")
    results: list[dict[str, Any]] = []
    with jax.enable_x64(True):
        cell, params, error = trained(4 if options.quick else 16, 200 if options.quick else 4000)
        inputs, carry = jnp.zeros((20_000 if not options.quick else 500, 1)), cell.initial_carry(params)
        spectrum = sj.diagnostics.lyapunov_spectrum(
            cell, params, inputs, carry=carry, num_exponents=1, transient=200
        )
        exponent = float(spectrum.exponents[0])
        print(
            f"mean squared error of a prediction {error:.2g}; Lyapunov exponent fed by itself {exponent:.2f}"
        )
        print("\nmisfit after so many iterations, relative to the first; iterations to converge\n")
        print(f"{'':20}" + "".join(f"{count:>9,}" for count in LOOKS) + f"{'converged':>12}")
        for num_steps in LENGTHS[:1] if options.quick else LENGTHS:
            for name, form in FORMS.items():
                seen, iterations = misfits(cell, params, carry, inputs[:num_steps], form)
                label = f"T={num_steps:<5} {name}"
                columns = "".join(f"{misfit:9.0e}" for misfit in seen)
                print(f"{label:20}{columns}{iterations or 'no':>12}", flush=True)
                results.append(
                    {"T": num_steps, "form": name, "misfits": seen, "converged after": iterations or None}
                )
    if options.output is not None:
        document = {"title": title, "environment": environment, "error": error, "exponent": exponent}
        report.write(options.output, document | {"looks": LOOKS, "results": results})
        print(f"\nwritten: {options.output}")


if __name__ == "__main__":
    main()
