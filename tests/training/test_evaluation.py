"""An evaluation over batches is that of all of them at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers, training
from seqjax.tasks import heads, many_to_one, synced
from tests.layers.tools import draw

T, B, D = 4, 5, 2
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(T, B, D)).astype(np.float32)
TARGETS = GENERATOR.normal(size=(T, B, 1)).astype(np.float32)
WEIGHTS, LENGTHS = np.array([1.0, 2.0, 0.5, 3.0, 1.0]), np.array([4, 0, 3, 2, 1])


def test_batches_are_averaged_as_if_they_were_one():
    task = synced(layers.stack(sj.gru(2), layers.dropout(0.5)), heads.gaussian(1))
    evaluate, params = training.make_evaluation(task.loss), draw(task, D)

    def rows(chosen):
        return sj.Batch(
            INPUTS[:, chosen], TARGETS[:, chosen], lengths=LENGTHS[chosen], weights=WEIGHTS[chosen]
        )

    got = evaluate(params, (rows(np.array(chosen)) for chosen in ([0, 1], [2, 3], [4])))
    wanted = evaluate(params, rows(np.arange(B)))
    assert sorted(got) == ["count", "loss", "rmse", "squared_error"]
    for name, value in wanted.items():
        assert float(got[name]) == pytest.approx(float(value), rel=1e-5)
    assert float(got["rmse"]) == pytest.approx(float(got["squared_error"]) ** 0.5)
    loss, aux = task.loss(params, rows(np.arange(B)))
    assert float(got["loss"]) == pytest.approx(float(loss), rel=1e-5)
    assert float(got["count"]) == pytest.approx(float(aux.count))


def test_chunks_are_evaluated_as_the_whole():
    task = synced(sj.gru(2), heads.gaussian(1))
    params = draw(task, D)
    chunks = [sj.Batch(INPUTS[t : t + 2], TARGETS[t : t + 2]) for t in (0, 2)]
    whole = training.make_evaluation(task.loss)(params, sj.Batch(INPUTS, TARGETS))
    handed_on = training.make_evaluation(task.loss, carry_over=True)(params, chunks)
    afresh = training.make_evaluation(task.loss)(params, chunks)
    assert float(handed_on["loss"]) == pytest.approx(float(whole["loss"]), rel=1e-5)
    assert float(afresh["loss"]) != pytest.approx(float(whole["loss"]), rel=1e-5)


def test_an_ensemble_is_evaluated_by_vmap():
    task = many_to_one(sj.gru(2), heads.categorical(3))
    evaluate, batch = training.make_evaluation(task.loss), sj.Batch(INPUTS, np.array([0, 1, 2, 0, 1]))
    members = [draw(task, D, seed) for seed in range(2)]
    params = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    got = jax.jit(jax.vmap(evaluate, in_axes=(0, None)))(params, batch)
    wanted = [float(evaluate(member, [batch, batch])["perplexity"]) for member in members]
    np.testing.assert_allclose(got["perplexity"], wanted, rtol=1e-5)


def test_nothing_to_evaluate():
    task = synced(sj.gru(2), heads.gaussian(1))
    evaluate, params = training.make_evaluation(task.loss), draw(task, D)
    with pytest.raises(ValueError, match="batches is empty, expected at least one"):
        evaluate(params, [])
    empty = evaluate(params, sj.Batch(INPUTS, TARGETS, weights=np.zeros(B)))
    assert float(empty["count"]) == 0
    assert np.isnan(empty["loss"])
