"""A softmax over some entries of an axis and not others."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array


def masked_softmax(scores: Array, valid: Array, *, axis: int = -1) -> Array:
    """The softmax over those entries of an axis that are valid; zeros elsewhere, and where none is.

    Equation: `a_s = exp(e_s) / sum_r exp(e_r)` over the valid `s` and `r`. No score overflows, and none that
    is not valid reaches a value or a gradient.

    Args:
      scores: `[..., S, ...]`, finite where they are valid.
      valid: booleans that broadcast against `scores`.
      axis: the place of `S`.

    Returns:
      The shape of `scores`.

    Example:
      >>> masked_softmax(jnp.array([0.0, 0.0, 9.0]), jnp.array([True, True, False])).tolist()
      [0.5, 0.5, 0.0]
    """
    peak = jnp.max(jnp.where(valid, scores, -jnp.inf), axis=axis, keepdims=True, initial=-jnp.inf)
    # Selected before the exponential and after it: what is not valid may lie far above the peak, and the
    # gradient of what overflowed is NaN even where it is not used.
    above = jnp.where(valid, scores - jax.lax.stop_gradient(peak), 0)
    shares = jnp.where(valid, jnp.exp(above), 0)
    total = jnp.sum(shares, axis=axis, keepdims=True)
    return shares / jnp.where(total > 0, total, 1)
