"""What recurrent networks remember, and for how long: a made-up problem, and a table of cells and lengths.

Each problem has an answer that needs no memory, and its loss: only what falls below it has remembered. Each
step sees new rows, so that nothing can be learned by heart.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from seqjax import layers, plot, tasks, training
from seqjax.recipes.material.memory_problems import PROBLEMS, SOLVED
from seqjax.recipes.models.blocks import block
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, learn, shapes
from seqjax.recipes.shared.options import CELLS, METHODS, cells_of, lengths_of, option
from seqjax.recipes.shared.published import Published, print_published, published
from seqjax.tasks import Task
from seqjax.types import Batch, Params

LOOK = 100
"""Steps between two looks at the held-out rows."""

HELD_OUT = 512

ENOUGH = 0.5
"""Training goes on until the held-out loss is below this share of what counts as solved."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What `python -m seqjax train memory` can be told; see `--help`."""

    task: str = option("adding", "which problem", PROBLEMS)
    cells: str = option(
        "lstm,gru,elman,irnn,lru,min_gru", f"which cells, parted by commas, of {', '.join(CELLS)}"
    )
    lengths: str = option("50,100", "how many steps to remember over, parted by commas")
    hidden_size: int = option(64, "hidden units")
    method: str = option("auto", "how the cells run over time", METHODS)
    batch_size: int = option(32, "rows a step")
    learning_rate: float = option(2e-3, "of Adam at its peak, falling to zero along a cosine")
    steps: int = option(2000, "steps each network has to solve the problem")
    minutes: float | None = option(None, "minutes each network has, if less")
    seed: int = option(0, "of the weights and the rows")


def network(options: Options, cell: str) -> Task:
    """The model: tokens become vectors, then come the cell and the problem's own head.

    Args:
      options: which problem, and sizes.
      cell: a name of a cell.

    Returns:
      A task over features `[T, B, D]` or tokens `[T, B]`.

    Example:
      >>> network(Options(task="copying"), "gru").network.output_size(1)
      64
    """
    problem = PROBLEMS[options.task]
    parts = [block(cell, options.hidden_size, options.method)]
    if problem.num_tokens:
        parts.insert(0, layers.embed(problem.num_tokens, options.hidden_size))
    return problem.task(layers.stack(*parts), problem.head)


class Outcome(NamedTuple):
    """How one network did.

    Attributes:
      loss: on rows drawn for the end; infinite where training diverged.
      solved: after how many steps held-out rows first had a loss that counts as solved; `None` if the loss on
        the new rows does not.
      curve: held-out losses, `{"step": [looks], "loss": [looks]}`.
      params: the best ones in validation; `None` where training diverged.
      num_params: how many numbers those are.
    """

    loss: float
    solved: int | None
    curve: dict[str, np.ndarray]
    params: Params
    num_params: int


