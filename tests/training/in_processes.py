"""Run by a test: one of several processes that train together, each with its own rows.

`python -m tests.training.in_processes INDEX COUNT PORT FOLDER KILL_AFTER`, where 0 never kills. Prints the
params.
"""

import json
import os
import signal
import sys

import jax
import numpy as np
import optax

import seqjax as sj
from seqjax import training
from seqjax.training import Checkpoints

T, B, D = 5, 4, 2
GENERATOR = np.random.default_rng(0)
INPUTS, TARGETS = GENERATOR.normal(size=(6, T, B, D)), GENERATOR.normal(size=(6, T, B, 1))


def main(index, count, port, folder, kill_after):
    if count > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", count, index)
    mesh = jax.make_mesh((count,), ("data",))
    rows = slice(index * B // count, (index + 1) * B // count)

    def batches(epoch):
        for xs, ys in zip(INPUTS, TARGETS, strict=True):
            yield training.shard_batch(sj.Batch(xs[:, rows], ys[:, rows]), mesh)

    def callback(state, metrics):
        if kill_after and int(state.step) == kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    task, optimizer = sj.tasks.synced(sj.gru(3), sj.heads.gaussian(1, scale=1.0)), optax.adam(0.05)
    state = jax.jit(lambda key: training.init_state(key, task, optimizer, D))(jax.random.key(0))
    result = training.fit(
        training.shard(state, mesh),
        training.make_step(task.loss, optimizer),
        batches,
        epochs=2,
        checkpoints=Checkpoints(folder, every=2, seconds=None),
        callback=callback,
    )
    params = [np.asarray(leaf).tolist() for leaf in jax.tree.leaves(result.state.params)]
    print(
        json.dumps(
            {"processes": jax.process_count(), "params": params, "losses": result.history["loss"].tolist()}
        )
    )


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
