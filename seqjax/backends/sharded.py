"""Affine cells over sequences that are cut over the time axis, a piece a device."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from seqjax import ops
from seqjax.backends.associative import affine_structure
from seqjax.cell import Affine, Cell
from seqjax.ops.sharded_scan import check_time, gathered, neighbour, over_time
from seqjax.types import Array, Carry, Params


def sharded(
    cell: Cell,
    params: Params,
    carry: Carry,
    xs: Any,
    *,
    mesh: Mesh,
    axis: str = "time",
    method: str = "auto",
) -> tuple[Carry, Any]:
    """Runs an affine cell over a sequence that is cut over devices along time.

    Each device computes the coefficients of its own steps, and what its piece makes of a carry: `a` and `b`
    of `carry' = a * carry + b`. All of them learn these, one pair a device, from which follows the carry that
    each piece starts with; then each runs its recurrence again from there. That is twice the work of the
    recurrence and a device's share of everything else.

    `unroll` takes it as `functools.partial(sharded, mesh=mesh)`.

    Args:
      cell: a cell with an `Affine` structure.
      params: its params, which every device holds.
      carry: the carry before the first step, leaves `[*B, ...]`.
      xs: a pytree of arrays `[T, *B, ...]`; `T` is a multiple of the number of devices.
      mesh: as `jax.make_mesh` makes it.
      axis: of the mesh, along which time is cut.
      method: how the recurrence runs within a device, a method of `ops.linear_recurrence`.

    Returns:
      The carry after the last step, and the outputs `[T, *B, H]`, cut over time.

    Raises:
      ValueError: if the cell is not affine, or the steps cannot be shared evenly.

    Example:
      >>> import seqjax as sj
      >>> cell, mesh = sj.min_gru(2), jax.make_mesh((1,), ("time",))
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry = cell.initial_carry(params, (4,))
      >>> carry, ys = sharded(cell, params, carry, jnp.ones((6, 4, 3)), mesh=mesh)
      >>> ys.shape
      (6, 4, 2)
    """
    structure = affine_structure(cell, "sharded")
    num_steps = jax.tree.leaves(xs)[0].shape[0]
    check_time(mesh, axis, num_steps)
    if num_steps == 0:
        return carry, structure.readout(params, jax.tree.map(lambda leaf: leaf[None][:0], carry), xs)

    def local(params: Params, carry: Carry, xs: Any) -> tuple[Carry, Any]:
        carries = _from_start(structure, params, carry, xs, axis, method)
        return jax.tree.map(lambda leaf: leaf[-1:], carries), structure.readout(params, carries, xs)

    lasts, ys = over_time(local, mesh, axis, params, carry)(params, carry, xs)
    return jax.tree.map(lambda leaf: leaf[-1], lasts), ys


def _from_start(structure: Affine, params: Params, carry: Carry, xs: Any, axis: str, method: str) -> Carry:
    """The carries of this device's steps."""
    decay, update = structure.coefficients(params, xs)

    def run(decay: Array, update: Array, start: Array) -> Array:
        return ops.linear_recurrence(decay, update, start, method=method)

    def whole(decay: Array, update: Array) -> Array:
        """The product of all decays: what is left of a carry at the end of this piece."""
        steps = jnp.broadcast_to(decay, (update.shape[0], *decay.shape[1:]))
        return jnp.broadcast_to(jnp.prod(steps, axis=0), update.shape[1:])

    zeros = jax.tree.map(jnp.zeros_like, carry)
    ends = gathered(jax.tree.map(run, decay, update, zeros), axis, -1)
    wholes = jax.tree.map(lambda a, b: jax.lax.all_gather(whole(a, b), axis), decay, update)
    before, there = neighbour(jax.tree.map(run, wholes, ends, carry), axis)
    start = jax.tree.map(lambda part, first: jnp.where(there, part, first.astype(part.dtype)), before, carry)
    return jax.tree.map(run, decay, update, start)
