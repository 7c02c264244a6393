"""Trainings that are cut off at any step and go on: as if they had never stopped, bit for bit."""

import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqjax import training
from seqjax.data import Batches
from seqjax.tasks import LossAux
from seqjax.training import Checkpoints, Interrupted, fit
from seqjax.training.interruption import interruptions

SIGNALS = (signal.SIGTERM, signal.SIGINT)
BEFORE = [signal.getsignal(number) for number in SIGNALS]
"""What the process does with them: a shell may have told it to ignore one."""


def noisy(params, batch, *, carry=None, key=None):
    """A loss with noise, with a carry that the next batch goes on from, that depends on the batch."""
    before = jnp.zeros(()) if carry is None else carry
    xs = jnp.asarray(batch, jnp.float32) + 0.1 * jax.random.normal(key, ())
    value = ((params["w"] - xs.mean()) ** 2).sum() + params["b"][0] * before
    return value, LossAux({"size": xs.sum()}, jnp.ones(()), before + xs.mean() * params["w"][0])


OPTIMIZER = optax.adam(0.05)
STEP = training.make_step(noisy, OPTIMIZER, carry_over=True)
BATCHES = [np.arange(3.0), np.ones(3), np.array([5.0, -1.0, 0.5])]
OPTIONS = {"steps": 8, "validate_every": 2, "patience": 9, "log_every": 3}


def validate(params):
    return {"loss": jnp.abs(params["w"]).sum() + 0.3 * jnp.sin(20 * params["w"][0])}


def start():
    params = {"w": jnp.array([2.0, 1.0]), "b": jnp.ones(1)}
    return training.TrainingState(params, OPTIMIZER.init(params), jnp.zeros((), jnp.int32), jax.random.key(1))


def shuffled(epoch):
    return [BATCHES[place] for place in np.random.default_rng(epoch).permutation(3)]


class Cut(Exception):
    """A process that is gone."""


def cut_after(step):
    def callback(state, metrics):
        if int(state.step) == step:
            raise Cut

    return callback


def same(left, right):
    for name in ("state", "best"):
        a, b = (jax.tree.leaves(getattr(result, name)) for result in (left, right))
        for one, other in zip(a, b, strict=True):
            if jnp.issubdtype(one.dtype, jax.dtypes.prng_key):
                one, other = jax.random.key_data(one), jax.random.key_data(other)
            np.testing.assert_array_equal(one, other)
    assert left.best_step == right.best_step
    for name in ("history", "validation"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.keys() == b.keys()
        for column in a.keys() - {"seconds"}:
            assert a[column].dtype == b[column].dtype
            np.testing.assert_array_equal(a[column], b[column], err_msg=column)
        assert all((np.diff(rows["seconds"]) >= 0).all() for rows in (a, b) if rows)


@pytest.mark.parametrize(
    ("options", "rows"),
    [(OPTIONS, 50_000), (OPTIONS | {"validate_every": None}, 3)],
    ids=["steps, all kept", "epochs, few kept"],
)
def test_a_training_cut_off_anywhere_goes_on_as_if_it_had_not_been(options, rows, tmp_path, monkeypatch):
    monkeypatch.setattr(training.table, "LIMIT", rows)
    options = options | {"validate": validate}
    whole = fit(start(), STEP, shuffled, **options)
    assert whole.best_step > 0
    settings = Checkpoints(tmp_path, every=1)
    for cut in (1, 4, 5, 7):  # a carry comes to be, an epoch and a half, after a validation
        with pytest.raises(Cut):
            fit(start(), STEP, shuffled, checkpoints=settings, callback=cut_after(cut), **options)
    same(fit(start(), STEP, shuffled, checkpoints=settings, **options), whole)
    # Nothing is left to do, and that is what is done.
    again = fit(start(), STEP, shuffled, checkpoints=settings, callback=cut_after(9), **options)
    same(again, whole)


def test_a_broken_checkpoint_is_never_the_one_that_is_kept(tmp_path):
    settings = Checkpoints(tmp_path, every=3, seconds=None, keep_last=2)
    with pytest.raises(Cut):
        fit(start(), STEP, shuffled, steps=9, checkpoints=settings, callback=cut_after(7))
    (tmp_path / "0000000006" / "manifest.json").unlink()
    settings = settings._replace(keep_last=1)
    with pytest.warns(UserWarning, match="0000000003 is used instead"), pytest.raises(Cut):
        fit(start(), STEP, shuffled, steps=9, checkpoints=settings, callback=cut_after(5))
    names = {path.name for path in tmp_path.iterdir()}
    assert {"0000000003", "broken-0000000006"} <= names
    same(fit(start(), STEP, shuffled, steps=9, checkpoints=settings), fit(start(), STEP, shuffled, steps=9))
    # Less than what was done is nothing to do.
    assert int(fit(start(), STEP, shuffled, steps=4, checkpoints=settings).state.step) == 9
    assert int(fit(start(), STEP, shuffled, epochs=1, checkpoints=settings).state.step) == 9


def test_batches_that_know_where_they_stand(tmp_path):
    def batches(seed=0):
        return map_of(Batches([[1.0], [2.0, 3.0], [4.0], [5.0]], batch_size=2, seed=seed))

    options = {"steps": 7, "log_every": 2}
    whole = fit(start(), STEP, batches(), **options)
    settings = Checkpoints(tmp_path, every=2)
    with pytest.raises(Cut):
        fit(start(), STEP, batches(), checkpoints=settings, callback=cut_after(5), **options)
    with pytest.raises(ValueError, match="seed"):
        fit(start(), STEP, batches(1), checkpoints=settings, **options)
    same(fit(start(), STEP, batches(), checkpoints=settings, **options), whole)


class map_of:
    """Batches as bare arrays, for the loss above."""

    def __init__(self, batches):
        self._batches = batches
        self.state, self.restore = batches.state, batches.restore

    def __iter__(self):
        return self

    def __next__(self):
        return next(self._batches).inputs


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """The folder of a training that was asked to stop after three steps."""
    folder = tmp_path_factory.mktemp("stopped")

    def callback(state, metrics):
        if int(state.step) == 3:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted, match=r"stopped by SIGTERM after step 3, which is saved in") as caught:
        fit(
            start(),
            STEP,
            shuffled,
            checkpoints=Checkpoints(folder, notes={"size": 3, "rate": None}),
            callback=callback,
            **OPTIONS,
            validate=validate,
        )
    assert caught.value.signal == signal.SIGTERM
    return folder


