"""The loop: how many steps, which params are the best, what is written down, and what stops it."""

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import data, training
from seqjax.tasks import heads, many_to_one
from seqjax.training import fit


def counting(batch_of=lambda batch: batch):
    """A step that is a counter: params are the number of steps, the loss is the batch."""

    def step(state, batch):
        state = state.replace(step=state.step + 1, params=state.params + 1)
        return state, {"loss": jnp.asarray(batch, float), "count": jnp.ones(())}

    return step


STEP = counting()


def start():
    return training.TrainingState(
        params=jnp.zeros(()), opt_state=(), step=jnp.zeros((), jnp.int32), key=jax.random.key(0)
    )


def scripted(values, name="loss"):
    """A validation that returns these values, and the params it was called with."""
    values, seen = iter(values), []

    def validate(params):
        seen.append(float(params))
        return {name: next(values), "other": jnp.zeros(())}

    return validate, seen


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, [1, 2, 3]),
        ({"epochs": 2}, [1, 2, 3, 1, 2, 3]),
        ({"steps": 4}, [1, 2, 3, 1]),
        ({"steps": 2, "epochs": 2}, [1, 2]),
        ({"steps": 9, "epochs": 2}, [1, 2, 3, 1, 2, 3]),
    ],
)
def test_how_many_steps(options, wanted):
    result = fit(start(), STEP, [1.0, 2.0, 3.0], **options)
    assert result.history["loss"].tolist() == wanted
    assert int(result.state.step) == float(result.best) == result.best_step == len(wanted)


def test_batches_may_be_an_iterator_or_a_function_of_the_epoch():
    stream = iter([1.0, 2.0, 3.0])
    assert fit(start(), STEP, stream, steps=2).history["loss"].tolist() == [1, 2]
    assert next(stream) == 3  # nothing more was taken than was used
    assert fit(start(), STEP, iter([1.0, 2.0]), steps=5).history["loss"].tolist() == [1, 2]
    result = fit(start(), STEP, lambda epoch: [epoch, epoch + 0.5], epochs=2)
    assert result.history["loss"].tolist() == [0, 0.5, 1, 1.5]
    assert fit(start(), STEP, itertools.repeat(1.0), steps=3).history["loss"].tolist() == [1, 1, 1]


def test_history_is_numpy_with_steps_and_seconds():
    result = fit(start(), STEP, [1.0, 2.0, 3.0], log_every=2)
    assert set(result.history) == {"loss", "count", "step", "seconds"}
    assert all(type(column) is np.ndarray and column.shape == (3,) for column in result.history.values())
    assert result.history["step"].tolist() == [1, 2, 3]
    assert (np.diff(result.history["seconds"], prepend=0) > 0).all()
    assert result.validation == {}


def test_of_many_steps_every_second_is_kept_or_every_fourth(monkeypatch):
    monkeypatch.setattr(training.table, "LIMIT", 6)
    state = start().replace(step=jnp.array(5, jnp.int32))  # rows are counted from where this fit begins
    for steps, kept in (
        (6, [1, 2, 3, 4, 5, 6]),
        (7, [2, 4, 6]),
        (13, [2, 4, 6, 8, 10, 12]),
        (29, [8, 16, 24]),
    ):
        for log_every in (1, 3, 20):
            validate, _ = scripted(np.arange(40.0))
            options = {"validate": validate, "validate_every": 1, "log_every": log_every}
            result = fit(state, STEP, lambda epoch: np.arange(1.0, 40), steps=steps, **options)
            assert result.history["loss"].tolist() == kept
            assert (result.history["step"] - 5).tolist() == kept
            assert (result.validation["step"] - 5).tolist() == kept
            assert int(result.state.step) == 5 + steps


def test_a_state_is_left_usable_and_trained_further():
    state = start()
    first = fit(state, STEP, [1.0, 2.0])
    again = fit(state, STEP, [1.0, 2.0])
    assert float(first.state.params) == float(again.state.params) == 2
    further = fit(first.state, STEP, [3.0])
    assert further.history["step"].tolist() == [3]
    assert float(first.best) == 2


def test_the_best_params_are_those_of_the_best_validation():
    validate, seen = scripted([3.0, 1.0, 2.0, 1.0])
    result = fit(start(), STEP, [1.0, 2.0], epochs=4, validate=validate)
    assert seen == [2, 4, 6, 8]
    assert (float(result.best), result.best_step, float(result.state.params)) == (4, 4, 8)
    assert result.validation["loss"].tolist() == [3, 1, 2, 1]
    assert result.validation["step"].tolist() == [2, 4, 6, 8]
    assert (np.diff(result.validation["seconds"]) >= 0).all()
    validate, _ = scripted([0.1, 0.3, 0.2], "accuracy")
    result = fit(start(), STEP, [1.0], epochs=3, validate=validate, metric="accuracy", mode="max")
    assert result.best_step == 2


def test_validation_every_so_many_steps_and_at_the_end():
    validate, seen = scripted(np.arange(9.0))
    fit(start(), STEP, [1.0, 2.0, 3.0], steps=5, validate=validate, validate_every=2)
    assert seen == [2, 4, 5]
    validate, seen = scripted(np.arange(9.0))
    fit(start(), STEP, [1.0, 2.0, 3.0], steps=4, validate=validate, validate_every=2)
    assert seen == [2, 4]
    validate, seen = scripted(np.arange(9.0))
    fit(start(), STEP, [1.0, 2.0, 3.0], steps=4, validate=validate)
    assert seen == [3, 4]


