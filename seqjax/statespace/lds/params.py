"""The parameters of a linear dynamical system, and what is checked of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, kind_of
from seqjax.types import Array


@struct.dataclass
class LDSParams:
    """A linear dynamical system with Gaussian noise.

    Equations:
    `x_1 ~ N(initial_mean, initial_cholesky initial_cholesky')`,
    `y_t = emission x_t + emission_inputs u_t + emission_bias + v_t`, `v_t ~ N(0, emission_cholesky ...')`,
    `x_{t+1} = dynamics x_t + dynamics_inputs u_t + dynamics_bias + w_t`,
    `w_t ~ N(0, dynamics_cholesky ...')`.

    Any leaf may be given once, or one a step with the axes `[T, *B]` in front (batch axes may be one). Entry
    `t` belongs to step `t`; that of the dynamics leads from step `t` to step `t + 1`, the last one into the
    carry. Covariances are held as factors `C` with `C C'`: whatever real numbers an optimiser makes of them,
    they stay covariances. They need not be triangular.

    Attributes:
      initial_mean: `[N]` or `[*B, N]`.
      initial_cholesky: `[N, N]` or `[*B, N, N]`.
      dynamics: `[N, N]`.
      dynamics_cholesky: `[N, N]`.
      dynamics_bias: `[N]`.
      dynamics_inputs: `[N, U]`, or `None`.
      emission: `[M, N]`.
      emission_cholesky: `[M, M]`, regular.
      emission_bias: `[M]`.
      emission_inputs: `[M, U]`, or `None`.
      diffuse: one flag a state, static: whether nothing is known of it at the start; `None` where of none.
    """

    initial_mean: Array
    initial_cholesky: Array
    dynamics: Array
    dynamics_cholesky: Array
    dynamics_bias: Array
    emission: Array
    emission_cholesky: Array
    emission_bias: Array
    dynamics_inputs: Array | None = None
    emission_inputs: Array | None = None
    diffuse: tuple[bool, ...] | None = struct.field(pytree_node=False, default=None)

    @property
    def state_size(self) -> int:
        """`N`."""
        return self.dynamics.shape[-1]

    @property
    def observation_size(self) -> int:
        """`M`."""
        return self.emission.shape[-2]

    @property
    def initial_covariance(self) -> Array:
        """`[..., N, N]`; zero for diffuse states."""
        return _squared(self.initial_cholesky)

    @property
    def dynamics_covariance(self) -> Array:
        """`[..., N, N]`."""
        return _squared(self.dynamics_cholesky)

    @property
    def emission_covariance(self) -> Array:
        """`[..., M, M]`."""
        return _squared(self.emission_cholesky)


def _squared(factor: Array) -> Array:
    return jnp.einsum("...ik,...jk->...ij", factor, factor, precision=jax.lax.Precision.HIGHEST)


def params(
    *,
    dynamics: Any,
    dynamics_covariance: Any,
    emission: Any,
    emission_covariance: Any,
    initial_mean: Any = None,
    initial_covariance: Any = None,
    diffuse: Sequence[bool] | bool | None = None,
    dynamics_bias: Any = None,
    emission_bias: Any = None,
    dynamics_inputs: Any = None,
    emission_inputs: Any = None,
) -> LDSParams:
    """Parameters from covariances.

    Every matrix and bias may be given once, or one a step with axes `[T, *B]` in front.

    Args:
      dynamics: `[N, N]`.
      dynamics_covariance: `[N, N]`, symmetric, positive semidefinite.
      emission: `[M, N]`.
      emission_covariance: `[M, M]`, symmetric, positive definite.
      initial_mean: `[N]` or `[*B, N]`; `None` for zeros.
      initial_covariance: `[N, N]` or `[*B, N, N]`, symmetric, positive semidefinite. `None` if every state is
        diffuse.
      diffuse: one flag a state, or one for all: nothing is known of these states at the start. Their rows and
        columns of `initial_covariance` are not read.
      dynamics_bias: `[N]`; `None` for zeros.
      emission_bias: `[M]`; `None` for zeros.
      dynamics_inputs: `[N, U]`; `None` if inputs do not drive the states.
      emission_inputs: `[M, U]`; `None` if inputs do not reach the observations directly.

    Returns:
      `LDSParams` with a Cholesky factor in place of each covariance.

    Raises:
      TypeError: if an argument is no array of real numbers.
      ValueError: if a shape does not fit, a covariance is not symmetric or not positive, or nothing says how
        the states start. Values are looked at where they are concrete, that is outside of `jit`.

    Example:
      >>> level = params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[4.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[9.0]],
      ...     diffuse=True,
      ... )
      >>> level.dynamics_cholesky.tolist(), level.emission_cholesky.tolist(), level.diffuse
      ([[2.0]], [[3.0]], (True,))
    """
    dynamics = _matrix("dynamics", dynamics)
    num_states = dynamics.shape[-1]
    if dynamics.shape[-2] != num_states:
        raise ValueError(f"dynamics has shape {dynamics.shape}, expected a square matrix [N, N].")
    emission = _matrix("emission", emission)
    if emission.shape[-1] != num_states:
        raise ValueError(
            f"emission has shape {emission.shape}, expected [M, {num_states}]: one column for each of the "
            f"{num_states} states of dynamics."
        )
    num_observed = emission.shape[-2]
    flags = _diffuse(diffuse, num_states)
    if initial_covariance is None:
        if flags is None or not all(flags):
            raise ValueError(
                "initial_covariance is None, but not every state is diffuse: pass "
                "initial_covariance=[[...]], or diffuse=True if nothing is known of the first state."
            )
        initial_covariance = jnp.zeros((num_states, num_states), dynamics.dtype)
    dtype = jnp.result_type(dynamics, emission)
    leaves: dict[str, Any] = {
        "initial_mean": _vector("initial_mean", initial_mean, num_states, dtype),
        "initial_cholesky": _factor("initial_covariance", initial_covariance, num_states, flags),
        "dynamics_cholesky": _factor("dynamics_covariance", dynamics_covariance, num_states),
        "dynamics_bias": _vector("dynamics_bias", dynamics_bias, num_states, dtype),
        "dynamics_inputs": _inputs("dynamics_inputs", dynamics_inputs, num_states),
        "emission_cholesky": _factor("emission_covariance", emission_covariance, num_observed, definite=True),
        "emission_bias": _vector("emission_bias", emission_bias, num_observed, dtype),
        "emission_inputs": _inputs("emission_inputs", emission_inputs, num_observed),
    }
    return LDSParams(dynamics=dynamics, emission=emission, diffuse=flags, **leaves)


def _diffuse(diffuse: Any, num_states: int) -> tuple[bool, ...] | None:
    """One flag a state, or nothing where no state is diffuse."""
    if diffuse is None:
        return None
    given = np.asarray(diffuse)
    if given.dtype != np.bool_ or given.shape not in ((), (num_states,)):
        raise ValueError(
            f"diffuse is {diffuse!r}, expected True, or one flag for each of the {num_states} states."
        )
    flags = tuple(bool(flag) for flag in np.broadcast_to(given, (num_states,)))
    return flags if any(flags) else None


def _real(name: str, value: Any) -> Array:
    """A floating array of at least the default dtype's precision."""
    array = as_array(name, value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating) or array.dtype == jnp.bool_:
        raise TypeError(f"{name} is {kind_of(array)}, expected real numbers.")
    return array.astype(jnp.promote_types(array.dtype, ops.default_dtype()))


