"""How long does a step of training take, and a step of many networks at once?

    python benchmarks/training.py [--quick] [--only lstm ensemble N=4] [--device gpu] [--malloc tuned]

A step of a classifier of ragged sequences: the mean of an LSTM's or GRU's outputs over the valid steps, a
softmax over ten classes, the gradient, clipped by its global norm, and AdamW; optax' for those of jax, fused
for torch. Ours is `training.make_step` of a task, with its metrics and its guard against what is not finite.

An ensemble is N such networks with weights of their own that read the same batch: one step under `jax.vmap`,
beside a Python loop over N steps (`loop` is ours, one compiled step called N times). What is compared before
anything is timed are losses, gradient norms and the classifier's weights after five steps.
"""

from __future__ import annotations

from pathlib import Path

import harness
import report

LIBRARIES = ("seqjax", "loop", "flax", "haiku", "equinox", "torch")
PACKAGES = ("seqjax", "jax", "jaxlib", "numpy", "optax", "flax", "dm-haiku", "equinox", "torch")
SIZES = ((32, 100, 32, 128), (16, 50, 16, 32))
ENSEMBLE = (16, 50, 16, 32)
QUICK = (4, 10, 4, 8)
"""`(B, T, D, H)`."""
NETWORKS = (4, 16)


def main() -> None:
    """Runs the cells that are asked for."""
    title = str(__doc__).splitlines()[0]
    output = str(Path(__file__).parent / "results" / "training_{device}.json")
    options = harness.start(title, output, seconds=0.5)
    from training_peers import Lesson, ensembles, steps

    environment = harness.environment(options.threads, PACKAGES)
    cells = report.Report(title, environment, LIBRARIES, options.output, width=46)
    close = 1e-3 if environment["precision"] == "float32" else 3e-2
    tolerances = dict.fromkeys(("loss", "gradient norm", "classifier"), close)

    for kind in ("lstm", "gru"):
        plans = [(f"{kind} step", 1, shape) for shape in ([QUICK] if options.quick else SIZES)]
        shape = QUICK if options.quick else ENSEMBLE
        plans += [(f"{kind} ensemble", count, shape) for count in NETWORKS[: 1 if options.quick else None]]
        for task, count, shape in plans:
            sizes = dict(zip("BTDH", shape, strict=True))
            sizes |= {"N": count} if "ensemble" in task else {}
            if not harness.wanted(options.only, task, sizes):
                continue
            lessons = [Lesson.make(kind, *shape, seed=seed) for seed in range(count)]
            everyone = ensembles(lessons, options) if "ensemble" in task else steps(lessons[0], options)
            cell = harness.compare(
                task,
                sizes,
                list(everyone),
                tolerances=tolerances,
                seconds=0.05 if options.quick else options.seconds,
            )
            cells.add(cell)
    cells.finish()


if __name__ == "__main__":
    main()
