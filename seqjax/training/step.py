"""One step of gradient descent, as a pure function of a state and a batch."""

from __future__ import annotations

from collections.abc import Callable

import jax
import optax

from seqjax.checks import check_flag
from seqjax.tasks import LossAux
from seqjax.training.state import TrainingState, check_optimizer
from seqjax.types import Array, Batch, Params

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
      (the global norm, before the optimizer clips), and `count`, the sum of the weights.

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
      ['accuracy', 'count', 'cross_entropy', 'gradient_norm', 'loss', 'perplexity']
    """
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}, expected a function such as task.loss.")
    check_optimizer(optimizer)
    check_flag("carry_over", carry_over)
    # Optimizers that look at the loss, such as reduce_on_plateau, are given it; others ignore it.
    update = optax.with_extra_args_support(optimizer).update

    def step(state: TrainingState, batch: Batch) -> tuple[TrainingState, dict[str, Array]]:
        key = jax.random.fold_in(state.key, state.step)

        def objective(params: Params) -> tuple[Array, LossAux]:
            return loss(params, batch, carry=state.carry if carry_over else None, key=key)

        (value, aux), gradients = jax.value_and_grad(objective, has_aux=True)(state.params)
        updates, opt_state = update(gradients, state.opt_state, state.params, value=value)
        state = TrainingState(
            params=optax.apply_updates(state.params, updates),
            opt_state=opt_state,
            step=state.step + 1,
            key=state.key,
            carry=jax.lax.stop_gradient(aux.carry) if carry_over else state.carry,
        )
        metrics = {"loss": value, **aux.metrics, **aux.derived(aux.metrics)}
        return state, metrics | {"gradient_norm": optax.tree.norm(gradients), "count": aux.count}

    return step
