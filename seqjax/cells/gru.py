"""Gated recurrent units and the minimal gated unit."""

from __future__ import annotations

from typing import cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation, Cell, Gated, GatedParams, gated_cell, restructured
from seqjax.checks import check_activation, check_flag
from seqjax.types import Array, Key, Params

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

    def project_after(params: Params, x: Array) -> tuple[Array, Array]:
        # What the candidate reads of the inputs is outside of the reset gate, and so no part of the sums.
        part = ops.product(x, params.input_kernel) + params.bias
        both_gates, candidate = jax.lax.split(part, (2, 1), axis=part.ndim - 2)
        inside = jnp.broadcast_to(params.candidate_bias, candidate.shape).astype(part.dtype)
        return candidate[..., 0, :], jnp.concatenate([both_gates, inside], axis=-2)

    def gate_after(_: None, x_part: tuple[Array, Array], h_part: Array, h: Array) -> Array:
        x_candidate, rest = x_part
        sums = rest + h_part
        reset, update, fed_back = (
            part[..., 0, :] for part in jax.lax.split(sums, (1, 1, 1), axis=sums.ndim - 2)
        )
        update = gate_activation(update)
        candidate = activation(x_candidate + gate_activation(reset) * fed_back)
        return update * h + (1 - update) * candidate

    def gate_before(candidate_kernel: Array, x_part: Array, h_part: Array, h: Array) -> Array:
        reset = gate_activation(x_part[..., 0, :] + h_part[..., 0, :])
        update = gate_activation(x_part[..., 1, :] + h_part[..., 1, :])
        candidate = activation(x_part[..., 2, :] + ops.product(reset * h, candidate_kernel))
        return update * h + (1 - update) * candidate

    def complete(key: Key, params: GatedParams) -> GRUParams:
        bias = jnp.zeros_like(params.bias[0]) if reset_after else None
        return GRUParams(**vars(params), candidate_bias=bias)

    def merge(x_part: tuple[Array, Array], h_part: Array) -> tuple[Array, Array]:
        return x_part[0], x_part[1] + h_part

    if reset_after:
        cell = gated_cell(
            hidden_size,
            gates=GATES,
            project=project_after,
            gate=gate_after,
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
