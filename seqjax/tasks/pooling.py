"""From the outputs of all steps to one vector a sequence."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from seqjax import ops
from seqjax.ops.softmax import masked_softmax
from seqjax.types import Array, Key, Params


class Pooling(NamedTuple):
    """A function of the outputs at the valid steps of a sequence.

    Attributes:
      init: `(key, input_size) -> params`.
      apply: `(params, ys[T, *B, H], valid[T, *B]) -> [*B, H']`; zeros where no step is valid.
      output_size: `(input_size) -> H'`.
    """

    init: Callable[[Key, int], Params]
    apply: Callable[[Params, Array, Array], Array]
    output_size: Callable[[int], int]


def _at(chosen: Array, ys: Array) -> Array:
    """The output at the one step that is chosen, zeros where none is."""
    return jnp.sum(ops.zero_padding(ys, chosen), axis=0)


def _last(params: Params, ys: Array, valid: Array) -> Array:
    later = jnp.concatenate([valid[1:], jnp.zeros_like(valid[:1])])
    return _at(valid & ~later, ys)


def _first(params: Params, ys: Array, valid: Array) -> Array:
    earlier = jnp.concatenate([jnp.zeros_like(valid[:1]), valid[:-1]])
    return _at(valid & ~earlier, ys)


def _ends(params: Params, ys: Array, valid: Array) -> Array:
    return jnp.concatenate([_last(params, ys, valid), _first(params, ys, valid)], axis=-1)


def _mean(params: Params, ys: Array, valid: Array) -> Array:
    count = jnp.maximum(jnp.sum(valid, axis=0), 1)
    return jnp.sum(ops.zero_padding(ys, valid), axis=0) / count[..., None].astype(ys.dtype)


def _max(params: Params, ys: Array, valid: Array) -> Array:
    highest = jnp.max(jnp.where(valid[..., None], ys, -jnp.inf), axis=0, initial=-jnp.inf)
    return jnp.where(valid.any(axis=0)[..., None], highest, 0)


def _attention(query: Array, ys: Array, valid: Array) -> Array:
    scores = ops.product(ys, query, name="ys") / jnp.sqrt(query.shape[0]).astype(ys.dtype)
    shares = masked_softmax(scores, valid, axis=0)
    return jnp.sum(shares[..., None] * ops.zero_padding(ys, valid), axis=0)


def _without_params(apply: Callable[[Params, Array, Array], Array], times: int = 1) -> Pooling:
    return Pooling(lambda key, input_size: (), apply, lambda input_size: times * input_size)


POOLINGS = {
    "last": _without_params(_last),
    "ends": _without_params(_ends, times=2),
    "mean": _without_params(_mean),
    "max": _without_params(_max),
    "attention": Pooling(
        # Zeros weigh all steps alike: training starts from the mean.
        init=lambda key, input_size: jnp.zeros((input_size,), ops.default_dtype()),
        apply=_attention,
        output_size=lambda input_size: input_size,
    ),
}
"""How the outputs of all steps become one, by the name that `many_to_one(pooling=...)` takes."""


def as_pooling(pooling: str | Pooling) -> Pooling:
    """A pooling by its name, or as it is.

    Args:
      pooling: `"last"`, `"ends"`, `"mean"`, `"max"`, `"attention"`, or a `Pooling`.

    Returns:
      A `Pooling`.

    Raises:
      ValueError: if there is none of that name.
      TypeError: if it is neither a name nor a `Pooling`.

    Example:
      >>> ys, valid = jnp.array([[1.0], [2.0], [9.0]]), jnp.array([True, True, False])
      >>> {name: as_pooling(name).apply((), ys, valid).tolist() for name in ("last", "ends", "mean", "max")}
      {'last': [2.0], 'ends': [2.0, 1.0], 'mean': [1.5], 'max': [2.0]}
    """
    if isinstance(pooling, Pooling):
        return pooling
    names = ", ".join(map(repr, POOLINGS))
    if not isinstance(pooling, str):
        raise TypeError(f"pooling is a {type(pooling).__name__}, expected one of {names}, or a Pooling.")
    if pooling not in POOLINGS:
        raise ValueError(f"pooling is {pooling!r}, expected one of {names}, or a Pooling.")
    return POOLINGS[pooling]
