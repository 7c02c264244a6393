"""The covariances that a time-invariant system converges to."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.ops.small_matrices import (
    identity,
    solve_triangular,
    transpose,
    triangularize,
)
from seqjax.statespace.lds import associative
from seqjax.statespace.lds.axes import check_params, check_time_invariant, dtype_of, is_traced
from seqjax.statespace.lds.beliefs import SteadyState
from seqjax.statespace.lds.conditioning import predict, update
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array

NUM_DOUBLINGS = 32
"""Steps are doubled that often: four thousand million of them."""


def steady_state(params: LDSParams) -> SteadyState:
    """The covariances that filtering converges to, and the gain: the discrete algebraic Riccati equation.

    Equation: the stabilising solution of `P = F P F' - F P H' (H P H' + R)^-1 H P F' + Q` for dynamics `F`
      and emission `H`.

    Solved by doubling (Anderson, 1978; Chu, Fan, Lin & Wang, 2004): what a stretch of `2^k` steps does to a
    belief is squared 32 times, in factors of covariances, as in the associative filter.

    Args:
      params: the parameters, none of whose covariances and matrices varies in time. The initial belief plays
        no part.

    Returns:
      `SteadyState`. Under `jit`, it is NaN where the covariances do not converge.

    Raises:
      TypeError: if `params` are no `LDSParams`.
      ValueError: if a matrix varies in time, or the covariances do not converge.

    Example:
      >>> from seqjax.statespace import lds
      >>> level = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[2.0]],
      ...     diffuse=True,
      ... )
      >>> steady_state(level).gain.round(3).tolist()
      [[0.5]]
    """
    check_params(params)
    check_time_invariant(params)
    steady = _steady_state(params)
    if not is_traced(params) and bool(jnp.isnan(steady.predicted_cholesky).any()):
        raise ValueError(
            "the covariances of params do not converge: expected every state that does not decay by itself "
            "to be observed, alone or through others. Leave out the states that are not."
        )
    return steady


@jax.jit
def _steady_state(params: LDSParams) -> SteadyState:
    params = jax.tree.map(lambda leaf: leaf.astype(dtype_of(params)), params)
    dynamics, noise = (leaf[..., None, None] for leaf in (params.dynamics, params.dynamics_cholesky))
    emission_factor = triangularize(params.emission_cholesky[..., None, None])
    emission = solve_triangular(emission_factor, params.emission[..., None, None])
    predicted = steady_factor(dynamics, noise, emission)
    given = update(predicted, emission)
    # From residuals in units of the noise to residuals.
    gain = transpose(solve_triangular(emission_factor, transpose(given.gain), transposed=True))
    return SteadyState(*(leaf[..., 0, 0] for leaf in (predicted, given.filtered, gain)))


def steady_factor(dynamics: Array, noise: Array, emission: Array) -> Array:
    """The factor that predicted covariances converge to; NaN where they do not.

    Args:
      dynamics: `[N, N, 1, 1]`.
      noise: `[N, N, 1, 1]`.
      emission: `[M, N, 1, 1]`, whitened.

    Returns:
      `[N, N, 1, 1]`.
    """
    one_step = associative.stretch(dynamics, noise, emission)

    def double(steps: associative.Stretch, _: None) -> tuple[associative.Stretch, None]:
        return associative.joined(steps, steps), None

    many_steps, _ = jax.lax.scan(double, one_step, None, length=NUM_DOUBLINGS)
    # Started from some uncertainty in every direction, it also converges where no noise enters a state.
    start = associative.starting_from(identity(dynamics.shape[0], dynamics))
    factor = associative.joined(start, many_steps).noise
    again = predict(dynamics, update(factor, emission).filtered, noise)
    scale = jnp.sqrt(jnp.sum(factor**2, axis=1))
    near = jnp.sqrt(jnp.finfo(factor.dtype).eps) * scale
    converged = jnp.all(jnp.abs(jnp.sqrt(jnp.sum(again**2, axis=1)) - scale) <= near)
    return jnp.where(converged, factor, jnp.nan)
