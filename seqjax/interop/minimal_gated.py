"""The minimal gated unit as flax has it, which is not the one of its paper."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.cell import Cell, GatedParams, gated_cell
from seqjax.cells.elman import Activation
from seqjax.types import Array, Key


@struct.dataclass
class LinenMGUParams:
    """Parameters of flax's minimal gated unit; gates in the order forget, candidate.

    Attributes:
      input_kernel: `[D, 2, H]`.
      recurrent_kernel: `[H, 2, H]`.
      bias: `[2, H]`.
      initial_carry: the learned hidden vector before the first step `[H]`, or `None` for zeros.
      candidate_bias: `[H]`, added to the candidate's recurrent product inside the gate; `None` where the gate
        does not act on it.
    """

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_carry: Array | None
    candidate_bias: Array | None


def linen_mgu(
    hidden_size: int,
    *,
    reset_gate: bool = True,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
    initial_carry: str = "learned",
) -> Cell:
    """The minimal gated unit of `flax.linen.MGUCell`.

    Equations, with `s` the gate activation: `f = s(x W_f + h U_f + b_f)`,
    `n = activation(x W_n + b_n + f * (h U_n + d))` with `reset_gate`, or
    `n = activation(x W_n + b_n + h U_n)` without, and `h' = f * h + (1 - f) * n`.

    Zhou et al. (2016, eqs. 9-11), and so `seqjax.minimal_gated_unit`, write with the gate that resets,
    `h' = (1 - f) * h + f * n`; here that gate keeps. No change of weights makes one of the other.

    Args:
      hidden_size: `H`.
      reset_gate: whether the gate acts on the candidate's recurrent product.
      activation: elementwise, of the candidate.
      gate_activation: elementwise, of the gate.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry and output are `h[*B, H]`.

    Raises:
      ValueError: if `hidden_size` is not positive or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer.

    Example:
      >>> linen_mgu(4).init(jax.random.key(0), 3).recurrent_kernel.shape
      (4, 2, 4)
    """

    def gate(candidate_bias: Array | None, x_part: Array, h_part: Array, h: Array) -> Array:
        forget = gate_activation(x_part[..., 0, :] + h_part[..., 0, :])
        fed_back = h_part[..., 1, :]
        if candidate_bias is not None:
            fed_back = forget * (fed_back + candidate_bias)
        return forget * h + (1 - forget) * activation(x_part[..., 1, :] + fed_back)

    def complete(key: Key, params: GatedParams) -> LinenMGUParams:
        bias = jnp.zeros_like(params.bias[0]) if reset_gate else None
        return LinenMGUParams(**vars(params), candidate_bias=bias)

    return gated_cell(
        hidden_size,
        gates=("forget", "candidate"),
        gate=gate,
        gate_params=lambda params: params.candidate_bias,
        initial_carry=initial_carry,
        complete=complete,
    )
