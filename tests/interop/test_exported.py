"""Programs in files: loaded back they give the same, at sizes that were not there when they were written."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import training
from seqjax.interop import load_exported, save_exported

GENERATOR = np.random.default_rng(0)


def draw(*shape):
    return GENERATOR.normal(size=shape).astype(np.float32)


def test_an_unroll_of_any_batch_and_time_on_any_platform(tmp_path, key):
    cell = sj.elman(3)
    params = jax.jit(cell.init, static_argnums=1)(key, 2)

    def run(params, xs, lengths):
        return sj.unroll(cell, params, xs, lengths=lengths, method="scan")

    path = tmp_path / "unroll"
    save_exported(path, run, [params, draw(5, 4, 2), np.ones(4, np.int32)], [None, "T, B, ...", "B"])
    loaded = load_exported(path)
    for num_steps, lengths in ((3, [2, 3]), (7, [7, 0, 4])):
        xs = draw(num_steps, len(lengths), 2)
        expected = jax.tree.leaves(run(params, xs, jnp.array(lengths)))
        found = loaded(params, xs, np.array(lengths, np.int32))
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    assert [file.name for file in tmp_path.iterdir()] == ["unroll"]


def test_a_training_step_of_any_batch_and_time_on_any_platform(tmp_path, key):
    task, optimizer = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1, scale=1.0)), optax.sgd(0.1)
    state = jax.jit(lambda: training.init_state(key, task, optimizer, 1))()
    step = training.make_step(task.loss, optimizer)

    def exported(params, xs, ys, lengths):
        after, metrics = step(state.replace(params=params), sj.Batch(xs, ys, lengths=lengths))
        return after.params, metrics["loss"]

    save_exported(
        tmp_path / "step",
        exported,
        [state.params, draw(4, 2, 1), draw(4, 2, 1), np.ones(2, np.int32)],
        [None, "T, B, _", "T, B, _", "B"],
    )
    arguments = (state.params, draw(6, 3, 1), draw(6, 3, 1), np.array([6, 1, 3], np.int32))
    found = load_exported(tmp_path / "step")(*arguments)
    for a, b in zip(found, jax.tree.leaves(jax.jit(exported)(*arguments)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_mistakes(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="shapes has 2 entries, expected one for each of 1 arguments"):
        save_exported(tmp_path / "x", jnp.sin, [np.ones(2)], ["B", "B"])
    monkeypatch.setattr("seqjax.interop.exported.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r'pip install "seqjax\[export\]"'):
        save_exported(tmp_path / "x", jnp.sin, [np.ones(2)])
