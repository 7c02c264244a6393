"""Arguments that the ways of learning share, looked at before anything is learned from them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.checks import as_array, kind_of, shown
from seqjax.statespace.hmm.emissions.emission import Emission
from seqjax.statespace.hmm.params import HMMParams
from seqjax.types import Array
from seqjax.unroll import checked_lengths

PARTS = ("initial", "transition", "emission")
"""What can be held fixed while the rest is learned."""


def check_emission(emission: Any) -> None:
    """Refuses what is no emission.

    Args:
      emission: the argument of that name.

    Raises:
      TypeError: if it is not an `Emission`.

    Example:
      >>> check_emission(check_emission)
      Traceback (most recent call last):
      TypeError: emission is a function, expected an Emission: the result of a factory, such as
        hmm.poisson(2).
    """
    if not isinstance(emission, Emission):
        raise TypeError(
            f"emission is {kind_of(emission)}, expected an Emission: the result of a factory, such as "
            f"hmm.poisson(2)."
        )


def check_chain(params: Any, num_states: int) -> None:
    """Refuses chains that cannot be learned: of another size, or with more than one matrix.

    Args:
      params: the argument of that name.
      num_states: `K`.

    Raises:
      TypeError: if it is not `HMMParams`.
      ValueError: if its shapes are not `[K]` and `[K, K]`.

    Example:
      >>> check_chain(HMMParams(jnp.zeros(2), jnp.zeros((2, 2))), 3)
      Traceback (most recent call last):
      ValueError: params has 2 states, initial_logits (2,) and transition_logits (2, 2), expected ...
    """
    if not isinstance(params, HMMParams):
        raise TypeError(f"params is {kind_of(params)}, expected HMMParams, as hmm.params makes them.")
    shapes = jnp.shape(params.initial_logits), jnp.shape(params.transition_logits)
    if shapes != ((num_states,), (num_states, num_states)):
        raise ValueError(
            f"params has {shapes[0][-1]} states, initial_logits {shapes[0]} and transition_logits "
            f"{shapes[1]}, expected {(num_states,)} and {(num_states, num_states)}: the emission has "
            f"{num_states} states, and closed-form learning one distribution and one matrix."
        )


def checked_observations(
    emission: Emission, ys: Any, lengths: Any, observed: Any
) -> tuple[Any, Array | None, Array | None]:
    """Observations, lengths and what was observed, as arrays.

    Args:
      emission: which looks at the observations.
      ys: `[T, *B, ...]`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`.

    Returns:
      The three.

    Raises:
      TypeError: if one is of another type.
      ValueError: if a shape or value is wrong, or there is no step.

    Example:
      >>> from seqjax.statespace import hmm
      >>> checked_observations(hmm.poisson(2), jnp.zeros((0,), int), None, None)
      Traceback (most recent call last):
      ValueError: ys has no steps, expected at least one.
    """
    ys = emission.check(ys, lengths, observed)
    num_steps = jax.tree.leaves(ys)[0].shape[0]
    if num_steps == 0:
        raise ValueError("ys has no steps, expected at least one.")
    if lengths is not None:
        lengths = checked_lengths(lengths, num_steps, jnp.shape(lengths))
    return ys, lengths, None if observed is None else as_array("observed", observed)


def num_observations(
    num_steps: int, batch_shape: tuple[int, ...], lengths: Array | None, observed: Array | None
) -> Array:
    """How many steps are read.

    Args:
      num_steps: `T`.
      batch_shape: of `*B`.
      lengths: `[*B]` integers, or `None`.
      observed: `[T, *B]` booleans, or `None`.

    Returns:
      `[]`, of the default dtype.

    Example:
      >>> float(num_observations(3, (2,), jnp.array([3, 1]), None))
      4.0
    """
    read = jnp.ones((num_steps, *batch_shape), bool) if observed is None else observed
    if lengths is not None:
        read = read & ops.length_mask(lengths, num_steps)
    return jnp.sum(read, dtype=jnp.int32).astype(ops.default_dtype())


def checked_pseudo_counts(num_states: int, initial: Any, transition: Any) -> tuple[Array, Array]:
    """Pseudo-counts of first states and of transitions.

    Args:
      num_states: `K`.
      initial: a number or `[K]`.
      transition: a number or `[K, K]`.

    Returns:
      `[K]` and `[K, K]`, of the default dtype.

    Raises:
      TypeError: if one is not numbers.
      ValueError: if a shape is wrong, or a concrete value negative or not finite.

    Example:
      >>> checked_pseudo_counts(2, -1, 0)
      Traceback (most recent call last):
      ValueError: initial_pseudo_count has the value -1, expected finite numbers that are not negative.
    """
    counts = []
    for name, value, shape in (
        ("initial_pseudo_count", initial, (num_states,)),
        ("transition_pseudo_count", transition, (num_states, num_states)),
    ):
        array = as_array(name, value)
        if array.shape not in ((), shape):
            raise ValueError(f"{name} has shape {array.shape}, expected a number or {shape}.")
        if array.dtype == jnp.bool_ or not jnp.isrealobj(array):
            raise TypeError(f"{name} is {shown(value)}, expected numbers.")
        if not isinstance(value, jax.core.Tracer):
            values = np.asarray(value, float)
            for wrong in values[~((values >= 0) & np.isfinite(values))][:1]:
                raise ValueError(
                    f"{name} has the value {wrong:g}, expected finite numbers that are not negative."
                )
        counts.append(jnp.broadcast_to(array.astype(ops.default_dtype()), shape))
    return counts[0], counts[1]


def checked_fixed(fixed: Any) -> tuple[str, ...]:
    """The parts that are not learned.

    Args:
      fixed: names among `PARTS`.

    Returns:
      The names, in the order of `PARTS`.

    Raises:
      TypeError: if `fixed` is no tuple or list.
      ValueError: if a name is unknown, or all are fixed.

    Example:
      >>> checked_fixed(("transitions",))
      Traceback (most recent call last):
      ValueError: fixed has 'transitions', expected some of 'initial', 'transition', 'emission', and not all.
    """
    expected = "expected some of 'initial', 'transition', 'emission', and not all"
    if not isinstance(fixed, (tuple, list)):
        raise TypeError(f"fixed is {shown(fixed)}, {expected}, as a tuple.")
    for name in fixed:
        if name not in PARTS:
            raise ValueError(f"fixed has {shown(name)}, {expected}.")
    if len(set(fixed)) == len(PARTS):
        raise ValueError(f"fixed has every part, {expected}.")
    return tuple(name for name in PARTS if name in fixed)
