"""Dropout of features."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.checks import check_flag
from seqjax.layers import noise
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import pointwise
from seqjax.types import Array, Key, Params


def dropout(rate: float, *, shared_over_time: bool = False) -> Layer:
    """Zeroes features at random (Srivastava et al., 2014) and scales the others to keep the expectation.

    Equation: `ys = keep * xs / (1 - rate)` with `keep ~ Bernoulli(1 - rate)`. Without a key, the identity.

    Args:
      rate: the probability that a feature is zeroed.
      shared_over_time: whether a feature is zeroed at all steps of a sequence or at none (Gal & Ghahramani,
        2016), with another draw after a reset; otherwise each step is drawn by itself.

    Returns:
      A `Layer` without params or carry, whose output has the size and dtype of its input.

    Raises:
      TypeError: if `rate` is not a number or `shared_over_time` no boolean.
      ValueError: if `rate` is not from 0 up to but not including 1.

    Example:
      >>> layer = dropout(0.5)
      >>> carry, ys = layer.unroll((), jnp.ones((7, 2, 3)), key=jax.random.key(1))
      >>> sorted(set(ys.ravel().tolist()))
      [0.0, 2.0]
    """
    noise.check_rate("rate", rate)
    check_flag("shared_over_time", shared_over_time)
    rate = float(rate)  # a numpy scalar would decide the dtype

    def drop(params: Params, xs: Array, key: Key, resets: Array | None) -> Array:
        if rate == 0:
            return xs
        if shared_over_time:
            keep = noise.once_a_sequence(key, 1 - rate, xs.shape, resets)
        else:
            keep = jax.random.bernoulli(key, 1 - rate, xs.shape)
        return jnp.where(keep, xs / (1 - rate), 0)

    return pointwise(lambda params, xs: xs, train=drop, output_size=lambda input_size: input_size)
