"""What recipes that train by gradient share: their options, their optimizer, how training is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
import optax

from seqjax import training
from seqjax.recipes.shared import runs
from seqjax.recipes.shared.options import CELLS, METHODS, option
from seqjax.tasks import Task
from seqjax.types import Batch, Params


@dataclasses.dataclass(frozen=True)
class LearningOptions:
    """What such a recipe can be told; it adds its own, and sets another default by naming a field again."""

    cell: str = option("lstm", "which recurrent cell", CELLS)
    hidden_size: int = option(128, "hidden units")
    method: str = option("auto", "how the cell runs over time", METHODS)
    batch_size: int = option(32, "rows a step")
    epochs: int = option(10, "passes over the training data")
    learning_rate: float = option(2e-3, "of Adam at its peak, falling to zero along a cosine")
    seed: int = option(0, "of the split, the weights and the order of the data")
    steps: int | None = option(None, "take so many steps instead of so many epochs, for a quick look")
    minutes: float | None = option(None, "stop training after so many minutes, wherever it stands")


def shapes(task: Task, input_size: int) -> Params:
    """A task's params without their numbers: what a summary shows, and what weights are read into.

    Args:
      task: any.
      input_size: `D`, or 1 for tokens.

    Returns:
      The params, a `jax.ShapeDtypeStruct` a leaf.

    Example:
      >>> import seqjax as sj
      >>> shapes(sj.tasks.synced(sj.elman(2), sj.heads.categorical(3)), 1).head.kernel.shape
      (2, 3)
    """
    return jax.eval_shape(lambda key: task.init(key, input_size), jax.random.key(0))


def learn_task(
    task: Task,
    input_size: int,
    batches: Callable[[int], Iterable[Batch]],
    steps_per_epoch: int,
    unseen: Sequence[Batch],
    options: LearningOptions,
    folder: Path,
    *,
    loss: Callable | None = None,
    **rest: Any,
) -> training.FitResult:
    """Trains a task on some batches and validates it on others, once an epoch.

    Args:
      task: what to train.
      input_size: `D`, or 1 for tokens.
      batches: the batches of an epoch.
      steps_per_epoch: how many those are.
      unseen: what to validate with.
      options: the recipe's, checkpoints and seed included.
      folder: the run's folder, for checkpoints.
      loss: what to lower, if that is not the task's own loss.
      **rest: as for `learn`, such as `metric`.

    Returns:
      The `FitResult`, with the params of the best validation.

    Example:
      >>> learn_task(task, 28, batches, 56, unseen, options, folder)  # doctest: +SKIP
    """
    evaluate = training.make_evaluation(task.loss)

    def state(optimizer: optax.GradientTransformation) -> training.TrainingState:
        key = jax.random.key(options.seed)
        return jax.jit(lambda key: training.init_state(key, task, optimizer, input_size))(key)

    return learn(
        loss or task.loss,
        state,
        batches,
        steps_per_epoch,
        options,
        lambda params: evaluate(params, unseen),
        checkpoints=runs.checkpoints(folder, options),
        **rest,
    )


def learn(
    loss: Callable,
    state: Callable[[optax.GradientTransformation], training.TrainingState],
    batches: Callable[[int], Iterable[Batch]],
    steps_per_epoch: int,
    options: LearningOptions,
    validate: Callable[[Params], Any],
    *,
    metric: str = "loss",
    mode: str = "min",
    validate_every: int | None = None,
    weight_decay: float = 0.0,
    carry_over: bool = False,
    ensemble: bool = False,
    warmup: int = 100,
    target: float | None = None,
    checkpoints: training.Checkpoints | None = None,
    progress: bool = True,
) -> training.FitResult:
    """Trains with Adam, clipped gradients and a learning rate that rises, then falls to zero along a cosine.

    Args:
      loss: a task's.
      state: makes the first state for an optimizer.
      batches: the batches of an epoch.
      steps_per_epoch: how many those are.
      options: learning rate, epochs or steps, minutes.
      validate: metrics of params, looked at after each epoch or as `validate_every` says.
      metric: which of them tells the best params.
      mode: `"min"` or `"max"`, which values of it are better.
      validate_every: validate after so many steps, and at the end; `None` for the end of each epoch.
      weight_decay: of AdamW (Loshchilov & Hutter, 2019).
      carry_over: whether each batch goes on from the carry after the batch before.
      ensemble: whether state and params are those of several networks, a leading axis of every leaf, each of
        which learns from all batches by itself.
      warmup: steps over which the learning rate rises, if that is less than a tenth of all.
      target: stop once the validation's metric is better than this; `None` for never.
      checkpoints: where to save the training and to go on from, as `runs.checkpoints` gives it.
      progress: whether to show a line with rates and the remaining time.

    Returns:
      The `FitResult`, with the params of the best validation.

    Example:
      >>> import jax.numpy as jnp, seqjax as sj
      >>> task = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1, scale=1.0))
      >>> batch = sj.Batch(jnp.ones((3, 1, 1)), jnp.ones((3, 1, 1)))
      >>> def state(optimizer):
      ...     return sj.training.init_state(jax.random.key(0), task, optimizer, input_size=1)
      >>> evaluate = sj.training.make_evaluation(task.loss)
      >>> def validate(params):
      ...     return evaluate(params, [batch])
      >>> options = LearningOptions(epochs=3)
      >>> fit = learn(task.loss, state, lambda epoch: [batch], 1, options, validate, progress=False)
      >>> fit.validation["loss"].shape
      (3,)
    """
    num_steps = options.steps or options.epochs * steps_per_epoch
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, options.learning_rate, min(warmup, num_steps // 10), max(num_steps, 1)
    )
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(schedule, weight_decay=weight_decay))
    step = training.make_step(loss, optimizer, carry_over=carry_over)
    return training.fit(
        state(optimizer),
        jax.vmap(step, in_axes=(0, None)) if ensemble else step,
        batches,
        steps=num_steps,
        seconds=None if options.minutes is None else 60 * options.minutes,
        validate=validate,
        validate_every=validate_every,
        metric=metric,
        mode=mode,
        target=target,
        checkpoints=checkpoints,
        progress=progress,
    )


def draw_training(
    path: Path, fit: training.FitResult, steps_per_epoch: int, names: Sequence[str] = ("loss",)
) -> None:
    """Draws metrics over the epochs, in training and in validation.

    Args:
      path: the picture to write.
      fit: what training came to.
      steps_per_epoch: what the axis of time is divided by.
      names: the metrics, a panel each.

    Raises:
      ImportError: if matplotlib is not installed; the message names the extra.

    Example:
      >>> draw_training(Path("curve.png"), fit, 100, ("loss", "accuracy"))  # doctest: +SKIP
    """
    epochs = fit.validation["step"] / steps_per_epoch
    ends = [np.searchsorted(fit.history["step"], step, side="right") for step in fit.validation["step"]]
    panels = []
    for name in names:
        trained = [
            float(np.mean(fit.history[name][start:end], where=np.isfinite(fit.history[name][start:end])))
            for start, end in zip([0, *ends[:-1]], ends, strict=True)
        ]
        lines: dict[str, npt.ArrayLike] = {"training": trained, "validation": fit.validation[name]}
        panels.append((name.replace("_", " "), epochs, lines))
    runs.draw_curves(path, panels)
