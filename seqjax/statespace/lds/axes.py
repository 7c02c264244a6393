"""Whether parameters of a linear dynamical system fit each other, a sequence, and the inputs beside it."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import as_array, kind_of
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array


def check_params(params: LDSParams) -> None:
    """Refuses what is not `LDSParams`.

    Args:
      params: the argument of that name.

    Raises:
      TypeError: if it is anything else.

    Example:
      >>> check_params({})
      Traceback (most recent call last):
      TypeError: params is a dict, expected LDSParams: lds.params(...) makes them from covariances.
    """
    if not isinstance(params, LDSParams):
        raise TypeError(
            f"params is {kind_of(params)}, expected LDSParams: lds.params(...) makes them from covariances."
        )


def dtype_of(params: LDSParams) -> jnp.dtype:
    """The dtype of everything that is computed from these params: at least float32.

    Args:
      params: the params.

    Returns:
      A floating dtype.

    Example:
      >>> from seqjax.statespace import lds
      >>> dtype_of(
      ...     lds.params(
      ...         dynamics=[[1.0]],
      ...         dynamics_covariance=[[1.0]],
      ...         emission=[[1.0]],
      ...         emission_covariance=[[1.0]],
      ...         diffuse=True,
      ...     )
      ... )
      dtype('float32')
    """
    return ops.accumulation_dtype(jnp.result_type(*jax.tree.leaves(params)))


def floating(name: str, value: Any, dtype: Any) -> Array:
    """Real numbers as an array of the params' dtype.

    Args:
      name: the argument's name.
      value: an array or nested lists of numbers.
      dtype: the dtype to give them.

    Returns:
      The array.

    Raises:
      TypeError: if they are no real numbers.

    Example:
      >>> floating("ys", [1, 2], jnp.float32)
      Array([1., 2.], dtype=float32)
    """
    array = as_array(name, value)
    if jnp.issubdtype(array.dtype, jnp.complexfloating) or array.dtype == jnp.bool_:
        raise TypeError(f"{name} is {kind_of(array)}, expected real numbers.")
    return array.astype(dtype)


def is_traced(*trees: Any) -> bool:
    """Whether any leaf is a tracer, whose value cannot be looked at.

    Args:
      *trees: pytrees.

    Returns:
      True inside of `jit`, `grad` and the like.

    Example:
      >>> is_traced(jnp.ones(3))
      False
    """
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(trees))


def check_time_invariant(params: LDSParams) -> None:
    """Refuses params of which a matrix is given once a step.

    Args:
      params: the params.

    Raises:
      ValueError: if a matrix that covariances depend on has a time axis.

    Example:
      >>> from seqjax.statespace import lds
      >>> check_time_invariant(
      ...     lds.params(
      ...         dynamics=jnp.ones((5, 1, 1)),
      ...         dynamics_covariance=[[1.0]],
      ...         diffuse=True,
      ...         emission=[[1.0]],
      ...         emission_covariance=[[2.0]],
      ...     )
      ... )
      Traceback (most recent call last):
      ValueError: params.dynamics has shape (5, 1, 1), expected one matrix for all steps: nothing is steady
        where ...
    """
    for field in ("dynamics", "dynamics_cholesky", "emission", "emission_cholesky"):
        leaf = getattr(params, field)
        if leaf.ndim != 2:
            raise ValueError(
                f"params.{field} has shape {leaf.shape}, expected one matrix for all steps: nothing is "
                "steady where matrices vary. Use method='scan' or 'associative'."
            )


# Each field of the params, with the rank that it has when it is given once and not one a step.
_RANKS = {
    "dynamics": 2,
    "dynamics_cholesky": 2,
    "dynamics_bias": 1,
    "dynamics_inputs": 2,
    "emission": 2,
    "emission_cholesky": 2,
    "emission_bias": 1,
    "emission_inputs": 2,
}


def check_axes(params: LDSParams, num_steps: int, batch_shape: tuple[int, ...], name: str) -> None:
    """Refuses params whose time and batch axes do not fit a sequence.

    Args:
      params: the params.
      num_steps: `T`.
      batch_shape: the shape of `*B`.
      name: what these come from, for the error.

    Raises:
      ValueError: if a leaf has other axes in front than none or `[T, *B]`.

    Example:
      >>> from seqjax.statespace import lds
      >>> model = lds.params(
      ...     dynamics=jnp.ones((5, 1, 1)),
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> check_axes(model, 4, (), "ys")
      Traceback (most recent call last):
      ValueError: params.dynamics has shape (5, 1, 1), expected the matrix alone, or one a step with axes (4,)
        ...
    """
    for field, rank in _RANKS.items():
        leaf = getattr(params, field)
        if leaf is None or leaf.ndim == rank:
            continue
        axes = leaf.shape[: max(leaf.ndim - rank, 0)]
        fits = leaf.ndim == rank + 1 + len(batch_shape) and axes[0] == num_steps
        if not fits or any(own not in (1, size) for own, size in zip(axes[1:], batch_shape, strict=True)):
            kind = "matrix" if rank == 2 else "vector"
            raise ValueError(
                f"params.{field} has shape {leaf.shape}, expected the {kind} alone, or one a step with axes "
                f"{(num_steps, *batch_shape)} in front, those of {name} (1 for a batch axis that it is "
                "shared along)."
            )
    for field, rank in {"initial_mean": 1, "initial_cholesky": 2}.items():
        leaf = getattr(params, field)
        axes = leaf.shape[: leaf.ndim - rank]
        if axes and (
            len(axes) != len(batch_shape)
            or any(own not in (1, size) for own, size in zip(axes, batch_shape, strict=True))
        ):
            raise ValueError(
                f"params.{field} has shape {leaf.shape}, expected no axes in front, or {batch_shape}, the "
                f"batch axes of {name}."
            )


def checked_inputs(
    params: LDSParams, inputs: Any, num_steps: int, batch_shape: tuple[int, ...], name: str
) -> Array | None:
    """Inputs as an array, after a look at whether the params read them and at their shape.

    Args:
      params: the params.
      inputs: `[T, *B, U]`, or `None`.
      num_steps: `T`.
      batch_shape: the shape of `*B`.
      name: what the axes come from, for the error.

    Returns:
      The array, or `None`.

    Raises:
      TypeError: if they are no real numbers.
      ValueError: if inputs are missing, not read, or of another shape.

    Example:
      >>> from seqjax.statespace import lds
      >>> model = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> checked_inputs(model, jnp.ones((5, 2)), 5, (), "ys")
      Traceback (most recent call last):
      ValueError: inputs are given, but these params read none: dynamics_inputs and emission_inputs are None.
    """
    readers = {
        field: leaf.shape[-1]
        for field in ("dynamics_inputs", "emission_inputs")
        if (leaf := getattr(params, field)) is not None
    }
    if inputs is None:
        if readers:
            raise ValueError(f"inputs is None, but these params have {' and '.join(readers)}: pass inputs.")
        return None
    if not readers:
        raise ValueError(
            "inputs are given, but these params read none: dynamics_inputs and emission_inputs are None."
        )
    inputs = floating("inputs", inputs, dtype_of(params))
    for field, size in readers.items():
        expected = (num_steps, *batch_shape, size)
        if inputs.shape != expected:
            raise ValueError(
                f"inputs has shape {inputs.shape}, expected {expected}: the time and batch axes of {name}, "
                f"and the columns of params.{field}."
            )
    return inputs
