"""The real-gated linear recurrent unit of Hawk and Griffin."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.affine import affine_cell, wide
from seqjax.types import Array, Key

SHARPNESS = 8.0
"""The paper's constant `c`."""


@struct.dataclass
class RGLRUParams:
    """Parameters of a real-gated linear recurrent unit; gates in the order recurrence, input.

    Attributes:
      input_kernel: `[D, H]`, from the input to the width of the state.
      gate_kernel: `[H, 2, H]`.
      bias: `[2, H]`, of the gates.
      decay_logit: `[H]`, the logit of the decay `a` when the recurrence gate is open by `1 / c`.
      initial_carry: `[H]`, or `None` for zeros.
    """

    input_kernel: Array
    gate_kernel: Array
    bias: Array
    decay_logit: Array
    initial_carry: Array | None


def rg_lru(hidden_size: int, *, initial_carry: str = "learned") -> Cell:
    """Real-gated linear recurrent unit (De et al., 2024, eqs. 1-4), after the linear layer of its block.

    Equations: `v = x W`, `r = sigmoid(v W_a + b_a)`, `i = sigmoid(v W_x + b_x)`,
    `a = sigmoid(decay_logit)^(c r)` with `c = 8`, `h' = a * h + sqrt(1 - a^2) * (i * v)`. Decays start with
    `sigmoid(decay_logit)^c` uniform between 0.9 and 0.999.

    Args:
      hidden_size: `H`.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the state `[*B, H]`.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer.

    Example:
      >>> cell = rg_lru(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> y.shape
      (2, 4)
    """

    def draw(key: Key, input_size: int) -> RGLRUParams:
        input_key, gate_key, decay_key = jax.random.split(key, 3)
        dtype = ops.default_dtype()
        log_decay = jnp.log(jax.random.uniform(decay_key, (hidden_size,), dtype, 0.9, 0.999)) / SHARPNESS
        return RGLRUParams(
            input_kernel=ops.input_kernel(input_key, input_size, 1, hidden_size)[:, 0],
            gate_kernel=ops.input_kernel(gate_key, hidden_size, 2, hidden_size),
            bias=jnp.zeros((2, hidden_size), dtype),
            decay_logit=log_decay - jnp.log(-jnp.expm1(log_decay)),
            initial_carry=None,
        )

    def coefficients(params: RGLRUParams, x: Any) -> tuple[Array, Array]:
        v = ops.product(x, params.input_kernel)
        gates = jax.nn.sigmoid(ops.product(v, params.gate_kernel) + params.bias)
        log_a = SHARPNESS * gates[..., 0, :] * jax.nn.log_sigmoid(wide(params.decay_logit))
        # Where `a` is 1 the square root has no derivative; nothing is let in there, whatever it is.
        kept = jnp.maximum(-jnp.expm1(2 * log_a), jnp.finfo(log_a.dtype).tiny)
        return jnp.exp(log_a), jnp.sqrt(kept) * gates[..., 1, :] * v

    return affine_cell(hidden_size, coefficients=coefficients, draw=draw, initial_carry=initial_carry)
