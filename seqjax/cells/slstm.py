"""The LSTM with exponential gates, whose memory is a weighted mean of all that was written."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell, GatedParams, gated_cell
from seqjax.checks import check_flag, check_heads, check_number
from seqjax.types import Array, Key

NOTHING = -1e30
"""The logarithm of the weight of a memory that holds nothing; finite, as carries are."""


@struct.dataclass
class SLSTMCarry:
    """What an sLSTM hands from step to step.

    Attributes:
      cell: `[*B, H]`, the memory `c / n`, a weighted mean of candidates.
      log_normalizer: `[*B, H]`, `log n`, the logarithm of the sum of the weights.
      hidden: `[*B, H]`, the output, and what the next step's gates see.
    """

    cell: Array
    log_normalizer: Array
    hidden: Array


def slstm(
    hidden_size: int,
    *,
    num_heads: int = 1,
    exponential_forget: bool = False,
    forget_bias: float = 1.0,
    initial_carry: str = "learned",
) -> Cell:
    """Scalar LSTM with exponential gates (Beck et al., 2024, eqs. 8-18).

    Equations, with `a = x W + h U + b` for each gate: `i = exp(a_i)`, `f = sigmoid(a_f)` or `exp(a_f)`,
    `z = tanh(a_z)`, `o = sigmoid(a_o)`, `c' = f * c + i * z`, `n' = f * n + i`, `h' = o * c' / n'`.

    Exponentials overflow. The paper divides `c` and `n` by `exp(m)`, with a third state `m` (eqs. 15-17).
    Held here are `c / n` and `log n`, which say the same: `log n' = log(exp(log f + log n) + exp(log i))` and
    `c' / n' = s * c / n + (1 - s) * z` with `s = sigmoid(log f + log n - log i)`. Nothing divides, so that
    gates and carries of any size are good.

    With several heads, `U` connects only units of the same head.

    Args:
      hidden_size: `H`.
      num_heads: `N`, which must divide `H`.
      exponential_forget: whether the forget gate is exponential too, and not a sigmoid.
      forget_bias: the forget gate's bias at initialisation.
      initial_carry: `"learned"` or `"zeros"`, a memory without weight.

    Returns:
      A cell whose carry is an `SLSTMCarry` and whose output is `h[*B, H]`. Its params are `GatedParams`,
      gates in the order input, forget, candidate, output; with several heads the recurrent kernel is
      `[N, H / N, 4, H / N]`.

    Raises:
      ValueError: if a size is not positive, heads do not divide `H`, or `initial_carry` is neither word.
      TypeError: if a size is not an integer, `exponential_forget` no boolean or `forget_bias` no number.

    Example:
      >>> cell = slstm(4, num_heads=2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> params.recurrent_kernel.shape
      (2, 2, 4, 2)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> carry.log_normalizer.shape, y.shape
      ((5, 4), (5, 4))
    """
    check_heads(num_heads, "hidden_size", hidden_size)
    check_flag("exponential_forget", exponential_forget)
    check_number("forget_bias", forget_bias)
    size = hidden_size // num_heads

    def gate(_: tuple, x_part: Array, h_part: Array, carry: SLSTMCarry) -> SLSTMCarry:
        log_input, forget, candidate, read = jnp.moveaxis(x_part + h_part, -2, 0)
        log_kept = carry.log_normalizer + (forget if exponential_forget else jax.nn.log_sigmoid(forget))
        odds = log_kept - log_input
        memory = jax.nn.sigmoid(odds) * carry.cell + jax.nn.sigmoid(-odds) * jnp.tanh(candidate)
        return SLSTMCarry(
            cell=memory,
            log_normalizer=jnp.logaddexp(log_kept, log_input),
            hidden=jax.nn.sigmoid(read) * memory,
        )

    def zeros(dtype: jnp.dtype) -> SLSTMCarry:
        row = jnp.zeros((hidden_size,), dtype)
        return SLSTMCarry(cell=row, log_normalizer=jnp.full_like(row, NOTHING), hidden=row)

    def connected(params: GatedParams) -> Array:
        """The kernel with zeros between the heads, which makes one product of those of all heads."""
        if num_heads == 1:
            return params.recurrent_kernel
        same = jnp.eye(num_heads, dtype=params.recurrent_kernel.dtype)
        kernel = params.recurrent_kernel[:, :, :, None] * same[:, None, None, :, None]
        return kernel.reshape(hidden_size, 4, hidden_size)

    def complete(key: Key, params: GatedParams) -> GatedParams:
        params = dataclasses.replace(params, bias=params.bias.at[1].set(forget_bias))
        if num_heads == 1:
            return params
        kernels = [ops.recurrent_kernel(k, size, 4, size) for k in jax.random.split(key, num_heads)]
        return dataclasses.replace(params, recurrent_kernel=jnp.stack(kernels))

    return gated_cell(
        hidden_size,
        gates=("input", "forget", "candidate", "output"),
        gate=gate,
        initial_carry=initial_carry,
        zeros=zeros,
        hidden=lambda carry: carry.hidden,
        recurrent=connected,
        complete=complete,
        additive=True,
    )