def _matrix(name: str, value: Any) -> Array:
    matrix = _real(name, value)
    if matrix.ndim < 2 or 0 in matrix.shape[-2:]:
        hint = f" A scalar is [[{value}]]." if matrix.ndim == 0 and isinstance(value, (int, float)) else ""
        raise ValueError(f"{name} has shape {matrix.shape}, expected a matrix.{hint}")
    return matrix


def _vector(name: str, value: Any, size: int, dtype: Any) -> Array:
    if value is None:
        return jnp.zeros((size,), dtype)
    vector = _real(name, value)
    if vector.ndim < 1 or vector.shape[-1] != size:
        raise ValueError(f"{name} has shape {vector.shape}, expected it to end with {size}.")
    return vector


def _inputs(name: str, value: Any, size: int) -> Array | None:
    if value is None:
        return None
    matrix = _matrix(name, value)
    if matrix.shape[-2] != size:
        raise ValueError(
            f"{name} has shape {matrix.shape}, expected [{size}, U]: a column for each input, which is all "
            "that decides U."
        )
    return matrix


def _factor(
    name: str, value: Any, size: int, left_out: tuple[bool, ...] | None = None, *, definite: bool = False
) -> Array:
    """The Cholesky factor of a covariance, after a look at its shape and values."""
    covariance = _matrix(name, value)
    if covariance.shape[-2:] != (size, size):
        raise ValueError(f"{name} has shape {covariance.shape}, expected it to end with {(size, size)}.")
    if left_out is not None:
        known = ~jnp.array(left_out)
        covariance = jnp.where(known & known[:, None], covariance, 0)
    if not isinstance(covariance, jax.core.Tracer):
        eps = float(jnp.finfo(covariance.dtype).eps)
        _check_covariance(name, np.asarray(covariance, float), eps, definite)
    return _cholesky(covariance)


# One compilation in place of one for each operation of it.
_cholesky = jax.jit(ops.cholesky)


def _check_covariance(name: str, matrix: np.ndarray, eps: float, definite: bool) -> None:
    """Refuses NaN, a matrix that is not symmetric, and one with a negative eigenvalue, and says where."""
    mirrored = np.swapaxes(matrix, -1, -2)
    size = matrix.shape[-1]
    spread = np.sqrt(np.abs(np.diagonal(matrix, axis1=-2, axis2=-1)))
    scale = spread[..., :, None] * spread[..., None, :]
    if not np.isfinite(matrix).all():
        place = _first(~np.isfinite(matrix))
        raise ValueError(f"{name} has the value {matrix[place]} at {place}, expected finite numbers.")
    wrong = np.abs(matrix - mirrored) > 10 * eps * np.maximum(scale, np.abs(matrix))
    if wrong.any():
        place = _first(wrong)
        raise ValueError(
            f"{name} is not symmetric: {matrix[place]:.6g} at {place}, but {mirrored[place]:.6g} on the "
            "other side. Pass (A + A.T) / 2 if that is rounding error."
        )
    # Scaled to a unit diagonal, so that no state's unit decides what counts as rounding error.
    unit = np.where(scale > 0, matrix / np.where(scale > 0, scale, 1), matrix)
    smallest = np.linalg.eigvalsh(unit)[..., 0]
    bound = 0.0 if definite else -10 * size * eps
    wrong = ~(smallest > bound) if definite else smallest < bound
    if wrong.any():
        place = _first(wrong)
        value = np.linalg.eigvalsh(matrix[place])[0]
        kind = "definite" if definite else "semidefinite"
        where = f" at {place}" if place else ""
        raise ValueError(
            f"{name} is not positive {kind}: its smallest eigenvalue{where} is {value:.6g}. Its factor is "
            "not what is asked for: pass A @ A.T for a factor A."
        )


def _first(wrong: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argwhere(wrong)[0])
