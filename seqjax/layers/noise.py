"""Noise: rates that are checked, masks of units that zone out, and masks drawn once a sequence."""

from __future__ import annotations

import numbers
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import shown
from seqjax.types import Array, Carry, Key, PyTree


def check_rate(name: str, rate: Any) -> None:
    """Refuses what is not the probability of dropping something.

    Args:
      name: the argument's name.
      rate: its value.

    Raises:
      TypeError: if `rate` is not a number.
      ValueError: if `rate` is not from 0 up to but not including 1.

    Example:
      >>> check_rate("rate", 1.5)
      Traceback (most recent call last):
      ValueError: rate is 1.5, expected a number from 0 up to but not including 1.
    """
    if isinstance(rate, bool) or not isinstance(rate, numbers.Real):
        raise TypeError(
            f"{name} is {shown(rate, typed=True)}, expected a number from 0 up to but not including 1."
        )
    if not 0 <= float(rate) < 1:
        raise ValueError(f"{name} is {rate}, expected a number from 0 up to but not including 1.")


def check_rates(name: str, rates: PyTree) -> None:
    """Refuses a rate, or a pytree of rates, any of which is not a probability of dropping something.

    Args:
      name: the argument's name.
      rates: one rate, or a pytree of them.

    Raises:
      TypeError: if there is no rate, or one is not a number.
      ValueError: if one is not from 0 up to but not including 1.

    Example:
      >>> check_rates("zoneout", {"cell": 0.5, "hidden": -1})
      Traceback (most recent call last):
      ValueError: zoneout['hidden'] is -1, expected a number from 0 up to but not including 1.
    """
    leaves = jax.tree_util.tree_leaves_with_path(rates)
    if not leaves:
        raise TypeError(
            f"{name} is {shown(rates)}, expected a rate, or rates with the structure of the carry."
        )
    for path, rate in leaves:
        check_rate(name + jax.tree_util.keystr(path), rate)


def rates_like(name: str, rates: PyTree, carry: Carry) -> PyTree:
    """One rate for every array of a carry.

    Args:
      name: the argument's name.
      rates: one rate for all, or a pytree of rates with the structure of the carry.
      carry: a carry, or its shapes.

    Returns:
      Rates with the structure of `carry`.

    Raises:
      ValueError: if `rates` is a pytree of another structure.

    Example:
      >>> rates_like("zoneout", 0.1, {"cell": jnp.ones(2), "hidden": jnp.ones(2)})
      {'cell': 0.1, 'hidden': 0.1}
    """
    if isinstance(rates, numbers.Real):
        return jax.tree.map(lambda _: rates, carry)
    came: Any = jax.tree.structure(rates)
    if came != jax.tree.structure(carry):
        example = jax.tree.map(lambda _: 0.1, carry)
        raise ValueError(
            f"{name} is {rates}, expected one rate, or rates with the structure of this cell's carry, "
            f"such as {example}."
        )
    return rates


def kept_units(key: Key, rates: PyTree, carry: Carry, steps: tuple[int, ...]) -> PyTree:
    """Which units of the carry keep their old value at each step.

    Args:
      key: a random key, split among the arrays of the carry.
      rates: the probability of keeping, with the structure of the carry.
      carry: a carry without batch axes, or its shapes.
      steps: `[T, *B]`.

    Returns:
      Booleans with the structure of the carry, leaves `[T, *B, ...]`.

    Example:
      >>> kept_units(jax.random.key(0), 0.5, jnp.ones(4), (7, 2)).shape
      (7, 2, 4)
    """
    leaves, structure = jax.tree.flatten(carry)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jax.random.bernoulli(leaf_key, rate, (*steps, *leaf.shape))
        for leaf_key, rate, leaf in zip(keys, jax.tree.leaves(rates), leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)


def once_a_sequence(
    key: Key, probability: float, shape: tuple[int, ...], resets: Array | None = None
) -> Array:
    """A mask that stays the same from step to step, and is drawn anew where a new sequence starts.

    Args:
      key: a random key.
      probability: of `True`.
      shape: `[T, *B, ...]`.
      resets: `[T, *B]` booleans, true where a new sequence starts within a row; `None` for never.

    Returns:
      Booleans of that shape.

    Example:
      >>> mask = once_a_sequence(jax.random.key(0), 0.5, (7, 2, 3))
      >>> bool((mask == mask[0]).all())
      True
    """
    if resets is None:
        return jnp.broadcast_to(jax.random.bernoulli(key, probability, shape[1:]), shape)
    draws = jax.random.bernoulli(key, probability, shape)
    steps = jnp.arange(shape[0]).reshape((-1,) + (1,) * (resets.ndim - 1))
    start = jax.lax.cummax(jnp.where(resets, steps, 0), axis=0)
    return jnp.take_along_axis(draws, ops.expand_like(start, draws), axis=0)
