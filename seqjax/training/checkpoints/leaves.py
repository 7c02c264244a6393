"""The leaves of a pytree as a checkpoint describes them, and the check that two pytrees have the same."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import kind_of
from seqjax.training.sharding import placed
from seqjax.training.weights import named_arrays
from seqjax.types import PyTree

_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_KEYS = {"key<fry>": "threefry2x32", "key<rbg>": "rbg", "key<urbg>": "unsafe_rbg"}


def described(tree: PyTree) -> list[dict[str, Any]]:
    """Name, shape and dtype of each leaf, as JSON can hold them.

    Args:
      tree: arrays, typed keys, or `jax.ShapeDtypeStruct`s.

    Returns:
      A dictionary a leaf, in the pytree's order.

    Raises:
      TypeError: if a leaf is no array.
      ValueError: if two leaves have one name.

    Example:
      >>> described({"kernel": jnp.ones((2, 3))})
      [{'name': 'kernel', 'shape': [2, 3], 'dtype': 'float32'}]
    """
    for name, leaf in named_arrays(tree).items():
        if not hasattr(leaf, "dtype"):
            raise TypeError(f"the leaf {name} is {kind_of(leaf)}, expected an array: jnp.asarray makes one.")
    leaves = [
        {"name": name, "shape": list(leaf.shape), "dtype": str(leaf.dtype)}
        for name, leaf in named_arrays(tree).items()
    ]
    if len(leaves) != len(jax.tree.leaves(tree)):
        raise ValueError("two leaves have the same name, such as {'a.b': x, 'a': {'b': y}}: rename one.")
    return leaves


def structure_of(tree: PyTree) -> str:
    """The structure of a pytree in words that are the same in every process.

    Args:
      tree: any pytree.

    Returns:
      A string.

    Example:
      >>> structure_of({"a": 1, "b": (2, None)})
      "PyTreeDef({'a': *, 'b': (*, None)})"
    """
    return _ADDRESS.sub("", str(jax.tree.structure(tree)))


def check_leaves(where: str, found: Sequence[Any], like: PyTree) -> None:
    """Refuses leaves that are not those of a pytree; the message is a line that names the first.

    Args:
      where: what they were found in, for the message.
      found: as `described` gives them, from a file that anyone may have written.
      like: the pytree that is expected.

    Raises:
      ValueError: if a leaf is missing, one too many, or of another shape or dtype.

    Example:
      >>> check_leaves("x", [], {"kernel": jnp.ones(2)})
      Traceback (most recent call last):
      ValueError: x lacks the leaf kernel, float32[2]: it is of another model or optimizer.
    """
    fields = {"name": str, "shape": list, "dtype": str}
    for leaf in found:
        if not isinstance(leaf, dict) or any(
            type(leaf.get(name)) is not kind for name, kind in fields.items()
        ):
            raise ValueError(f"{where} describes a leaf as {leaf!r}, expected name, shape and dtype.")
    there, expected = ({leaf["name"]: leaf for leaf in leaves} for leaves in (found, described(like)))
    for name in expected:
        if name not in there:
            what = _shown(expected[name])
            raise ValueError(f"{where} lacks the leaf {name}, {what}: it is of another model or optimizer.")
        if there[name] != expected[name]:
            what, other = _shown(there[name]), _shown(expected[name])
            raise ValueError(f"{where} has {what} for the leaf {name}, expected {other}.")
    for name in there:
        if name not in expected:
            what = _shown(there[name])
            raise ValueError(f"{where} has a leaf {name}, {what}, that is not expected.")
    if list(there) != list(expected) or len(there) != len(found):
        raise ValueError(f"{where} has its leaves in another order or twice: it was changed.")


def stored(leaf: Any) -> Any:
    """A leaf as files hold it: the numbers of a typed key, any other array as it is.

    Args:
      leaf: an array or a key, on any number of devices.

    Returns:
      An array.

    Example:
      >>> stored(jax.random.key(7)).tolist()
      [0, 7]
    """
    return jax.random.key_data(leaf) if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key) else leaf


def stored_like(leaf: Any) -> jax.ShapeDtypeStruct:
    """Shape and dtype of what `stored` gives, and the sharding of the leaf if it has one.

    Args:
      leaf: an array, a key or a `jax.ShapeDtypeStruct`.

    Returns:
      A struct.

    Example:
      >>> stored_like(jax.random.key(7)).shape
      (2,)
    """
    shape = jax.eval_shape(stored, jax.ShapeDtypeStruct(leaf.shape, leaf.dtype))
    sharding = getattr(leaf, "sharding", None)
    if leaf.dtype == shape.dtype and isinstance(sharding, jax.sharding.NamedSharding):
        return jax.ShapeDtypeStruct(shape.shape, shape.dtype, sharding=sharding)
    return shape


def unstored(array: Any, leaf: Any) -> Any:
    """The leaf that `stored` was given.

    Args:
      array: what a file held.
      leaf: an array, key or struct of the dtype that is wanted, placed as is wanted.

    Returns:
      An array of its own memory, or a key.

    Example:
      >>> key = jax.random.key(7)
      >>> bool(unstored(stored(key), key) == key)
      True
    """
    value = array if isinstance(array, jax.Array) else jnp.array(np.array(array, copy=True))
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        value = jax.random.wrap_key_data(value, impl=_KEYS[str(leaf.dtype)])
        if isinstance(getattr(leaf, "sharding", None), jax.sharding.NamedSharding):
            value = placed(value, leaf.sharding)
    return value


def _shown(leaf: dict[str, Any]) -> str:
    return f"{leaf['dtype']}{leaf['shape']}"
