"""Arguments that learning of hidden Markov models and of linear dynamical systems share."""

from __future__ import annotations

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import shown
from seqjax.types import Array


def checked_tolerance(tolerance: Any) -> Array:
    """The increase per observation at which learning stops.

    Args:
      tolerance: a number that is not negative.

    Returns:
      `[]`, of the default dtype.

    Raises:
      TypeError: if it is no number.
      ValueError: if it is negative or not finite.

    Example:
      >>> checked_tolerance(-1.0)
      Traceback (most recent call last):
      ValueError: tolerance is -1.0, expected a finite number that is not negative.
    """
    expected = "expected a finite number that is not negative"
    if isinstance(tolerance, (bool, jax.Array)) or not isinstance(tolerance, numbers.Real):
        raise TypeError(f"tolerance is {shown(tolerance, typed=True)}, {expected}.")
    if not 0 <= float(tolerance) < math.inf:
        raise ValueError(f"tolerance is {tolerance}, {expected}.")
    return jnp.asarray(float(tolerance), ops.default_dtype())
