"""One step of gradient descent, as a pure function of a state and a batch."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from seqjax.checks import check_flag
from seqjax.tasks import LossAux
from seqjax.training.state import TrainingState, check_optimizer
from seqjax.types import Array, Batch, Carry, Params, PyTree

Loss = Callable[..., tuple[Array, LossAux]]
"""`(params, batch, *, carry=None, key=None) -> (loss, LossAux)`, such as `task.loss`."""
Step = Callable[[TrainingState, Batch], tuple[TrainingState, dict[str, Array]]]
"""`(state, batch) -> (state, metrics)`."""


def make_step(loss: Loss, optimizer: optax.GradientTransformation, *, carry_over: bool = False) -> Step:
    """One step of gradient descent.

    Equations: `g = d loss(params, batch) / d params`, `updates, opt_state = optimizer.update(g, opt_state)`,
    `params = params + updates`. Clipping and schedules are the optimizer's: `optax.chain`.

    With `carry_over`, a batch starts from the carry after the batch before, and no gradient crosses that
    edge: truncated backpropagation through time (Williams & Peng, 1990, with both of their lengths the steps
    of a batch), for networks that run forward. Row `b` of a batch must then continue row `b` of the one
    before, or `resets` be true where it does not.

    A step whose loss or gradient is not finite is skipped: params and the optimizer's state stay as they
    were, and so does the carry where the new one is not finite (zeros, where there was none). It counts as a
    step all the same, so that the next one has another key. `fit` stops after many of them in a row.

    Where `state.carry` is `None`, the batch starts from the initial carry, which is trained through it if it
    is learned. A jitted step therefore compiles twice: without a carry, and with one. To compile once, set
    `state.replace(carry=task.initial_carry(state.params, batch_shape))`, and have the first batch's
    `resets[0]` true if the initial carry is to be trained: a carry that is given is a constant.

    The function is neither jitted nor does it donate. `jax.jit(step, donate_argnums=0)` reuses the memory of
    the state it is given, which is then gone.

    Args:
      loss: `(params, batch, *, carry=None, key=None) -> (loss, LossAux)`, such as `task.loss`.
      optimizer: the one that `init_state` was given, or one with the same state.
      carry_over: whether the carry is handed from batch to batch.

    Returns:
      `(state, batch) -> (state, metrics)`. Metrics are scalars: `loss`, those of the loss, `gradient_norm`
      (the global norm, before the optimizer clips), `count`, the sum of the weights, `skipped`, 1 where
      nothing was changed, else 0, and `nonfinite_leaf`, the number of the first of the params' leaves whose
      gradient is not finite or has a norm that is not, or -1.

    Raises:
      TypeError: if `loss` cannot be called, `optimizer` is no optimizer or `carry_over` no boolean.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> from seqjax import training
      >>> from seqjax.tasks import heads, synced
      >>> task, optimizer = synced(sj.gru(4), heads.categorical(3)), optax.adam(1e-3)
      >>> state = training.init_state(jax.random.key(0), task, optimizer, input_size=2)
      >>> step = jax.jit(make_step(task.loss, optimizer))
      >>> state, metrics = step(state, sj.Batch(jnp.ones((7, 5, 2)), jnp.zeros((7, 5), int)))
      >>> sorted(metrics)
      ['accuracy', 'count', 'cross_entropy', 'gradient_norm', 'loss', 'nonfinite_leaf', 'perplexity',
       'skipped']
    """
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}, expected a function such as task.loss.")
    check_optimizer(optimizer)
    check_flag("carry_over", carry_over)

    def step(state: TrainingState, batch: Batch) -> tuple[TrainingState, dict[str, Array]]:
        key = jax.random.fold_in(state.key, state.step)

        def objective(params: Params) -> tuple[Array, LossAux]:
            return loss(params, batch, carry=state.carry if carry_over else None, key=key)

        (value, aux), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        return descend(optimizer, state, gradients, value, aux, aux.carry if carry_over else None)

    return step


def descend(
    optimizer: optax.GradientTransformation,
    state: TrainingState,
    gradients: Params,
    value: Array,
    aux: LossAux,
    carry: Carry | None,
) -> tuple[TrainingState, dict[str, Array]]:
    """The state after a step along a gradient, however that was computed, and the metrics of the step.

    Args:
      optimizer: the one of the state.
      state: before the step.
      gradients: of the loss, with the structure of the params.
      value: the loss.
      aux: what else it told.
      carry: to hand on, or `None` to leave the state's as it is.

    Returns:
      The state and the metrics, as a step of `make_step` gives them; what is not finite changes nothing.

    Example:
      >>> optimizer = optax.scale(-1.0)
      >>> params, number = jnp.ones(2), jnp.zeros((), int)
      >>> state = TrainingState(params, optimizer.init(params), number, jax.random.key(0))
      >>> aux = LossAux({}, jnp.ones(()))
      >>> descend(optimizer, state, jnp.ones(2), jnp.zeros(()), aux, None)[0].params.tolist()
      [0.0, 0.0]
    """
    norm, nonfinite_leaf = _norm(gradients)
    taken = jnp.isfinite(value) & jnp.isfinite(norm)
    # Optimizers that look at the loss, such as reduce_on_plateau, are given it; others ignore it.
    update = optax.with_extra_args_support(optimizer).update
    updates, opt_state = update(gradients, state.opt_state, state.params, value=value)
    params = optax.apply_updates(state.params, updates)
    params, opt_state = _chosen(taken, (params, opt_state), (state.params, state.opt_state))
    carry = state.carry if carry is None else _carried(state.carry, jax.lax.stop_gradient(carry))
    state = TrainingState(params, opt_state, state.step + 1, state.key, carry)
    metrics = {"loss": value, **aux.metrics, **aux.derived(aux.metrics)}
    metrics |= {"gradient_norm": norm, "count": aux.count, "skipped": 1 - taken.astype(jnp.int32)}
    return state, metrics | {"nonfinite_leaf": nonfinite_leaf}


def _chosen(which: Array, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)


def _carried(old: Carry, new: Carry) -> Carry:
    """The new carry, if it can be gone on from."""
    finite = [jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(new) if _is_inexact(leaf)]
    if not finite:
        return new
    old = jax.tree.map(jnp.zeros_like, new) if old is None else old
    return _chosen(jnp.stack(finite).all(), new, old)


def _norm(gradients: PyTree) -> tuple[Array, Array]:
    """The global norm, and which leaf is the first whose part of it is not finite, or -1."""
    # One sum a leaf serves both: a second pass over all leaves would take its time at each compilation.
    squares = [optax.tree.norm(leaf, squared=True) for leaf in jax.tree.leaves(gradients)]
    if not squares:
        return jnp.zeros(()), jnp.array(-1)
    nonfinite = ~jnp.isfinite(jnp.stack(squares))
    return jnp.sqrt(sum(squares)), jnp.where(nonfinite.any(), jnp.argmax(nonfinite), -1)


def _is_inexact(leaf: Array) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)
