"""The selective state space of Mamba-2: a matrix a head that decays as a whole."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.affine import wide
from seqjax.cells.linear_attention import joined, linear_attention_cell
from seqjax.checks import check_heads, check_size
from seqjax.types import Array, Key

MIN_STEP, MAX_STEP = 0.001, 0.1
"""Between these the time between two inputs starts, log-uniform."""
MIN_RATE, MAX_RATE = 1.0, 16.0
"""Between these the rate of decay starts, uniform."""


@struct.dataclass
class Mamba2Params:
    """Parameters of a Mamba-2 cell, with `N` heads that share queries and keys.

    Attributes:
      query_kernel: `[D, 1, K]`, the paper's `C`.
      key_kernel: `[D, 1, K]`, the paper's `B`.
      value_kernel: `[D, N, V]`, the paper's `X`.
      step_kernel: `[D, N]`, the time between two inputs.
      step_bias: `[N]`.
      log_rate: `[N]`, the logarithm of the rate of decay.
      skip: `[N]`, what the output has of the value.
      initial_carry: an `ops.MatrixCarry` without batch axes, or `None` for zeros.
    """

    query_kernel: Array
    key_kernel: Array
    value_kernel: Array
    step_kernel: Array
    step_bias: Array
    log_rate: Array
    skip: Array
    initial_carry: ops.MatrixCarry | None


def mamba2(
    hidden_size: int, *, num_heads: int = 4, state_size: int = 64, initial_carry: str = "learned"
) -> Cell:
    """The recurrence of Mamba-2, state-space duality (Dao & Gu, 2024, eq. 2 and section 7).

    Equations: `v = silu(x W_v)`, `k = silu(x W_k)`, `q = silu(x W_q)`, `d = softplus(x W_d + b_d)`,
    `a = exp(-exp(log_rate) d)` and for each head `S' = a S + d k vᵀ`, `y = q S' + skip v`. All heads share
    `k` and `q`. It is linear attention with one decay a head.

    The short convolution, the output's gate and the normalisation of the paper's block are not part of the
    recurrence.

    Args:
      hidden_size: `H`, the features of the output and of all values together.
      num_heads: `N`, which must divide `H`; `V = H / N`.
      state_size: `K`, the numbers that are kept of each feature.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is an `ops.MatrixCarry` with the matrix `[*B, N, K, V]`, its output `[*B, H]`.

    Raises:
      ValueError: if a size is not positive, heads do not divide `H`, or `initial_carry` is neither word.
      TypeError: if a size is not an integer.

    Example:
      >>> cell = mamba2(4, num_heads=2, state_size=3)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> carry.matrix.shape, y.shape
      ((5, 2, 3, 2), (5, 4))
    """
    check_heads(num_heads, "hidden_size", hidden_size)
    check_size("state_size", state_size)
    size = hidden_size // num_heads

    def draw(key: Key, input_size: int) -> Mamba2Params:
        query_key, key_key, value_key, step_key, decay_key = jax.random.split(key, 5)
        bias, log_rate = decay(decay_key, num_heads)
        return Mamba2Params(
            query_kernel=ops.input_kernel(query_key, input_size, 1, state_size),
            key_kernel=ops.input_kernel(key_key, input_size, 1, state_size),
            value_kernel=ops.input_kernel(value_key, input_size, num_heads, size),
            step_kernel=ops.input_kernel(step_key, input_size, 1, num_heads)[:, 0],
            step_bias=bias,
            log_rate=log_rate,
            skip=jnp.ones((num_heads,), bias.dtype),
            initial_carry=None,
        )

    def values(params: Mamba2Params, x: Any) -> Array:
        return jax.nn.silu(ops.product(x, params.value_kernel))

    def entries(params: Mamba2Params, x: Any) -> ops.Entries:
        step = jax.nn.softplus(ops.product(x, params.step_kernel) + params.step_bias)
        return ops.Entries(
            query=jax.nn.silu(ops.product(x, params.query_kernel)),
            key=jax.nn.silu(ops.product(x, params.key_kernel)),
            value=step[..., None] * values(params, x),
            log_decay=-jnp.exp(wide(params.log_rate)) * step,
        )

    def readout(params: Mamba2Params, read: ops.Read, x: Any) -> Array:
        return joined(read.vectors + params.skip[:, None] * values(params, x))

    return linear_attention_cell(
        hidden_size,
        (num_heads, state_size, size),
        draw=draw,
        entries=entries,
        readout=readout,
        initial_carry=initial_carry,
    )


def decay(key: Key, num_heads: int) -> tuple[Array, Array]:
    """How decays start: a time between inputs and a rate for each head.

    Args:
      key: a random key.
      num_heads: `N`.

    Returns:
      The bias of the time before its softplus `[N]`, and the logarithm of the rate `[N]`.

    Example:
      >>> bias, log_rate = decay(jax.random.key(0), 4)
      >>> bool((jax.nn.softplus(bias) <= 0.1).all()), bool((jnp.exp(log_rate) >= 1).all())
      (True, True)
    """
    step_key, rate_key = jax.random.split(key)
    dtype = ops.default_dtype()
    low, high = math.log(MIN_STEP), math.log(MAX_STEP)
    step = jnp.exp(jax.random.uniform(step_key, (num_heads,), dtype, low, high))
    rate = jax.random.uniform(rate_key, (num_heads,), dtype, MIN_RATE, MAX_RATE)
    return jnp.log(jnp.expm1(step)), jnp.log(rate)
