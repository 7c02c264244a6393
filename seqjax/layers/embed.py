"""Integer tokens to vectors."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import pointwise
from seqjax.types import Array, Key


@struct.dataclass
class EmbedParams:
    """Parameters of an embedding.

    Attributes:
      table: `[V, H]`, one row a token.
    """

    table: Array


def embed(vocabulary_size: int, features: int) -> Layer:
    """Looks up a learned vector for each integer token.

    Equation: `y_t = table[x_t]`. Tables start normal with variance `1 / features`: vectors of length one.

    Tokens `[T, *B]` have no feature axis: each is a scalar, and `input_size` is 1. A token outside
    0 to `V - 1` is an error where its value is known. Where it is not (under `jit`), the vector of the token
    is NaN: no other token is silently taken for it, and a loss shows it. In the padding anything may stand.

    Args:
      vocabulary_size: `V`.
      features: `H`, the features of the output.

    Returns:
      A `Layer` with `EmbedParams` and a carry of `()`. It reads integers `[T, *B]`; its output `[T, *B, H]`
      has the dtype of the table, at least float32.

    Raises:
      ValueError: if a size is not positive. `init` and `output_size` raise it if `input_size` is not 1,
        `unroll` and `step` if a token lies outside the vocabulary.
      TypeError: if a size is not an integer. `unroll` and `step` raise it if tokens are not integers.

    Example:
      >>> layer = embed(256, 4)
      >>> params = layer.init(jax.random.key(0), 1)
      >>> carry, ys = layer.unroll(params, jnp.array([[7, 9], [255, 0]]))
      >>> ys.shape
      (2, 2, 4)
    """
    check_size("vocabulary_size", vocabulary_size)
    check_size("features", features)

    def output_size(input_size: int) -> int:
        check_size("input_size", input_size)
        if input_size != 1:
            raise ValueError(
                f"input_size is {input_size}, expected 1: embed reads one integer token a step, [T, *B] "
                f"without a feature axis. Put it first in a stack, or use dense({features}) for features."
            )
        return features

    def init(key: Key, input_size: int) -> EmbedParams:
        check_key(key)
        output_size(input_size)
        table = jax.random.normal(key, (vocabulary_size, features), ops.default_dtype())
        return EmbedParams(table=table / math.sqrt(features))

    def apply(params: EmbedParams, tokens: Array) -> Array:
        if params.table.shape != (vocabulary_size, features):
            raise ValueError(
                f"params.table has shape {params.table.shape}, but this layer's has "
                f"{(vocabulary_size, features)}: pass params made by this layer's init."
            )
        known = (tokens >= 0) & (tokens < vocabulary_size)
        if not isinstance(known, jax.core.Tracer):
            _check_known(np.asarray(known), np.asarray(tokens), vocabulary_size)
        # Rows are widened first, so that the gradient sums over repeated tokens in at least float32.
        table = params.table.astype(ops.accumulation_dtype(params.table.dtype))
        # `take` counts negative indices from the end: out of range is one past the last instead.
        index = jnp.where(known, tokens, vocabulary_size)
        return jnp.take(table, index, axis=0, mode="fill", fill_value=jnp.nan)

    return pointwise(
        apply,
        init=init,
        params_type=EmbedParams,
        output_size=output_size,
        checked=_tokens,
        shape_of=_sequence_shape,
    )


def _tokens(xs: Any) -> Array:
    """Tokens as an array of integers wide enough to be compared with the size of the vocabulary."""
    xs = as_array("xs", xs)
    if not jnp.issubdtype(xs.dtype, jnp.integer):
        raise TypeError(
            f"xs has dtype {xs.dtype}, expected integer tokens [T, *B]: embed reads tokens, dense features."
        )
    return xs.astype(jnp.int32) if xs.dtype.itemsize < 4 else xs


def _sequence_shape(xs: Array) -> tuple[int, tuple[int, ...]]:
    if xs.ndim == 0:
        raise ValueError("xs has shape (), expected tokens [T, *B]: time first. For one token, use step.")
    return xs.shape[0], xs.shape[1:]


def _check_known(known: np.ndarray, tokens: np.ndarray, vocabulary_size: int) -> None:
    for where in np.argwhere(~known)[:1]:
        place = tuple(int(i) for i in where)
        raise ValueError(
            f"xs has the token {tokens[place]} at {place}, expected 0 to {vocabulary_size - 1}: the "
            f"vocabulary has {vocabulary_size} tokens. Map unknown tokens to one of them, or embed a larger "
            f"vocabulary."
        )