def train(options: Options, folder: Path) -> dict[str, float | int | None]:
    """Trains a network for each cell and length, and prints which of them solved the problem.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: the loss of each network on new rows, after how many steps it was solved (`None` where
      it was not), and the memoryless answer's loss.

    Raises:
      ValueError: if `cells` or `lengths` cannot be read, or a length is too short for the problem.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    cells, lengths = cells_of(options.cells), lengths_of(options.lengths)
    problem = PROBLEMS[options.task]
    _describe(options, cells[0])

    outcomes: dict[tuple[str, int], Outcome] = {}
    for cell in cells:
        for length in lengths:
            print(f"{cell}, {length} steps")
            outcomes[cell, length] = solve(options, cell, length, folder)

    results: dict[str, float | int | None] = {}
    for length in lengths:
        results[f"memoryless {length}"] = problem.memoryless(length)
    for (cell, length), outcome in outcomes.items():
        results[f"{cell} {length}"] = outcome.loss if math.isfinite(outcome.loss) else None
        results[f"{cell} {length} solved after"] = outcome.solved
    params = {f"{cell}_{length}": outcome.params for (cell, length), outcome in outcomes.items()}
    runs.save_run(folder, "memory", options, params, results=results)
    _draw(folder / "curves.png", options, outcomes)
    _report(options, cells, lengths, outcomes, folder)
    return results


def solve(options: Options, cell: str, length: int, folder: Path) -> Outcome:
    """Trains one network until it has well solved the problem or its steps are spent.

    Args:
      options: which problem, and how.
      cell: a name of a cell.
      length: how many steps to remember over.
      folder: the run's folder, for checkpoints.

    Returns:
      An `Outcome`. Held-out rows decide when to stop and which params are the best; the loss is that of other
      rows, drawn once.

    Example:
      >>> solve(Options(task="parity"), "elman", 4, Path("runs/parity")).solved  # doctest: +SKIP
      300
    """
    problem, task = PROBLEMS[options.task], network(options, cell)
    level = SOLVED * problem.memoryless(length)
    validation, final = (problem.draw(HELD_OUT, length, seed=(options.seed, part)) for part in (1, 2))
    evaluate = training.make_evaluation(task.loss)

    def batches(epoch: int) -> Iterator[Batch]:
        for step in range(LOOK):
            yield problem.draw(options.batch_size, length, seed=(options.seed, 0, epoch, step))

    key = jax.random.key(options.seed)
    num_params = sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes(task, problem.input_size)))
    learning = LearningOptions(
        learning_rate=options.learning_rate, steps=options.steps, minutes=options.minutes
    )
    try:
        fit = learn(
            task.loss,
            lambda optimizer: training.init_state(key, task, optimizer, problem.input_size),
            batches,
            LOOK,
            learning,
            lambda params: evaluate(params, validation),
            metric=problem.metric,
            target=ENOUGH * level,
            checkpoints=runs.checkpoints(folder, options, f"{cell}_{length}"),
        )
    except FloatingPointError as error:
        print(f"diverged: {error}")
        return Outcome(math.inf, None, {"step": np.zeros(0), "loss": np.zeros(0)}, None, num_params)
    loss = float(evaluate(fit.best, final)[problem.metric])
    curve = {"step": fit.validation["step"], "loss": fit.validation[problem.metric]}
    below = np.flatnonzero(curve["loss"] < level)
    solved = int(curve["step"][below[0]]) if loss < level and len(below) else None
    return Outcome(loss, solved, curve, fit.best, num_params)


def _describe(options: Options, cell: str) -> None:
    problem = PROBLEMS[options.task]
    batch = problem.draw(1, 10, seed=(options.seed, 0))
    targets = batch.targets[:, 0] if problem.task is tasks.synced else batch.targets[0]
    print(f"{problem.question}; drawn at random, nobody's property. For example, over 10 steps:")
    for name, values in (("inputs", batch.inputs[:, 0]), ("targets", targets)):
        for row in np.atleast_2d(np.transpose(values)):
            print(f"  {name:8}", " ".join(f"{number:.2g}" for number in row))
    print(
        f"Each network has {options.steps} steps of {options.batch_size} new rows. {HELD_OUT} others are "
        f"looked at every {LOOK} steps,\nand {HELD_OUT} more at the end. Solved: a loss below "
        f"{SOLVED:.0%} of the memoryless answer's.\n"
    )
    task = network(options, cell)
    print(layers.summary(task.network, shapes(task, problem.input_size).network), "\n")


def _report(
    options: Options,
    cells: Sequence[str],
    lengths: Sequence[int],
    outcomes: dict[tuple[str, int], Outcome],
    folder: Path,
) -> None:
    problem = PROBLEMS[options.task]
    header, columns, beside = ["", "params"], [["memoryless", *cells]], list[Published]()
    columns.append(["", *(f"{outcomes[cell, lengths[0]].num_params:,}" for cell in cells)])
    for length in lengths:
        own = [outcomes[cell, length] for cell in cells]
        header += [f"{length} steps", "solved after"]
        columns.append([f"{problem.memoryless(length):.2g}", *(f"{outcome.loss:.2g}" for outcome in own)])
        columns.append(["", *(str(outcome.solved or "not") for outcome in own)])
        found = [published("memory", task=options.task, length=length, cell=cell) for cell in cells]
        if any(found):
            header.append("published")
            columns.append(["", *(f"{each[0].value:.2g}" if each else "" for each in found)])
            beside += itertools.chain(*found)
    print(f"\n{problem.metric.replace('_', ' ')} on new rows, and after how many steps it was low enough:")
    runs.print_table(header, list(zip(*columns, strict=True)))
    print_published(beside)
    again = f"--task {options.task} --cells {cells[0]} --lengths {2 * max(lengths)}"
    print(f"\nsaved: {folder}\ntry:   python -m seqjax train memory {again} --run-dir {folder}-longer")


def _draw(path: Path, options: Options, outcomes: dict[tuple[str, int], Outcome]) -> None:
    """The held-out loss of each cell, a panel a length, beside what needs no memory."""
    problem, lengths = PROBLEMS[options.task], sorted({length for _, length in outcomes})
    figure, panels = plot.new_figure(1, len(lengths), (4.8 * len(lengths) + 1.2, 3.6), sharey=True)
    lines = ("-", "--", ":", "-.")
    for axes, length in zip(panels, lengths, strict=True):
        own = [(cell, outcome) for (cell, steps), outcome in outcomes.items() if steps == length]
        for number, (cell, outcome) in enumerate(own):
            colour, line = (kinds[number % len(kinds)] for kinds in (plot.COLOURS, lines))
            axes.plot(outcome.curve["step"], outcome.curve["loss"], line, color=colour, label=cell)
            if outcome.solved:
                place = outcome.curve["step"] == outcome.solved
                axes.plot(outcome.solved, outcome.curve["loss"][place], "o", color=colour, markersize=4)
        for share, name, style in ((1.0, "memoryless", "dotted"), (SOLVED, "solved", "solid")):
            level = share * problem.memoryless(length)
            axes.axhline(level, color="0.5", linewidth=1, linestyle=style, label=name)
        axes.set_yscale("log")
        axes.set_title(f"{options.task.replace('_', ' ')}, {length} steps", fontsize="medium")
        axes.set_xlabel("step")
    panels[0].set_ylabel(f"held-out {problem.metric.replace('_', ' ')}")
    panels[-1].legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    plot.save(figure, path)
