"""Losses and gradients that are not finite: skipped, counted, told, and in the end too many."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqjax import training
from seqjax.tasks import LossAux
from seqjax.training import Checkpoints, NonFinite, fit
from seqjax.training.step import descend

NAN = float("nan")


def loss(params, batch, *, carry=None, key=None):
    """Finite in value but not in the gradient of `b` where the batch is 0; NaN where it is NaN."""
    before = jnp.zeros(()) if carry is None else carry
    x = jnp.asarray(batch, jnp.float32)
    value = (params["a"] - x) ** 2 + jnp.sqrt(jnp.abs(x * params["b"])).sum()
    return value, LossAux({}, jnp.ones(()), before + x)


OPTIMIZER = optax.adam(0.1)
STEP = training.make_step(loss, OPTIMIZER, carry_over=True)


def start():
    params = {"a": jnp.array(1.0), "b": jnp.array([0.0, 2.0])}
    return training.TrainingState(
        params, OPTIMIZER.init(params), jnp.zeros((), jnp.int32), jax.random.key(0), carry=jnp.zeros(())
    )


def good():
    state = start()
    params = state.params | {"b": jnp.array([1.0, 2.0])}
    return state.replace(params=params, opt_state=OPTIMIZER.init(params))


def test_a_bad_batch_changes_nothing_but_the_count():
    with pytest.warns(RuntimeWarning, match="2 of 5 steps were skipped, because a loss or a gradient"):
        result = fit(good(), STEP, [1.0, NAN, NAN, 2.0, 3.0])
    clean = fit(good(), STEP, [1.0, 2.0, 3.0])
    jax.tree.map(np.testing.assert_array_equal, result.state.params, clean.state.params)
    jax.tree.map(np.testing.assert_array_equal, result.state.opt_state, clean.state.opt_state)
    assert float(result.state.carry) == 6.0
    assert int(result.state.step) == 5
    assert result.history["skipped"].tolist() == [0, 1, 1, 0, 0]
    assert result.history["nonfinite_leaf"].tolist() == [-1, 0, 0, -1, -1]


def test_a_gradient_alone_may_be_bad_and_a_carry_is_handed_on_if_it_is_good():
    step = jax.jit(STEP)
    state, metrics = step(start(), 3.0)
    assert np.isfinite(metrics["loss"])
    assert (int(metrics["skipped"]), int(metrics["nonfinite_leaf"])) == (1, 1)
    jax.tree.map(np.testing.assert_array_equal, state.params, start().params)
    assert (float(state.carry), int(state.step)) == (3.0, 1)
    state, _ = step(state, NAN)
    assert float(state.carry) == 3.0
    state, metrics = jax.jit(STEP)(good().replace(carry=None), NAN)
    assert float(state.carry) == 0.0


def test_a_gradient_whose_norm_is_not_finite_is_the_one_that_is_named():
    @jax.jit
    def metrics_of(slope):
        gradients = {"a": jnp.array(3.0), "b": jnp.array([4.0, 0.0]) * slope}
        return descend(optax.sgd(0.1), start(), gradients, slope, LossAux({}, slope), None)[1]

    found = metrics_of(1e30)  # finite, but not its square
    assert (int(found["skipped"]), int(found["nonfinite_leaf"])) == (1, 1)
    found = metrics_of(1.0)
    assert (int(found["skipped"]), int(found["nonfinite_leaf"])) == (0, -1)
    assert float(found["gradient_norm"]) == 5


def test_members_of_an_ensemble_are_skipped_one_by_one():
    states = jax.tree.map(lambda a, b: jnp.stack([a, b]), good(), start())
    step = jax.vmap(STEP, in_axes=(0, None))
    with pytest.warns(RuntimeWarning, match="3 of 6 steps were skipped"):
        result = fit(states, step, [3.0, 2.0, 1.0])
    assert result.history["skipped"].tolist() == [[0, 1]] * 3
    np.testing.assert_array_equal(result.state.params["a"][1], 1.0)
    alone = fit(good(), STEP, [3.0, 2.0, 1.0])
    np.testing.assert_allclose(result.state.params["a"][0], alone.state.params["a"], rtol=1e-6)
    with pytest.raises(NonFinite, match="2 steps in a row of member 1 were skipped, the last at step 2"):
        fit(states, step, [3.0, 2.0, 1.0], max_skipped=2)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        (
            [1.0, 2.0, NAN, NAN, NAN],
            r"3 steps in a row were skipped, the last at step 5 with batch 4 of epoch 0: loss is nan, "
            r"gradient_norm nan; the gradient of a is the first that is not finite",
        ),
        ([1.0, NAN, NAN, 2.0], None),
    ],
)
def test_too_many_in_a_row_end_training_with_the_last_good_params(batches, message, tmp_path, monkeypatch):
    monkeypatch.setattr(training.table, "LIMIT", 3)  # what is counted is not only what is kept
    settings = Checkpoints(tmp_path)
    if message is None:
        with pytest.warns(RuntimeWarning):
            fit(good(), STEP, batches, max_skipped=3)
        return
    clean = fit(good(), STEP, batches[:2])
    with pytest.raises(NonFinite, match=message) as caught:
        fit(good(), STEP, batches, max_skipped=3, checkpoints=settings, log_every=1)
    jax.tree.map(np.testing.assert_array_equal, caught.value.params, clean.state.params)
    found = training.load_checkpoint(tmp_path, good())
    jax.tree.map(np.testing.assert_array_equal, found.state.params, clean.state.params)
    # What comes after the bad batches can be gone on with.
    with pytest.warns(RuntimeWarning, match="3 of 6 steps"):
        result = fit(good(), STEP, [*batches, 2.0], max_skipped=3, checkpoints=settings)
    assert result.history["step"].tolist() == [2, 4, 6]
    assert result.history["skipped"].tolist() == [0, 1, 0]
