"""One gradient three ways: backward through time, over an unrolled network's replicas, forward in time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.cell import Cell, check_cell
from seqjax.checks import check_function
from seqjax.types import Array, Carry, Params
from seqjax.unroll import Backend, checked_xs, sequence_shape, unroll

Objective = Callable[[Carry, Any], Array]
"""`(carry, ys) -> E`, a scalar of the last carry and the outputs."""


@struct.dataclass
class ReplicaGradients:
    """Gradients of an unrolled network, each of whose steps has params of its own.

    Attributes:
      replicas: `dE / d theta_t` of the params of each step, leaves `[T, ...]`.
      averaged: their mean over the steps: what each replica is changed by, so that all stay equal.
      total: their sum, `T` times the mean: the gradient of the network whose steps share their params.
    """

    replicas: Params
    averaged: Params
    total: Params


def reverse_gradient(
    cell: Cell,
    params: Params,
    xs: Any,
    objective: Objective,
    *,
    carry: Carry | None = None,
    method: str | Backend = "auto",
) -> Params:
    """The gradient by backpropagation through time (Werbos, 1990): one pass back, all states kept.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`.
      objective: `(carry, ys) -> E`.
      carry: the carry before the first step, or `None` for the initial one.
      method: how to run over time, as `seqjax.unroll` takes it.

    Returns:
      The gradient, with the structure of `params`.

    Raises:
      ValueError: as `seqjax.unroll`.
      TypeError: as `seqjax.unroll`, or if `objective` is no function.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.elman(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> gradient = reverse_gradient(cell, params, jnp.ones((4, 3)), lambda carry, ys: ys.sum())
      >>> gradient.recurrent_kernel.shape
      (2, 1, 2)
    """
    check_function("objective", objective)
    return jax.grad(lambda params: objective(*unroll(cell, params, xs, carry=carry, method=method)))(params)


def replica_gradients(
    cell: Cell, params: Params, xs: Any, objective: Objective, *, carry: Carry | None = None
) -> ReplicaGradients:
    """The gradient of the unrolled network, a feedforward one with a replica of the params at each step.

    Equations: `E(theta_0, ..., theta_{T-1})` with `carry_t, y_t = step(theta_t, carry_{t-1}, x_t)`. Replicas
    that start equal and are each changed by the mean of all their gradients stay equal; the sum is what
    backpropagation through time computes. The learned initial carry belongs to the first replica.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`, at least one step.
      objective: `(carry, ys) -> E`.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      A `ReplicaGradients`, `T` times the size of the params.

    Raises:
      ValueError: if there is no step.
      TypeError: if `cell` is no cell or `objective` no function.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.elman(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> gradients = replica_gradients(cell, params, jnp.ones((4, 3)), lambda carry, ys: ys.sum())
      >>> gradients.replicas.bias.shape, bool(jnp.allclose(gradients.total.bias, 4 * gradients.averaged.bias))
      ((4, 1, 2), True)
    """
    check_cell(cell)
    check_function("objective", objective)
    xs = checked_xs(xs)
    num_steps, batch_shape = sequence_shape(xs)
    if num_steps == 0:
        raise ValueError("xs has no steps, expected at least one: a network of none has no replicas.")

    def error(replicas: Params) -> Array:
        first = jax.tree.map(lambda leaf: leaf[0], replicas)
        start = cell.initial_carry(first, batch_shape) if carry is None else carry
        return objective(
            *jax.lax.scan(lambda carry, at: cell.step(at[0], carry, at[1]), start, (replicas, xs))
        )

    copies = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (num_steps, *leaf.shape)), params)
    replicas = jax.grad(error)(copies)
    return ReplicaGradients(
        replicas=replicas,
        averaged=jax.tree.map(lambda leaf: jnp.mean(leaf, 0), replicas),
        total=jax.tree.map(lambda leaf: jnp.sum(leaf, 0), replicas),
    )


def forward_gradient(
    cell: Cell, params: Params, xs: Any, objective: Objective, *, carry: Carry | None = None
) -> Params:
    """The gradient in forward mode: real-time recurrent learning (Williams & Zipser, 1989).

    Each parameter's influence on the carry, `d h_t / d theta`, goes along with the carry, and nothing of the
    past is kept: `N` numbers a parameter and row, and the work of one more step for each parameter. For small
    cells; `seqjax.training.online` learns by it from streams.

    Args:
      cell: any cell.
      params: its params.
      xs: `[T, *B, D]`.
      objective: `(carry, ys) -> E`.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      The gradient, with the structure of `params`.

    Raises:
      ValueError: as `seqjax.unroll`.
      TypeError: as `seqjax.unroll`, or if `objective` is no function.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.elman(2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> gradient = forward_gradient(cell, params, jnp.ones((4, 3)), lambda carry, ys: ys.sum())
      >>> gradient.recurrent_kernel.shape
      (2, 1, 2)
    """
    check_function("objective", objective)
    return jax.jacfwd(lambda params: objective(*unroll(cell, params, xs, carry=carry, method="scan")))(params)
