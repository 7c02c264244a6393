"""A training loop: batches, validation, the best params, a history, checkpoints."""

from __future__ import annotations

import itertools
import signal
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import check_function, check_size, kind_of
from seqjax.training import resuming
from seqjax.training.checkpoints import Checkpoints, Writer, open_writer
from seqjax.training.history import Log, NonFinite, Place
from seqjax.training.interruption import Interrupted, Request, interruptions
from seqjax.training.passes import Batches, Passes
from seqjax.training.progress import Show, progress_bar
from seqjax.training.resuming import Standing
from seqjax.training.selection import Selection, Validate
from seqjax.training.state import TrainingState, copied
from seqjax.training.step import Step
from seqjax.training.weights import named_arrays
from seqjax.types import Params


class FitResult(NamedTuple):
    """What training came to.

    Attributes:
      state: the state after the last step.
      best: the params of the best validation, or a copy of the last params where there was none.
      best_step: the step after which those were validated.
      history: the metrics of each step, `{name: [steps]}`, with `step` and `seconds` since the start. Of more
        than 50,000 steps every second is kept, then every fourth, and so on, so that memory stays bounded.
      validation: the metrics of each validation, `{name: [validations]}`, with `step` and `seconds`, bounded
        in the same way.
    """

    state: TrainingState
    best: Params
    best_step: int
    history: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]


