"""Run by a test in a process with eight devices: what several of them compute, beside what one does.

Prints a line of JSON: by the name of a check, the largest difference to one device, relative to the largest
value.
"""

import functools
import json
import tempfile

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

import seqjax as sj
from seqjax import ops, training
from seqjax.statespace import hmm
from seqjax.training import sharding

T, B, D, H = 16, 8, 3, 8
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(T, B, D))
TARGETS = GENERATOR.integers(0, 5, (T, B))
BATCHES = [
    sj.Batch(INPUTS, TARGETS, lengths=np.array([16, 3, 0, 5, 16, 9, 1, 12])),
    sj.Batch(INPUTS[::-1].copy(), TARGETS, resets=GENERATOR.random((T, B)) < 0.2),
]
MESH = jax.make_mesh((8,), ("data",))
TIME = jax.make_mesh((8,), ("time",))


def difference(tree, other):
    """The largest difference, relative to the largest value."""
    worst = 0.0
    for a, b in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape
        worst = max(
            worst, float(np.max(np.abs(a - b), initial=0)) / max(1e-300, float(np.max(np.abs(b), initial=1)))
        )
    return worst


def trained(optimizer, place=lambda state: state, place_batch=lambda batch: batch):
    task = sj.tasks.synced(sj.stack(sj.gru(H), sj.dropout(0.2)), sj.heads.categorical(5))
    state = jax.jit(lambda: training.init_state(jax.random.key(0), task, optimizer, D))()
    step = jax.jit(training.make_step(task.loss, optimizer), donate_argnums=0)
    state, losses = place(state), []
    for batch in BATCHES * 2:
        state, metrics = step(state, place_batch(batch))
        losses.append(metrics["loss"])
    return state, losses


def steps():
    adam = optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01))
    alone = trained(adam)
    placed = functools.partial(sharding.shard_batch, mesh=MESH)
    state, losses = trained(adam, lambda s: sharding.shard(s, MESH), placed)
    assert all(len(leaf.sharding.device_set) == 8 for leaf in jax.tree.leaves((state.params, losses)))
    found = {"data parallel": difference((state, losses), alone)}
    rule = sharding.by_longest_axis("data", 8, min_size=8)
    state, losses = trained(adam, lambda s: sharding.shard(s, MESH, rule), placed)
    specs = {str(leaf.sharding.spec) for leaf in jax.tree.leaves(state.params)}
    assert any("data" in spec for spec in specs), specs
    return found | {"parameters sharded": difference((state, losses), alone)}


def ensembles():
    task = sj.tasks.synced(sj.elman(4), sj.heads.categorical(5))
    optimizer = optax.adam(0.01)
    keys = jax.random.split(jax.random.key(1), 8)
    states = jax.jit(jax.vmap(lambda key: training.init_state(key, task, optimizer, D)))(keys)
    step = jax.jit(jax.vmap(training.make_step(task.loss, optimizer), in_axes=(0, None)))
    spread = sharding.shard(
        states, jax.make_mesh((8,), ("member",)), lambda name, leaf: PartitionSpec("member")
    )
    after = step(spread, BATCHES[0])
    assert len(after[0].step.sharding.device_set) == 8
    return {"ensemble": difference(after, step(states, BATCHES[0]))}


def sequences():
    found = {}
    for name, cell in (("lru", sj.lru(4)), ("s5", sj.s5(4)), ("min_gru", sj.min_gru(4))):
        params = jax.jit(cell.init, static_argnums=1)(jax.random.key(2), D)
        xs = jnp.asarray(INPUTS[:, :2])

        def run(params, xs, method, cell=cell, **more):
            carry, ys = sj.unroll(cell, params, xs, method=method, **more)
            return sum(jnp.abs(leaf).sum() for leaf in jax.tree.leaves(carry)) + (ys**2).sum(), ys

        method = functools.partial(sj.backends.sharded, mesh=TIME)
        more = {"lengths": jnp.array([16, 5]), "resets": jnp.asarray(GENERATOR.random((T, 2)) < 0.2)}
        values = jax.jit(jax.value_and_grad(run, argnums=(0, 1), has_aux=True), static_argnums=2)
        spread = values(params, xs, method, **more)
        assert spread[0][1].sharding.spec[0] == "time", spread[0][1].sharding
        found[f"time-sharded {name}"] = difference(spread, values(params, xs, "scan", **more))
    return found


def filters():
    model = hmm.params(initial=[0.6, 0.3, 0.1], transition=GENERATOR.dirichlet(np.ones(3), 3))
    scores = jnp.asarray(GENERATOR.normal(size=(T, 3)))

    def product(earlier, later):
        return jax.nn.logsumexp(earlier[..., :, :, None] + later[..., None, :, :], axis=-2)

    def forward(scan, scores):
        steps = jax.nn.log_softmax(model.transition_logits) + scores[:, None, :]
        first = jnp.broadcast_to(jax.nn.log_softmax(model.initial_logits) + scores[0], (3, 3))
        return jax.nn.logsumexp(scan(product, steps.at[0].set(first))[:, 0], axis=-1)

    spread = functools.partial(ops.sharded_prefix_scan, mesh=TIME, axis="time")
    expected = hmm.log_normalizer(model, scores)
    products = jax.jit(functools.partial(forward, spread))(scores)
    assert products.sharding.spec[0] == "time", products.sharding
    found = products[-1]
    both = [
        jax.jit(jax.grad(lambda s, scan=scan: forward(scan, s).sum()))(scores)
        for scan in (spread, ops.prefix_scan)
    ]
    affine = (jnp.asarray(GENERATOR.normal(size=(T, 2, 2))), jnp.asarray(GENERATOR.normal(size=(T, 2))))

    def after(earlier, later):
        return later[0] @ earlier[0], (later[0] @ earlier[1][..., None])[..., 0] + later[1]

    backward = [
        jax.jit(functools.partial(scan, after, reverse=True))(affine) for scan in (spread, ops.prefix_scan)
    ]
    return {
        "time-sharded filter": difference(found, expected),
        "its gradient": difference(*both),
        "backward in time": difference(*backward),
    }


def checkpoints():
    """Written from eight devices, read to four in another way, and to none in particular; and back."""
    state, _ = trained(optax.adam(0.01))
    rule = sharding.by_longest_axis("data", 8, min_size=8)
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        training.save_checkpoint(folder, sharding.shard(state, MESH, rule), step=1)
        fewer = jax.make_mesh((4,), ("data",), devices=jax.devices()[:4])
        like = sharding.shard(
            jax.tree.map(jnp.zeros_like, state), fewer, sharding.by_longest_axis("data", 4, 8)
        )
        loaded = training.load_checkpoint(folder, like).state
        assert jax.tree.map(lambda leaf: leaf.sharding, loaded) == jax.tree.map(
            lambda leaf: leaf.sharding, like
        )
        found["to four devices"] = difference(loaded, state)
        training.save_checkpoint(folder, loaded, step=2)
        found["to one device"] = difference(training.load_checkpoint(folder, state).state, state)
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    print(json.dumps({**steps(), **ensembles(), **sequences(), **filters(), **checkpoints()}))
