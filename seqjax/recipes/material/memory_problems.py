"""The problems of the recipe `memory`, and what each costs without a memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from seqjax import data, tasks
from seqjax.tasks import Head, Task
from seqjax.types import Batch

SOLVED = 0.05
"""A problem is solved when the loss is below this share of the memoryless answer's."""


class Problem(NamedTuple):
    """One of the problems.

    Attributes:
      question: what it asks, and where it comes from.
      draw: `(batch_size, length, seed=...)` to a batch.
      task: from a network and a head to a task.
      head: what is predicted.
      metric: the loss that is reported.
      memoryless: from the length to the least such loss that needs no memory.
      input_size: `D`, or 1 for tokens.
      num_tokens: how many tokens there are; 0 where inputs are features.
    """

    question: str
    draw: Callable[..., Batch]
    task: Callable[..., Task]
    head: Head
    metric: str
    memoryless: Callable[[int], float]
    input_size: int = 1
    num_tokens: int = 0


PROBLEMS = {
    "adding": Problem(
        "The sum of the two numbers that are marked (Hochreiter & Schmidhuber, 1997)",
        data.synthetic.adding_problem,
        tasks.many_to_one,
        tasks.heads.gaussian(1, scale=1.0),
        "squared_error",
        # The variance of the sum of two uniform numbers, which the answer 1 leaves.
        lambda length: 1 / 6,
        input_size=2,
    ),
    "copying": Problem(
        "Ten symbols again, so many blanks (8) later, when asked (9; Arjovsky et al., 2016)",
        data.synthetic.copying_memory,
        tasks.synced,
        tasks.heads.categorical(9),
        "cross_entropy",
        # Ten of length + 20 steps are guesses among eight symbols.
        lambda length: 10 * math.log(8) / (length + 20),
        num_tokens=10,
    ),
    "temporal_order": Problem(
        "Which of the signals 4 and 5 came first and which second (Hochreiter & Schmidhuber, 1997)",
        data.synthetic.temporal_order,
        tasks.many_to_one,
        tasks.heads.categorical(4),
        "cross_entropy",
        lambda length: math.log(4),
        num_tokens=8,
    ),
    "parity": Problem(
        "At each step, whether an odd number of ones came so far (Minsky & Papert, 1969)",
        data.synthetic.parity,
        tasks.synced,
        tasks.heads.categorical(2),
        "cross_entropy",
        # The first step needs no memory: its parity is its input.
        lambda length: (length - 1) / length * math.log(2),
    ),
}
