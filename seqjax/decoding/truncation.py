"""Which tokens may be drawn at all: temperature, and the cuts of top-k, top-p and min-p."""

from __future__ import annotations

import math
import numbers
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.checks import check_size, shown
from seqjax.types import Array


@struct.dataclass
class Truncation:
    """How logits are changed before a token is drawn; `None` leaves a step out.

    Attributes:
      temperature: what logits are divided by.
      top_k: how many of the most probable tokens stay.
      top_p: the probability that the most probable tokens that stay have together.
      min_p: the probability of a token that stays, as a share of that of the most probable one.
    """

    temperature: float | Array | None = None
    top_k: int | Array | None = None
    top_p: float | Array | None = None
    min_p: float | Array | None = None


def truncation(
    *,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    min_p: float | None = None,
) -> Truncation:
    """The four numbers, after a look at each.

    Args:
      temperature: above 0; below 1 sharpens the distribution, above flattens it.
      top_k: a positive integer.
      top_p: above 0, up to 1.
      min_p: from 0 to 1.

    Returns:
      A `Truncation`.

    Raises:
      TypeError: if one of them is no number.
      ValueError: if one of them is out of range.

    Example:
      >>> truncation(temperature=0)
      Traceback (most recent call last):
      ValueError: temperature is 0, expected a positive number; for the most probable tokens, leave key out.
    """
    if temperature is not None and not 0 < _number("temperature", temperature) < math.inf:
        raise ValueError(
            f"temperature is {temperature}, expected a positive number; for the most probable tokens, leave "
            f"key out."
        )
    if top_k is not None:
        check_size("top_k", top_k)
    if top_p is not None and not 0 < _number("top_p", top_p) <= 1:
        raise ValueError(f"top_p is {top_p}, expected a number above 0, up to 1.")
    if min_p is not None and not 0 <= _number("min_p", min_p) <= 1:
        raise ValueError(f"min_p is {min_p}, expected a number from 0 to 1.")
    return Truncation(temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p)


def truncated(logits: Array, cuts: Truncation) -> Array:
    """Logits divided by the temperature, and minus infinity where a token is cut off.

    The steps are taken in this order, each on what the one before left:

    | step | keeps |
    | --- | --- |
    | temperature | all tokens, `logits / temperature` |
    | top-k (Fan et al., 2018) | the `k` most probable |
    | top-p (Holtzman et al., 2020) | the fewest most probable whose probability together is at least `p` |
    | min-p (Nguyen et al., 2024) | those of at least `min_p` times the highest probability |

    A token exactly as probable as the last that stays, stays too; the most probable one always does.

    Args:
      logits: `[..., V]`.
      cuts: a `Truncation`.

    Returns:
      `[..., V]`.

    Example:
      >>> truncated(jnp.array([3.0, 2.0, 1.0]), truncation(temperature=0.5, top_k=2)).tolist()
      [6.0, 4.0, -inf]
    """
    if cuts.temperature is not None:
        logits = logits / cuts.temperature
    if cuts.top_k is not None:
        highest = jnp.flip(jnp.sort(logits, axis=-1), axis=-1)
        last = jnp.minimum(cuts.top_k, logits.shape[-1]) - 1
        logits = _at_least(logits, jnp.take(highest, last, axis=-1)[..., None])
    if cuts.top_p is not None:
        highest = jnp.flip(jnp.sort(logits, axis=-1), axis=-1)
        probabilities = jax.nn.softmax(highest)
        before = jnp.cumsum(probabilities, axis=-1) - probabilities
        stays = jnp.where(before < cuts.top_p, highest, jnp.inf)
        # Sums of rounded numbers may reach p early, but nothing comes before the first.
        stays = stays.at[..., 0].set(highest[..., 0])
        logits = _at_least(logits, jnp.min(stays, axis=-1, keepdims=True))
    if cuts.min_p is not None:
        logits = _at_least(logits, jnp.max(logits, axis=-1, keepdims=True) + jnp.log(cuts.min_p))
    return logits


def _at_least(logits: Array, threshold: Array) -> Array:
    return jnp.where(logits < threshold, -jnp.inf, logits)


def _number(name: str, value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} is {shown(value, typed=True)}, expected a number.")
    return value
