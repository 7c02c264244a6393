"""Classes told apart: probabilities of many sequences, and who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from seqjax import data, plot
from seqjax.tasks import Task
from seqjax.types import Params


def classify(task: Task, params: Params, sequences: Sequence[np.ndarray], size: int = 256) -> np.ndarray:
    """What a classifier makes of sequences of any lengths.

    Args:
      task: many to one, with a categorical head.
      params: the task's.
      sequences: `N` arrays `[t, D]`.
      size: how many are read at once, at most.

    Returns:
      `[N, K]`, the probabilities of the classes.

    Raises:
      ValueError: if there are no sequences.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.many_to_one(sj.elman(2), sj.heads.categorical(3))
      >>> params = task.init(jax.random.key(0), 1)
      >>> classify(task, params, [np.ones((4, 1), np.float32), np.ones((7, 1), np.float32)]).shape
      (2, 3)
    """
    batches = data.Batches(sequences, batch_size=min(size, len(sequences)), shuffle=False, max_buckets=1)
    predict = jax.jit(task.predict)
    shares = []
    for plan, batch in zip(batches.plans(0), batches.epoch_batches(), strict=True):
        probabilities = predict(params, batch.inputs, lengths=batch.lengths)[1].probabilities
        shares.append((plan.rows, np.asarray(probabilities)))
    rows = np.concatenate([rows for rows, _ in shares])
    ordered = np.argsort(rows[rows >= 0])
    return np.concatenate([share for _, share in shares])[rows >= 0][ordered]


def draw_confusions(path: Path, labels: np.ndarray, guesses: np.ndarray, classes: Sequence[str]) -> None:
    """Draws how often each class is taken for each: truth from above, answers from the left.

    Args:
      path: the picture to write.
      labels: `[N]` integers, the true classes.
      guesses: `[N]` integers.
      classes: their `K` names.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "confusions.png"
      >>> draw_confusions(file, np.array([0, 1, 1]), np.array([0, 1, 0]), ("no", "yes"))
      >>> file.read_bytes()[1:4]
      b'PNG'
    """
    counts = np.zeros((len(classes), len(classes)), int)
    np.add.at(counts, (labels, guesses), 1)
    side = 1.6 + 0.36 * len(classes)
    figure, (axes,) = plot.new_figure(size=(side, side))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        if count:
            colour = "white" if shares[row, column] > 0.5 else "black"
            axes.text(column, row, count, ha="center", va="center", fontsize="small", color=colour)
    # Names of more than a few letters would run into each other side by side.
    axes.set_xticks(range(len(classes)), classes, rotation=90 if max(map(len, classes)) > 3 else 0)
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("answer")
    axes.set_ylabel("truth")
    plot.save(figure, path)
