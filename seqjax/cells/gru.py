"""Gated recurrent units and the minimal gated unit."""

from __future__ import annotations

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation, Cell, Gated, GatedParams, gated_cell, restructured
from seqjax.checks import check_activation, check_flag
from seqjax.types import Array, Key

GATES = ("reset", "update", "candidate")


@struct.dataclass
class GRUParams:
    """Parameters of a gated recurrent unit; gates in the order reset, update, candidate.

    Attributes:
      input_kernel: `[D, 3, H]`.
      recurrent_kernel: `[H, 3, H]`.
      bias: `[3, H]`.
      initial_carry: the learned hidden vector before the first step `[H]`, or `None` for zeros.
      candidate_bias: `[H]`, added to the candidate's recurrent product inside the reset gate; `None` where
        the reset acts before the product.
    """

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_carry: Array | None
    candidate_bias: Array | None


class _Sums(NamedTuple):
    """What the gates of a unit read that resets after its product: `x_part` once `h_part` is merged into it.

    Attributes:
      candidate: what the inputs add to the candidate, `[*B, H]`.
      gates: of both parts, `[*B, 2, H]`.
      fed_back: what the reset gate lets through, `[*B, H]`.
    """

    candidate: Array
    gates: Array
    fed_back: Array


def gru(
    hidden_size: int,
    *,
    reset_after: bool = True,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
    initial_carry: str = "learned",
) -> Cell:
    """Gated recurrent unit (Cho et al., 2014, eqs. 5-8).

    Equations, with `s` the gate activation:
    `r = s(x W_r + h U_r + b_r)`, `z = s(x W_z + h U_z + b_z)`,
    `n = activation(x W_n + b_n + r * (h U_n + d))` with `reset_after` (torch and cuDNN), or
    `n = activation(x W_n + b_n + (r * h) U_n)` without (Cho et al.), and
    `h' = z * h + (1 - z) * n`.

    The update gate `z` keeps the old state, as in Cho et al. and torch. Where `1 - z` keeps it (Chung et al.,
    2014), negate the update gate's kernels and bias: `sigmoid(-a) = 1 - sigmoid(a)`.

    Args:
      hidden_size: `H`.
      reset_after: whether the reset gate acts after the recurrent product, which leaves one product a step.
      activation: elementwise, of the candidate.
      gate_activation: elementwise, of the gates.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry and output are `h[*B, H]`.

    Raises:
      ValueError: if `hidden_size` is not positive or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, `reset_after` no boolean, or an activation no function.

    Example:
      >>> cell = gru(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> params.input_kernel.shape, params.candidate_bias.shape
      ((3, 3, 4), (4,))
    """
    check_activation("activation", activation)
    check_activation("gate_activation", gate_activation)
    check_flag("reset_after", reset_after)

    def merge(x_part: Array | _Sums, h_part: Array) -> _Sums:
        gates, fed_back = h_part[..., :2, :], h_part[..., 2, :]
        if not isinstance(x_part, _Sums):
            return _Sums(candidate=x_part[..., 2, :], gates=x_part[..., :2, :] + gates, fed_back=fed_back)
        return x_part._replace(gates=x_part.gates + gates, fed_back=x_part.fed_back + fed_back)

    def gate_after(candidate_bias: Array, x_part: Array | _Sums, h_part: Array, h: Array) -> Array:
        sums = merge(x_part, h_part)
        reset = gate_activation(sums.gates[..., 0, :])
        update = gate_activation(sums.gates[..., 1, :])
        candidate = activation(sums.candidate + reset * (sums.fed_back + candidate_bias))
        return update * h + (1 - update) * candidate

    def gate_before(candidate_kernel: Array, x_part: Array, h_part: Array, h: Array) -> Array:
        reset = gate_activation(x_part[..., 0, :] + h_part[..., 0, :])
        update = gate_activation(x_part[..., 1, :] + h_part[..., 1, :])
        candidate = activation(x_part[..., 2, :] + ops.product(reset * h, candidate_kernel))
        return update * h + (1 - update) * candidate

    def complete(key: Key, params: GatedParams) -> GRUParams:
        bias = jnp.zeros_like(params.bias[0]) if reset_after else None
        return GRUParams(**vars(params), candidate_bias=bias)

    if reset_after:
        cell = gated_cell(
            hidden_size,
            gates=GATES,
            gate=gate_after,
            gate_params=lambda params: params.candidate_bias,
            initial_carry=initial_carry,
            complete=complete,
        )
        return restructured(cell, cast(Gated, cell.structure)._replace(merge=merge))
    return gated_cell(
        hidden_size,
        gates=GATES,
        gate=gate_before,
        gate_params=lambda params: params.recurrent_kernel[:, 2, :],
        recurrent=lambda params: params.recurrent_kernel[:, :2, :],
        initial_carry=initial_carry,
        complete=complete,
    )


def minimal_gated_unit(
    hidden_size: int,
    *,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
    initial_carry: str = "learned",
) -> Cell:
    """Gated unit with one gate that both forgets and resets (Zhou et al., 2016, eqs. 9-11).

    Equations: `f = s(x W_f + h U_f + b_f)`, `n = activation(x W_n + (f * h) U_n + b_n)`,
    `h' = (1 - f) * h + f * n`.

    Args:
      hidden_size: `H`.
      activation: elementwise, of the candidate.
      gate_activation: elementwise, of the gate.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry and output are `h[*B, H]`; gates in the order forget, candidate.

    Raises:
      ValueError: if `hidden_size` is not positive or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer or an activation cannot be called.

    Example:
      >>> minimal_gated_unit(4).init(jax.random.key(0), 3).recurrent_kernel.shape
      (4, 2, 4)
    """
    check_activation("activation", activation)
    check_activation("gate_activation", gate_activation)

    def gate(candidate_kernel: Array, x_part: Array, h_part: Array, h: Array) -> Array:
        forget = gate_activation(x_part[..., 0, :] + h_part[..., 0, :])
        candidate = activation(x_part[..., 1, :] + ops.product(forget * h, candidate_kernel))
        return (1 - forget) * h + forget * candidate

    return gated_cell(
        hidden_size,
        gates=("forget", "candidate"),
        gate=gate,
        gate_params=lambda params: params.recurrent_kernel[:, 1, :],
        recurrent=lambda params: params.recurrent_kernel[:, :1, :],
        initial_carry=initial_carry,
    )
