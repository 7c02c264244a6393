"""Arguments of inference in linear dynamical systems, looked at before anything is computed from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax.numpy as jnp

from seqjax.checks import as_array, kind_of, shown
from seqjax.statespace.lds.axes import (
    check_axes,
    check_params,
    check_time_invariant,
    checked_inputs,
    dtype_of,
    floating,
)
from seqjax.statespace.lds.beliefs import LDSBelief
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array
from seqjax.unroll import check_no_list, checked_lengths, sequence_shape


class Evidence(NamedTuple):
    """What is given besides the parameters, as arrays of fitting shapes.

    Attributes:
      ys: `[T, *B, M]`.
      inputs: `[T, *B, U]`, or `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans, or `None`.
      carry: the belief about the first step, with the batch axes of `ys`, or `None`.
      lengths: `[*B]` integers, or `None`.
    """

    ys: Array
    inputs: Array | None
    observed: Array | None
    carry: LDSBelief | None
    lengths: Array | None


def checked_evidence(
    params: LDSParams, ys: Any, inputs: Any, observed: Any, carry: Any, lengths: Any
) -> Evidence:
    """Observations and what belongs to them, after a look at shapes and dtypes.

    Args:
      params: the parameters that they should fit.
      ys: `[T, *B, M]`.
      inputs: `[T, *B, U]`, or `None`.
      observed: `[T, *B]` or `[T, *B, M]` booleans, or `None`.
      carry: an `LDSBelief`, or `None`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      The same as arrays.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, or a concrete value in `lengths`, does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> model = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> checked_evidence(model, jnp.ones((5, 2)), None, None, None, None)
      Traceback (most recent call last):
      ValueError: ys has feature size 2, but these params have 1 observed features. ...
    """
    check_params(params)
    check_no_list(ys, "ys")
    ys = floating("ys", ys, dtype_of(params))
    num_steps, batch_shape = sequence_shape(ys, "ys")
    if ys.shape[-1] != params.observation_size:
        raise ValueError(
            f"ys has feature size {ys.shape[-1]}, but these params have {params.observation_size} observed "
            "features. Pass all of them: missing ones are told by observed."
        )
    check_axes(params, num_steps, batch_shape, "ys")
    inputs = checked_inputs(params, inputs, num_steps, batch_shape, "ys")
    if observed is not None:
        observed = _checked_observed(observed, ys.shape)
    if carry is not None:
        carry = checked_belief(params, carry, batch_shape)
    if lengths is not None:
        lengths = checked_lengths(lengths, num_steps, batch_shape)
    return Evidence(ys, inputs, observed, carry, lengths)


METHODS = ("scan", "associative", "steady")


def checked_problem(
    params: LDSParams, ys: Any, inputs: Any, observed: Any, carry: Any, lengths: Any, method: str
) -> Evidence:
    """Observations and what belongs to them, after a look at everything that inference is given.

    Args:
      params: the parameters.
      ys: as for `checked_evidence`, and so on to `lengths`.
      inputs: the inputs.
      observed: the mask.
      carry: the belief before.
      lengths: the lengths.
      method: the name of a method.

    Returns:
      `Evidence`.

    Raises:
      TypeError: if a type or dtype does not fit.
      ValueError: if a shape, a value in `lengths` or the method does not fit.

    Example:
      >>> from seqjax.statespace import lds
      >>> model = lds.params(
      ...     dynamics=[[1.0]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> checked_problem(model, jnp.ones((5, 1)), None, None, None, None, "parallel")
      Traceback (most recent call last):
      ValueError: method is 'parallel', expected one of 'scan', 'associative', 'steady'.
    """
    if not isinstance(method, str) or method not in METHODS:
        raise ValueError(f"method is {shown(method)}, expected one of {', '.join(map(repr, METHODS))}.")
    evidence = checked_evidence(params, ys, inputs, observed, carry, lengths)
    if method == "steady":
        check_time_invariant(params)
        if observed is not None:
            raise ValueError(
                "observed is given, but method='steady' has one gain for all steps: use method='scan' or "
                "'associative'."
            )
    return evidence


def _checked_observed(observed: Any, shape: tuple[int, ...]) -> Array:
    observed = as_array("observed", observed)
    if observed.dtype != jnp.bool_:
        raise TypeError(
            f"observed has dtype {observed.dtype}, expected booleans: ~jnp.isnan(ys), for example."
        )
    if observed.shape not in (shape, shape[:-1]):
        raise ValueError(
            f"observed has shape {observed.shape}, expected {shape[:-1]}, one flag a step, or {shape}, one "
            "an entry of ys."
        )
    return observed


def checked_belief(params: LDSParams, carry: Any, batch_shape: tuple[int, ...]) -> LDSBelief:
    """A belief about the next step, after a look at its shapes.

    Args:
      params: the params.
      carry: the argument of that name.
      batch_shape: the shape of `*B`.

    Returns:
      The belief, its leaves in the params' dtype.

    Raises:
      TypeError: if it is no `LDSBelief`.
      ValueError: if a shape does not fit.

    Example:
      >>> checked_belief(None, (0.0, 1.0), ())
      Traceback (most recent call last):
      TypeError: carry is a tuple, expected an LDSBelief: the carry that filter returns, or
        lds.LDSBelief(mean=..., ...
    """
    if not isinstance(carry, LDSBelief):
        raise TypeError(
            f"carry is {kind_of(carry)}, expected an LDSBelief: the carry that filter returns, or "
            f"lds.LDSBelief(mean=..., cholesky=...)."
        )
    size = params.state_size
    leaves = {}
    for field, shape in {"mean": (*batch_shape, size), "cholesky": (*batch_shape, size, size)}.items():
        leaf = floating(f"carry.{field}", getattr(carry, field), dtype_of(params))
        if leaf.shape != shape:
            raise ValueError(
                f"carry.{field} has shape {leaf.shape}, expected {shape}: the batch axes, then the states."
            )
        leaves[field] = leaf
    return LDSBelief(**leaves)
