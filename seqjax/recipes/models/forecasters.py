"""Models of one series, each fitted to its first steps, and what they say of the steps after every step.

A fit takes `known[T', 1]`, what it learns from, and `ys[T, 1]`, all steps, and returns the forecasts `[T, S]`
with the params. Entry `t, s` of the forecasts is what is said of step `t + s + 1` knowing `ys[: t + 1]`: the
step after in truth, those after it in closed loop, where what was said of a step stands for it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from seqjax import memoryless
from seqjax.layers import Layer, streaming_step
from seqjax.memoryless import ar
from seqjax.statespace import lds
from seqjax.types import Array, Params


def fit_ar(known: Array, ys: Array, horizon: int, max_order: int) -> tuple[Array, Params]:
    """A linear autoregression by least squares, of the order that has the least AIC.

    Args:
      known: `[T', 1]`, what it learns from.
      ys: `[T, 1]`, all steps.
      horizon: `S`.
      max_order: the largest order that is tried.

    Returns:
      The forecasts `[T, S]`, where `T` has at least as many steps before it as the order, and the params.

    Example:
      >>> ys = 0.9 ** jnp.arange(9.0)[:, None] * jnp.where(jnp.arange(9) % 3 == 0, 1, -1)[:, None]
      >>> fit_ar(ys, ys, 2, 1)[0].shape
      (9, 2)
    """
    params = ar.fit(known, max(int(ar.select_order(known, max_order).order), 1)).params
    order = params.coefficients.shape[0]
    # Each step is a series of a batch: the window that ends with it.
    windows = jnp.stack([jnp.roll(ys, back, axis=0) for back in reversed(range(order))])
    return ar.forecast(params, windows, horizon).mean[..., 0].T, params


def fit_lds(known: Array, ys: Array, horizon: int, start: lds.LDSParams, num_iterations: int) -> tuple:
    """A linear dynamical system by EM.

    Args:
      known: `[T', 1]`, what it learns from.
      ys: `[T, 1]`, all steps.
      horizon: `S`.
      start: where EM starts.
      num_iterations: its iterations.

    Returns:
      The forecasts `[T, S]` and the params.

    Example:
      >>> ys = jnp.array([1.0, -1.0, 1.2, -0.8])[:, None]
      >>> fit_lds(ys, ys, 2, damped_waves(2, period=2.0), 1)[0].shape  # doctest: +SKIP
      (4, 2)
    """
    params = lds.fit(start, known, num_iterations=num_iterations).params
    filtered = lds.filter(params, ys)
    beliefs = lds.LDSBelief(  # about the step after each
        mean=jnp.concatenate([filtered.predicted_mean[1:], filtered.carry.mean[None]]),
        cholesky=jnp.concatenate([filtered.predicted_cholesky[1:], filtered.carry.cholesky[None]]),
    )
    return lds.forecast(params, beliefs, horizon).observation_mean[..., 0].T, params


def damped_waves(num_states: int, period: float) -> lds.LDSParams:
    """A linear dynamical system of oscillations that fade, of a period and its halves, thirds, ...

    Args:
      num_states: two for each oscillation; one that is left over fades without turning.
      period: the steps of the slowest.

    Returns:
      `LDSParams` that observe the sum of the oscillations, with noise.

    Example:
      >>> damped_waves(2, period=4.0).dynamics.round(2).tolist()
      [[0.0, 0.949...], [-0.949..., 0.0]]
    """
    dynamics = 0.9 * np.eye(num_states)
    for number in range(num_states // 2):
        turn = 2 * np.pi * (number + 1) / period
        block = [[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]
        dynamics[2 * number :, 2 * number :][:2, :2] = 0.95 * np.array(block)
    return lds.params(
        dynamics=dynamics.astype(np.float32),
        dynamics_covariance=0.1 * np.eye(num_states, dtype=np.float32),
        emission=(np.arange(num_states) % 2 == 0).astype(np.float32)[None],
        emission_covariance=np.full((1, 1), 0.1, np.float32),
        initial_covariance=np.eye(num_states, dtype=np.float32),
    )


class Network(NamedTuple):
    """What is trained and how it forecasts.

    Attributes:
      layer: reads the series, a step at a time.
      loss: `(params, known[T', 1])` to a number.
      ahead: `(params, carry, y[1])` to the forecasts `[S]` after a step that `carry` has not read.
    """

    layer: Layer
    loss: Callable[[Params, Array], Array]
    ahead: Callable[[Params, Any, Array], Array]


def reads_and_says_next(layer: Layer, horizon: int) -> Network:
    """A layer that reads a step and says the next, and learns from true steps.

    Args:
      layer: of one feature and one output.
      horizon: `S`.

    Returns:
      A `Network`.

    Example:
      >>> network = reads_and_says_next(memoryless.tdnn(2, (), 1), horizon=3)
      >>> network.layer.output_size(1)
      1
    """

    def loss(params: Params, known: Array) -> Array:
        return jnp.mean((layer.unroll(params, known[:-1])[1] - known[1:]) ** 2)

    def ahead(params: Params, carry: Any, y: Array) -> Array:
        def step(state: tuple, _: None) -> tuple[tuple, Array]:
            carry, y = streaming_step(layer)(params, *state)
            return (carry, y), y[0]

        return jax.lax.scan(step, (carry, y), None, horizon)[1]

    return Network(layer, loss, ahead)


def simulates(taps: int, hidden_size: int, horizon: int) -> Network:
    """A NARX network that learns in closed loop: from each step on, it simulates those after.

    Args:
      taps: the steps that it sees.
      hidden_size: its hidden units.
      horizon: `S`, also how far it simulates while it learns.

    Returns:
      A `Network`.

    Example:
      >>> simulates(2, 3, horizon=3).layer.output_size(1)
      1
    """
    make = functools.partial(memoryless.narx, 0, taps, (hidden_size,), 1)
    teacher, simulator = make(feedback="teacher"), make(feedback="own")

    def ahead(params: Params, carry: Any, y: Array) -> Array:
        carry, _ = streaming_step(teacher)(params, carry, y)
        return simulator.unroll(params, jnp.zeros((horizon, 0)), carry=carry)[1][:, 0]

    def loss(params: Params, known: Array) -> Array:
        forecasts = jax.vmap(functools.partial(ahead, params))(_carries(teacher, params, known), known)
        targets = jnp.stack([jnp.roll(known[:, 0], -later) for later in range(1, horizon + 1)], axis=1)
        return jnp.mean((forecasts - targets)[:-horizon] ** 2)

    return Network(teacher, loss, ahead)


def fit_network(
    known: Array,
    ys: Array,
    network: Network,
    optimizer: optax.GradientTransformation,
    num_steps: int,
    keys: Array,
) -> tuple[Array, Params]:
    """An ensemble of networks, each trained on all known steps at once.

    Args:
      known: `[T', 1]`, what it learns from.
      ys: `[T, 1]`, all steps.
      network: what is trained.
      optimizer: of optax.
      num_steps: gradient steps.
      keys: one for each member.

    Returns:
      The forecasts `[T, S]`, the mean of those of the members, and their params, stacked.

    Example:
      >>> network = reads_and_says_next(memoryless.tdnn(2, (), 1), horizon=3)
      >>> ys = jnp.ones((5, 1))
      >>> fit_network(ys, ys, network, optax.sgd(0.1), 2, jax.random.split(jax.random.key(0), 2))[0].shape
      (5, 3)
    """

    def step(state: tuple, _: None) -> tuple[tuple, None]:
        params, moments = state
        updates, moments = optimizer.update(jax.grad(network.loss)(params, known), moments, params)
        return (optax.apply_updates(params, updates), moments), None

    @jax.jit
    @jax.vmap
    def member(key: Array) -> tuple[Array, Params]:
        params = network.layer.init(key, 1)
        (params, _), _ = jax.lax.scan(step, (params, optimizer.init(params)), None, num_steps)
        ahead = jax.vmap(functools.partial(network.ahead, params))
        return ahead(_carries(network.layer, params, ys), ys), params

    forecasts, params = member(keys)
    return forecasts.mean(axis=0), params


def _carries(layer: Layer, params: Params, ys: Array) -> Any:
    """The carry before each step."""

    def step(carry: Any, y: Array) -> tuple[Any, Any]:
        return streaming_step(layer)(params, carry, y)[0], carry

    return jax.lax.scan(step, layer.initial_carry(params), ys)[1]
