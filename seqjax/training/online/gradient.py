"""The gradient of a task forward in time, step by step, with nothing of the past but what a rule keeps."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import check_key, kind_of
from seqjax.layers import Layer
from seqjax.ops.rows import Rows
from seqjax.tasks import LossAux, Task
from seqjax.training.online.rule import Probe, Rule
from seqjax.types import Array, Batch, Carry, Key, Params, PyTree
from seqjax.unroll import checked_lengths, checked_resets


@struct.dataclass
class OnlineCarry:
    """What an online learner hands from batch to batch.

    Attributes:
      network: the carry of the network, leaves `[*B, ...]`.
      influence: what the rule keeps of the params' influence on it, leaves `[R, ...]` for the `R` rows.
    """

    network: Carry
    influence: PyTree


@struct.dataclass
class OnlineGradient:
    """What a batch gives.

    Attributes:
      gradient: of the batch's loss, with the structure of the params.
      loss: the mean over the valid positions of the batch, as `task.loss` has it.
      aux: the metrics, the count and what is derived; its carry is `None`.
      carry: an `OnlineCarry`, for the next batch.
    """

    gradient: Params
    loss: Array
    aux: LossAux
    carry: OnlineCarry


def online_gradient(
    task: Task,
    rule: Rule,
    params: Params,
    batch: Batch,
    *,
    carry: OnlineCarry | None = None,
    key: Key | None = None,
) -> OnlineGradient:
    """The gradient of the loss of a batch, forward in time.

    Equation: `dE_t / d theta` is what step `t` does by itself, plus `(dE_t / d h_{t-1})' S_{t-1}`, with
    `S_{t-1} = d h_{t-1} / d theta` as the rule keeps it; both are summed over the steps of the batch. With
    the exact influence it is the gradient of backpropagation through time, and of all batches before this one
    too, whose steps need not be stored. With the carry of an earlier batch the influence is that which the
    params of then had.

    Args:
      task: one target a step (`seqjax.tasks.synced`), over a network that runs forward.
      rule: `rtrl()`, `snap()` or `uoro()`.
      params: its params.
      batch: inputs `[T, *B, ...]`, with lengths, resets and weights if it has them. There is no noise: what a
        network drops in training is kept.
      carry: what the batch before gave, or `None` to start from the initial carry, which is then trained.
      key: a random key, which `uoro` needs.

    Returns:
      An `OnlineGradient`.

    Raises:
      ValueError: if the task is of another shape, its network has no step, or the batch does not fit.
      TypeError: if `task` is no `Task`, `rule` no `Rule`, or `carry` no `OnlineCarry`.

    Example:
      >>> import seqjax as sj
      >>> from seqjax.tasks import heads, synced
      >>> from seqjax.training.online import uoro
      >>> task = synced(sj.elman(2), heads.gaussian(1, scale=1.0))
      >>> params = task.init(jax.random.key(0), 1)
      >>> batch = Batch(jnp.ones((5, 3, 1)), jnp.ones((5, 3, 1)))
      >>> result = jax.jit(lambda params: online_gradient(task, uoro(), params, batch))(params)
      >>> result.gradient.network.bias.shape, result.carry.network.shape
      ((1, 2), (3, 2))
    """
    _check(task, rule, params, carry)
    key = jax.random.key(0) if key is None else key
    check_key(key)
    steps, batch_shape = _cut(batch, fresh=carry is None)
    network = task.network.initial_carry(params.network, batch_shape) if carry is None else carry.network
    rows = Rows.of(network, len(batch_shape))
    machine = _Machine(task.network, rows, len(batch_shape))
    plan = machine.plan(rule, params.network, steps.batch.inputs)
    num_rows = math.prod(batch_shape)
    influence = machine.nothing(rule, plan, params.network, num_rows) if carry is None else carry.influence

    def advance(state: tuple, at: tuple[_Steps, Key]) -> tuple[tuple, tuple]:
        (flat, influence, total), (step, key) = state, at

        def loss(params: Params, flat: Array) -> tuple[Array, LossAux]:
            value, aux = task.loss(params, step.batch, carry=rows.tree(flat))
            return value * aux.count, aux

        (value, aux), (direct, back) = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, flat)
        earlier = machine.pulled(rule, plan, influence, back, params.network)
        gradient = direct.replace(network=jax.tree.map(jnp.add, direct.network, earlier))
        influence = machine.advanced(rule, plan, key, influence, params.network, flat, step)
        total = jax.tree.map(jnp.add, total, gradient)
        return (rows.flat(aux.carry), influence, total), (value, aux.replace(carry=None))

    nothing = jax.tree.map(jnp.zeros_like, params)
    keys = jax.random.split(key, steps.valid.shape[0])
    (flat, influence, total), (values, aux) = jax.lax.scan(
        advance, (rows.flat(network), influence, nothing), (steps, keys)
    )
    count = jnp.sum(aux.count)
    share = 1 / jnp.where(count > 0, count, 1)
    metrics = {name: jnp.sum(aux.count * each) * share for name, each in aux.metrics.items()}
    return OnlineGradient(
        gradient=jax.tree.map(lambda leaf: (leaf * share).astype(leaf.dtype), total),
        loss=jnp.sum(values) * share,
        aux=LossAux(metrics=metrics, count=count, derived=aux.derived),
        carry=jax.lax.stop_gradient(OnlineCarry(network=rows.tree(flat), influence=influence)),
    )


class _Steps(NamedTuple):
    """The steps of a batch, one after the other along the first axis of all leaves."""

    batch: Batch
    valid: Array
    resets: Array


def _cut(batch: Batch, *, fresh: bool) -> tuple[_Steps, tuple[int, ...]]:
    """Each step as a batch of one step, and the batch axes."""
    targets = jax.tree.map(jnp.asarray, batch.targets)
    inputs = jax.tree.map(jnp.asarray, batch.inputs)
    first = jax.tree.leaves(inputs)[0]
    # Tokens have no axis of features.
    axes = first.ndim if jnp.issubdtype(first.dtype, jnp.integer) else first.ndim - 1
    shape = first.shape[:axes]
    num_steps, batch_shape = shape[0], shape[1:]
    valid = jnp.ones(shape, bool)
    if batch.lengths is not None:
        valid = ops.length_mask(checked_lengths(batch.lengths, num_steps, batch_shape), num_steps)
    resets = jnp.zeros(shape, bool)
    if batch.resets is not None:
        resets = checked_resets(batch.resets, num_steps, batch_shape)
    if fresh:
        resets = resets.at[:1].set(True)
    weights = batch.weights
    if weights is not None:
        weights = jnp.asarray(weights)
        by_step = weights if weights.ndim == valid.ndim else jnp.broadcast_to(weights, shape)
        weights = by_step[:, None]
    one = Batch(
        inputs=jax.tree.map(lambda leaf: leaf[:, None], ops.zero_padding(inputs, valid)),
        targets=jax.tree.map(lambda leaf: leaf[:, None], targets),
        lengths=valid.astype(jnp.int32),
        resets=resets[:, None],
        weights=weights,
    )
    return _Steps(batch=one, valid=valid, resets=resets), batch_shape


class _Machine(NamedTuple):
    """A network whose rows are real vectors, and a rule applied to each of them."""

    network: Layer
    rows: Rows
    num_axes: int

    def transition(self, params: Params, flat: Array, x: PyTree, reset: Array) -> Array:
        """One step of one row, from the initial carry where `reset` says so."""
        start = self.network.initial_carry(params)
        carry = ops.select(reset, start, self.rows.tree(flat))
        after, _ = self.network.step(params, carry, x)  # type: ignore[misc]
        return self.rows.flat(after).astype(flat.dtype)

    def plan(self, rule: Rule, params: Params, inputs: PyTree) -> Any:
        """What the rule makes of the network's structure."""
        shape = jax.tree.map(lambda leaf: (leaf.shape, np.dtype(leaf.dtype)), params)
        step = jax.tree.map(lambda leaf: (leaf.shape[2 + self.num_axes :], np.dtype(leaf.dtype)), inputs)
        flat = [jax.tree.flatten(tree, is_leaf=_is_shape) for tree in (shape, step)]
        return _planned(self, rule, *(part for leaves, tree in flat for part in (tuple(leaves), tree)))

    def nothing(self, rule: Rule, plan: Any, params: Params, num_rows: int) -> PyTree:
        """The influence on carries that owe nothing to the params."""
        one = rule.begin(plan, params, self.rows.size)
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_rows, *leaf.shape)), one)

    def pulled(self, rule: Rule, plan: Any, influence: PyTree, cotangents: Array, params: Params) -> Params:
        """What all rows say to the params through the past."""
        by_row = cotangents.reshape(-1, self.rows.size)
        parts = jax.vmap(lambda one, back: rule.pull(plan, one, back))(influence, by_row)
        leaves, structure = jax.tree.flatten(params)
        sums = [jnp.sum(part, 0) for part in parts]
        return jax.tree.unflatten(
            structure,
            [s.reshape(leaf.shape).astype(leaf.dtype) for s, leaf in zip(sums, leaves, strict=True)],
        )

    def advanced(
        self, rule: Rule, plan: Any, key: Key, influence: PyTree, params: Params, flat: Array, step: _Steps
    ) -> PyTree:
        """The influence of each row after a step; that of a row whose sequence has ended stays."""
        axes = self.num_axes
        states = flat.reshape(-1, self.rows.size)
        xs = jax.tree.map(lambda leaf: leaf.reshape(len(states), *leaf.shape[1 + axes :]), step.batch.inputs)

        def one(key: Key, influence: PyTree, state: Array, x: PyTree, reset: Array) -> PyTree:
            def transition(params: Params, state: Array) -> Array:
                return self.transition(params, state, x, reset)

            return rule.advance(plan, key, influence, transition, params, state)

        keys = jax.random.split(key, len(states))
        after = jax.vmap(one)(keys, influence, states, xs, step.resets.reshape(-1))
        return ops.select(step.valid.reshape(-1), after, influence)


