"""Several scaled dot products beside each other, each in a subspace of its own."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import check_heads
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
from seqjax.types import Array, Key


@struct.dataclass
class MultiHeadParams:
    """Parameters of multi-head attention, with `N` heads of `A / N` features.

    Attributes:
      query_kernel: `[Q, N, A / N]`.
      key_kernel: `[H, N, A / N]`.
      value_kernel: `[H, N, A / N]`.
      output_kernel: `[A, A]`.
    """

    query_kernel: Array
    key_kernel: Array
    value_kernel: Array
    output_kernel: Array


def multi_head(num_heads: int, size: int) -> Attention:
    """Several scaled dot products beside each other, each in a subspace of its own.

    Equations (Vaswani et al., 2017, sec. 3.2.2), for the heads `n` with `d = size / num_heads` features:
    `a_n = softmax_s((q W_n) . (m_s U_n) / sqrt(d))`, `context = concat_n(sum_s a_ns m_s V_n) O`, by
    `jax.nn.dot_product_attention`. `m_s U_n` and `m_s V_n` are computed once.

    Args:
      num_heads: `N`.
      size: `A`, the features of all heads together, and of the context.

    Returns:
      An `Attention` with `MultiHeadParams`, for queries and memories of any sizes.

    Raises:
      TypeError: if a size is not an integer. `prepare` and `attend` raise it for what is not floating.
      ValueError: if a size is not positive or heads do not divide `size`. `prepare` and `attend` raise it if
        sizes or axes do not fit.

    Example:
      >>> attention = multi_head(2, 8)
      >>> params = attention.init(jax.random.key(0), 3, 5)
      >>> prepared = attention.prepare(params, Memory(jnp.ones((4, 5)), jnp.ones((4,), bool)))
      >>> attention.attend(params, prepared, jnp.ones((3,))).shape
      (8,)
    """
    check_heads(num_heads, "size", size)
    head_size = size // num_heads

    def init(key: Key, query_size: int, memory_size: int) -> MultiHeadParams:
        check_init(key, query_size, memory_size)
        query_key, key_key, value_key, output_key = jax.random.split(key, 4)

        def heads(key: Key, input_size: int) -> Array:
            return kernel(key, input_size, size).reshape(input_size, num_heads, head_size)

        return MultiHeadParams(
            query_kernel=heads(query_key, query_size),
            key_kernel=heads(key_key, memory_size),
            value_kernel=heads(value_key, memory_size),
            output_kernel=kernel(output_key, size, size),
        )

    def prepare(params: MultiHeadParams, memory: Memory) -> PreparedMemory:
        check_params(params, MultiHeadParams)
        values, valid = checked_memory(memory)
        keys, values = (
            ops.product(values, kernel, name="memory.values", size_name="memory_size")
            for kernel in (params.key_kernel, params.value_kernel)
        )
        return batch_first(keys, values, valid)

    def flat(params: MultiHeadParams, prepared: PreparedMemory, queries: Array) -> tuple[Array, ...]:
        """Queries `[B, T, N, d]`, keys and values `[B, S, N, d]`, and valid `[B, S]`, with one batch axis."""
        check_params(params, MultiHeadParams)
        queries = batch_first_queries(prepared, queries)
        queries = ops.product(queries, params.query_kernel, name="queries", size_name="query_size")
        rows = math.prod(prepared.valid.shape[:-1])
        return (
            queries.reshape(rows, *queries.shape[-3:]),
            prepared.keys.reshape(rows, *prepared.keys.shape[-3:]),
            prepared.values.reshape(rows, *prepared.values.shape[-3:]),
            prepared.valid.reshape(rows, prepared.valid.shape[-1]),
        )

    def attend(params: MultiHeadParams, prepared: PreparedMemory, queries: Array) -> Array:
        flat_queries, keys, values, valid = flat(params, prepared, queries)
        # Where no step is valid the softmax weighs all alike, and the values, which are zeros there, stay so.
        context = jax.nn.dot_product_attention(flat_queries, keys, values, mask=valid[:, None, None, :])
        context = ops.product(context.reshape(*context.shape[:2], size), params.output_kernel)
        return query_axes(prepared, queries, context)

    def weights(params: MultiHeadParams, prepared: PreparedMemory, queries: Array) -> Array:
        flat_queries, keys, _, valid = flat(params, prepared, queries)
        scores = jnp.einsum("btnd,bsnd->bnts", flat_queries, keys) / math.sqrt(head_size)
        shares = masked_softmax(scores, valid[:, None, None, :])
        return weight_axes(prepared, queries, jnp.mean(shares, axis=1))

    return Attention(init, prepare, attend, weights, output_size=lambda memory_size: size)
