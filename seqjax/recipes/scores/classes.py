"""Classes told apart: probabilities of many sequences, which of them are right, and who is taken for whom."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np
import numpy.typing as npt

from seqjax import data, plot
from seqjax.tasks import Task
from seqjax.types import Array, Batch, Params


def classify(
    task: Task, params: Params, sequences: Sequence[np.ndarray], size: int = 256, *, ensemble: bool = False
) -> np.ndarray:
    """What a classifier, or an ensemble of them, makes of sequences of any lengths.

    Args:
      task: many to one, with a categorical head.
      params: the task's.
      sequences: `N` arrays `[t, D]`, or `[t]` tokens.
      size: how many are read at once, at most.
      ensemble: whether params are those of several networks, a leading axis of every leaf.

    Returns:
      `[N, K]`, or `[members, N, K]`: the probabilities of the classes.

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

    def one(params: Params, batch: Batch) -> Array:
        return task.predict(params, batch.inputs, lengths=batch.lengths)[1].probabilities

    predict = jax.jit(jax.vmap(one, in_axes=(0, None)) if ensemble else one)
    shares = np.concatenate([predict(params, batch) for batch in batches.epoch_batches()], axis=-2)
    rows = np.concatenate([plan.rows for plan in batches.plans(0)])
    return shares[..., np.flatnonzero(rows >= 0)[np.argsort(rows[rows >= 0])], :]


def answered(shares: np.ndarray, classes: Sequence[str], names: Sequence[str]) -> list[str]:
    """The most probable class of each of several things, and its probability.

    Args:
      shares: `[N, K]`, the probabilities of the classes.
      classes: their `K` names.
      names: of what was classified.

    Returns:
      `N` lines.

    Example:
      >>> answered(np.array([[0.2, 0.8]]), ("no", "yes"), ["question.txt"])
      ['yes  0.80  question.txt']
    """
    return [
        f"{classes[int(share.argmax())]}  {share.max():.2f}  {name}"
        for share, name in zip(shares, names, strict=True)
    ]


def shares_right(labels: np.ndarray, **guesses: npt.ArrayLike) -> dict[str, float]:
    """How often each of those who guess is right.

    Args:
      labels: `[N]` integers, the true classes.
      **guesses: by who guesses, `[N]` integers, or `[members, N]` whose mean counts, or one for all.

    Returns:
      By who guesses, a share.

    Example:
      >>> shares_right(np.array([0, 1, 1]), one_for_all=1, network=[0, 1, 1])
      {'one_for_all': 0.666..., 'network': 1.0}
    """
    return {name: float(np.mean(np.asarray(guess) == labels)) for name, guess in guesses.items()}


def mistakes(shares: np.ndarray, labels: np.ndarray) -> list[int]:
    """What is told wrongly, the most confident mistake first.

    Args:
      shares: `[N, K]`, the probabilities of the classes.
      labels: `[N]` integers, the true ones.

    Returns:
      Rows.

    Example:
      >>> mistakes(np.array([[0.3, 0.7], [0.9, 0.1], [0.4, 0.6]]), np.array([0, 1, 1]))
      [1, 0]
    """
    wrong = np.flatnonzero(shares.argmax(axis=1) != labels)
    return sorted(wrong.tolist(), key=lambda row: -shares[row].max())


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
