"""The parameters of a hidden Markov chain, and what is checked of them."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, kind_of
from seqjax.types import Array


@struct.dataclass
class HMMParams:
    """A Markov chain over `K` states, as logits: any real numbers are legal, so any optimiser can move them.

    Each row of logits is normalised (`jax.nn.log_softmax`) where it is used; -inf makes a state or a
    transition impossible.

    Attributes:
      initial_logits: `[K]` or `[*B, K]`, of the first state.
      transition_logits: `[K, K]`, row `i` leads from state `i`; or one matrix a step, `[T, *B, K, K]` with
        batch axes that may be one, whose entry `t` leads from step `t` to step `t + 1`, the last one into the
        carry.
    """

    initial_logits: Array
    transition_logits: Array

    @property
    def num_states(self) -> int:
        """`K`."""
        return self.initial_logits.shape[-1]

    @property
    def initial(self) -> Array:
        """Probabilities of the first state, `[..., K]`."""
        return jax.nn.softmax(self.initial_logits, axis=-1)

    @property
    def transition(self) -> Array:
        """Probabilities of the transitions, `[..., K, K]`, whose rows sum to one."""
        return jax.nn.softmax(self.transition_logits, axis=-1)


def params(initial: Any, transition: Any) -> HMMParams:
    """Parameters from probabilities.

    Args:
      initial: `[K]` or `[*B, K]` probabilities of the first state.
      transition: `[K, K]` probabilities, row `i` from state `i`; or one matrix a step, `[T, *B, K, K]`, entry
        `t` from step `t` to step `t + 1`.

    Returns:
      The same as logits: `HMMParams`, floating.

    Raises:
      TypeError: if an argument is no array of real numbers.
      ValueError: if a shape does not fit, or a row holds a negative number or NaN or does not sum to one.
        Values are looked at where they are concrete, that is outside of `jit`.

    Example:
      >>> weather = params(initial=[0.6, 0.4], transition=[[0.7, 0.3], [0.4, 0.6]])
      >>> weather.transition.round(3).tolist()
      [[0.7..., 0.3...], [0.4..., 0.6...]]
      >>> params(initial=[0.6, 0.4], transition=[[0.7, 0.3], [0.4, 0.4]])
      Traceback (most recent call last):
      ValueError: transition has a row that sums to 0.8 at (1,), expected 1. Divide each row by its sum.
    """
    initial = _checked_rows("initial", initial)
    transition = _checked_rows("transition", transition)
    num_states = initial.shape[-1]
    if transition.ndim < 2 or transition.shape[-2:] != (num_states, num_states):
        raise ValueError(
            f"transition has shape {transition.shape}, expected it to end with {(num_states, num_states)}: "
            f"initial has {num_states} states, and each needs a row of probabilities of the next."
        )
    # log(0) is -inf, as it should be, but its gradient is not a number.
    initial, transition = (
        jnp.where(rows > 0, jnp.log(jnp.where(rows > 0, rows, 1)), -jnp.inf) for rows in (initial, transition)
    )
    return HMMParams(initial_logits=initial, transition_logits=transition)


def _checked_rows(name: str, value: Any) -> Array:
    """An array of probabilities whose last axis sums to one."""
    rows = as_array(name, value)
    if jnp.issubdtype(rows.dtype, jnp.complexfloating):
        raise TypeError(f"{name} is {kind_of(rows)}, expected probabilities: real numbers.")
    if rows.ndim == 0 or rows.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {rows.shape}, expected at least one state: rows of probabilities."
        )
    rows = rows.astype(jnp.promote_types(rows.dtype, ops.default_dtype()))
    if not isinstance(value, jax.core.Tracer):
        _check_probabilities(name, np.asarray(rows, float))
    return rows


def _check_probabilities(name: str, rows: np.ndarray) -> None:
    """Refuses NaN, negative numbers and rows that do not sum to one, and says which."""
    for wrong, what in ((np.isnan(rows), "NaN"), (rows < 0, "a negative number")):
        if wrong.any():
            place = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise ValueError(
                f"{name} has {what}, {rows[place]:.6g}, at {place}, expected probabilities. Mend that row."
            )
    sums = rows.sum(axis=-1)
    # A row of float32 numbers, or of probabilities written with a few digits, sums to one only nearly.
    wrong = ~(np.abs(sums - 1) <= 1e-5)
    if wrong.any():
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where = f" at {place}" if place else ""
        raise ValueError(
            f"{name} has a row that sums to {sums[place]:.6g}{where}, expected 1. Divide each row by its sum."
        )
