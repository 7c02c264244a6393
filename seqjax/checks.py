"""Arguments that are looked at before anything is computed from them, and how they are shown in errors."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.types import Array, Key


def check_size(name: str, size: int) -> None:
    """Refuses a size that is not a positive integer.

    Args:
      name: the argument's name.
      size: its value.

    Raises:
      TypeError: if `size` is not an integer.
      ValueError: if `size` is not positive.

    Example:
      >>> check_size("hidden_size", 0)
      Traceback (most recent call last):
      ValueError: hidden_size is 0, expected a positive integer.
    """
    if isinstance(size, (bool, jax.Array)) or not hasattr(size, "__index__"):
        raise TypeError(f"{name} is {shown(size, typed=True)}, expected a positive integer.")
    if size < 1:
        raise ValueError(f"{name} is {size}, expected a positive integer.")


def check_number(name: str, number: float) -> None:
    """Refuses what is not a real number.

    Args:
      name: the argument's name.
      number: its value.

    Raises:
      TypeError: if `number` is not a number.

    Example:
      >>> check_number("forget_bias", "one")
      Traceback (most recent call last):
      TypeError: forget_bias is 'one', expected a number.
    """
    if isinstance(number, bool) or not isinstance(number, numbers.Real):
        raise TypeError(f"{name} is {shown(number)}, expected a number.")


def check_heads(num_heads: int, name: str, size: int) -> None:
    """Refuses a size that heads do not divide.

    Args:
      num_heads: the argument of that name.
      name: the name of the size.
      size: its value.

    Raises:
      TypeError: if `num_heads` or `size` is not an integer.
      ValueError: if one is not positive, or `size` no multiple of `num_heads`.

    Example:
      >>> check_heads(3, "hidden_size", 8)
      Traceback (most recent call last):
      ValueError: hidden_size is 8, expected a multiple of num_heads=3: each head has hidden_size / num_heads
      features.
    """
    check_size("num_heads", num_heads)
    check_size(name, size)
    if size % num_heads:
        raise ValueError(
            f"{name} is {size}, expected a multiple of num_heads={num_heads}: each head has {name} / "
            f"num_heads features."
        )


def check_activation(name: str, activation: Any) -> None:
    """Refuses an activation that is not a function.

    Args:
      name: the argument's name.
      activation: its value.

    Raises:
      TypeError: if `activation` cannot be called.

    Example:
      >>> check_activation("activation", "tanh")
      Traceback (most recent call last):
      TypeError: activation is 'tanh', expected an elementwise function such as jnp.tanh.
    """
    check_function(name, activation, "an elementwise function such as jnp.tanh")


def check_function(name: str, function: Any, expected: str = "a function") -> None:
    """Refuses what cannot be called.

    Args:
      name: the argument's name.
      function: its value.
      expected: what it should be, for the error.

    Raises:
      TypeError: if `function` cannot be called.

    Example:
      >>> check_function("gate", 3)
      Traceback (most recent call last):
      TypeError: gate is 3, expected a function.
    """
    if not callable(function):
        raise TypeError(f"{name} is {shown(function)}, expected {expected}.")


def check_flag(name: str, flag: bool) -> None:
    """Refuses what is neither true nor false: a word or an array would silently count as true.

    Args:
      name: the argument's name.
      flag: its value.

    Raises:
      TypeError: if `flag` is not a boolean.

    Example:
      >>> check_flag("reverse", "no")
      Traceback (most recent call last):
      TypeError: reverse is 'no', expected True or False.
    """
    if not isinstance(flag, (bool, np.bool_)):
        raise TypeError(f"{name} is {shown(flag)}, expected True or False.")


def factory_hint(value: Any) -> str:
    """What to do with a factory that was passed as it is; nothing for what is no function.

    Args:
      value: what came in place of a cell or a layer.

    Returns:
      A sentence that begins with a space, or an empty string.

    Example:
      >>> factory_hint(factory_hint)
      ' Call the factory: factory_hint(...), not factory_hint.'
    """
    if not callable(value) or isinstance(value, type):
        return ""
    name = getattr(value, "__name__", "factory")
    return f" Call the factory: {name}(...), not {name}."


def as_array(name: str, value: Any) -> Array:
    """A value as a jax array.

    Args:
      name: what the caller calls it, for the error.
      value: an array, a number, or nested lists of numbers.

    Returns:
      The array.

    Raises:
      TypeError: if there is no such array.

    Example:
      >>> as_array("lengths", ["two", "three"])
      Traceback (most recent call last):
      TypeError: lengths is ['two', 'three'], expected an array of numbers.
    """
    try:
        return jnp.asarray(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"{name} is {shown(value)}, expected an array of numbers.") from error


def kind_of(value: Any) -> str:
    """What kind of thing a value is, as an error names it.

    Args:
      value: anything.

    Returns:
      The type with an article, and for an array its dtype and shape.

    Example:
      >>> kind_of(()), kind_of(jnp.ones((2, 3))), kind_of(jnp.tanh), kind_of(dict)
      ('a tuple', 'a jax array float32[2, 3]', 'a function', 'the class dict')
    """
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, (jax.Array, np.ndarray)):
        module = "jax" if isinstance(value, jax.Array) else "numpy"
        return f"a {module} array {value.dtype}{list(value.shape)}"
    return "a function" if callable(value) else f"a {type(value).__name__}"


def shown(value: Any, *, typed: bool = False) -> str:
    """A value as an error shows it: as Python writes it where that is short and plain, else its kind.

    Args:
      value: anything.
      typed: whether to say the type of what is written.

    Returns:
      Part of a sentence.

    Example:
      >>> shown(2.0, typed=True), shown("tanh"), shown(jnp.ones(2))
      ('2.0 of type float', "'tanh'", 'a jax array float32[2]')
    """
    text = repr(value)
    # Arrays would fill lines, and what is in angle brackets is an address or a tracer.
    if isinstance(value, (jax.Array, np.ndarray)) or "<" in text or len(text) > 60:
        return kind_of(value)
    return f"{text} of type {type(value).__name__}" if typed else text


def check_key(key: Key) -> None:
    """Refuses what is not a typed random key.

    Args:
      key: the argument named `key`.

    Raises:
      TypeError: if `key` is not a typed key.
      ValueError: if it is more than one.

    Example:
      >>> check_key(0)
      Traceback (most recent call last):
      TypeError: key is a int, expected a typed random key: pass jax.random.key(0).
    """
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.ndim:
            raise ValueError(f"key has shape {key.shape}, expected one key: pass key[0], or jax.vmap.")
        return
    hint = "pass jax.random.key(0)"
    if isinstance(key, jax.Array) and key.dtype == jnp.uint32:
        hint = "jax.random.PRNGKey makes an old-style key, jax.random.key a typed one"
    raise TypeError(f"key is {kind_of(key)}, expected a typed random key: {hint}.")


def check_initial_carry(initial_carry: str) -> None:
    """Refuses a word that names no way to start.

    Args:
      initial_carry: the argument of that name.

    Raises:
      ValueError: unless `initial_carry` is `"learned"` or `"zeros"`.

    Example:
      >>> check_initial_carry("random")
      Traceback (most recent call last):
      ValueError: initial_carry is 'random', expected 'learned' or 'zeros'.
    """
    if not isinstance(initial_carry, str) or initial_carry not in ("learned", "zeros"):
        raise ValueError(f"initial_carry is {shown(initial_carry)}, expected 'learned' or 'zeros'.")
