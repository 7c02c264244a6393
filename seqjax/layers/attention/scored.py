"""One score for each query and step: additive and multiplicative attention."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_size
from seqjax.layers.attention.protocol import (
    Attention,
    Memory,
    PreparedMemory,
    batch_first,
    batch_first_queries,
    check_init,
    check_params,
    checked_memory,
    kernel,
    query_axes,
    weight_axes,
)
from seqjax.ops.softmax import masked_softmax
from seqjax.types import Array, Key, Params


@struct.dataclass
class AdditiveParams:
    """Parameters of additive attention.

    Attributes:
      query_kernel: `[Q, A]`.
      memory_kernel: `[H, A]`.
      score_kernel: `[A]`.
    """

    query_kernel: Array
    memory_kernel: Array
    score_kernel: Array


@struct.dataclass
class GeneralParams:
    """Parameters of general multiplicative attention.

    Attributes:
      kernel: `[H, Q]`.
    """

    kernel: Array


def additive(size: int) -> Attention:
    """Additive attention: a small network compares the query with each step.

    Equations (Bahdanau et al., 2015, sec. 3.1 and A.1.2): `e_s = v . tanh(W q + U m_s)`,
    `a = softmax_s(e)`, `context = sum_s a_s m_s`. The products `U m_s` are computed once.

    Queries of `T` steps at once take memory for `T S A` numbers a row.

    Args:
      size: `A`, the features in which query and step are added.

    Returns:
      An `Attention` with `AdditiveParams`, for queries and memories of any sizes; its context has the size of
      the memory.

    Raises:
      TypeError: if `size` is not an integer. `prepare` and `attend` raise it for what is not floating.
      ValueError: if `size` is not positive. `prepare` and `attend` raise it if sizes or axes do not fit.

    Example:
      >>> attention = additive(8)
      >>> params = attention.init(jax.random.key(0), 3, 2)
      >>> memory = Memory(jnp.ones((5, 7, 2)), jnp.ones((5, 7), bool))
      >>> prepared = attention.prepare(params, memory)
      >>> attention.attend(params, prepared, jnp.ones((7, 3))).shape
      (7, 2)
      >>> attention.weights(params, prepared, jnp.ones((4, 7, 3))).shape
      (4, 5, 7)
    """
    check_size("size", size)

    def init(key: Key, query_size: int, memory_size: int) -> AdditiveParams:
        check_init(key, query_size, memory_size)
        query_key, memory_key, score_key = jax.random.split(key, 3)
        return AdditiveParams(
            query_kernel=kernel(query_key, query_size, size),
            memory_kernel=kernel(memory_key, memory_size, size),
            score_kernel=kernel(score_key, size, 1)[:, 0],
        )

    def score(params: AdditiveParams, keys: Array, queries: Array) -> Array:
        queries = ops.product(queries, params.query_kernel, name="queries", size_name="query_size")
        hidden = jnp.tanh(queries[..., :, None, :] + keys[..., None, :, :])
        return ops.product(hidden, params.score_kernel)

    def project(params: AdditiveParams, values: Array) -> Array:
        return ops.product(values, params.memory_kernel, name="memory.values", size_name="memory_size")

    return _scoring(AdditiveParams, init, project, score)


def dot() -> Attention:
    """Multiplicative attention without parameters: the query is compared with each step as it is.

    Equations (Luong et al., 2015, eq. 7 and 8, *dot*): `e_s = q . m_s`, `a = softmax_s(e)`,
    `context = sum_s a_s m_s`.

    Returns:
      An `Attention` with params `()`, for queries that have the size of the memory.

    Raises:
      ValueError: `init` and `attend` raise it if query and memory have different sizes.

    Example:
      >>> attention = dot()
      >>> memory = Memory(jnp.array([[1.0, 0.0], [0.0, 1.0], [9.0, 9.0]]), jnp.array([True, True, False]))
      >>> prepared = attention.prepare((), memory)
      >>> attention.attend((), prepared, jnp.array([100.0, 0.0])).tolist()
      [1.0, 0.0]
    """

    def init(key: Key, query_size: int, memory_size: int) -> Params:
        check_init(key, query_size, memory_size)
        if query_size != memory_size:
            raise ValueError(
                f"query_size is {query_size} and memory_size {memory_size}, but dot() compares vectors of "
                f"one size: choose equal sizes, or general() or additive(size), which take any."
            )
        return ()

    return _scoring(tuple, init, lambda params, values: values, _inner_products)


def general() -> Attention:
    """Multiplicative attention: a bilinear form compares the query with each step.

    Equations (Luong et al., 2015, eq. 7 and 8, *general*): `e_s = q . (m_s W)`, `a = softmax_s(e)`,
    `context = sum_s a_s m_s`. The products `m_s W` are computed once.

    Returns:
      An `Attention` with `GeneralParams`, for queries and memories of any sizes.

    Raises:
      TypeError: `prepare` and `attend` raise it for what is not floating.
      ValueError: `prepare` and `attend` raise it if sizes or axes do not fit.

    Example:
      >>> attention = general()
      >>> params = attention.init(jax.random.key(0), 3, 2)
      >>> params.kernel.shape
      (2, 3)
    """

    def init(key: Key, query_size: int, memory_size: int) -> GeneralParams:
        check_init(key, query_size, memory_size)
        return GeneralParams(kernel=kernel(key, memory_size, query_size))

    def project(params: GeneralParams, values: Array) -> Array:
        return ops.product(values, params.kernel, name="memory.values", size_name="memory_size")

    return _scoring(GeneralParams, init, project, _inner_products)


def _scoring(
    params_type: type,
    init: Callable[[Key, int, int], Params],
    project: Callable[[Params, Array], Array],
    score: Callable[[Params, Array, Array], Array],
) -> Attention:
    """Attention from `(params, values) -> keys` and `(params, keys, queries) -> scores[..., T, S]`."""

    def prepare(params: Params, memory: Memory) -> PreparedMemory:
        check_params(params, params_type)
        values, valid = checked_memory(memory)
        return batch_first(project(params, values), values, valid)

    def shares(params: Params, prepared: PreparedMemory, queries: Array) -> Array:
        check_params(params, params_type)
        scores = score(params, prepared.keys, batch_first_queries(prepared, queries))
        return masked_softmax(scores, prepared.valid[..., None, :])

    def attend(params: Params, prepared: PreparedMemory, queries: Array) -> Array:
        return query_axes(prepared, queries, shares(params, prepared, queries) @ prepared.values)

    def weights(params: Params, prepared: PreparedMemory, queries: Array) -> Array:
        return weight_axes(prepared, queries, shares(params, prepared, queries))

    return Attention(init, prepare, attend, weights, output_size=lambda memory_size: memory_size)


def _inner_products(params: Params, keys: Array, queries: Array) -> Array:
    if queries.shape[-1] != keys.shape[-1]:
        raise ValueError(
            f"queries has feature size {queries.shape[-1]}, expected {keys.shape[-1]}, the size of what this "
            f"attention compares them with."
        )
    return queries @ jnp.swapaxes(keys, -1, -2)
