"""Expectation maximisation of linear dynamical systems, in closed form."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.checks import check_size
from seqjax.statespace.arguments import checked_tolerance
from seqjax.statespace.lds.checks import Evidence, checked_problem, dtype_of
from seqjax.statespace.lds.expectation import emissions, expectations, observed_steps, transitions
from seqjax.statespace.lds.learned import check_axes_of_learned, checked_names
from seqjax.statespace.lds.maximization import diagonal_factor, first_state, regression
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array


@struct.dataclass
class EMStep:
    """What one step of expectation maximisation came to.

    Attributes:
      params: the params after the step.
      log_likelihoods: `[*B]`, of each sequence under the params *before* the step. Their sum after the step
        is never less.
    """

    params: LDSParams
    log_likelihoods: Array


@struct.dataclass
class LDSFit:
    """What learning came to.

    Attributes:
      params: the params.
      log_likelihood: `[]`, of all sequences under these params.
      log_likelihoods: `[*B]`, of each.
      history: `[num_iterations + 1]`, the log-likelihood of all sequences at the start and after each
        iteration. It never decreases, but for rounding, and stays the same once the iterations have stopped.
      num_iterations: `[]`, how many were taken.
      converged: `[]`, whether the last one increased the log-likelihood by no more than the tolerance.
    """

    params: LDSParams
    log_likelihood: Array
    log_likelihoods: Array
    history: Array
    num_iterations: Array
    converged: Array


def fit(
    params: LDSParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    lengths: Any = None,
    fixed: tuple[str, ...] = (),
    diagonal: tuple[str, ...] = (),
    num_iterations: int = 200,
    tolerance: float = 1e-6,
    method: str = "scan",
) -> LDSFit:
    """Learns a linear dynamical system by expectation maximisation (EM) in closed form.

    Iterates `em_step` until the log-likelihood, divided by the number of observed steps, increases by no more
    than `tolerance`. The whole is one program, compiled once for options and shapes. EM finds a maximum near
    its start, slowly where states are seen through much noise; `free_entries` tells of learning by gradient.

    What is learned depends on its start in two ways. Biases are learned from zeros unless fixed, inputs only
    where the params have a matrix for them. And any regular change of the states' coordinates gives the same
    likelihood: the start decides which is found, unless `emission` or `dynamics` is fixed. A factor or a
    matrix that starts at zero may have to stay there: start from what could be true.

    Args:
      params: the start, as `lds.params` makes it.
      ys: `[T, *B, M]`, one sequence a row; what is not observed is never read.
      inputs: `[T, *B, U]`, or `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans, or `None`.
      lengths: `[*B]` integers, or `None`. What stands at and after the length is never read.
      fixed: names of fields of `LDSParams` that keep their start. These may be given one a step; the others
        not. Where the factor of a noise is given one a step, the coefficients beside it must be fixed too.
      diagonal: which of `"initial_cholesky"`, `"dynamics_cholesky"` and `"emission_cholesky"` stay diagonal,
        as they are at the start: independent noise.
      num_iterations: how many iterations to take at most.
      tolerance: nats per step that has an observation; zero stops only where nothing increases.
      method: as in `lds.smooth`.

    Returns:
      An `LDSFit`. Diffuse states stay diffuse.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape, name or value is wrong; or, outside of `jit`, the log-likelihood is not finite:
        where observations can be explained without noise, their likelihood has no maximum.

    Example:
      >>> from seqjax.statespace import lds
      >>> ys = jnp.array([[1.0], [2.1], [2.9], [4.2], [4.9], [6.0]])
      >>> start = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> found = lds.fit(start, ys, fixed=("dynamics", "emission", "emission_bias"))
      >>> found.params.dynamics_bias.round(1).tolist()
      [1.0]
    """
    fixed, diagonal, evidence = _checked(params, ys, inputs, observed, lengths, fixed, diagonal, method)
    check_size("num_iterations", num_iterations)
    options = fixed, diagonal, method
    found = _fit(options, int(num_iterations), params, evidence, checked_tolerance(tolerance))
    _check_result(found)
    return found


def em_step(
    params: LDSParams,
    ys: Any,
    *,
    inputs: Any = None,
    observed: Any = None,
    lengths: Any = None,
    fixed: tuple[str, ...] = (),
    diagonal: tuple[str, ...] = (),
    method: str = "scan",
) -> EMStep:
    """One step of expectation and maximisation (Shumway & Stoffer, 1982; Ghahramani & Hinton, 1996).

    Equations: with the moments of `lds.smooth`, the initial mean and covariance are those of the first
    states, averaged over sequences; dynamics and emission are regressions of `x_{t+1}` on `(x_t, u_t, 1)` and
    of `y_t` on the same, with the covariances of what they leave. Of what is fixed, the rest is the best
    beside it. Missing entries of a step take their expectation given the other entries and the state (Shumway
    & Stoffer, 2017, section 6.4); steps of which nothing is observed say nothing about the emission.

    Args:
      params: the params before the step.
      ys: `[T, *B, M]`.
      inputs: `[T, *B, U]`, or `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans, or `None`.
      lengths: `[*B]` integers, or `None`.
      fixed: as in `fit`.
      diagonal: as in `fit`.
      method: as in `lds.smooth`.

    Returns:
      An `EMStep`.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a shape, name or value is wrong.

    Example:
      >>> from seqjax.statespace import lds
      >>> start = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     initial_covariance=[[1.0]],
      ... )
      >>> step = lds.em_step(start, jnp.array([[1.0], [2.0], [3.0]]))
      >>> step.log_likelihoods.round(3).tolist(), step.params.emission.round(3).tolist()
      (-5.23..., [[0.57...]])
    """
    fixed, diagonal, evidence = _checked(params, ys, inputs, observed, lengths, fixed, diagonal, method)
    return _em_step((fixed, diagonal, method), params, evidence)


Options = tuple[tuple[str, ...], tuple[str, ...], str]
"""`fixed`, `diagonal` and `method`."""


@partial(jax.jit, static_argnums=0)
def _em_step(options: Options, params: LDSParams, evidence: Evidence) -> EMStep:
    """`em_step` after its arguments were looked at."""
    fixed, diagonal, method = options
    batch_shape = evidence.ys.shape[1:-1]
    params = jax.tree.map(lambda leaf: leaf.astype(dtype_of(params)), params)
    expected = expectations(params, evidence, method)
    found: dict[str, Any] = first_state(params, evidence, expected, fixed)
    for name, moments in (
        ("dynamics", transitions(params, evidence, expected)),
        ("emission", emissions(params, evidence, expected)),
    ):
        found |= regression(name, moments, params, batch_shape, fixed)
    for name in diagonal:
        found[name] = diagonal_factor(found[name])
    return EMStep(
        params=dataclasses.replace(params, **{name: found[name] for name in found if name not in fixed}),
        log_likelihoods=expected.log_normalizer.reshape(batch_shape),
    )


@partial(jax.jit, static_argnums=(0, 1))
def _fit(
    options: Options, num_iterations: int, params: LDSParams, evidence: Evidence, tolerance: Array
) -> LDSFit:
    """`fit` after its arguments were looked at."""
    params = jax.tree.map(lambda leaf: leaf.astype(dtype_of(params)), params)
    step: Callable[[LDSParams], EMStep] = partial(_em_step, options, evidence=evidence)
    places = jnp.arange(num_iterations + 1)
    weight, _ = observed_steps(evidence)
    num_observed = evidence.ys[..., 0].size if weight is None else jnp.sum(weight)
    enough = tolerance * num_observed

    def advance(state: tuple[LDSFit, Array]) -> tuple[LDSFit, Array]:
        found, at = state[0], state[0].num_iterations
        new = step(found.params)
        total = jnp.sum(new.log_likelihoods)
        gain = total - found.log_likelihood
        converged = (at > 0) & (gain <= enough)
        stop = converged | (at == num_iterations) | ~jnp.isfinite(total)
        found = LDSFit(
            params=jax.tree.map(lambda old, new: jnp.where(stop, old, new), found.params, new.params),
            log_likelihood=total,
            log_likelihoods=new.log_likelihoods,
            history=jnp.where(places >= at, total, found.history),
            num_iterations=jnp.where(stop, at, at + 1),
            converged=converged,
        )
        return found, stop

    shapes = jax.eval_shape(step, params)
    nothing = jnp.zeros((), shapes.log_likelihoods.dtype)
    found = LDSFit(
        params=params,
        log_likelihood=nothing,
        log_likelihoods=jnp.zeros_like(shapes.log_likelihoods),
        history=jnp.zeros(places.shape, nothing.dtype),
        num_iterations=jnp.zeros((), places.dtype),
        converged=jnp.zeros((), bool),
    )
    return jax.lax.while_loop(lambda state: ~state[1], advance, (found, jnp.zeros((), bool)))[0]


def _checked(
    params: Any,
    ys: Any,
    inputs: Any,
    observed: Any,
    lengths: Any,
    fixed: Any,
    diagonal: Any,
    method: Any,
) -> tuple[tuple[str, ...], tuple[str, ...], Evidence]:
    """Names and observations, after a look at them."""
    if isinstance(method, str) and method == "steady":
        raise ValueError(
            "method is 'steady', expected 'scan' or 'associative': with the moments of an approximation the "
            "likelihood could decrease."
        )
    evidence = checked_problem(params, ys, inputs, observed, None, lengths, method)
    num_steps, *batch = evidence.ys.shape[:-1]
    if num_steps * math.prod(batch) == 0:
        raise ValueError(
            f"ys has shape {evidence.ys.shape}, expected at least one step of one sequence to learn from."
        )
    fixed, diagonal = checked_names(params, fixed, diagonal)
    check_axes_of_learned(params, fixed, tuple(batch))
    return fixed, diagonal, evidence


def _check_result(found: LDSFit) -> None:
    """Refuses a result that is none, where that can be seen."""
    if isinstance(found.history, jax.core.Tracer):
        return
    history = np.asarray(found.history)
    if not np.isfinite(history).all():
        at = int(np.flatnonzero(~np.isfinite(history))[0])
        raise ValueError(
            f"the log-likelihood is {history[at]} after {at} iterations, expected a number. Look for NaN in "
            f"params, ys and inputs; if there is none, noise has vanished: fix emission_cholesky, or take "
            f"fewer iterations."
        )
