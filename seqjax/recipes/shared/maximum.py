"""Maximum likelihood by gradient, for recipes with a handful of parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import optax

from seqjax.types import Array, Params


def maximize(function: Callable[[Params], Array], start: Params, num_steps: int) -> tuple[Params, Array]:
    """The maximum of a smooth function by L-BFGS (Liu & Nocedal, 1989).

    Args:
      function: of params to a number.
      start: params, a pytree of arrays.
      num_steps: how many steps to take; zero gives the start back.

    Returns:
      The params, and the function's value after each step `[num_steps]`.

    Example:
      >>> best, values = maximize(lambda x: -((x - 3.0) ** 2), jax.numpy.zeros(()), 5)
      >>> round(float(best), 3)
      3.0
    """
    if num_steps == 0:
        return start, jnp.zeros((0,))
    return _maximize(function, num_steps, start)


@partial(jax.jit, static_argnums=(0, 1))
def _maximize(function: Callable[[Params], Array], num_steps: int, start: Params) -> tuple[Params, Array]:
    optimizer = optax.lbfgs()

    def loss(params: Params) -> Array:
        return -function(params)

    value_and_grad = optax.value_and_grad_from_state(loss)

    def step(carry: tuple, _: None) -> tuple[tuple, Array]:
        params, state = carry
        value, gradient = value_and_grad(params, state=state)
        updates, state = optimizer.update(gradient, state, params, value=value, grad=gradient, value_fn=loss)
        return (optax.apply_updates(params, updates), state), -value

    (params, _), values = jax.lax.scan(step, (start, optimizer.init(start)), None, num_steps)
    return params, values