def _is_shape(node: Any) -> bool:
    return isinstance(node, tuple) and len(node) == 2 and isinstance(node[1], np.dtype)


@lru_cache(maxsize=64)
def _planned(
    machine: _Machine, rule: Rule, params: tuple, params_tree: Any, inputs: tuple, inputs_tree: Any
) -> Any:
    """Made once for a network and its shapes, however often it is traced."""
    shapes = [
        jax.tree.unflatten(tree, [jax.ShapeDtypeStruct(*leaf) for leaf in leaves])
        for leaves, tree in ((params, params_tree), (inputs, inputs_tree))
    ]
    return rule.plan(Probe(machine.transition, shapes[0], machine.rows.size, shapes[1]))


def _check(task: Any, rule: Any, params: Params, carry: Any) -> None:
    if not isinstance(task, Task):
        raise TypeError(f"task is {kind_of(task)}, expected a Task such as seqjax.tasks.synced(...).")
    if not isinstance(rule, Rule):
        raise TypeError(f"rule is {kind_of(rule)}, expected a Rule such as seqjax.training.online.rtrl().")
    if carry is not None and not isinstance(carry, OnlineCarry):
        raise TypeError(
            f"carry is {kind_of(carry)}, expected an OnlineCarry, as online_gradient gives it, or None."
        )
    if task.step is None or task.network.step is None or not hasattr(params, "network"):
        raise ValueError(
            "task has no step that goes from one input to one target, expected seqjax.tasks.synced over a "
            "network that runs forward: others have no gradient step by step."
        )
