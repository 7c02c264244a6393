"""What gates do along a trajectory: their values, how often they are shut or open, how long they keep."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.backends.newton_iterations import linearized
from seqjax.cell import Affine, Cell, Gated, check_cell
from seqjax.cells import GRUParams, LSTMParams
from seqjax.checks import check_number
from seqjax.diagnostics.jacobians import trajectory
from seqjax.ops.rows import Rows
from seqjax.transforms import cut_feedback
from seqjax.types import Array, Carry, Params, PyTree
from seqjax.unroll import unroll


@struct.dataclass
class Saturation:
    """How often gates are all but shut or open.

    Attributes:
      shut: `[H]`, the share of steps and rows at which each unit's gate is below the lower threshold.
      open: `[H]`, the share at which it is above the upper one.
    """

    shut: Array
    open: Array


def retention(cell: Cell, params: Params, xs: Any, *, carry: Carry | None = None) -> Carry:
    """What share of each unit of the carry each step keeps: the derivative of a unit by itself.

    Equation: `d c_t[i] / d c_{t-1}[i]` along the carry itself, without the way through the recurrent kernel.
    Of an LSTM's memory that is the forget gate, and exactly 1 for the cell of 1997: the constant error
    carousel (Hochreiter & Schmidhuber, 1997, section 3.2). Of a GRU it is the update gate, of an affine cell
    the absolute value of its coefficient, of an Elman network 0.

    Args:
      cell: a cell with a structure.
      params: its params.
      xs: `[T, *B, D]`.
      carry: the carry before the first step, or `None` for the initial one.

    Returns:
      Real numbers with the structure of the carry, leaves `[T, *B, ...]`. Peepholes and what a gate
      multiplies inside itself count.

    Raises:
      ValueError: if the cell has no structure, or as `seqjax.unroll`.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(4, forget_gate=False)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> kept = retention(cell, params, jnp.ones((7, 3)))
      >>> bool((kept.cell == 1).all()), bool((kept.hidden == 0).all())
      (True, True)
    """
    check_cell(cell)
    return unroll(cut_feedback(cell), params, xs, carry=carry, method=_retention)[1]


def _retention(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, Carry]:
    last, (before, _) = trajectory(cell, params, carry, xs)
    if isinstance(cell.structure, Affine):
        decay, _ = cell.structure.coefficients(params, xs)
        return last, jax.tree.map(lambda a, leaf: jnp.broadcast_to(jnp.abs(a), leaf.shape), decay, before)
    # Gated and matrix carries are real.
    rows = Rows.of(carry, jax.tree.leaves(xs)[0].ndim - 2)

    def transition(flat: Array) -> Array:
        return rows.flat(jax.vmap(cell.step, (None, 0, 0))(params, rows.tree(flat), xs)[0])

    return last, rows.tree(linearized(transition, rows.flat(before), dense=False)[1])


def time_constants(kept: PyTree) -> PyTree:
    """Over how many steps a unit forgets: after so many, `1/e` is left.

    Equation: `tau = -1 / log |kept|`; infinite where all is kept, 0 where nothing is.

    Args:
      kept: what `retention` gives, or its mean over time; any pytree of arrays.

    Returns:
      The same structure and shapes.

    Example:
      >>> time_constants(jnp.array([1.0, 0.0])).tolist()
      [inf, 0.0]
    """

    def one(kept: Array) -> Array:
        kept = jnp.abs(jnp.asarray(kept))
        forgets = kept < 1
        rate = -jnp.log(jnp.where(forgets, kept, 0.5))
        return jnp.where(forgets, 1 / rate, jnp.inf)

    return jax.tree.map(one, kept)


def gate_values(
    cell: Cell,
    params: Params,
    xs: Any,
    *,
    gates: Sequence[str] | None = None,
    carry: Carry | None = None,
    activation: Any = jax.nn.sigmoid,
) -> dict[str, Array]:
    """The values of a cell's gates along a trajectory.

    Equation: `activation(x_t W_g + b_g + h_{t-1} U_g)`, with peepholes where an LSTM has them.

    Args:
      cell: a cell with a `Gated` structure whose gates read the sum of its parts. Those of `seqjax.lstm`
        (without layer normalisation) and `seqjax.gru` are known by name.
      params: its params.
      xs: `[T, *B, D]`.
      gates: the names of the gates along the gate axis, for another cell; those called `"candidate"` or
        `"hidden"` are no gates, and are left out.
      carry: the carry before the first step, or `None` for the initial one.
      activation: of the gates, as the cell was given it.

    Returns:
      `{name: [T, *B, H]}`.

    Raises:
      ValueError: if the cell is not gated, its gates are not known, or normalised inside of it, or as
        `seqjax.unroll`.
      TypeError: as `seqjax.unroll`.

    Example:
      >>> import seqjax as sj
      >>> cell = sj.lstm(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> {name: gate.shape for name, gate in gate_values(cell, params, jnp.ones((7, 3))).items()}
      {'input': (7, 4), 'forget': (7, 4), 'output': (7, 4)}
    """
    check_cell(cell)
    if not isinstance(cell.structure, Gated):
        raise ValueError("cell has no gated structure, expected one such as seqjax.lstm(128): see retention.")
    before, after, read, number = unroll(cell, params, xs, carry=carry, method=_read_by_gates)[1]
    names = _names(params, number.size) if gates is None else tuple(gates)
    if len(names) != number.size:
        raise ValueError(f"gates has {len(names)} names, expected {number.size}, one for each gate.")
    values = {name: read[..., g, :] for g, name in enumerate(names) if name not in ("candidate", "hidden")}
    peephole = params.peephole if isinstance(params, LSTMParams) else None
    if peephole is not None:
        for name in values:  # the output gate sees the memory that has just been written
            values[name] += peephole[name] * (after if name == "output" else before).cell
    return {name: activation(value) for name, value in values.items()}


def _read_by_gates(cell: Cell, params: Params, carry: Carry, xs: Any) -> tuple[Carry, tuple]:
    last, (before, after) = trajectory(cell, params, carry, xs)
    structure = cast(Gated, cell.structure)
    gate_params = structure.gate_params(params)
    x_part = structure.project(params, xs)
    fed_back = structure.feedback(gate_params, x_part, structure.hidden(before))
    h_part = ops.product(fed_back, structure.recurrent(params))
    # A gate that resets before its product has no part for it here, and is none of those that are read.
    read = x_part[..., : h_part.shape[-2], :] + h_part
    return last, (before, after, read, jnp.arange(x_part.shape[-2]))


def _names(params: Params, number: int) -> tuple[str, ...]:
    if isinstance(params, GRUParams):
        return "reset", "update", "candidate"
    if isinstance(params, LSTMParams):
        if params.norm is not None:
            raise ValueError(
                "cell normalises its gates inside, so that their values are not seen: see retention."
            )
        return ("input", "forget", "candidate", "output") if number == 4 else ("input", "candidate", "output")
    raise ValueError(
        f"gates is None, but params are {type(params).__name__}, whose gates are not known by name: pass "
        f"gates=('update', 'candidate'), one name for each of the {number} along the gate axis."
    )


def saturation(values: Array, *, low: float = 0.1, high: float = 0.9) -> Saturation:
    """How often gates are all but shut or open (Karpathy et al., 2015, section 4.1).

    Where a gate is saturated its own gradient vanishes, and what it holds or lets pass stays.

    Args:
      values: `[T, *B, H]`, one of the entries of `gate_values`.
      low: below this a gate counts as shut.
      high: above this it counts as open.

    Returns:
      A `Saturation`.

    Raises:
      ValueError: if the thresholds are not in order.
      TypeError: if one is no number.

    Example:
      >>> saturation(jnp.array([[0.05], [0.5], [0.95], [0.99]])).open.tolist()
      [0.5]
    """
    check_number("low", low)
    check_number("high", high)
    if not low < high:
        raise ValueError(f"low is {low} and high {high}, expected low < high.")
    values = jnp.asarray(values)
    axes = tuple(range(values.ndim - 1))
    return Saturation(shut=jnp.mean(values < low, axes), open=jnp.mean(values > high, axes))
