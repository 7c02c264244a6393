"""Names of the leaves of a pytree."""

from __future__ import annotations

from typing import Any

import jax


def place_name(path: tuple[Any, ...]) -> str:
    """The name of a place in a pytree, as one writes it in Python.

    Args:
      path: as `jax.tree_util.tree_leaves_with_path` gives it.

    Returns:
      `network[0].kernel` for `.network[0].kernel`, and `a[0]` for `['a'][0]`.

    Example:
      >>> [place_name(path) for path, _ in jax.tree_util.tree_leaves_with_path({"layers": [1, 2]})]
      ['layers[0]', 'layers[1]']
    """
    return jax.tree_util.keystr(path).replace("['", ".").replace("']", "").lstrip(".")
