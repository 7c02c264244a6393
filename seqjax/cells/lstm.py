"""Long short-term memory: the cell of 1997, the modern one, and its usual variations."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Activation, Cell, GatedParams, gated_cell
from seqjax.checks import check_activation, check_flag, check_number, check_size
from seqjax.types import Array, Key, Params

NORM_EPSILON = 1e-5


@struct.dataclass
class LSTMCarry:
    """What an LSTM hands from step to step.

    Attributes:
      cell: `[*B, H]`, the memory.
      hidden: `[*B, P]`, what was read from it: the output, and what the next step's gates see. `P` is `H`
        without a projection.
    """

    cell: Array
    hidden: Array


@struct.dataclass
class LSTMNorm:
    """Scales and shifts of layer normalisation.

    Attributes:
      input_scale: `[G, H]`, of the inputs' part of the gates.
      recurrent_scale: `[G, H]`, of the hidden vector's part.
      cell_scale: `[H]`, of the memory before it is read.
      cell_bias: `[H]`.
    """

    input_scale: Array
    recurrent_scale: Array
    cell_scale: Array
    cell_bias: Array


@struct.dataclass
class LSTMParams:
    """Parameters of an LSTM; gates in the order input, forget, candidate, output, absent ones left out.

    Attributes:
      input_kernel: `[D, G, H]`.
      recurrent_kernel: `[P, G, H]`.
      bias: `[G, H]`.
      initial_carry: the learned `LSTMCarry` before the first step, or `None` for zeros.
      peephole: `{gate: [H]}`, the memory's weight in each sigmoid gate, or `None`.
      projection_kernel: `[H, P]`, or `None`.
      norm: an `LSTMNorm`, or `None`.
    """

    input_kernel: Array
    recurrent_kernel: Array
    bias: Array
    initial_carry: LSTMCarry | None
    peephole: dict[str, Array] | None
    projection_kernel: Array | None
    norm: LSTMNorm | None


def lstm(
    hidden_size: int,
    *,
    forget_gate: bool = True,
    coupled: bool = False,
    peepholes: bool = False,
    projection_size: int | None = None,
    layer_norm: bool = False,
    activation: Activation = jnp.tanh,
    output_activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
    forget_bias: float = 1.0,
    initial_carry: str = "learned",
) -> Cell:
    """Long short-term memory (Hochreiter & Schmidhuber, 1997; forget gate of Gers et al., 2000).

    Equations, with `s` the gate activation, `a = x W + h U + b` for each gate:
    `i = s(a_i)`, `f = s(a_f)`, `g = activation(a_g)`, `o = s(a_o)`,
    `c' = f * c + i * g`, `h' = o * output_activation(c')`.

    The three sigmoid gates write (input), keep (forget) and read (output) the memory. The cell of 1997 has no
    forget gate, `f = 1`: what is written is kept, and the gradient along the memory is exactly one (the
    constant error carousel).

    Variations, which may be combined:
    coupled gates, `f = 1 - i` (Greff et al., 2017, CIFG);
    peepholes (Gers et al., 2002, eqs. 4-8), `a_i += p_i * c`, `a_f += p_f * c`, `a_o += p_o * c'`;
    a projection (Sak et al., 2014, eq. 7), `h' = (o * output_activation(c')) P`;
    layer normalisation (Ba et al., 2016, eqs. 20-22), `a = LN(x W) + LN(h U) + b` over all gates together,
    and `h' = o * output_activation(LN(c'))`.

    Args:
      hidden_size: `H`, the memory cells.
      forget_gate: whether memory can be forgotten; `False` gives the cell of 1997.
      coupled: whether the forget gate is one minus the input gate.
      peepholes: whether the sigmoid gates see the memory.
      projection_size: `P`, the features of the output and of what feeds back; `None` for `H`.
      layer_norm: whether the gates and the memory are normalised.
      activation: elementwise, of the candidate.
      output_activation: elementwise, of the memory when it is read.
      gate_activation: elementwise, of the gates.
      forget_bias: the forget gate's bias at initialisation (Jozefowicz et al., 2015).
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A cell whose carry is an `LSTMCarry` and whose output is `h[*B, P]`.

    Raises:
      ValueError: if a size is not positive, `initial_carry` is neither word, or `coupled` is asked for
        without a forget gate.
      TypeError: if a size is not an integer, a flag no boolean, `forget_bias` no number, or an activation
        cannot be called.

    Example:
      >>> cell = lstm(4, projection_size=2)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> params.input_kernel.shape, params.recurrent_kernel.shape
      ((3, 4, 4), (2, 4, 4))
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> carry.cell.shape, y.shape
      ((5, 4), (5, 2))
    """
    check_activation("activation", activation)
    check_activation("output_activation", output_activation)
    check_activation("gate_activation", gate_activation)
    flags = {"forget_gate": forget_gate, "coupled": coupled, "peepholes": peepholes, "layer_norm": layer_norm}
    for name, flag in flags.items():
        check_flag(name, flag)
    check_number("forget_bias", forget_bias)
    if projection_size is not None:
        check_size("projection_size", projection_size)
    if coupled and not forget_gate:
        raise ValueError("coupled is True, but forget_gate=False leaves no gate to couple: choose one.")
    gates = tuple(
        name
        for name in ("input", "forget", "candidate", "output")
        if name != "forget" or (forget_gate and not coupled)
    )
    output_size = hidden_size if projection_size is None else projection_size

    def gate(extra: LSTMParams, x_part: Array, h_part: Array, carry: LSTMCarry) -> LSTMCarry:
        if extra.norm is not None:
            h_part = _normalise(h_part, (-2, -1)) * extra.norm.recurrent_scale
        part = {name: x_part[..., g, :] + h_part[..., g, :] for g, name in enumerate(gates)}

        def opened(name: str, memory: Array) -> Array:
            seen = part[name] if extra.peephole is None else part[name] + extra.peephole[name] * memory
            return gate_activation(seen)

        write = opened("input", carry.cell)
        if "forget" in gates:
            kept = opened("forget", carry.cell) * carry.cell
        else:
            kept = (1 - write) * carry.cell if coupled else carry.cell
        memory = kept + write * activation(part["candidate"])
        normalised = memory
        if extra.norm is not None:
            normalised = _normalise(memory, (-1,)) * extra.norm.cell_scale + extra.norm.cell_bias
        hidden = opened("output", memory) * output_activation(normalised)
        if extra.projection_kernel is not None:
            hidden = ops.product(hidden, extra.projection_kernel)
        return LSTMCarry(cell=memory, hidden=hidden)

    def project_normalised(params: LSTMParams, x: Array) -> Array:
        part = _normalise(ops.product(x, params.input_kernel), (-2, -1))
        return part * cast(LSTMNorm, params.norm).input_scale + params.bias

    return gated_cell(
        hidden_size,
        gates=gates,
        gate=gate,
        initial_carry=initial_carry,
        zeros=lambda dtype: LSTMCarry(
            cell=jnp.zeros((hidden_size,), dtype), hidden=jnp.zeros((output_size,), dtype)
        ),
        hidden=lambda carry: carry.hidden,
        # The gate reads params without the kernels that the products use, so that the fused gradient
        # does not sum those over time.
        gate_params=lambda params: params.replace(
            input_kernel=None, recurrent_kernel=None, bias=None, initial_carry=None
        ),
        project=project_normalised if layer_norm else None,
        feedback_size=output_size,
        additive=not layer_norm,
        complete=_completion(gates, forget_bias, peepholes, projection_size, layer_norm),
    )


def _completion(
    gates: tuple[str, ...],
    forget_bias: float,
    peepholes: bool,
    projection_size: int | None,
    layer_norm: bool,
) -> Callable[[Key, GatedParams], Params]:
    """What an LSTM has beyond kernels, biases and the initial carry."""

    def complete(key: Key, params: GatedParams) -> LSTMParams:
        bias = params.bias
        if "forget" in gates:
            bias = bias.at[gates.index("forget")].set(forget_bias)
        row = jnp.zeros_like(bias[0])
        peephole = {name: row for name in gates if name != "candidate"} if peepholes else None
        projection = None
        if projection_size is not None:
            projection = ops.input_kernel(key, row.shape[0], 1, projection_size)[:, 0, :]
        norm = None
        if layer_norm:
            ones = jnp.ones_like(bias)
            norm = LSTMNorm(input_scale=ones, recurrent_scale=ones, cell_scale=ones[0], cell_bias=row)
        fields = vars(params) | {"bias": bias}
        return LSTMParams(**fields, peephole=peephole, projection_kernel=projection, norm=norm)

    return complete


def _normalise(x: Array, axes: tuple[int, ...]) -> Array:
    """Mean zero and variance one over `axes`."""
    centred = x - jnp.mean(x, axes, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.mean(centred**2, axes, keepdims=True) + NORM_EPSILON)
