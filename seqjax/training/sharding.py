"""States and batches on several devices; a step is the same program, and its arrays say where it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from seqjax.checks import check_function, check_size
from seqjax.ops.sharded_scan import automatic
from seqjax.training.state import on_host
from seqjax.training.weights import named_arrays
from seqjax.types import Batch, PyTree

Rule = Callable[[str, Any], PartitionSpec]
"""`(name, leaf) -> PartitionSpec`: over which axes of the mesh a leaf is cut, by its place in the pytree."""


def replicated(name: str, leaf: Any) -> PartitionSpec:
    """The rule that every device holds all of every leaf: data parallelism.

    Args:
      name: such as `params.network[0].kernel`.
      leaf: an array.

    Returns:
      A `PartitionSpec`.

    Example:
      >>> len(replicated("params.kernel", np.ones(3)))
      0
    """
    return PartitionSpec()


def by_longest_axis(axis: str, num_devices: int, min_size: int = 2**12) -> Rule:
    """The rule that large leaves are cut along their longest axis that can be: parameters are sharded.

    The optimizer's state has leaves of the same shapes, and is cut in the same way.

    Args:
      axis: of the mesh.
      num_devices: along it.
      min_size: leaves of fewer numbers are held by every device.

    Returns:
      A `Rule`.

    Raises:
      ValueError: if a number is not positive.

    Example:
      >>> tuple(by_longest_axis("data", 4, min_size=8)("kernel", np.ones((3, 8))))
      (None, 'data')
    """
    check_size("num_devices", num_devices)
    check_size("min_size", min_size)

    def rule(name: str, leaf: Any) -> PartitionSpec:
        places = [place for place, size in enumerate(leaf.shape) if size and size % num_devices == 0]
        if not places or np.prod(leaf.shape) < min_size:
            return PartitionSpec()
        longest = max(places, key=lambda place: leaf.shape[place])
        return PartitionSpec(*[None] * longest, axis)

    return rule


def shard(state: PyTree, mesh: Mesh, rule: Rule = replicated) -> PyTree:
    """Places a state, or any pytree, on the devices of a mesh.

    A step that `make_step` made and `jax.jit` compiled then runs on all of them, with the same result: the
    compiler cuts the work as the arrays are cut, and adds up gradients across devices. An ensemble is spread
    with `lambda name, leaf: PartitionSpec("member")`.

    Args:
      state: a pytree of arrays and keys; with several processes, the same in each.
      mesh: as `jax.make_mesh` makes it.
      rule: over which axes of the mesh each leaf is cut.

    Returns:
      The same values, each leaf with a `NamedSharding`.

    Raises:
      TypeError: if `mesh` is no mesh or `rule` cannot be called.
      ValueError: if a rule names an axis that the mesh does not have, or one that does not divide a leaf; the
        message names the leaf.

    Example:
      >>> mesh = jax.make_mesh((1,), ("data",))
      >>> shard({"kernel": np.ones((2, 3))}, mesh)["kernel"].sharding.is_fully_replicated
      True
    """
    mesh = _checked_mesh(mesh)
    check_function("rule", rule)
    leaves = [
        placed(leaf, NamedSharding(mesh, _checked(mesh, name, leaf, rule(name, leaf))))
        for name, leaf in named_arrays(state).items()
    ]
    return jax.tree.unflatten(jax.tree.structure(state), leaves)


def shard_batch(batch: Batch, mesh: Mesh, axis: str = "data", *, targets_have_time: bool = True) -> Batch:
    """Places a batch on the devices of a mesh, its rows cut over one axis.

    With several processes, each gives its own rows, and the batch is all of them side by side. All must give
    as many rows, of as many steps, or they would wait for each other for ever.

    Args:
      batch: with one batch axis. Where `targets` have a time axis, rows are their second axis, else the
        first; `weights` of one axis are one a row, those of two one a step.
      mesh: as `jax.make_mesh` makes it.
      axis: of the mesh.
      targets_have_time: whether targets are `[T, B, ...]`, or one a sequence, `[B, ...]`.

    Returns:
      The batch, its arrays on the devices.

    Raises:
      TypeError: if `batch` is no `Batch` or `mesh` no mesh.
      ValueError: if the mesh has no such axis, or it does not divide the rows; the message names the field.

    Example:
      >>> mesh = jax.make_mesh((1,), ("data",))
      >>> tuple(shard_batch(Batch(np.ones((7, 4, 2)), np.ones((7, 4))), mesh).inputs.sharding.spec)
      (None, 'data')
    """
    mesh = _checked_mesh(mesh)
    if not isinstance(batch, Batch):
        raise TypeError(f"batch is a {type(batch).__name__}, expected a seqjax.Batch.")
    weights_axis = 0 if batch.weights is None else np.ndim(batch.weights) - 1
    rows = {"inputs": 1, "targets": int(targets_have_time), "resets": 1, "weights": weights_axis}

    def placed(name: str, array: Any) -> Any:
        spec = PartitionSpec(*[None] * rows.get(name, 0), axis)
        return _from_processes(array, NamedSharding(mesh, _checked(mesh, name, array, spec, local=True)))

    fields = {name: getattr(batch, name) for name in batch.__dataclass_fields__}
    return Batch(**{name: None if value is None else placed(name, value) for name, value in fields.items()})


def placed(leaf: Any, sharding: NamedSharding) -> Any:
    """An array or key that every process holds all of, on the devices of all of them.

    Args:
      leaf: the same in each process.
      sharding: where to.

    Returns:
      The same values.

    Example:
      >>> mesh = jax.make_mesh((1,), ("data",))
      >>> placed(np.ones(2), NamedSharding(mesh, PartitionSpec("data"))).tolist()
      [1.0, 1.0]
    """
    if jax.process_count() == 1:
        return jax.device_put(leaf, sharding)
    if jax.numpy.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        numbers = placed(jax.random.key_data(leaf), sharding)
        return jax.random.wrap_key_data(numbers, impl=jax.random.key_impl(leaf))
    whole = on_host(leaf)
    return jax.make_array_from_callback(whole.shape, sharding, lambda part: whole[part])


def _from_processes(array: Any, sharding: NamedSharding) -> Any:
    if jax.process_count() == 1:
        return jax.device_put(array, sharding)
    return jax.make_array_from_process_local_data(sharding, np.asarray(array))


def _checked(mesh: Mesh, name: str, leaf: Any, spec: Any, *, local: bool = False) -> PartitionSpec:
    if not isinstance(spec, PartitionSpec):
        raise TypeError(f"rule returned {spec!r} for {name}, expected a jax.sharding.PartitionSpec.")
    shape = np.shape(leaf)
    if len(spec) > len(shape):
        raise ValueError(f"{name} has shape {list(shape)}, but {spec} cuts {len(spec)} axes of it.")
    for place, named in enumerate(spec):
        axes = () if named is None else named if isinstance(named, tuple) else (named,)
        for axis in axes:
            if axis not in mesh.shape:
                raise ValueError(f"{name} is to be cut over {axis!r}, expected one of {tuple(mesh.shape)}.")
        pieces = int(np.prod([mesh.shape[axis] for axis in axes], dtype=int))
        pieces = max(pieces // jax.process_count(), 1) if local else pieces
        if shape[place] % pieces:
            raise ValueError(
                f"{name} has {shape[place]} entries along axis {place}, which {pieces} devices cannot share "
                f"evenly: take a multiple of {pieces}."
            )
    return spec


def _checked_mesh(mesh: Any) -> Mesh:
    if not isinstance(mesh, Mesh):
        kind = type(mesh).__name__
        raise TypeError(f"mesh is a {kind}, expected a jax.sharding.Mesh, as jax.make_mesh makes it.")
    return automatic(mesh)
