"""Handwritten digits read row by row, or pixel by pixel: many to one.

A recurrent network reads a picture from top to bottom and answers after the last row. With `--pixels` it
reads 784 single pixels instead, the test of memory of Le et al. (2015). Training pictures are shifted, turned
and scaled a little, each time differently. What the network has to beat is the nearest training picture.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import data, layers, plot, tasks, training
from seqjax.data import Digits
from seqjax.recipes.baselines.nearest_pictures import nearest_pictures
from seqjax.recipes.material.digit_pictures import SIDE, distort, read_picture, sequences, write_picture
from seqjax.recipes.models.blocks import block
from seqjax.recipes.scores.classes import answered, classify, draw_confusions, mistakes, shares_right
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.learning import LearningOptions, draw_training, learn_task, shapes
from seqjax.recipes.shared.options import option
from seqjax.recipes.shared.published import print_published, published
from seqjax.tasks import Task
from seqjax.types import Array, Batch, Params

EXAMPLE = "digit.png"
CLASSES = tuple("0123456789")


@dataclasses.dataclass(frozen=True)
class Options(LearningOptions):
    """What `python -m seqjax train digits` can be told; see `--help`."""

    pixels: bool = option(
        False, "a step is a pixel and not a row: 784 of them, about 30 times slower on a CPU"
    )
    num_layers: int = option(1, "recurrent layers")
    dropout: float = option(0.2, "share of features dropped after each recurrent layer")
    batch_size: int = option(64, "pictures a step")
    epochs: int = option(40, "passes over the training pictures")
    learning_rate: float = option(4e-3, "of Adam at its peak, falling to zero along a cosine")
    shift: float = option(2.0, "pixels that a training picture is moved by at most")
    turn: float = option(12.0, "degrees that it is turned by at most")
    zoom: float = option(0.1, "share that it is made larger or smaller by at most")


def network(options: Options) -> Task:
    """The model: recurrent layers, the last output, a class a digit.

    Args:
      options: sizes and choices.

    Returns:
      A many-to-one task over features `[T, B, D]`, `[28, B, 28]` or `[784, B, 1]`.

    Example:
      >>> network(Options()).network.output_size(28)
      128
    """
    parts: list = []
    for _ in range(options.num_layers):
        layer = block(options.cell, options.hidden_size, options.method)
        parts += [layer, layers.dropout(options.dropout)]
    return tasks.many_to_one(layers.stack(*parts), tasks.heads.categorical(len(CLASSES)))


def train(options: Options, folder: Path) -> dict[str, float]:
    """Trains on 3,600 digits, prints the accuracy on 1,000 others, and saves the run.

    Args:
      options: what to train, and how.
      folder: where the run is kept.

    Returns:
      Figures by name: shares of held-out digits that are read correctly.

    Example:
      >>> train(Options(steps=20), Path("runs/quick"))  # doctest: +SKIP
    """
    folder = runs.open_folder(folder)
    digits = data.mnist_5k()
    learned_from, held_out = data.split_by(digits, range(len(digits.labels)), 0.2, options.seed)
    fitted, validation = data.split_by(learned_from, range(len(learned_from.labels)), 0.1, options.seed)
    _describe(fitted, validation, held_out)

    task = network(options)
    batches = _batches(fitted, options, options.batch_size)
    unseen = list(_batches(validation, options, 200).epoch_batches())
    print(layers.summary(task.network, shapes(task, _width(options)).network), "\n")
    fit = learn_task(
        task,
        _width(options),
        batches.epoch_batches,
        batches.batches_per_epoch,
        unseen,
        options,
        folder,
        loss=distorting(task.loss, options),
    )

    shares = classify(task, fit.best, sequences(held_out.images, options.pixels))
    nearest = nearest_pictures(learned_from.images, held_out.images)
    results = shares_right(
        held_out.labels,
        one_for_all=np.bincount(learned_from.labels).argmax(),
        nearest_picture=learned_from.labels[nearest],
        network=shares.argmax(axis=1),
    )
    runs.save_run(folder, "digits", options, fit.best, results=results)
    draw_training(folder / "curve.png", fit, batches.batches_per_epoch, ("loss", "accuracy"))
    draw_confusions(folder / "confusions.png", held_out.labels, shares.argmax(axis=1), CLASSES)
    _draw_mistakes(folder / "mistakes.png", shares, held_out)
    write_picture(folder / EXAMPLE, held_out.images[0])
    _report(results, shares, held_out, options, folder)
    return results


def predict(folder: Path, texts: Sequence[str]) -> list[str]:
    """Answers with a saved run.

    Args:
      folder: what `train` saved to.
      texts: names of files of pictures, white ink on black, as `read_picture` takes them.

    Returns:
      One line a file: the digit, its probability, the file.

    Raises:
      ImportError: if pillow is not installed; the message names the extra.
      OSError: if a file cannot be read.
      ValueError: if the folder holds no whole run of this recipe, or a file is no picture.

    Example:
      >>> predict(Path("runs/digits"), ["digit.png"])  # doctest: +SKIP
      ['0  1.00  digit.png']
    """
    options, _ = runs.load_run(folder, "digits", Options)
    task = network(options)
    params = training.load_weights(Path(folder) / "weights.safetensors", shapes(task, _width(options)))
    images = np.stack([read_picture(name) for name in texts])
    shares = classify(task, params, sequences(images, options.pixels))
    return answered(shares, CLASSES, texts)


def distorting(loss: Callable, options: Options) -> Callable:
    """The loss of pictures that are moved, turned and scaled a little in training, and left alone otherwise.

    Args:
      loss: a task's.
      options: how far.

    Returns:
      A function like `loss`.

    Example:
      >>> loss = distorting(network(Options()).loss, Options())
    """
    how_far = {"shift": options.shift, "turn": options.turn, "zoom": options.zoom}

    def distorted(params: Params, batch: Batch, *, carry: None = None, key: Array | None = None) -> Any:
        if key is not None:
            key, drawn = jax.random.split(key)
            images = jnp.moveaxis(batch.inputs, 1, 0)
            moved = distort(drawn, images.reshape(-1, SIDE, SIDE), **how_far)
            batch = dataclasses.replace(batch, inputs=jnp.moveaxis(moved.reshape(images.shape), 0, 1))
        return loss(params, batch, carry=carry, key=key)

    return distorted


def _width(options: Options) -> int:
    return 1 if options.pixels else SIDE


def _batches(digits: Digits, options: Options, size: int) -> data.Batches:
    inputs = sequences(digits.images, options.pixels)
    return data.Batches(inputs, digits.labels, batch_size=size, seed=options.seed, max_buckets=1)


def _describe(fitted: Digits, validation: Digits, held_out: Digits) -> None:
    print(f"{fitted.source}, {fitted.licence}")
    print(
        f"{len(fitted.labels)} digits to learn from, {len(validation.labels)} to validate, "
        f"{len(held_out.labels)} held out. For example, every other row and pixel of a {fitted.labels[0]}:"
    )
    for row in fitted.images[0][::2, ::2]:
        if row.max() >= 64:
            print("  ", "".join(" .+#"[ink // 64] for ink in row).rstrip())
    print()


def _report(
    results: dict[str, float], shares: np.ndarray, held_out: Digits, options: Options, folder: Path
) -> None:
    guesses, count = shares.argmax(axis=1), len(held_out.labels)
    print(f"\nof {count} held-out digits are read correctly:")
    rows = [(name.replace("_", " "), f"{100 * value:.1f} %") for name, value in results.items()]
    runs.print_table(("", "right"), rows)
    print_published(published("digits", pixels=options.pixels, cell=options.cell))
    print("\nsome answers, and the most confident mistakes (all are in mistakes.png):")
    right = np.flatnonzero(guesses == held_out.labels)
    for row in [*right[:: max(len(right) // 2, 1)][:2], *mistakes(shares, held_out.labels)[:4]]:
        print(f"  {held_out.labels[row]}, read as {guesses[row]} with {shares[row].max():.2f}")
    print(f"\nsaved: {folder}\ntry:   python -m seqjax predict {folder} {folder / EXAMPLE}")


def _draw_mistakes(path: Path, shares: np.ndarray, held_out: Digits, most: int = 32) -> None:
    """What was read wrongly, with the truth, the answer and its probability."""
    rows, columns = mistakes(shares, held_out.labels)[:most], 8
    lines = max(-(-len(rows) // columns), 1)
    figure, panels = plot.new_figure(lines, columns, (columns * 1.1, lines * 1.35))
    for axes in panels:
        axes.set_axis_off()
    for axes, row in zip(panels, rows, strict=False):
        axes.imshow(held_out.images[row], cmap="gray_r", vmin=0, vmax=255)
        answer = f"{shares[row].argmax()} ({shares[row].max():.2f})"
        axes.set_title(f"{held_out.labels[row]}, read {answer}", fontsize=7)
    plot.save(figure, path)
