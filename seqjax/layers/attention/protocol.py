"""What every attention is: a memory, prepared once, and the weighted means that queries make of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size, kind_of
from seqjax.layers.pointwise import features
from seqjax.types import Array, Key, Params


@struct.dataclass
class Memory:
    """What attention reads: the outputs of an encoder.

    Attributes:
      values: `[S, *B, H]`, one vector a step; anything may stand where a step is not valid.
      valid: `[S, *B]` booleans, which steps there are.
    """

    values: Array
    valid: Array


@struct.dataclass
class PreparedMemory:
    """A memory after all that can be computed before the first query, batch axes first.

    Attributes:
      keys: `[*B, S, ...]`, what queries are compared with.
      values: `[*B, S, ...]`, what is averaged; zeros where a step is not valid.
      valid: `[*B, S]` booleans.
    """

    keys: Array
    values: Array
    valid: Array


class Attention(NamedTuple):
    """A weighted mean over a memory, whose weights depend on a query.

    Weights are positive and sum to one over the valid steps. They are zero elsewhere, so that padding is
    never read; where no step is valid, all are zero, and so is the context. `queries` have the axes
    `[..., *B, Q]`: one query a row, or with time in front all queries of a sequence at once.

    Attributes:
      init: `(key, query_size, memory_size) -> params`.
      prepare: `(params, memory) -> prepared`, what is computed once for all queries.
      attend: `(params, prepared, queries[..., *B, Q]) -> context[..., *B, C]`.
      weights: `(params, prepared, queries[..., *B, Q]) -> [..., S, *B]`, for pictures; the mean over heads
        where there are several.
      output_size: `(memory_size) -> C`.
    """

    init: Callable[[Key, int, int], Params]
    prepare: Callable[[Params, Memory], PreparedMemory]
    attend: Callable[[Params, PreparedMemory, Array], Array]
    weights: Callable[[Params, PreparedMemory, Array], Array]
    output_size: Callable[[int], int]


def kernel(key: Key, input_size: int, size: int) -> Array:
    """A kernel without a gate axis.

    Args:
      key: a random key.
      input_size: `D`.
      size: `A`.

    Returns:
      `[D, A]`, drawn as `ops.input_kernel` draws.

    Example:
      >>> import jax
      >>> kernel(jax.random.key(0), 3, 4).shape
      (3, 4)
    """
    return ops.input_kernel(key, input_size, 1, size)[:, 0, :]


def batch_first(keys: Array, values: Array, valid: Array) -> PreparedMemory:
    """Steps moved behind the batch axes, so that no product of any query has to move them.

    Args:
      keys: `[S, *B, ...]`.
      values: `[S, *B, ...]`.
      valid: `[S, *B]`.

    Returns:
      A `PreparedMemory`.

    Example:
      >>> batch_first(jnp.ones((5, 7, 2)), jnp.ones((5, 7, 3)), jnp.ones((5, 7), bool)).keys.shape
      (7, 5, 2)
    """
    place = valid.ndim - 1
    keys, values, valid = (jnp.moveaxis(leaf, 0, place) for leaf in (keys, values, valid))
    return PreparedMemory(keys=keys, values=values, valid=valid)


def batch_first_queries(prepared: PreparedMemory, queries: Any) -> Array:
    """Queries with their leading axes made one and moved behind the batch axes.

    Args:
      prepared: the memory that they ask.
      queries: `[..., *B, Q]` floating.

    Returns:
      `[*B, T, Q]`, where `T` is the product of the leading axes.

    Raises:
      TypeError: if queries are not floating.
      ValueError: if they lack the batch axes of the memory.

    Example:
      >>> prepared = PreparedMemory(jnp.ones((7, 5, 2)), jnp.ones((7, 5, 2)), jnp.ones((7, 5), bool))
      >>> batch_first_queries(prepared, jnp.ones((4, 7, 3))).shape
      (7, 4, 3)
    """
    queries = as_array("queries", queries)
    if not jnp.issubdtype(queries.dtype, jnp.floating):
        raise TypeError(f"queries has dtype {queries.dtype}, expected floating features [..., *B, Q].")
    batch_shape = prepared.valid.shape[:-1]
    place = queries.ndim - 1 - len(batch_shape)
    if place < 0 or queries.shape[place:-1] != batch_shape:
        raise ValueError(
            f"queries has shape {queries.shape}, expected [..., *B, Q] with the batch axes {batch_shape} of "
            f"the memory before the features."
        )
    queries = queries.reshape(math.prod(queries.shape[:place]), *queries.shape[place:])
    return jnp.moveaxis(queries, 0, -2)


def query_axes(prepared: PreparedMemory, queries: Any, context: Array) -> Array:
    """A context with the axes that the queries had.

    Args:
      prepared: the memory.
      queries: `[..., *B, Q]`.
      context: `[*B, T, C]`, whose batch axes may be one.

    Returns:
      `[..., *B, C]`.

    Example:
      >>> prepared = PreparedMemory(jnp.ones((7, 5, 2)), jnp.ones((7, 5, 2)), jnp.ones((7, 5), bool))
      >>> query_axes(prepared, jnp.ones((4, 7, 3)), jnp.ones((7, 4, 2))).shape
      (4, 7, 2)
    """
    context = context.reshape(*prepared.valid.shape[:-1], *context.shape[-2:])
    return jnp.moveaxis(context, -2, 0).reshape(*jnp.shape(queries)[:-1], context.shape[-1])


def weight_axes(prepared: PreparedMemory, queries: Any, shares: Array) -> Array:
    """Weights with the axes that the queries had, and the steps of the memory before the batch.

    Args:
      prepared: the memory.
      queries: `[..., *B, Q]`.
      shares: `[*B, T, S]`, whose batch axes may be one.

    Returns:
      `[..., S, *B]`.

    Example:
      >>> prepared = PreparedMemory(jnp.ones((7, 5, 2)), jnp.ones((7, 5, 2)), jnp.ones((7, 5), bool))
      >>> weight_axes(prepared, jnp.ones((4, 7, 3)), jnp.ones((7, 4, 5))).shape
      (4, 5, 7)
    """
    *batch_shape, num_steps = prepared.valid.shape
    shares = shares.reshape(*batch_shape, *shares.shape[-2:])
    leading = jnp.shape(queries)[: jnp.ndim(queries) - 1 - len(batch_shape)]
    return jnp.moveaxis(shares, (-2, -1), (0, 1)).reshape(*leading, num_steps, *batch_shape)


def check_init(key: Key, query_size: int, memory_size: int) -> None:
    """Refuses arguments from which no params can be drawn.

    Args:
      key: a random key.
      query_size: `Q`.
      memory_size: `H`.

    Raises:
      TypeError: if `key` is not a typed key, or a size is not an integer.
      ValueError: if a size is not positive.

    Example:
      >>> import jax
      >>> check_init(jax.random.key(0), 0, 3)
      Traceback (most recent call last):
      ValueError: query_size is 0, expected a positive integer.
    """
    check_key(key)
    check_size("query_size", query_size)
    check_size("memory_size", memory_size)


def check_params(params: Params, params_type: type) -> None:
    """Refuses params of another attention.

    Args:
      params: the argument of that name.
      params_type: the type of this attention's.

    Raises:
      ValueError: if they are of another type.

    Example:
      >>> check_params((), dict)
      Traceback (most recent call last):
      ValueError: params is a tuple, expected dict: pass params made by this attention's init.
    """
    if not isinstance(params, params_type):
        name = "()" if params_type is tuple else params_type.__name__
        raise ValueError(
            f"params is {kind_of(params)}, expected {name}: pass params made by this attention's init."
        )


def checked_memory(memory: Any) -> tuple[Array, Array]:
    """What a memory holds, cleared where it is not valid.

    Args:
      memory: a `Memory`.

    Returns:
      Values `[S, *B, H]`, zeros where they are not valid, and which are.

    Raises:
      TypeError: if it is no `Memory`, or its values are not floating.
      ValueError: if values and valid have other axes than `[S, *B, H]` and `[S, *B]`.

    Example:
      >>> checked_memory(Memory(jnp.ones((5, 7, 2)), jnp.ones((5,), bool)))
      Traceback (most recent call last):
      ValueError: memory has values of shape (5, 7, 2) and valid bool[5], expected values [S, *B, H] and ...
    """
    if not isinstance(memory, Memory):
        raise TypeError(f"memory is {kind_of(memory)}, expected Memory(values[S, *B, H], valid[S, *B]).")
    values, valid = as_array("memory.values", memory.values), as_array("memory.valid", memory.valid)
    values = features(values)
    if values.ndim < 2 or valid.shape != values.shape[:-1] or valid.dtype != jnp.bool_:
        raise ValueError(
            f"memory has values of shape {values.shape} and valid {valid.dtype}{list(valid.shape)}, expected "
            f"values [S, *B, H] and booleans [S, *B]."
        )
    return ops.zero_padding(values, valid), valid
