"""Arrays that came from elsewhere: read without trust in their names, dtypes or shapes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.types import Array

NAMES_SHOWN = 8
"""How many names an error lists before it counts the others."""


def check_choice(name: str, value: Any, choices: Collection[str]) -> None:
    """Refuses a word that is none of the choices.

    Args:
      name: the argument's name.
      value: its value.
      choices: the words that are allowed.

    Raises:
      ValueError: unless `value` is one of `choices`.

    Example:
      >>> check_choice("kind", "LSTM", ("lstm", "gru"))
      Traceback (most recent call last):
      ValueError: kind is 'LSTM', expected one of 'lstm', 'gru'.
    """
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(map(repr, choices))}.")


def as_array(name: str, value: Any) -> Array:
    """A value as a floating jax array; what jax holds already is handed on, tracers included.

    Args:
      name: what the caller calls the value, for the error.
      value: a numpy or jax array, or anything that numpy reads as one.

    Returns:
      A jax array. float64 becomes float32, unless within `jax.enable_x64`.

    Raises:
      TypeError: if the value cannot be read as an array, or is not floating.

    Example:
      >>> as_array("bias", [1, 2])
      Traceback (most recent call last):
      TypeError: bias has dtype int64, expected a floating array.
    """
    if not isinstance(value, jax.Array):
        try:
            value = np.asarray(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise TypeError(
                f"{name} is a {type(value).__name__} that numpy cannot read ({error}), expected a floating "
                f"array. For a torch tensor: tensor.detach().cpu().float().numpy()."
            ) from error
    if not jnp.issubdtype(value.dtype, jnp.floating):
        raise TypeError(f"{name} has dtype {value.dtype}, expected a floating array.")
    return jnp.asarray(value)


def check_mapping(name: str, value: Any, mend: str) -> None:
    """Refuses what is not a mapping with strings for keys.

    Args:
      name: the argument's name.
      value: its value.
      mend: what to pass instead.

    Raises:
      TypeError: if `value` is no mapping, or has a key that is no string.

    Example:
      >>> check_mapping("state_dict", [], "Pass module.state_dict().")
      Traceback (most recent call last):
      TypeError: state_dict is a list, expected a mapping from names. Pass module.state_dict().
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} is a {type(value).__name__}, expected a mapping from names. {mend}")
    for key in value:
        if not isinstance(key, str):
            raise TypeError(f"{name} has the key {key!r}, expected strings for keys. {mend}")


def check_names(what: str, found: Iterable[str], expected: Sequence[str], mend: str) -> None:
    """Refuses names that are missing, or too many.

    Args:
      what: what the caller calls the mapping, for the error.
      found: the names that came.
      expected: the names that must come, all of them and no others.
      mend: what to do about it.

    Raises:
      ValueError: unless both hold the same names.

    Example:
      >>> check_names("state_dict", ["bias"], ["kernel", "bias"], "Pass both.")
      Traceback (most recent call last):
      ValueError: state_dict has no 'kernel', expected 'kernel', 'bias'. Pass both.
    """
    present, wanted = dict.fromkeys(found), set(expected)
    missing = [name for name in expected if name not in present]
    unexpected = [name for name in present if name not in wanted]
    faults = [f"no {_listed(missing)}"] if missing else []
    faults += [f"the unexpected {_listed(unexpected)}"] if unexpected else []
    if faults:
        raise ValueError(f"{what} has {' and '.join(faults)}, expected {_listed(expected)}. {mend}")


def check_shape(name: str, array: Any, expected: tuple[int, ...], mend: str) -> None:
    """Refuses an array of another shape.

    Args:
      name: what the caller calls the array, for the error.
      array: anything with a shape.
      expected: the shape it must have.
      mend: where the expectation comes from, and what to do about it.

    Raises:
      ValueError: if the shape is another.

    Example:
      >>> check_shape("bias", jnp.ones(3), (4,), "The kernel has 4 units.")
      Traceback (most recent call last):
      ValueError: bias has shape (3,), expected (4,). The kernel has 4 units.
    """
    if tuple(array.shape) != expected:
        raise ValueError(f"{name} has shape {tuple(array.shape)}, expected {expected}. {mend}")


def check_matrix(name: str, array: Any) -> None:
    """Refuses an array that is no matrix.

    Args:
      name: what the caller calls the array, for the error.
      array: anything with a shape.

    Raises:
      ValueError: unless it has two axes.

    Example:
      >>> check_matrix("kernel", jnp.ones(3))
      Traceback (most recent call last):
      ValueError: kernel has shape (3,), expected a matrix. Pass the weights as the module holds them.
    """
    if len(array.shape) != 2:
        raise ValueError(
            f"{name} has shape {tuple(array.shape)}, expected a matrix. "
            f"Pass the weights as the module holds them."
        )


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:NAMES_SHOWN]))
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown
