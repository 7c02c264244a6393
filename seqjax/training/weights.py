"""Weights in a file: safetensors, which holds arrays and nothing that runs."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.files import write_whole
from seqjax.ops.naming import place_name
from seqjax.types import Array, Params


def named_arrays(params: Params) -> dict[str, Array]:
    """The leaves of a pytree by their place in it.

    Args:
      params: any pytree of arrays.

    Returns:
      Arrays by names such as `network[1].forward.input_kernel`, in the pytree's order.

    Example:
      >>> sorted(named_arrays({"layers": [jnp.ones(2), jnp.zeros(3)]}))
      ['layers[0]', 'layers[1]']
    """
    leaves = jax.tree_util.tree_leaves_with_path(params)
    return {place_name(path): leaf for path, leaf in leaves}


def save_weights(path: str | os.PathLike, params: Params, metadata: Mapping[str, str] | None = None) -> None:
    """Writes the leaves of a pytree to a safetensors file, whole or not at all.

    Args:
      path: the file, which is replaced if it is there.
      params: any pytree of arrays.
      metadata: strings to keep beside them.

    Raises:
      ImportError: if safetensors is not installed; the message names the extra.
      OSError: if the file cannot be written.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "weights.safetensors"
      >>> save_weights(file, {"kernel": jnp.ones((2, 3))})
      >>> load_weights(file, {"kernel": jnp.zeros((2, 3))})["kernel"].sum().item()
      6.0
    """
    arrays = {name: np.asarray(leaf) for name, leaf in named_arrays(params).items()}
    write_whole(path, _safetensors().numpy.save(arrays, metadata=dict(metadata or {})))


def load_weights(path: str | os.PathLike, like: Params) -> Params:
    """Reads a pytree from a safetensors file, and checks it against the one that is expected.

    Args:
      path: the file.
      like: a pytree of arrays, or of `jax.ShapeDtypeStruct` as
        `jax.eval_shape(lambda key: task.init(key, input_size), key)` gives.

    Returns:
      The structure of `like` with the file's arrays.

    Raises:
      FileNotFoundError: if there is no such file.
      ImportError: if safetensors is not installed; the message names the extra.
      ValueError: if the file is no safetensors file, lacks a leaf, has one too many, or one has another shape
        or dtype; the message names it.

    Example:
      >>> load_weights("no-such.safetensors", {})
      Traceback (most recent call last):
      FileNotFoundError: path is no-such.safetensors, where there is no file: give a file ...
    """
    arrays = read_weights(path)
    expected = named_arrays(like)
    for name in [*(expected.keys() - arrays.keys()), *(arrays.keys() - expected.keys())]:
        problem = "lacks" if name in expected else "has, but params have not,"
        raise ValueError(
            f"path is {path}, which {problem} the leaf {name}: it holds another model's weights."
        )
    for name, leaf in expected.items():
        got = arrays[name]
        if (got.shape, got.dtype) != (leaf.shape, leaf.dtype):
            raise ValueError(
                f"path is {path}, whose leaf {name} is {got.dtype}{list(got.shape)}, expected "
                f"{leaf.dtype}{list(leaf.shape)}: it holds a model of other sizes."
            )
    return jax.tree_util.tree_map_with_path(lambda place, leaf: jnp.asarray(arrays[place_name(place)]), like)


def read_weights(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Reads the arrays of a safetensors file, whatever they are; none can be larger than the file.

    Args:
      path: the file.

    Returns:
      Arrays by name.

    Raises:
      FileNotFoundError: if there is no such file.
      ImportError: if safetensors is not installed; the message names the extra.
      ValueError: if the file is no safetensors file.

    Example:
      >>> read_weights("no-such.safetensors")
      Traceback (most recent call last):
      FileNotFoundError: path is no-such.safetensors, where there is no file: give a file ...
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"path is {path}, where there is no file: give a file that save_weights wrote."
        )
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    except safetensors.SafetensorError as error:
        raise ValueError(f"path is {path}, which is not a whole safetensors file: {error}") from error


def _safetensors() -> ModuleType:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError as error:
        raise ImportError('weights are kept by safetensors: pip install "seqjax[train]".') from error
    return safetensors
