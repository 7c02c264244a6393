"""What the converters share: a cell and its params from kernels and two biases, and back."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.cell import Cell, GatedParams
from seqjax.cells.elman import Activation, elman
from seqjax.cells.gru import GRUParams, gru
from seqjax.cells.lstm import LSTMParams, lstm
from seqjax.interop.arrays import check_shape
from seqjax.interop.minimal_gated import LinenMGUParams, linen_mgu
from seqjax.types import Array, Params

FAMILIES: dict[str, tuple[Any, int]] = {
    "elman": (GatedParams, 1),
    "lstm": (LSTMParams, 4),
    "gru": (GRUParams, 3),
    "linen_mgu": (LinenMGUParams, 2),
}
"""The type of the params and the number of gates, by the name of the factory."""


def assemble(
    family: str,
    input_kernel: Array,
    recurrent_kernel: Array,
    input_bias: Array,
    recurrent_bias: Array | None,
    *,
    projection_kernel: Array | None = None,
    activation: Activation = jnp.tanh,
    gate_activation: Activation = jax.nn.sigmoid,
) -> tuple[Cell, Params]:
    """A cell and its params from kernels and the biases of both products.

    Equation: where gates read the sum of both products, so do they of both biases,
    `bias = input_bias + recurrent_bias`. Where a gate acts on the candidate's recurrent product (GRU, minimal
    gated unit), the last row of `recurrent_bias` stays inside, as `candidate_bias`.

    Args:
      family: a name in `FAMILIES`.
      input_kernel: `[D, G, H]`, gates in the order of seqjax.
      recurrent_kernel: `[P, G, H]`.
      input_bias: `[G, H]`, added to the inputs' product.
      recurrent_bias: `[G, H]`, added to the hidden vector's product; `None` where a GRU resets before it, or
        a minimal gated unit does not reset.
      projection_kernel: `[H, P]` of an LSTM, or `None`.
      activation: elementwise, of the candidate, and of an LSTM's memory when it is read.
      gate_activation: elementwise, of the gates.

    Returns:
      A cell whose initial carry is zeros, and its params.

    Example:
      >>> cell, params = assemble("gru", jnp.ones((2, 3, 4)), jnp.ones((4, 3, 4)), jnp.ones((3, 4)), None)
      >>> params.candidate_bias is None, cell.output_size
      (True, 4)
    """
    hidden_size = input_kernel.shape[-1]
    kernels: dict[str, Any] = {
        "input_kernel": input_kernel,
        "recurrent_kernel": recurrent_kernel,
        "initial_carry": None,
    }
    if family in ("gru", "linen_mgu"):
        bias, candidate_bias = input_bias, None
        if recurrent_bias is not None:
            bias, candidate_bias = input_bias + recurrent_bias.at[-1].set(0), recurrent_bias[-1]
        options: dict[str, Any] = {"activation": activation, "gate_activation": gate_activation}
        if family == "gru":
            cell = gru(hidden_size, reset_after=recurrent_bias is not None, initial_carry="zeros", **options)
            return cell, GRUParams(**kernels, bias=bias, candidate_bias=candidate_bias)
        cell = linen_mgu(hidden_size, reset_gate=recurrent_bias is not None, initial_carry="zeros", **options)
        return cell, LinenMGUParams(**kernels, bias=bias, candidate_bias=candidate_bias)
    bias = input_bias if recurrent_bias is None else input_bias + recurrent_bias
    if family == "elman":
        return elman(hidden_size, activation, initial_carry="zeros"), GatedParams(**kernels, bias=bias)
    cell = lstm(
        hidden_size,
        projection_size=None if projection_kernel is None else projection_kernel.shape[-1],
        activation=activation,
        output_activation=activation,
        gate_activation=gate_activation,
        initial_carry="zeros",
    )
    params = LSTMParams(**kernels, bias=bias, peephole=None, projection_kernel=projection_kernel, norm=None)
    return cell, params


def check_params(name: str, family: str, params: Params) -> None:
    """Refuses params that no other framework could hold under this name.

    Args:
      name: what the caller calls the params, for the error.
      family: a name in `FAMILIES`.
      params: what must be params of that family.

    Raises:
      TypeError: if they are of another type.
      ValueError: if they have parts that other frameworks lack, or their shapes do not fit together.

    Example:
      >>> import seqjax as sj
      >>> check_params("params", "gru", sj.gru(4).init(jax.random.key(0), 3))
      Traceback (most recent call last):
      ValueError: params has a learned initial_carry, expected None: elsewhere the first carry is an input and
      no parameter. Hand it over as one, and pass seqjax.interop.without_initial_carry(params) here.
    """
    params_type, num_gates = FAMILIES[family]
    if not isinstance(params, params_type):
        raise TypeError(
            f"{name} is a {type(params).__name__}, expected {params_type.__name__}, the params of {family}. "
            f"Pass the kind of these params, or the params of that kind."
        )
    if params.initial_carry is not None:
        raise ValueError(
            f"{name} has a learned initial_carry, expected None: elsewhere the first carry is an input and "
            f"no parameter. Hand it over as one, and pass seqjax.interop.without_initial_carry(params) here."
        )
    for part in ("peephole", "norm"):
        if getattr(params, part, None) is not None:
            raise ValueError(
                f"{name}.{part} is set, expected None: only seqjax has it. Export an lstm made without it."
            )
    if params.bias.ndim != 2 or params.bias.shape[0] != num_gates:
        raise ValueError(
            f"{name}.bias has shape {params.bias.shape}, expected ({num_gates}, hidden_size): {family} with "
            f"all of its {num_gates} gates and no batch axes. Export one member of an ensemble at a time."
        )
    _check_shapes(name, params)


def _check_shapes(name: str, params: Params) -> None:
    num_gates, hidden_size = params.bias.shape
    projection = getattr(params, "projection_kernel", None)
    output_size = hidden_size if projection is None else projection.shape[-1]
    expected: dict[str, tuple[int, ...]] = {
        "input_kernel": (params.input_kernel.shape[0], num_gates, hidden_size),
        "recurrent_kernel": (output_size, num_gates, hidden_size),
        "projection_kernel": (hidden_size, output_size),
        "candidate_bias": (hidden_size,),
    }
    for field, shape in expected.items():
        array = getattr(params, field, None)
        if array is not None:
            mend = f"{name}.bias has {hidden_size} hidden units. Pass params made by this cell's init."
            check_shape(f"{name}.{field}", array, shape, mend)


def split_bias(params: Params) -> tuple[Array, Array | None]:
    """The biases of both products: all in the inputs', but for what acts inside a gate.

    Args:
      params: params that `check_params` has seen.

    Returns:
      `input_bias[G, H]`, and `recurrent_bias[G, H]` or `None`, as `assemble` takes them.

    Example:
      >>> import seqjax as sj
      >>> input_bias, recurrent_bias = split_bias(sj.lstm(4).init(jax.random.key(0), 3))
      >>> input_bias.shape, float(recurrent_bias.max())
      ((4, 4), 0.0)
    """
    zeros = jnp.zeros_like(params.bias)
    if not hasattr(params, "candidate_bias"):
        return params.bias, zeros
    if params.candidate_bias is None:
        return params.bias, None
    return params.bias, zeros.at[-1].set(params.candidate_bias)


def check_no_bias(name: str, bias: Array, mend: str) -> None:
    """Refuses a bias that would have to be left out although it is not zero.

    Args:
      name: what the caller calls the bias, for the error.
      bias: a concrete array.
      mend: what to do about it.

    Raises:
      ValueError: if a value is not zero.

    Example:
      >>> check_no_bias("params.bias", jnp.ones(3), "Pass bias=True.")
      Traceback (most recent call last):
      ValueError: params.bias has values other than zero, expected none: it would be lost. Pass bias=True.
    """
    if np.any(np.asarray(bias) != 0):
        raise ValueError(f"{name} has values other than zero, expected none: it would be lost. {mend}")


def without_initial_carry(params: Params) -> Params:
    """Params without their learned initial carries, wherever in a tree they are.

    Other frameworks take the first carry as an input: read it with `network.initial_carry(params, (batch,))`
    before it is left out here. The params that remain are those of cells with `initial_carry="zeros"`.

    Args:
      params: a cell's params, or a tree of them, such as a stack's.

    Returns:
      The same, each `initial_carry` being `None`.

    Example:
      >>> import seqjax as sj
      >>> params = (sj.lstm(4).init(jax.random.key(0), 3),)
      >>> without_initial_carry(params)[0].initial_carry is None
      True
    """

    def leave_out(node: Any) -> Any:
        return node.replace(initial_carry=None) if hasattr(node, "initial_carry") else node

    return jax.tree.map(leave_out, params, is_leaf=lambda node: hasattr(node, "initial_carry"))
