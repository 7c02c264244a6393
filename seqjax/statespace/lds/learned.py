"""What of a linear dynamical system is learned, and what keeps its value."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import shown
from seqjax.statespace.lds.checks import check_params
from seqjax.statespace.lds.params import LDSParams
from seqjax.types import Array

RANKS = {
    "initial_mean": 1,
    "initial_cholesky": 2,
    "dynamics": 2,
    "dynamics_cholesky": 2,
    "dynamics_bias": 1,
    "dynamics_inputs": 2,
    "emission": 2,
    "emission_cholesky": 2,
    "emission_bias": 1,
    "emission_inputs": 2,
}
"""The fields that can be learned, with the rank that each has when it is given once and not one a step."""

FACTORS = ("initial_cholesky", "dynamics_cholesky", "emission_cholesky")
"""The fields that can be held diagonal."""


def checked_names(params: LDSParams, fixed: Any, diagonal: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names of what is fixed and of what is diagonal.

    Args:
      params: the params.
      fixed: names among `RANKS`.
      diagonal: names among `FACTORS`.

    Returns:
      Both, sorted.

    Raises:
      TypeError: if one is no tuple or list.
      ValueError: if a name is unknown or in both, all are fixed, or a factor that is to stay diagonal is not.

    Example:
      >>> checked_names(None, ("transition",), ())
      Traceback (most recent call last):
      ValueError: fixed has 'transition', expected some of 'initial_mean', 'initial_cholesky', ...
    """
    for name, names, known in (("fixed", fixed, tuple(RANKS)), ("diagonal", diagonal, FACTORS)):
        expected = f"expected some of {', '.join(map(repr, known))}"
        if not isinstance(names, (tuple, list)):
            raise TypeError(f"{name} is {shown(names)}, {expected}, as a tuple.")
        for entry in names:
            if entry not in known:
                raise ValueError(f"{name} has {shown(entry)}, {expected}.")
    if all(field in fixed or getattr(params, field) is None for field in RANKS):
        raise ValueError("fixed has every field of params, expected some that are left to learn.")
    for field in diagonal:
        if field in fixed:
            raise ValueError(f"diagonal has {field!r}, which fixed has too: expected it in one of them.")
        _check_diagonal(field, getattr(params, field))
    return tuple(sorted(set(fixed))), tuple(sorted(set(diagonal)))


def _check_diagonal(field: str, factor: Array) -> None:
    """Refuses a start that is not of the structure that learning gives it, where that can be seen."""
    if isinstance(factor, jax.core.Tracer):
        return
    values = np.asarray(factor)
    outside = values * (1 - np.eye(values.shape[-1]))
    for where in np.argwhere(outside != 0)[:1]:
        place = tuple(int(i) for i in where)
        raise ValueError(
            f"params.{field} has the value {values[place]:.6g} at {place}, expected a diagonal factor: "
            f"diagonal names it. Start from a covariance without correlations."
        )


def check_axes_of_learned(params: LDSParams, fixed: tuple[str, ...], batch_shape: tuple[int, ...]) -> None:
    """Refuses to learn what is given one a step, and the coefficients beside such a noise.

    Args:
      params: the params.
      fixed: names of what is not learned.
      batch_shape: the shape of `*B`.

    Raises:
      ValueError: if a field that is learned has axes in front.

    Example:
      >>> from seqjax.statespace import lds
      >>> model = lds.params(
      ...     dynamics=jnp.ones((5, 1, 1)),
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0]],
      ...     emission_covariance=[[1.0]],
      ...     diffuse=True,
      ... )
      >>> check_axes_of_learned(model, (), ())
      Traceback (most recent call last):
      ValueError: params.dynamics has shape (5, 1, 1), expected one matrix for all steps: only what is ...
    """
    for field, rank in RANKS.items():
        leaf = getattr(params, field)
        if leaf is None or leaf.ndim == rank:
            continue
        kind = "matrix" if rank == 2 else "vector"
        if field.startswith("initial_"):
            if field not in fixed and leaf.shape[: leaf.ndim - rank] != batch_shape:
                raise ValueError(
                    f"params.{field} has shape {leaf.shape}, expected one {kind}, or one for each row of "
                    f"{batch_shape}: give it once, or fix it."
                )
            if field == "initial_cholesky" and params.initial_mean.ndim == 1 and "initial_mean" not in fixed:
                raise ValueError(
                    f"params.initial_mean has shape {params.initial_mean.shape}, expected one {kind} for "
                    f"each row, as params.{field} has: broadcast it to {(*batch_shape, leaf.shape[-1])}, or "
                    f"fix it."
                )
            continue
        if field not in fixed:
            raise ValueError(
                f"params.{field} has shape {leaf.shape}, expected one {kind} for all steps: only what is "
                f"fixed may vary over time."
            )
        if field.endswith("_cholesky"):
            side = field.removesuffix("_cholesky")
            for other in (side, f"{side}_bias", f"{side}_inputs"):
                if other not in fixed and getattr(params, other) is not None:
                    raise ValueError(
                        f"params.{field} has shape {leaf.shape}, expected one {kind} for all steps, because "
                        f"{other} is learned beside it: fix {other} too."
                    )


def free_entries(
    params: LDSParams, *, fixed: tuple[str, ...] = (), diagonal: tuple[str, ...] = ()
) -> LDSParams:
    """Ones where learning may move an entry of the params, zeros elsewhere: for learning by gradient.

    `lds.log_normalizer` is differentiable in all params. Covariances are held as factors `C`, and whatever an
    optimiser of optax makes of a factor is one: `C C'` stays a covariance; the one of the emission must only
    stay regular. Gradients and updates times these ones and zeros keep what is fixed, diagonal factors,
    diffuse states, and zeros above the diagonal of the other factors, which could change nothing, for only
    `C C'` counts.

    Args:
      params: the params.
      fixed: names of fields that keep their value.
      diagonal: which factors stay diagonal, as in `fit`.

    Returns:
      `LDSParams` of zeros and ones.

    Raises:
      TypeError: if an argument has another type.
      ValueError: if a name is wrong, or a factor that is to stay diagonal is not.

    Example:
      >>> import optax
      >>> from seqjax.statespace import lds
      >>> params = lds.params(
      ...     dynamics=[[0.9]],
      ...     dynamics_covariance=[[1.0]],
      ...     emission=[[1.0], [1.0]],
      ...     emission_covariance=jnp.eye(2),
      ...     initial_covariance=[[1.0]],
      ... )
      >>> free = lds.free_entries(params, fixed=("emission",), diagonal=("emission_cholesky",))
      >>> mask = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, free))
      >>> optimizer = optax.chain(mask, optax.adamw(0.1), mask)
      >>> free.emission.tolist(), free.emission_cholesky.tolist()
      ([[0.0], [0.0]], [[1.0, 0.0], [0.0, 1.0]])
    """
    check_params(params)
    fixed, diagonal = checked_names(params, fixed, diagonal)
    masks: dict[str, Any] = {}
    for field, rank in RANKS.items():
        leaf = getattr(params, field)
        if leaf is None:
            continue
        mask = jnp.zeros_like(leaf) if field in fixed else jnp.ones_like(leaf)
        if field in FACTORS:
            ones = jnp.ones(leaf.shape[-2:], leaf.dtype)
            mask = mask * (jnp.diag(jnp.diag(ones)) if field in diagonal else jnp.tril(ones))
        if field.startswith("initial_") and params.diffuse is not None:
            known = ~jnp.array(params.diffuse)
            mask = mask * (known & known[:, None] if rank == 2 else known)
        masks[field] = mask
    return dataclasses.replace(params, **masks)