@pytest.mark.parametrize("every", [None, 1])
def test_patience_stops_early(every):
    validate, seen = scripted([5.0, 4.0, 4.5, 4.0, 3.0])
    options = {"steps": 50, "validate": validate, "validate_every": every, "patience": 2}
    result = fit(start(), STEP, [1.0], **options)
    assert seen == [1, 2, 3, 4]
    assert (result.best_step, int(result.state.step)) == (2, 4)
    assert len(result.history["loss"]) == 4


def test_a_loss_that_is_not_finite_stops_with_its_step():
    batches = [1.0, 2.0, float("nan"), 4.0, 5.0]
    for log_every in (1, 2, 20):
        with pytest.raises(FloatingPointError, match="loss is nan at step 3"):
            fit(start(), STEP, batches, log_every=log_every)
    validate, seen = scripted([1.0])
    with pytest.raises(FloatingPointError, match="loss is nan at step 3"):  # and before it is validated
        fit(start(), STEP, batches, validate=validate)
    assert seen == []
    validate, _ = scripted([1.0, float("nan")])
    with pytest.raises(FloatingPointError, match="loss is nan at step 2"):
        fit(start(), STEP, [1.0], epochs=3, validate=validate)

    def exploding(state, batch):
        state, metrics = STEP(state, batch)
        return state, metrics | {"gradient_norm": jnp.inf * metrics["loss"]}

    with pytest.raises(FloatingPointError, match="gradient_norm is inf at step 1"):
        fit(start(), exploding, [1.0])


def test_the_callback_sees_every_state():
    seen = []
    fit(start(), STEP, [1.0, 2.0], callback=lambda state, metrics: seen.append((state, metrics)))
    assert [float(metrics["loss"]) for _, metrics in seen] == [1, 2]
    assert seen[0][0].params.is_deleted()  # donated to the step after it
    assert int(seen[1][0].step) == 2


@pytest.mark.parametrize(("seconds", "wanted"), [(2.5, 3), (3, 3), (0.1, 1)])
def test_time_runs_out_between_steps_and_the_end_is_validated(monkeypatch, seconds, wanted):
    clock = itertools.count(1)  # a second for each look at it, and one look a step
    monkeypatch.setattr(training.history.Log, "seconds", property(lambda log: next(clock)))
    validate, seen = scripted([2.0, 1.0])
    result = fit(start(), STEP, [1.0] * 9, epochs=2, seconds=seconds, validate=validate)
    assert int(result.state.step) == wanted
    assert seen == [wanted]


def test_a_step_compiles_once():
    traces = []

    def step(state, batch):
        traces.append(None)
        return STEP(state, batch)

    first = fit(start(), step, [1.0, 2.0], epochs=3)
    fit(first.state, step, [1.0])
    assert len(traces) == 1


def test_progress_shows_rates_and_the_loss(capsys):
    fit(start(), STEP, [1.25] * 5, epochs=2, progress=True, log_every=1)
    shown = capsys.readouterr().out
    assert "10/10" in shown
    assert "steps/s" in shown
    assert "loss 1.25" in shown


def test_without_rich_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    with pytest.raises(ImportError, match=r'pip install "seqjax\[train\]"'):
        fit(start(), STEP, [1.0], progress=True)
    fit(start(), STEP, [1.0])


@pytest.mark.slow
def test_a_classifier_from_packed_data_to_the_best_params(key):
    """Whether the first token of a sequence is a one: all the parts together."""
    generator = np.random.default_rng(0)
    inputs = [generator.integers(0, 2, generator.integers(1, 6)) for _ in range(30)]
    batches = data.Batches(
        inputs, [int(row[0]) for row in inputs], batch_size=8, max_buckets=1, targets_are="labels"
    )
    task = many_to_one(sj.layers.stack(sj.layers.embed(2, 4), sj.gru(8)), heads.categorical(2))
    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(0.03))
    state = training.init_state(key, task, optimizer, input_size=1)
    evaluate = training.make_evaluation(task.loss)
    result = fit(
        state,
        training.make_step(task.loss, optimizer),
        batches.epoch_batches,
        epochs=30,
        validate=lambda params: evaluate(params, batches.epoch_batches()),
        patience=10,
    )
    assert result.validation["accuracy"].max() == 1
    assert float(evaluate(result.best, batches.epoch_batches())["loss"]) == pytest.approx(
        result.validation["loss"].min(), rel=1e-5
    )


ERRORS = [
    ({"batches": []}, ValueError, "batches is empty, expected at least one batch"),
    ({"batches": sj.Batch(1, 2)}, TypeError, r"batches is a Batch, expected an iterable.*pass \[batch\]"),
    ({"batches": 3}, TypeError, "batches is a int"),
    ({"batches": iter([1.0]), "epochs": 2}, ValueError, "batches is an iterator, which has one pass"),
    ({"steps": 0}, ValueError, "steps is 0, expected a positive integer"),
    ({"seconds": 0.0}, ValueError, "seconds is 0.0, expected a positive number"),
    ({"epochs": 1.5}, TypeError, "epochs is 1.5"),
    ({"log_every": 0}, ValueError, "log_every is 0"),
    ({"patience": 1}, ValueError, "patience is given, but validate is None"),
    ({"mode": "maximum"}, ValueError, "mode is 'maximum', expected 'min' or 'max'"),
    (
        {"validate": lambda params: {"accuracy": 1.0, "nll": 2.0}},
        ValueError,
        "metric is 'loss', expected one that validate returns: accuracy, nll",
    ),
    (
        {"validate": lambda params: {"loss": np.ones(2)}},
        ValueError,
        r"loss of shape \(2,\), expected a scalar",
    ),
]


@pytest.mark.parametrize(("options", "error", "message"), ERRORS)
def test_errors_name_the_argument(options, error, message):
    with pytest.raises(error, match=message):
        fit(start(), STEP, **{"batches": [1.0], **options})
