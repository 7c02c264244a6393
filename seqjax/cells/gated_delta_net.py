"""The gated delta rule: a memory that forgets, and that replaces what it held at a key."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.affine import wide
from seqjax.cells.linear_attention import joined, linear_attention_cell
from seqjax.cells.mamba2 import decay
from seqjax.checks import check_heads, check_size
from seqjax.types import Array, Key

EPSILON = 1e-6
"""Added to the square of a norm that is divided by."""


@struct.dataclass
class GatedDeltaNetParams:
    """Parameters of a gated delta network with `N` heads.

    Attributes:
      query_kernel: `[D, N, K]`.
      key_kernel: `[D, N, K]`.
      value_kernel: `[D, N, V]`.
      gate_kernel: `[D, 2, N]`, of the gates decay, write.
      gate_bias: `[2, N]`.
      log_rate: `[N]`, the logarithm of the rate of decay.
      initial_carry: an `ops.MatrixCarry` without batch axes, or `None` for zeros.
    """

    query_kernel: Array
    key_kernel: Array
    value_kernel: Array
    gate_kernel: Array
    gate_bias: Array
    log_rate: Array
    initial_carry: ops.MatrixCarry | None


def gated_delta_net(
    hidden_size: int, *, num_heads: int = 4, key_size: int | None = None, initial_carry: str = "learned"
) -> Cell:
    """Gated delta network (Yang et al., 2024, eq. 10).

    Equations, for each head: `q = unit(silu(x W_q))`, `k = unit(silu(x W_k))`, `v = silu(x W_v)`,
    `b = sigmoid(x w_b + b_b)`, `a = exp(-exp(log_rate) softplus(x w_a + b_a))`, and
    `S' = a (I - b k kᵀ) S + b k vᵀ`, `y = q S'`, with `unit` a division by the norm. That is
    a step of gradient descent on `|k S - v|² / 2`, of size `b`, after a decay.

    The short convolutions, the output's gate and the normalisation of the paper's block are not part of the
    recurrence.

    Args:
      hidden_size: `H`, the features of the output and of all values together.
      num_heads: `N`, which must divide `H`; `V = H / N`.
      key_size: `K`, the features of a head's keys; `None` for `V`.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is an `ops.MatrixCarry` with the matrix `[*B, N, K, V]`, its output `[*B, H]`.

    Raises:
      ValueError: if a size is not positive, heads do not divide `H`, or `initial_carry` is neither word.
      TypeError: if a size is not an integer.

    Example:
      >>> cell = gated_delta_net(4, num_heads=2, key_size=3)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> carry.matrix.shape, y.shape
      ((5, 2, 3, 2), (5, 4))
    """
    check_heads(num_heads, "hidden_size", hidden_size)
    value_size = hidden_size // num_heads
    size = value_size if key_size is None else key_size
    check_size("key_size", size)

    def draw(key: Key, input_size: int) -> GatedDeltaNetParams:
        query_key, key_key, value_key, gate_key, decay_key = jax.random.split(key, 5)
        bias, log_rate = decay(decay_key, num_heads)
        return GatedDeltaNetParams(
            query_kernel=ops.input_kernel(query_key, input_size, num_heads, size),
            key_kernel=ops.input_kernel(key_key, input_size, num_heads, size),
            value_kernel=ops.input_kernel(value_key, input_size, num_heads, value_size),
            gate_kernel=ops.input_kernel(gate_key, input_size, 2, num_heads),
            gate_bias=jnp.stack([bias, jnp.zeros_like(bias)]),
            log_rate=log_rate,
            initial_carry=None,
        )

    def entries(params: GatedDeltaNetParams, x: Any) -> ops.Entries:
        gates = ops.product(x, params.gate_kernel) + params.gate_bias
        key = _unit(jax.nn.silu(ops.product(x, params.key_kernel)))
        return ops.Entries(
            query=_unit(jax.nn.silu(ops.product(x, params.query_kernel))),
            key=jax.nn.sigmoid(gates[..., 1, :, None]) * key,
            value=jax.nn.silu(ops.product(x, params.value_kernel)),
            log_decay=-jnp.exp(wide(params.log_rate)) * jax.nn.softplus(gates[..., 0, :]),
            erase=key,
        )

    return linear_attention_cell(
        hidden_size,
        (num_heads, size, value_size),
        draw=draw,
        entries=entries,
        readout=lambda params, read, x: joined(read.vectors),
        initial_carry=initial_carry,
    )


def _unit(x: Array) -> Array:
    return x * jax.lax.rsqrt(jnp.sum(x**2, -1, keepdims=True) + EPSILON)
