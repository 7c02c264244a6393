"""Products over time of an associative operation, with time spread over devices."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import AxisType, Mesh, PartitionSpec

from seqjax.ops.prefix_scan import Combine, prefix_scan
from seqjax.types import Array, PyTree


def sharded_prefix_scan(
    combine: Combine, elements: PyTree, *, mesh: Mesh, axis: str, reverse: bool = False, chunk_size: int = 32
) -> PyTree:
    """`prefix_scan` over a time axis that is cut over the devices of a mesh, in one piece each.

    Each device makes the products of its own piece. All of them learn the products of whole pieces, which are
    as many as devices, and combine what came before their piece with what is in it: one exchange of one
    element a device, and one combination an element more than on one device.

    Args:
      combine: as for `prefix_scan`.
      elements: a pytree of arrays `[T, ...]`; `T` is a multiple of the number of devices.
      mesh: as `jax.make_mesh` makes it.
      axis: of the mesh, along which time is cut.
      reverse: whether to give `e_t ∘ ... ∘ e_{T-1}` instead.
      chunk_size: as for `prefix_scan`, within a device.

    Returns:
      The products, like `elements`, cut in the same way.

    Raises:
      ValueError: if the mesh has no such axis, or it does not divide `T`.

    Example:
      >>> mesh = jax.make_mesh((1,), ("time",))
      >>> sharded_prefix_scan(jnp.add, jnp.arange(4), mesh=mesh, axis="time").tolist()
      [0, 1, 3, 6]
    """
    check_time(mesh, axis, jax.tree.leaves(elements)[0].shape[0])

    def local(elements: PyTree) -> PyTree:
        within = prefix_scan(combine, elements, reverse=reverse, chunk_size=chunk_size)
        wholes = gathered(within, axis, 0 if reverse else -1)
        before, there = neighbour(prefix_scan(combine, wholes, reverse=reverse), axis, reverse=reverse)
        before = jax.tree.map(lambda part, leaf: jnp.broadcast_to(part, leaf.shape), before, within)
        joined = combine(within, before) if reverse else combine(before, within)
        return jax.tree.map(partial(jnp.where, there), joined, within)

    return over_time(local, mesh, axis)(elements)


def over_time(local: Any, mesh: Mesh, axis: str, *whole: Any) -> Any:
    """A function of pieces of time as a function of all of it, cut over an axis of a mesh.

    Args:
      local: `(*whole, piece) -> piece`, run on each device.
      mesh: the devices.
      axis: along which time is cut.
      *whole: as many values as `local` has arguments that each device gets all of.

    Returns:
      `(*whole, sequence) -> sequence`.

    Example:
      >>> mesh = jax.make_mesh((1,), ("time",))
      >>> over_time(jnp.negative, mesh, "time")(jnp.ones(2)).tolist()
      [-1.0, -1.0]
    """
    cut = PartitionSpec(axis)
    specs = (*[PartitionSpec() for _ in whole], cut)
    # What a custom gradient hands on is not tracked from device to device: the check is of that tracking.
    return jax.shard_map(local, mesh=automatic(mesh), in_specs=specs, out_specs=cut, check_vma=False)


def automatic(mesh: Mesh) -> Mesh:
    """A mesh whose axes the compiler moves arrays along as it needs them, without being told at each step.

    Args:
      mesh: as `jax.make_mesh` makes it, whose axes are explicit by default.

    Returns:
      The same devices and names.

    Example:
      >>> automatic(jax.make_mesh((1,), ("time",))).axis_types
      (Auto,)
    """
    return Mesh(mesh.devices, mesh.axis_names, axis_types=(AxisType.Auto,) * len(mesh.axis_names))


def gathered(tree: PyTree, axis: str, place: int) -> PyTree:
    """One step of each device's piece, from all of them: `[devices, ...]`.

    Args:
      tree: pieces `[t, ...]`.
      axis: of the mesh.
      place: which step.

    Returns:
      A pytree of arrays.
    """
    return jax.tree.map(lambda leaf: jax.lax.all_gather(leaf[place], axis), tree)


def neighbour(tree: PyTree, axis: str, *, reverse: bool = False) -> tuple[PyTree, Array]:
    """Of something of each device, what is the earlier one's, or with `reverse` the later one's.

    Args:
      tree: `[devices, ...]`, the same on each.
      axis: of the mesh.
      reverse: whether to take the later one's.

    Returns:
      The neighbour's part, and whether there is a neighbour; where not, the part is another's.
    """
    index, count = jax.lax.axis_index(axis), jax.lax.axis_size(axis)
    place = index + 1 if reverse else index - 1
    there = (place >= 0) & (place < count)
    return jax.tree.map(lambda leaf: jnp.take(leaf, place % count, axis=0), tree), there


def check_time(mesh: Mesh, axis: str, num_steps: int) -> None:
    """Refuses a time axis that cannot be cut evenly.

    Args:
      mesh: the devices.
      axis: along which to cut.
      num_steps: `T`.

    Raises:
      ValueError: if the mesh has no such axis, or it does not divide `T`.

    Example:
      >>> check_time(jax.make_mesh((1,), ("data",)), "time", 8)
      Traceback (most recent call last):
      ValueError: axis is 'time', expected one of the mesh's: ('data',).
    """
    if axis not in mesh.shape:
        raise ValueError(f"axis is {axis!r}, expected one of the mesh's: {tuple(mesh.shape)}.")
    if num_steps % mesh.shape[axis]:
        raise ValueError(
            f"time has {num_steps} steps, which {mesh.shape[axis]} devices cannot share evenly: take a "
            f"multiple, and say with lengths what is padding."
        )
