"""The LSTM with a matrix for its memory and exponential gates."""

from __future__ import annotations

import math
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.linear_attention import joined, linear_attention_cell
from seqjax.checks import check_flag, check_heads, check_size
from seqjax.types import Array, Key

MIN_FORGET_BIAS, MAX_FORGET_BIAS = 3.0, 6.0
"""The forget gates' biases start evenly between these, one a head, as in the paper's code."""


@struct.dataclass
class MLSTMParams:
    """Parameters of an mLSTM with `N` heads.

    Attributes:
      query_kernel: `[D, N, K]`.
      key_kernel: `[D, N, K]`.
      value_kernel: `[D, N, V]`.
      gate_kernel: `[D, 2, N]`, of the gates input, forget.
      output_kernel: `[D, N, V]`, of the output gate.
      query_bias: `[N, K]`.
      key_bias: `[N, K]`.
      value_bias: `[N, V]`.
      gate_bias: `[2, N]`.
      output_bias: `[N, V]`.
      initial_carry: an `ops.MatrixCarry` without batch axes, or `None` for zeros.
    """

    query_kernel: Array
    key_kernel: Array
    value_kernel: Array
    gate_kernel: Array
    output_kernel: Array
    query_bias: Array
    key_bias: Array
    value_bias: Array
    gate_bias: Array
    output_bias: Array
    initial_carry: ops.MatrixCarry | None


def mlstm(
    hidden_size: int,
    *,
    num_heads: int = 4,
    key_size: int | None = None,
    exponential_forget: bool = False,
    initial_carry: str = "learned",
) -> Cell:
    """Matrix LSTM (Beck et al., 2024, eqs. 19-27).

    Equations, for each head: `q = x W_q + b_q`, `k = (x W_k) / sqrt(K) + b_k`, `v = x W_v + b_v`,
    `i = exp(x w_i + b_i)`, `f = sigmoid(x w_f + b_f)` or `exp(x w_f + b_f)`, `o = sigmoid(x W_o + b_o)`,
    `C' = f C + i k vᵀ`, `n' = f n + i k`, `h = o * (q C') / max(|q n'|, 1)`.

    Exponentials overflow, so `C` and `n` are held divided by `exp(m)`, with
    `m' = max(log f + m, log i)` (eq. 15), and `1` becomes `exp(-m')`.

    Args:
      hidden_size: `H`, the features of the output and of all values together.
      num_heads: `N`, which must divide `H`; `V = H / N`.
      key_size: `K`, the features of a head's keys; `None` for `V`.
      exponential_forget: whether the forget gate is exponential too, and not a sigmoid.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell` with outputs `[*B, H]`. Its carry is an `ops.MatrixCarry`: the matrix `[*B, N, K, V + 1]` holds
      `C`, and `n` in its last column, and `log_scale` `[*B, N]` is `m`.

    Raises:
      ValueError: if a size is not positive, heads do not divide `H`, or `initial_carry` is neither word.
      TypeError: if a size is not an integer, or `exponential_forget` no boolean.

    Example:
      >>> cell = mlstm(4, num_heads=2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> carry.matrix.shape, y.shape
      ((5, 2, 2, 3), (5, 4))
    """
    check_heads(num_heads, "hidden_size", hidden_size)
    check_flag("exponential_forget", exponential_forget)
    value_size = hidden_size // num_heads
    size = value_size if key_size is None else key_size
    check_size("key_size", size)

    def draw(key: Key, input_size: int) -> MLSTMParams:
        query_key, key_key, value_key, gate_key, output_key = jax.random.split(key, 5)
        dtype = ops.default_dtype()
        forget_bias = jnp.linspace(MIN_FORGET_BIAS, MAX_FORGET_BIAS, num_heads, dtype=dtype)
        return MLSTMParams(
            query_kernel=ops.input_kernel(query_key, input_size, num_heads, size),
            key_kernel=ops.input_kernel(key_key, input_size, num_heads, size),
            value_kernel=ops.input_kernel(value_key, input_size, num_heads, value_size),
            gate_kernel=ops.input_kernel(gate_key, input_size, 2, num_heads),
            output_kernel=ops.input_kernel(output_key, input_size, num_heads, value_size),
            query_bias=jnp.zeros((num_heads, size), dtype),
            key_bias=jnp.zeros((num_heads, size), dtype),
            value_bias=jnp.zeros((num_heads, value_size), dtype),
            gate_bias=jnp.stack([jnp.zeros_like(forget_bias), forget_bias]),
            output_bias=jnp.zeros((num_heads, value_size), dtype),
            initial_carry=None,
        )

    def entries(params: MLSTMParams, x: Any) -> ops.Entries:
        gates = ops.product(x, params.gate_kernel) + params.gate_bias
        forget = gates[..., 1, :]
        value = ops.product(x, params.value_kernel) + params.value_bias
        return ops.Entries(
            query=ops.product(x, params.query_kernel) + params.query_bias,
            key=ops.product(x, params.key_kernel) / math.sqrt(size) + params.key_bias,
            value=jnp.concatenate([value, jnp.ones_like(value[..., :1])], -1),  # writes n beside C
            log_decay=forget if exponential_forget else jax.nn.log_sigmoid(forget),
            log_write=gates[..., 0, :],
        )

    def readout(params: MLSTMParams, read: ops.Read, x: Any) -> Array:
        opened = jax.nn.sigmoid(ops.product(x, params.output_kernel) + params.output_bias)
        memory, normalizer = read.vectors[..., :-1], read.vectors[..., -1]
        # Where every weight so far is as small as that, the quotient is zero all the same.
        limit = 0.5 * math.log(jnp.finfo(normalizer.dtype).max)
        least = jnp.exp(jnp.minimum(-cast(Array, read.log_scale), limit))
        return joined(opened * memory / jnp.maximum(jnp.abs(normalizer), least)[..., None])

    return linear_attention_cell(
        hidden_size,
        (num_heads, size, value_size + 1),
        draw=draw,
        entries=entries,
        readout=readout,
        scaled=True,
        initial_carry=initial_carry,
    )
