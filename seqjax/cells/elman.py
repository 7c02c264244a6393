"""Simple recurrent networks: Elman's, with all or some units feeding back, Jordan's, and the identity RNN."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation, Cell, GatedParams, gated_cell
from seqjax.checks import check_activation, check_size
from seqjax.types import Array, Key, PyTree

GATES = ("hidden",)


@struct.dataclass
class ContextCarry:
    """Carry of an Elman network only some of whose units feed back.

    Attributes:
      hidden: `[*B, H]`, units that only the output reads.
      context: `[*B, C]`, units that the next step reads too.
    """

    hidden: Array
    context: Array


@struct.dataclass
class JordanParams:
    """Parameters of a Jordan network.

    Attributes:
      input_kernel: `[D, 1, H]`.
      recurrent_kernel: `[O, 1, H]`, from the previous output.
      bias: `[1, H]`.
      initial_carry: the learned output before the first step `[O]`, or `None` for zeros.
      output_kernel: `[H, O]`.
      output_bias: `[O]`.
    """

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_carry: Array | None
    output_kernel: Array
    output_bias: Array


def elman(
    hidden_size: int,
    activation: Activation = jnp.tanh,
    *,
    context_size: int | None = None,
    initial_carry: str = "learned",
) -> Cell:
    """Simple recurrent network (Elman, 1990).

    Equation: `h_t = activation(x_t W + h_{t-1} U + b)`, and `y_t = h_t`.

    With `context_size`, only some units feed back. Hidden units `h` and context units `c` both read the input
    and the previous context, and the output is both:
    `[h_t, c_t] = activation(x_t W + c_{t-1} U + b)`, `y_t = [h_t, c_t]`.

    Args:
      hidden_size: `H`, the hidden units.
      activation: any elementwise function, such as `jnp.tanh`, `jax.nn.sigmoid` or `jax.nn.relu`.
      context_size: `C`, the context units; `None` if all hidden units feed back.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry is `h[*B, H]`, or a `ContextCarry`; its output has `H` features, or `H + C`.
      `input_kernel[D, 1, H + C]`, `recurrent_kernel[H or C, 1, H + C]`, `bias[1, H + C]`.

    Raises:
      ValueError: if a size is not positive or `initial_carry` is neither word.
      TypeError: if a size is not an integer or `activation` cannot be called.

    Example:
      >>> cell = elman(4, jax.nn.sigmoid)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> params.recurrent_kernel.shape
      (4, 1, 4)
      >>> elman(4, context_size=2).output_size
      6
    """
    check_activation("activation", activation)
    if context_size is None:
        return gated_cell(
            hidden_size,
            gates=GATES,
            gate=lambda _, x_part, h_part, h: activation((x_part + h_part)[..., 0, :]),
            initial_carry=initial_carry,
            additive=True,
        )
    check_size("hidden_size", hidden_size)
    check_size("context_size", context_size)

    def gate(_: PyTree, x_part: Array, h_part: Array, carry: ContextCarry) -> ContextCarry:
        units = activation((x_part + h_part)[..., 0, :])
        return ContextCarry(hidden=units[..., :hidden_size], context=units[..., hidden_size:])

    return gated_cell(
        hidden_size + context_size,
        gates=GATES,
        gate=gate,
        initial_carry=initial_carry,
        zeros=lambda dtype: ContextCarry(
            hidden=jnp.zeros((hidden_size,), dtype), context=jnp.zeros((context_size,), dtype)
        ),
        hidden=lambda carry: carry.context,
        readout=lambda params, carry, x: jnp.concatenate([carry.hidden, carry.context], axis=-1),
        feedback_size=context_size,
        output_size=hidden_size + context_size,
        additive=True,
    )


def irnn(hidden_size: int, *, initial_carry: str = "learned") -> Cell:
    """Recurrent network of rectified units that starts as the identity (Le, Jaitly & Hinton, 2015, sec. 2).

    Equation: `h_t = max(0, x_t W + h_{t-1} U + b)` with `U = I`, `b = 0` and `W` normal with standard
    deviation 0.001 at initialisation, so that an untrained network copies its state and its gradient.

    Args:
      hidden_size: `H`.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry and output are `h[*B, H]`.

    Raises:
      ValueError: if `hidden_size` is not positive or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer.

    Example:
      >>> params = irnn(2).init(jax.random.key(0), 3)
      >>> params.recurrent_kernel[:, 0].tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """

    def complete(key: Key, params: GatedParams) -> GatedParams:
        kernel = params.input_kernel
        identity = jnp.eye(hidden_size, dtype=kernel.dtype)[:, None, :]
        normal = 1e-3 * jax.random.normal(key, kernel.shape, kernel.dtype)
        return dataclasses.replace(params, input_kernel=normal, recurrent_kernel=identity)

    return gated_cell(
        hidden_size,
        gates=GATES,
        gate=lambda _, x_part, h_part, h: jax.nn.relu((x_part + h_part)[..., 0, :]),
        initial_carry=initial_carry,
        complete=complete,
        additive=True,
    )


def jordan(
    hidden_size: int,
    output_size: int,
    activation: Activation = jnp.tanh,
    *,
    output_activation: Activation = jnp.tanh,
    initial_carry: str = "learned",
) -> Cell:
    """Recurrent network whose output feeds back (Jordan, 1986).

    Equations: `h_t = activation(x_t W + y_{t-1} U + b)`, `y_t = output_activation(h_t V + d)`.

    Args:
      hidden_size: `H`.
      output_size: `O`.
      activation: elementwise, of the hidden units.
      output_activation: elementwise, of the outputs.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry and output are `y[*B, O]`.

    Raises:
      ValueError: if a size is not positive or `initial_carry` is neither word.
      TypeError: if a size is not an integer or an activation cannot be called.

    Example:
      >>> cell = jordan(4, 2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> params.recurrent_kernel.shape, params.output_kernel.shape
      ((2, 1, 4), (4, 2))
    """
    check_activation("activation", activation)
    check_activation("output_activation", output_activation)
    check_size("output_size", output_size)

    def gate(output: tuple[Array, Array], x_part: Array, h_part: Array, y: Array) -> Array:
        kernel, bias = output
        h = activation((x_part + h_part)[..., 0, :])
        return output_activation(ops.product(h, kernel) + bias)

    def complete(key: Key, params: GatedParams) -> JordanParams:
        kernel = ops.input_kernel(key, hidden_size, 1, output_size)[:, 0, :]
        return JordanParams(
            **vars(params), output_kernel=kernel, output_bias=jnp.zeros((output_size,), kernel.dtype)
        )

    return gated_cell(
        hidden_size,
        gates=GATES,
        gate=gate,
        initial_carry=initial_carry,
        zeros=lambda dtype: jnp.zeros((output_size,), dtype),
        gate_params=lambda params: (params.output_kernel, params.output_bias),
        feedback_size=output_size,
        complete=complete,
        additive=True,
    )