def test_a_signal_saves_where_training_stands(stopped):
    assert [path.name for path in stopped.iterdir() if path.name != ".lock"] == ["0000000003"]
    assert [signal.getsignal(number) for number in SIGNALS] == BEFORE
    with pytest.raises(Cut):
        fit(
            start(),
            STEP,
            shuffled,
            checkpoints=Checkpoints(stopped, notes={"size": 3, "rate": None}, at_end=False),
            callback=cut_after(4),
            **OPTIONS,
            validate=validate,
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"notes": {"size": 4, "rate": None}}, r"size was 3 in .*0000000003, and is 4 now"),
        ({"notes": {"size": 3}}, "rate was None in .*, and is not set now"),
        ({"batches": BATCHES}, "batches differ from those of the checkpoint: the first of epoch 0"),
        ({"batches": iter(BATCHES)}, "batches is a list_iterator, which cannot be gone on with"),
        (
            {"state": {"w": jnp.ones(3), "b": jnp.ones(1)}},
            r"has float32\[2\] for the leaf params.w, expected",
        ),
        ({"state": {"w": jnp.ones(2)}}, r"has a leaf params.b, float32\[1\], that is not expected"),
    ],
)
def test_another_training_is_refused(stopped, changes, message):
    state = start()
    if "state" in changes:
        params = changes["state"]
        state = state.replace(params=params, opt_state=OPTIMIZER.init(params), carry=jnp.zeros(()))
    settings = Checkpoints(stopped, notes=changes.get("notes", {"size": 3, "rate": None}))
    with pytest.raises(ValueError, match=message):
        fit(state, STEP, changes.get("batches", shuffled), checkpoints=settings, steps=8)


def test_a_second_signal_ends_the_process(monkeypatch):
    with interruptions(True) as request:
        signal.raise_signal(signal.SIGINT)
        assert request.signal == signal.SIGINT
        assert signal.getsignal(signal.SIGINT) == signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with interruptions(False) as request:
        assert [signal.getsignal(number) for number in SIGNALS] == BEFORE
    found = []

    def elsewhere():
        with interruptions(True) as request:
            found.append(request.signal)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [None]


def test_a_target_ends_training():
    result = fit(start(), STEP, BATCHES, epochs=50, validate=validate, validate_every=1, target=2.9)
    assert result.validation["loss"][-1] < 2.9 < result.validation["loss"][:-1].min()
    with pytest.raises(ValueError, match="target is given, but validate is None"):
        fit(start(), STEP, BATCHES, target=1.0)
