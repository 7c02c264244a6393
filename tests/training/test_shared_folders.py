"""Folders that several processes use at once, one of them killed: of compiled programs, of checkpoints."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROCESS = """
import sys
import jax, jax.numpy as jnp, optax
import seqjax as sj
from seqjax import training
from seqjax.training.checkpoints import open_writer

task, optimizer = sj.tasks.synced(sj.elman(2), sj.heads.gaussian(1)), optax.sgd(0.1)
try:
    with open_writer(training.Checkpoints(sys.argv[1])):
        print("held", flush=True)
        sys.stdin.readline()
except OSError as error:
    print(error, flush=True)
    sys.stdin.readline()
state = jax.jit(lambda: training.init_state(jax.random.key(0), task, optimizer, 1))()
step = jax.jit(training.make_step(task.loss, optimizer))
print(float(step(state, sj.Batch(jnp.ones((3, 1)), jnp.ones((3, 1))))[1]["loss"]), flush=True)
"""


@pytest.mark.slow
def test_processes_at_once_one_of_them_killed(tmp_path):
    cache, folder = tmp_path / "cache", tmp_path / "run"
    settings = {
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }

    def started():
        return subprocess.Popen(
            [sys.executable, "-c", PROCESS, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **settings, "JAX_PLATFORMS": "cpu"},
        )

    with started() as holder:
        assert holder.stdout.readline() == "held\n"
        both = [started(), started()]
        for process in both:
            assert "is in use by another training" in process.stdout.readline()
        holder.kill()
    answers = []
    for process in both:  # they compile the same at the same time, with one cache
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        answers.append(process.communicate(timeout=120)[0])
        assert process.returncode == 0
    entries = [path for path in cache.iterdir() if path.name.endswith("-cache")]
    assert entries
    for path in entries:  # as a process leaves them that is killed while it writes
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with started() as last:
        assert last.stdout.readline() == "held\n"  # the hold went with its process
        answers.append(last.communicate("go\n", timeout=120)[0])
    assert last.returncode == 0
    assert len(set(answers)) == 1
