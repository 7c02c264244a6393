"""Several devices and several processes compute what one does."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec

import seqjax as sj
from seqjax import training
from seqjax.training import sharding

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_eight_devices_compute_what_one_does():
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
    done = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-m", "tests.training.on_devices"],
        cwd=ROOT,
        env={**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    differences = json.loads(done.stdout.splitlines()[-1])
    assert len(differences) == 11
    assert {name: value for name, value in differences.items() if not value < 1e-12} == {}


@pytest.fixture
def mesh():
    return jax.make_mesh((1,), ("data",))


def test_a_batch_is_cut_over_its_rows(mesh):
    batch = sj.Batch(
        np.ones((7, 4, 2)), np.ones(4), np.ones(4, int), resets=np.ones((7, 4)), weights=np.ones((7, 4))
    )
    placed = sharding.shard_batch(batch, mesh, targets_have_time=False)
    rows, later = PartitionSpec("data"), PartitionSpec(None, "data")
    found = [
        getattr(placed, name).sharding.spec for name in ("inputs", "targets", "lengths", "resets", "weights")
    ]
    assert found == [later, rows, rows, later, later]
    assert placed.target_lengths is None


def test_mistakes_name_the_leaf(mesh):
    state = {"kernel": np.ones((3, 4))}
    with pytest.raises(TypeError, match=r"mesh is a list, expected a jax.sharding.Mesh"):
        training.shard(state, [])
    with pytest.raises(TypeError, match="rule is"):
        training.shard(state, mesh, "data")
    with pytest.raises(TypeError, match="rule returned 'data' for kernel"):
        training.shard(state, mesh, lambda name, leaf: "data")
    with pytest.raises(ValueError, match="kernel is to be cut over 'model', expected one of"):
        training.shard(state, mesh, lambda name, leaf: PartitionSpec("model"))
    with pytest.raises(ValueError, match=r"kernel has shape \[3, 4\], but .* cuts 3 axes"):
        training.shard(state, mesh, lambda name, leaf: PartitionSpec(None, None, "data"))
    with pytest.raises(TypeError, match=r"batch is a dict, expected a seqjax.Batch"):
        training.shard_batch(state, mesh)
    with pytest.raises(ValueError, match="num_devices is 0"):
        training.by_longest_axis("data", 0)
    two = jax.sharding.AbstractMesh((2,), ("data",))
    with pytest.raises(ValueError, match="kernel has 3 entries along axis 0, which 2 devices cannot share"):
        sharding._checked(two, "kernel", state["kernel"], PartitionSpec("data"))


def test_half_batches_accumulated_are_the_whole():
    """optax.MultiSteps is an optimizer like any other."""
    task = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1, scale=1.0))
    generator = np.random.default_rng(0)
    xs, ys = (generator.normal(size=(3, 4, size)).astype(np.float32) for size in (2, 1))
    halves = [sj.Batch(xs[:, part], ys[:, part]) for part in (slice(2), slice(2, 4))]
    results = []
    for optimizer, batches in (
        (optax.sgd(0.1), [sj.Batch(xs, ys)]),
        (optax.MultiSteps(optax.sgd(0.1), 2), halves),
    ):
        state = training.init_state(jax.random.key(0), task, optimizer, input_size=2)
        step = jax.jit(training.make_step(task.loss, optimizer))
        for batch in batches:
            state, metrics = step(state, batch)
        results.append(state.params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), *results)
    assert jnp.isfinite(metrics["loss"])


@pytest.mark.slow
def test_two_processes_are_killed_and_go_on_as_one_and_one_as_two(tmp_path):
    whole = together(1, tmp_path / "whole")[0]
    both = together(2, tmp_path / "two")
    assert [each["processes"] for each in both] == [2, 2]
    for each in both:
        close(each, whole)
    together(2, tmp_path / "cut", kill_after=7)
    assert training.newest_checkpoint(tmp_path / "cut").name == "0000000006"
    close(together(1, tmp_path / "cut")[0], whole)
    together(1, tmp_path / "alone", kill_after=7)
    for each in together(2, tmp_path / "alone"):
        close(each, whole)


def together(count, folder, kill_after=0):
    """What so many processes print, which run at the same time."""
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        port = opened.getsockname()[1]
    words = [sys.executable, "-m", "tests.training.in_processes"]
    arguments = [str(count), str(port), str(folder), str(kill_after)]
    running = [
        subprocess.Popen(
            [*words, str(index), *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for index in range(count)
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    if kill_after:
        assert all(process.returncode != 0 for process in running)
        return []
    assert all(process.returncode == 0 for process in running), outputs[0][1][-3000:].decode()
    return [json.loads(output.splitlines()[-1]) for output, _ in outputs]


def close(found, expected):
    for name in ("params", "losses"):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-14), found[name], expected[name]
        )