def fit(
    state: TrainingState,
    step: Step,
    batches: Batches,
    *,
    steps: int | None = None,
    epochs: int | None = None,
    seconds: float | None = None,
    validate: Validate | None = None,
    validate_every: int | None = None,
    metric: str = "loss",
    mode: str = "min",
    patience: int | None = None,
    target: float | None = None,
    max_skipped: int = 10,
    checkpoints: Checkpoints | None = None,
    callback: Callable[[TrainingState, Mapping[str, Any]], None] | None = None,
    log_every: int = 20,
    progress: bool = False,
) -> FitResult:
    """Takes steps until there are enough of them, the batches end, or validation no longer improves.

    The step is jitted and the state donated to it; the state that is passed in is copied first and stays
    usable. Metrics are fetched from the device every `log_every` steps, so that the device never waits for
    Python in between.

    With `checkpoints`, training goes on from the newest whole checkpoint of the folder, if it holds one:
    params, optimizer, carry, key, the place in the batches, the best params, patience and history are as they
    were, and on a CPU the end is the same, bit for bit, as that of a training that was never stopped.
    `steps`, `epochs` and `seconds` count from the very beginning. SIGTERM and SIGINT finish the step, save,
    and raise `Interrupted`; a second one ends the process at once. A process that is killed loses the steps
    since its last checkpoint. One of several processes leaves signals as they are.

    Args:
      state: as `init_state` or an earlier `fit` returned it.
      step: `(state, batch) -> (state, metrics)`, as `make_step` returns it.
      batches: an iterable that is passed over once an epoch, such as a list; an iterator, which has one pass;
        or a function from the number of the epoch, from 0, to an iterable. With `checkpoints`, an iterator
        must have `state` and `restore`, as `data.Batches` does, and the others must give the same batches
        each time.
      steps: how many steps to take at most; `None` for no limit.
      epochs: how many passes to take at most; `None` for one, or where `steps` is given, for no limit.
      seconds: stop before the first step that would begin so long after the start; `None` for no limit.
      validate: `(params) -> metrics`, scalars by name, such as
        `lambda params: evaluate(params, batches)` with `evaluate = make_evaluation(task.loss)`; for an
        ensemble, what its members come to, such as their mean.
      validate_every: validate after so many steps, and at the end; `None` for the end of each epoch.
      metric: which of the validation's metrics tells the best params.
      mode: `"min"` or `"max"`, which values of it are better.
      patience: stop after so many validations in a row that are not better than the best; `None` for never.
      target: stop once the validation's metric is better than this; `None` for never.
      max_skipped: stop with an error after so many steps in a row that `make_step` skipped, because a loss or
        a gradient was not finite.
      checkpoints: where to save the training, and to go on from; `None` for nowhere.
      callback: `(state, metrics)`, called after each step with arrays on the device. The next step reuses the
        memory of the state: copy what is to be kept.
      log_every: after how many steps metrics are fetched, looked at, and shown.
      progress: whether to show a line with rates and the remaining time.

    Returns:
      A `FitResult`.

    Raises:
      FloatingPointError: if too many steps in a row were skipped: a `NonFinite`, which names the batch and
        the leaf and holds the last good params; or if the loss of a step that is not `make_step`'s, or the
        validation's metric, is not finite. Training goes on for at most `log_every` steps before that is
        seen.
      Interrupted: if a signal asked training to stop, and there are checkpoints.
      OSError: if a checkpoint cannot be written, or another training holds the folder.
      ValueError: if an argument is out of range, `batches` is empty or an iterator that would have to be
        passed over twice, the validation has no such metric, or the checkpoint is of another training.
      TypeError: if `state` is no state, `batches` cannot be iterated over, or `validate` or `callback` cannot
        be called.
      ImportError: if `progress` or `checkpoints` is asked for and the package for it is missing.

    Warns:
      RuntimeWarning: if steps were skipped.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp, optax
      >>> from seqjax import training
      >>> from seqjax.tasks import heads, synced
      >>> task, optimizer = synced(sj.elman(2), heads.gaussian(1, scale=1.0)), optax.adam(0.1)
      >>> state = training.init_state(jax.random.key(0), task, optimizer, input_size=1)
      >>> batch = sj.Batch(jnp.ones((3, 1)), jnp.ones((3, 1)))
      >>> result = fit(state, training.make_step(task.loss, optimizer), [batch], steps=30)
      >>> int(result.state.step), result.history["loss"].shape
      (30, (30,))
      >>> bool(result.history["loss"][-1] < result.history["loss"][0])
      True
    """
    if not isinstance(state, TrainingState):
        raise TypeError(f"state is {kind_of(state)}, expected a TrainingState, as init_state makes it.")
    for name, function in {"validate": validate, "callback": callback}.items():
        if function is not None:
            check_function(name, function)
    passes = Passes(batches, steps, epochs, resumable=checkpoints is not None)
    limits = {"steps": steps, "epochs": epochs, "validate_every": validate_every, "patience": patience}
    for name, limit in {**limits, "log_every": log_every, "max_skipped": max_skipped}.items():
        if limit is not None:
            check_size(name, limit)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds is {seconds}, expected a positive number, or None for no limit.")
    selection = Selection(validate, metric, mode, patience, target)
    loop = _Loop(steps, validate_every, log_every, np.inf if seconds is None else seconds, callback)
    with open_writer(checkpoints) as writer:
        training = _Training(state, step, passes, selection, checkpoints, writer, max_skipped)
        try:
            with progress_bar(progress, passes.total(steps), training.done) as show:
                loop.run(training, show)
            return training.result(at_end=checkpoints is not None and checkpoints.at_end)
        except NonFinite as error:
            error.params = training.state.params
            training.save()
            raise


