"""A training loop: batches, validation, the best params, a history."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from seqjax.checks import check_function, check_size, kind_of
from seqjax.training.history import Log, Row, check_finite, columns
from seqjax.training.progress import progress_bar
from seqjax.training.state import TrainingState, copied
from seqjax.training.step import Step
from seqjax.types import Batch, Params

Validate = Callable[[Params], Mapping[str, Any]]
Batches = Iterable[Batch] | Callable[[int], Iterable[Batch]]


class FitResult(NamedTuple):
    """What training came to.

    Attributes:
      state: the state after the last step.
      best: the params of the best validation, or a copy of the last params where there was none.
      best_step: the step after which those were validated.
      history: the metrics of each step, `{name: [steps]}`, with `step` and `seconds` since the start.
      validation: the metrics of each validation, `{name: [validations]}`, with `step` and `seconds`.
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
    callback: Callable[[TrainingState, Mapping[str, Any]], None] | None = None,
    log_every: int = 20,
    progress: bool = False,
) -> FitResult:
    """Takes steps until there are enough of them, the batches end, or validation no longer improves.

    The step is jitted and the state donated to it; the state that is passed in is copied first and stays
    usable. Metrics are fetched from the device every `log_every` steps, so that the device never waits for
    Python in between.

    Args:
      state: as `init_state` or an earlier `fit` returned it.
      step: `(state, batch) -> (state, metrics)`, as `make_step` returns it.
      batches: an iterable that is passed over once an epoch, such as a list; an iterator, which has one pass;
        or a function from the number of the epoch, from 0, to an iterable.
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
      callback: `(state, metrics)`, called after each step with arrays on the device. The next step reuses the
        memory of the state: copy what is to be kept.
      log_every: after how many steps metrics are fetched, looked at, and shown.
      progress: whether to show a line with rates and the remaining time.

    Returns:
      A `FitResult`.

    Raises:
      FloatingPointError: if a loss, a gradient or the validation's metric is not finite; it names the step.
        Training goes on for at most `log_every` steps before that is seen.
      ValueError: if an argument is out of range, `batches` is empty or an iterator that would have to be
        passed over twice, or the validation has no such metric.
      TypeError: if `state` is no state, `batches` cannot be iterated over, or `validate` or `callback` cannot
        be called.
      ImportError: if `progress` is asked for and the package `rich` is missing.

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
    passes, epochs = _passes(batches, steps, epochs)
    limits = {"steps": steps, "epochs": epochs, "validate_every": validate_every, "patience": patience}
    for name, limit in {**limits, "log_every": log_every}.items():
        if limit is not None:
            check_size(name, limit)
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds is {seconds}, expected a positive number, or None for no limit.")
    deadline = np.inf if seconds is None else seconds
    first = int(np.max(jax.device_get(state.step)))
    log, selection = Log(first), _Selection(validate, metric, mode, patience)
    advance, state, done = jax.jit(step, donate_argnums=0), copied(state), 0

    with progress_bar(progress, _total(batches, steps, epochs)) as show:
        for epoch in itertools.count() if epochs is None else range(epochs):
            before = done
            for batch in itertools.islice(passes(epoch), None if steps is None else steps - done):
                state, metrics = advance(state, batch)
                done += 1
                log.add(metrics)
                if callback is not None:
                    callback(state, metrics)
                if done % log_every == 0:
                    show(done, log.fetch())
                if validate_every is not None and done % validate_every == 0:
                    selection.consider(state.params, first + done, log)
                if selection.stopped or log.seconds >= deadline:
                    break
            if validate_every is None and done > before:
                selection.consider(state.params, first + done, log)
            if selection.stopped or log.seconds >= deadline or done in (steps, before):
                break
        if done == 0:
            raise ValueError("batches is empty, expected at least one batch.")
        show(done, log.fetch())
    return selection.result(state, first + done, log)


class _Selection:
    """Validates, and keeps the best params."""

    def __init__(self, validate: Validate | None, metric: str, mode: str, patience: int | None) -> None:
        if mode not in ("min", "max"):
            raise ValueError(f"mode is {mode!r}, expected 'min' or 'max'.")
        if validate is None and patience is not None:
            raise ValueError("patience is given, but validate is None: there is nothing to wait for.")
        self._validate, self._metric, self._patience = validate, metric, patience
        self._sign = 1 if mode == "min" else -1
        self._rows: list[Row] = []
        self._best: tuple[float, Params, int] | None = None
        self._waited = 0
        self.stopped = False

    def consider(self, params: Params, step: int, log: Log) -> None:
        """Validates these params, if there is a validation."""
        if self._validate is None:
            return
        log.fetch()  # a loss that is not finite is named before a validation that follows from it
        metrics = jax.device_get(dict(self._validate(params)))
        value = self._sign * self._value(metrics, step)
        row = {name: np.asarray(number) for name, number in metrics.items()}
        self._rows.append({**row, "step": np.asarray(step), "seconds": np.asarray(log.seconds)})
        if self._best is None or value < self._best[0]:
            self._best, self._waited = (value, copied(params), step), 0
            return
        self._waited += 1
        self.stopped = self._patience is not None and self._waited >= self._patience

    def _value(self, metrics: Mapping[str, Any], step: int) -> float:
        if self._metric not in metrics:
            names = ", ".join(sorted(metrics)) or "none"
            raise ValueError(f"metric is {self._metric!r}, expected one that validate returns: {names}.")
        if np.size(metrics[self._metric]) != 1:
            shape = np.shape(metrics[self._metric])
            raise ValueError(f"validate returned a {self._metric} of shape {shape}, expected a scalar.")
        check_finite(metrics, (self._metric,), step)
        return float(np.reshape(metrics[self._metric], ()))

    def result(self, state: TrainingState, step: int, log: Log) -> FitResult:
        """The result, after a last validation if the last params had none."""
        if not self._rows or int(self._rows[-1]["step"]) != step:
            self.consider(state.params, step, log)
        _, best, best_step = self._best or (0.0, copied(state.params), step)
        return FitResult(state, best, best_step, columns(log.rows), columns(self._rows))


def _passes(
    batches: Any, steps: int | None, epochs: int | None
) -> tuple[Callable[[int], Iterable[Batch]], int | None]:
    """A function from the epoch to its batches, and the number of epochs."""
    if steps is None and epochs is None:
        epochs = 1
    if callable(batches):
        return batches, epochs
    if not isinstance(batches, Iterable):
        hint = " For one batch, pass [batch]." if isinstance(batches, Batch) else ""
        raise TypeError(
            f"batches is a {type(batches).__name__}, expected an iterable of seqjax.Batch, or a function "
            f"from the epoch to one.{hint}"
        )
    if isinstance(batches, Iterator):
        if epochs is not None and epochs > 1:
            raise ValueError(
                f"batches is an iterator, which has one pass, but epochs is {epochs}: pass a list, or a "
                f"function from the epoch to an iterable."
            )
        epochs = 1
    return lambda epoch: batches, epochs


def _total(batches: Any, steps: int | None, epochs: int | None) -> int | None:
    """The number of steps, where it is known beforehand."""
    known = [] if steps is None else [steps]
    if epochs is not None and hasattr(batches, "__len__"):
        known.append(epochs * len(batches))
    return min(known, default=None)
