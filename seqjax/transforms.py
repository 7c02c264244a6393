"""Cells made from cells: padding, resets, noise, shifts and a cut, rewritten into the structure.

A transformed cell reads a pair, the input of the cell it was made from and what the transformation needs at
that step. Because the structure is rewritten and the step derived from it again, every backend runs the
transformed cell and none knows of lengths, resets or noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.cell import (
    Affine,
    Cell,
    Gated,
    InputProduct,
    LinearAttention,
    PartsSum,
    check_cell,
    restructured,
    unchanged,
)
from seqjax.types import Array, Carry, Params, PyTree


def masked(cell: Cell) -> Cell:
    """A cell whose invalid steps leave the carry as it was and give a zero output.

    Equations: `carry' = where(valid, step(carry), carry)`, `y' = where(valid, y, 0)`.

    Args:
      cell: any cell.

    Returns:
      A cell that reads `(x, valid[*B])`. `x` must be finite where `valid` is false if gradients are taken;
      `unroll` sees to that.

    Raises:
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> cell = masked(sj.gru(2))
      >>> params = cell.init(jax.random.key(0), 3)
      >>> before = cell.initial_carry(params, (1,))
      >>> after, y = cell.step(params, before, (jnp.ones((1, 3)), jnp.array([False])))
      >>> bool((after == before).all()), y.tolist()
      (True, [[0.0, 0.0]])
    """
    check_cell(cell)
    if isinstance(cell.structure, Gated):
        return restructured(cell, _masked_gated(cell.structure))
    if isinstance(cell.structure, Affine):
        return restructured(cell, _masked_affine(cell.structure))
    if isinstance(cell.structure, LinearAttention):
        return restructured(cell, _masked_attention(cell.structure))

    def step(params: Params, carry: Carry, x: tuple[Any, Array]) -> tuple[Carry, Any]:
        stepped, y = cell.step(params, carry, x[0])
        return ops.select(x[1], stepped, carry), _blank(x[1], y)

    return cell._replace(step=step)


def _blank(valid: Array, y: PyTree) -> PyTree:
    return ops.select(valid, y, jax.tree.map(jnp.zeros_like, y))


def _masked_gated(inner: Gated) -> Gated:
    def gate(gate_params: PyTree, x_part: Any, h_part: Array, carry: Carry) -> Carry:
        return ops.select(x_part[1], inner.gate(gate_params, x_part[0], h_part, carry), carry)

    def readout(params: Params, carry: Carry, x: tuple[Any, Array]) -> Any:
        return _blank(x[1], inner.readout(params, carry, x[0]))

    return _paired(inner, gate=gate, readout=readout)


def _masked_affine(inner: Affine) -> Affine:
    def coefficients(params: Params, x: tuple[Any, Array]) -> tuple[Carry, Carry]:
        decay, update = inner.coefficients(params, x[0])
        ones, zeros = jax.tree.map(jnp.ones_like, decay), jax.tree.map(jnp.zeros_like, update)
        return ops.select(x[1], decay, ones), ops.select(x[1], update, zeros)

    def readout(params: Params, carry: Carry, x: tuple[Any, Array]) -> Any:
        return _blank(x[1], inner.readout(params, carry, x[0]))

    return Affine(coefficients, readout)


def _masked_attention(inner: LinearAttention) -> LinearAttention:
    def entries(params: Params, x: tuple[Any, Array]) -> ops.Entries:
        return ops.skip_where(~x[1], inner.entries(params, x[0]))

    def readout(params: Params, read: ops.Read, x: tuple[Any, Array]) -> Any:
        return _blank(x[1], inner.readout(params, read, x[0]))

    return LinearAttention(entries, readout)


def resettable(cell: Cell) -> Cell:
    """A cell whose carry returns to the initial carry before a step that says so.

    Equation: `carry' = step(where(reset, initial_carry, carry))`.

    Args:
      cell: any cell.

    Returns:
      A cell that reads `(x, reset[*B])`.

    Raises:
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> inner = sj.gru(2)
      >>> cell = resettable(inner)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> x, other = jnp.ones((1, 3)), jnp.full((1, 2), 9.0)
      >>> reset = cell.step(params, other, (x, jnp.array([True])))[1]
      >>> fresh = inner.step(params, inner.initial_carry(params, (1,)), x)[1]
      >>> bool(jnp.allclose(reset, fresh))
      True
    """
    check_cell(cell)
    if isinstance(cell.structure, Gated):
        return restructured(cell, _resettable_gated(cell, cell.structure))
    if isinstance(cell.structure, Affine):
        return restructured(cell, _resettable_affine(cell, cell.structure))
    if isinstance(cell.structure, LinearAttention):
        return restructured(cell, _resettable_attention(cell, cell.structure))

    def step(params: Params, carry: Carry, x: tuple[Any, Array]) -> tuple[Carry, Any]:
        return cell.step(params, ops.select(x[1], cell.initial_carry(params), carry), x[0])

    return cell._replace(step=step)


def _resettable_gated(cell: Cell, inner: Gated) -> Gated:
    def gate(gate_params: PyTree, x_part: Any, h_part: Array, carry: Carry) -> Carry:
        inner_params, initial = gate_params
        return inner.gate(inner_params, x_part[0], h_part, ops.select(x_part[1], initial, carry))

    def feedback(gate_params: PyTree, x_part: Any, h: Array) -> Array:
        inner_params, initial = gate_params
        return inner.feedback(inner_params, x_part[0], ops.select(x_part[1], inner.hidden(initial), h))

    return _paired(
        inner,
        gate_params=lambda params: (inner.gate_params(params), cell.initial_carry(params)),
        gate=gate,
        feedback=feedback,
    )


def _resettable_affine(cell: Cell, inner: Affine) -> Affine:
    def coefficients(params: Params, x: tuple[Any, Array]) -> tuple[Carry, Carry]:
        decay, update = inner.coefficients(params, x[0])
        initial = cell.initial_carry(params)
        restarted = jax.tree.map(lambda a, c, b: a * c + b, decay, initial, update)
        zeros = jax.tree.map(jnp.zeros_like, decay)
        return ops.select(x[1], zeros, decay), ops.select(x[1], restarted, update)

    return Affine(coefficients, lambda params, carry, x: inner.readout(params, carry, x[0]))


def _resettable_attention(cell: Cell, inner: LinearAttention) -> LinearAttention:
    def entries(params: Params, x: tuple[Any, Array]) -> ops.Entries:
        given = inner.entries(params, x[0])
        reset = x[1] if given.restart is None else x[1] | given.restart.reset
        return given._replace(restart=ops.Restart(reset, cell.initial_carry(params)))

    return LinearAttention(entries, lambda params, read, x: inner.readout(params, read, x[0]))


def zoneout(cell: Cell) -> Cell:
    """A cell some of whose units keep their old value at a step (Krueger et al., 2017, eq. 3).

    Equation: `carry' = keep * carry + (1 - keep) * step(carry)`, leaf by leaf. Training draws `keep` from
    {0, 1}; evaluation passes the rate itself, which is the expectation.

    Args:
      cell: a cell with a `Gated` or an `Affine` structure.

    Returns:
      A cell that reads `(x, keep)`, `keep` with the structure of the carry, leaves that broadcast against it:
      numbers from 0 to 1, or booleans, which take less memory and have no gradient.

    Raises:
      ValueError: if the cell has no structure, so that its output cannot be told from its new carry, or a
        matrix for its carry, which has no units.
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> cell = zoneout(sj.gru(2))
      >>> params = cell.init(jax.random.key(0), 3)
      >>> before = cell.initial_carry(params, (1,))
      >>> after, _ = cell.step(params, before, (jnp.ones((1, 3)), jnp.ones((1, 1))))
      >>> bool((after == before).all())
      True
    """
    check_cell(cell)
    if isinstance(cell.structure, Gated):
        return restructured(cell, _zoneout_gated(cell.structure))
    if isinstance(cell.structure, Affine):
        return restructured(cell, _zoneout_affine(cell.structure))
    raise ValueError(
        f"cell has {_structure_name(cell)}, expected Gated or Affine: zoneout acts on units of the carry, "
        f"before the readout."
    )


def _structure_name(cell: Cell) -> str:
    return "no structure" if cell.structure is None else f"structure {type(cell.structure).__name__}"


def _mix(keep: PyTree, old: Carry, new: Carry) -> Carry:
    return jax.tree.map(lambda k, o, n: k * o + (1 - k) * n, keep, old, new)


def _zoneout_gated(inner: Gated) -> Gated:
    def gate(gate_params: PyTree, x_part: Any, h_part: Array, carry: Carry) -> Carry:
        return _mix(x_part[1], carry, inner.gate(gate_params, x_part[0], h_part, carry))

    return _paired(inner, gate=gate)


def _zoneout_affine(inner: Affine) -> Affine:
    def coefficients(params: Params, x: tuple[Any, PyTree]) -> tuple[Carry, Carry]:
        decay, update = inner.coefficients(params, x[0])
        ones, zeros = jax.tree.map(jnp.ones_like, decay), jax.tree.map(jnp.zeros_like, update)
        return _mix(x[1], ones, decay), _mix(x[1], zeros, update)

    return Affine(coefficients, lambda params, carry, x: inner.readout(params, carry, x[0]))


def recurrent_dropout(cell: Cell) -> Cell:
    """A cell whose hidden vector is scaled on its way into the recurrent product (Gal & Ghahramani, 2016).

    Equation: `h_part = (scale * h) U`; what the gates keep of the carry is not touched. Training draws
    `scale` from {0, 1 / (1 - rate)}, once a sequence; evaluation uses the cell itself.

    Args:
      cell: a cell with a `Gated` structure.

    Returns:
      A cell that reads `(x, scale[*B, H])`. Leaves may be boolean: true keeps a unit as it is, without the
      `1 / (1 - rate)`, false drops it.

    Raises:
      ValueError: if the cell is not `Gated`.
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> inner = sj.gru(2)
      >>> cell = recurrent_dropout(inner)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> before, x = cell.initial_carry(params, (1,)), jnp.ones((1, 3))
      >>> scaled = cell.step(params, before, (x, jnp.ones((1, 2))))[1]
      >>> bool(jnp.allclose(scaled, inner.step(params, before, x)[1]))
      True
    """
    check_cell(cell)
    if not isinstance(cell.structure, Gated):
        raise ValueError("cell has no gated structure, and recurrent dropout acts on the recurrent product.")
    inner = cell.structure
    structure = _paired(
        inner,
        feedback=lambda gate_params, x_part, h: x_part[1] * inner.feedback(gate_params, x_part[0], h),
    )
    return restructured(cell, structure)


def shifted(cell: Cell) -> Cell:
    """A cell to whose carry something is added at each step, before the output is read.

    Equation: `carry' = step(carry) + shift`. The derivative of a loss with respect to a shift of zero is its
    derivative with respect to the carry after that step. Of a cell without structure the output cannot be
    told from the step: it is read before.

    Args:
      cell: any cell.

    Returns:
      A cell that reads `(x, shift)`, `shift` with the structure of the carry, leaves `[*B, ...]`.

    Raises:
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> inner = sj.gru(2)
      >>> params, x = inner.init(jax.random.key(0), 3), jnp.ones((1, 3))
      >>> before = inner.initial_carry(params, (1,))
      >>> moved = shifted(inner).step(params, before, (x, jnp.ones((1, 2))))[1]
      >>> bool(jnp.allclose(moved, inner.step(params, before, x)[1] + 1))
      True
    """
    check_cell(cell)
    if isinstance(cell.structure, Gated):
        return restructured(cell, _shifted_gated(cell.structure))
    if isinstance(cell.structure, Affine):
        return restructured(cell, _shifted_affine(cell.structure))
    attention = cell.structure

    def step(params: Params, carry: Carry, x: tuple[Any, Carry]) -> tuple[Carry, Any]:
        if attention is None:
            carry, y = cell.step(params, carry, x[0])
            return _add(carry, x[1]), y
        # What is added need not be an outer product, which is all that entries can write.
        entries = attention.entries(params, x[0])
        carry = _add(ops.attention_step(carry, entries)[0], x[1])
        read = ops.Read(jnp.sum(entries.query[..., None] * carry.matrix, -2), carry.log_scale)
        return carry, attention.readout(params, read, x[0])

    return cell._replace(step=step, structure=None)


def _shifted_gated(inner: Gated) -> Gated:
    def gate(gate_params: PyTree, x_part: Any, h_part: Array, carry: Carry) -> Carry:
        return _add(inner.gate(gate_params, x_part[0], h_part, carry), x_part[1])

    return _paired(inner, gate=gate)


def _shifted_affine(inner: Affine) -> Affine:
    def coefficients(params: Params, x: tuple[Any, Carry]) -> tuple[Carry, Carry]:
        decay, update = inner.coefficients(params, x[0])
        return decay, _add(update, x[1])

    return Affine(coefficients, lambda params, carry, x: inner.readout(params, carry, x[0]))


def _add(tree: PyTree, shift: PyTree) -> PyTree:
    return jax.tree.map(lambda leaf, more: leaf + more, tree, shift)


def cut_feedback(cell: Cell) -> Cell:
    """A cell whose gradient does not flow through the hidden vector that is fed back into its gates.

    Equation: `h_part = stop_gradient(h) U`; values stay as they are. What is left is the way along the carry
    itself, such as an LSTM's memory, times its forget gates: the truncated gradient of Hochreiter &
    Schmidhuber (1997, appendix A.1), and what eligibility propagation follows (Bellec et al., 2020).

    Args:
      cell: a cell with a structure. One that is affine or linear in its carry feeds nothing back, and is
        returned as it is.

    Returns:
      A cell with the same params, carry and values.

    Raises:
      ValueError: if nothing is known of the cell but its step.
      TypeError: if `cell` is no cell.

    Example:
      >>> import seqjax as sj
      >>> cell = cut_feedback(sj.elman(2))  # an Elman network has no other way
      >>> params = cell.init(jax.random.key(0), 3)
      >>> slope = jax.grad(lambda h: cell.step(params, h, jnp.ones(3))[1].sum())(jnp.ones(2))
      >>> slope.tolist()
      [0.0, 0.0]
    """
    check_cell(cell)
    if cell.structure is None:
        raise ValueError(
            "cell has no structure, so that its way through the recurrent kernel cannot be told from the way "
            "along its carry: build it with seqjax.gated_cell."
        )
    if not isinstance(cell.structure, Gated):
        return cell
    inner = cell.structure
    return restructured(
        cell,
        inner._replace(
            feedback=lambda gate_params, x_part, h: inner.feedback(
                gate_params, x_part, jax.lax.stop_gradient(h)
            )
        ),
    )


def _paired(inner: Gated, **changes: Callable) -> Gated:
    """`inner` reading the first of a pair, but for the functions in `changes`, which read both."""
    project, merge, feedback = inner.project, inner.merge, inner.feedback
    paired = inner._replace(
        project=lambda params, x: (project(params, x[0]), x[1]),
        gate=lambda gate_params, x_part, h_part, carry: inner.gate(gate_params, x_part[0], h_part, carry),
        feedback=lambda gate_params, x_part, h: feedback(gate_params, x_part[0], h),
        readout=lambda params, carry, x: inner.readout(params, carry, x[0]),
        merge=merge and (lambda x_part, h_part: (merge(x_part[0], h_part), x_part[1])),
    )
    # What backends know of a function they still know of that of a pair.
    if isinstance(project, InputProduct):
        paired = paired._replace(project=dataclasses.replace(project, pairs=project.pairs + 1))
    if isinstance(merge, PartsSum):
        paired = paired._replace(merge=PartsSum(merge.pairs + 1))
    if feedback is unchanged:
        paired = paired._replace(feedback=unchanged)
    return paired._replace(**changes)
