"""All that training changes, in one pytree."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from seqjax.checks import check_key
from seqjax.tasks import Task
from seqjax.types import Array, Carry, Key, Params, PyTree


@struct.dataclass
class TrainingState:
    """What a training step reads and returns.

    Attributes:
      params: the params of the task.
      opt_state: the state of the optimizer.
      step: `[]` int32, the number of steps taken.
      key: the random key from which each step folds its own.
      carry: the carry after the last batch where it is handed on (truncated backpropagation through time);
        `None` before the first step, and where each batch starts afresh.
    """

    params: Params
    opt_state: PyTree
    step: Array
    key: Key
    carry: Carry = None


def init_state(
    key: Key, task: Task, optimizer: optax.GradientTransformation, input_size: int
) -> TrainingState:
    """The state before the first step.

    A pure function, so that an ensemble is a `vmap` over keys, over learning rates, or both: see
    `seqjax.training`. No two leaves share memory, so that the state can be donated to a jitted step.

    Args:
      key: a random key.
      task: whose params to draw.
      optimizer: any transformation of optax.
      input_size: `D`, or 1 for a network that reads tokens.

    Returns:
      A `TrainingState` with `step` 0 and no carry.

    Raises:
      TypeError: if `key` is not a typed key, `task` no `Task`, or `optimizer` no optimizer.

    Example:
      >>> import seqjax as sj
      >>> from seqjax.tasks import heads, synced
      >>> task = synced(sj.gru(4), heads.categorical(3))
      >>> state = init_state(jax.random.key(0), task, optax.adam(1e-3), input_size=2)
      >>> int(state.step), state.params.head.kernel.shape
      (0, (4, 3))
    """
    check_key(key)
    if not isinstance(task, Task):
        raise TypeError(f"task is a {type(task).__name__}, expected a Task such as seqjax.tasks.synced(...).")
    check_optimizer(optimizer)
    params_key, state_key = jax.random.split(key)
    params = task.init(params_key, input_size)
    state = TrainingState(
        params=params, opt_state=optimizer.init(params), step=jnp.zeros((), jnp.int32), key=state_key
    )
    # Params may hold one array twice, and some optimizers keep the params themselves.
    return copied(state)


def copied(tree: PyTree) -> PyTree:
    """A pytree whose leaves share memory neither with each other nor with the leaves they were made from.

    Args:
      tree: a pytree of arrays and keys.

    Returns:
      The same values.

    Example:
      >>> zeros = jnp.zeros(2)
      >>> first, second = copied((zeros, zeros))
      >>> first is second
      False
    """
    return jax.tree.map(jnp.copy, tree)


def on_host(array: Any) -> np.ndarray:
    """An array in this process's memory, also one that several processes hold a part of each.

    Args:
      array: of any kind; where it is spread over processes, all of them must call this.

    Returns:
      A numpy array, which may share memory.

    Example:
      >>> on_host(jnp.ones(2)).tolist()
      [1.0, 1.0]
    """
    if getattr(array, "is_fully_addressable", True) or array.is_fully_replicated:
        return np.asarray(array)
    from jax.experimental import multihost_utils

    return np.asarray(multihost_utils.process_allgather(array, tiled=True))


def check_optimizer(optimizer: Any) -> None:
    """Refuses what is not an optimizer.

    Args:
      optimizer: the argument of that name.

    Raises:
      TypeError: if it is not a transformation of optax.

    Example:
      >>> check_optimizer(optax.adam)
      Traceback (most recent call last):
      TypeError: optimizer is a function, expected one of optax, such as optax.adam(1e-3).
    """
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"optimizer is a {type(optimizer).__name__}, expected one of optax, such as optax.adam(1e-3)."
        )
