"""A training step that learns forward in time, and how near a rule's gradient is to the exact one."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import optax

from seqjax.tasks import Task
from seqjax.training.online.gradient import online_gradient
from seqjax.training.online.rule import Rule
from seqjax.training.state import TrainingState, check_optimizer
from seqjax.training.step import Step, descend
from seqjax.types import Array, Batch, Key, Params, PyTree


def make_step(task: Task, optimizer: optax.GradientTransformation, rule: Rule) -> Step:
    """One step of gradient descent on a stream, in place of truncated backpropagation through time.

    As `seqjax.training.make_step` with `carry_over`, row `b` of a batch continues row `b` of the one before,
    or `resets` are true where it does not. There the gradient ends at the edge of a batch; here it goes on as
    far as the rule's memory, and batches may be as short as one step. Params change while the influence of
    the old ones is carried along, which is exact in the limit of small learning rates.

    The state is that of `seqjax.training.init_state`, and the step runs in `seqjax.training.fit`; one that is
    not finite is skipped, and what was handed on stays. Where `state.carry` is `None`, the batch starts from
    the initial carry, so that a jitted step compiles twice.

    Args:
      task: one target a step (`seqjax.tasks.synced`), over a network that runs forward.
      optimizer: the one that `init_state` was given, or one with the same state.
      rule: `rtrl()`, `snap()` or `uoro()`.

    Returns:
      `(state, batch) -> (state, metrics)`, with the metrics of `seqjax.training.make_step`. `state.carry` is
      an `OnlineCarry`.

    Raises:
      TypeError: if `task` is no `Task`, `optimizer` no optimizer or `rule` no `Rule`.

    Example:
      >>> import seqjax as sj
      >>> from seqjax import training
      >>> from seqjax.tasks import heads, synced
      >>> task, optimizer = synced(sj.elman(2), heads.gaussian(1, scale=1.0)), optax.sgd(0.1)
      >>> state = training.init_state(jax.random.key(0), task, optimizer, input_size=1)
      >>> step = jax.jit(make_step(task, optimizer, training.online.uoro()))
      >>> state, metrics = step(state, Batch(jnp.ones((1, 4, 1)), jnp.ones((1, 4, 1))))
      >>> int(state.step), state.carry.influence.state.shape
      (1, (4, 2))
    """
    if not isinstance(task, Task):
        raise TypeError(f"task is a {type(task).__name__}, expected a Task such as seqjax.tasks.synced(...).")
    check_optimizer(optimizer)
    if not isinstance(rule, Rule):
        raise TypeError(f"rule is a {type(rule).__name__}, expected a Rule such as training.online.rtrl().")

    def step(state: TrainingState, batch: Batch) -> tuple[TrainingState, dict[str, Array]]:
        key = jax.random.fold_in(state.key, state.step)
        found = online_gradient(task, rule, state.params, batch, carry=state.carry, key=key)
        return descend(optimizer, state, found.gradient, found.loss, found.aux, found.carry)

    return step


def cosines(
    task: Task, params: Params, batch: Batch, rules: Mapping[str, Rule | tuple[Task, Rule]], key: Key
) -> dict[str, Array]:
    """How well each rule's gradient of a batch points along the exact one.

    Equation: `g' e / (|g| |e|)` over all params, with `e` from backpropagation through time: 1 for the same
    direction, 0 for no relation. It is not defined, NaN, where one of them is zero.

    Args:
      task: one target a step (`seqjax.tasks.synced`), over a network that runs forward.
      params: its params.
      batch: sequences from their beginning.
      rules: by name; with a task of its own for one that cuts gradients within the network
        (`seqjax.transforms`' `cut_feedback`), whose params are the same.
      key: a random key.

    Returns:
      `{name: []}`.

    Raises:
      ValueError: as `online_gradient`.
      TypeError: as `online_gradient`.

    Example:
      >>> import seqjax as sj
      >>> from seqjax.tasks import heads, synced
      >>> from seqjax.training.online import rtrl
      >>> task = synced(sj.elman(2), heads.gaussian(1, scale=1.0))
      >>> params = task.init(jax.random.key(0), 1)
      >>> batch = Batch(jnp.ones((5, 3, 1)), jnp.ones((5, 3, 1)))
      >>> found = cosines(task, params, batch, {"rtrl": rtrl()}, jax.random.key(1))
      >>> round(float(found["rtrl"]), 4)
      1.0
    """

    @jax.jit
    def measured(params: Params, batch: Batch, key: Key) -> dict[str, Array]:
        exact = jax.grad(lambda params: task.loss(params, batch)[0])(params)
        found = {}
        for name, rule in rules.items():
            own, rule = (task, rule) if isinstance(rule, Rule) else rule
            found[name] = _cosine(online_gradient(own, rule, params, batch, key=key).gradient, exact)
        return found

    return measured(params, batch, key)


def _cosine(a: PyTree, b: PyTree) -> Array:
    product = sum(jnp.vdot(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))
    return product / (optax.tree.norm(a) * optax.tree.norm(b))