class _Training:
    """A training where it stands."""

    def __init__(
        self,
        state: TrainingState,
        step: Step,
        passes: Passes,
        selection: Selection,
        settings: Checkpoints | None,
        writer: Writer | None,
        max_skipped: int,
    ) -> None:
        self.passes, self.selection, self.settings, self.writer = passes, selection, settings, writer
        self.place, self.done = Place(0, 0), 0
        found = None if settings is None else resuming.resume(settings, state, step, passes, selection)
        if found is None:
            self.state, self.first, past = copied(state), int(np.max(jax.device_get(state.step))), None
        else:
            (self.state, self.first, self.done, self.place), past = found
            if writer is not None:
                writer.begin_after(self.step)
        names = list(named_arrays(state.params))
        self.log = Log(self.first, max_skipped=max_skipped, leaf_names=names, past=past)
        self._advance = jax.jit(step, donate_argnums=0)

    @property
    def step(self) -> int:
        """The number of steps that the state has taken."""
        return self.first + self.done

    def take(self, batch: Any) -> Mapping[str, Any]:
        """One step."""
        self.state, metrics = self._advance(self.state, batch)
        self.log.add(metrics, self.place)
        self.done, self.place = self.done + 1, self.place._replace(batch=self.place.batch + 1)
        return metrics

    def validate(self) -> None:
        """Validates, and saves what was the best so far."""
        better = self.selection.consider(self.state.params, self.step, self.log)
        if better and self.settings is not None and self.settings.keep_best:
            self.save()

    def save(self) -> None:
        """Begins a checkpoint."""
        if self.writer is not None and self.settings is not None:
            self.log.fetch()
            standing = Standing(self.state, self.first, self.done, self.place)
            resuming.save(self.writer, standing, self.log, self.selection, self.passes, self.settings)

    def heed(self, request: Request) -> None:
        """Saves when it is time to, and stops when that is asked for."""
        if self.writer is None:
            return
        if request.signal is None:
            if self.writer.due(self.step):
                self.save()
            return
        self.save()
        self.writer.wait()
        raise Interrupted(
            f"stopped by {signal.Signals(request.signal).name} after step {self.step}, which is saved in "
            f"{self.writer.folder}: started again with the same options, it goes on from there.",
            request.signal,
        )

    def result(self, *, at_end: bool) -> FitResult:
        """The result, after a last validation if the last params had none."""
        if not self.selection.validated(self.step):
            self.selection.consider(self.state.params, self.step, self.log)
        if at_end:
            self.save()
        if self.log.skipped:
            warnings.warn(
                f"{self.log.skipped} of {self.done * self.log.in_a_row.size} steps were skipped, because a "
                f"loss or a gradient was not finite: history['skipped'] tells which.",
                RuntimeWarning,
                stacklevel=3,
            )
        _, best, best_step = self.selection.best or (0.0, copied(self.state.params), self.step)
        return FitResult(self.state, best, best_step, self.log.columns(), self.selection.columns())


class _Loop(NamedTuple):
    """Epochs, the steps in them, and what ends both."""

    steps: int | None
    validate_every: int | None
    log_every: int
    deadline: float
    callback: Callable[[TrainingState, Mapping[str, Any]], None] | None

    def run(self, training: _Training, show: Show) -> None:
        """Takes the steps that are left."""
        selection, epochs = training.selection, training.passes.epochs
        over = training.done > 0 and (selection.stopped or training.log.seconds >= self.deadline)
        with interruptions(training.writer is not None and jax.process_count() == 1) as request:
            while not (over or _reached(training.done, self.steps) or _reached(training.place.epoch, epochs)):
                over = self._epoch(training, show, request)
                if training.place.batch == 0:
                    break  # a pass without batches
                if self.validate_every is None and not selection.validated(training.step):
                    training.validate()
                over = over or selection.stopped
                # A training that ends within an epoch keeps its place there, for one that goes on from it.
                if not over and not _reached(training.done, self.steps):
                    training.place = Place(training.place.epoch + 1, 0)
                training.heed(request)
        if training.done == 0:
            raise ValueError("batches is empty, expected at least one batch.")
        show(training.done, training.log.fetch())

    def _epoch(self, training: _Training, show: Show, request: Request) -> bool:
        """The rest of an epoch; whether training is over."""
        left = None if self.steps is None else self.steps - training.done
        for batch in itertools.islice(training.passes.over(*training.place), left):
            metrics = training.take(batch)
            if self.callback is not None:
                self.callback(training.state, metrics)
            if training.done % self.log_every == 0:
                show(training.done, training.log.fetch())
            if self.validate_every is not None and training.done % self.validate_every == 0:
                training.validate()
            training.heed(request)
            if training.selection.stopped or training.log.seconds >= self.deadline:
                return True
        return False


def _reached(count: int, limit: int | None) -> bool:
    return limit is not None and count >= limit
