"""A feed-forward network over delay taps."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from seqjax.cell import Activation
from seqjax.checks import check_activation, check_size, shown
from seqjax.layers import Layer, delay_line, dense, stack


def tdnn(
    taps: int,
    hidden_sizes: tuple[int, ...],
    output_size: int,
    *,
    activation: Activation = jnp.tanh,
    dilation: int = 1,
    initial_window: str = "learned",
) -> Layer:
    """A time-delay neural network: a feed-forward network that sees the last inputs (Waibel et al., 1989).

    Equation: `y_t = network(x_t, x_{t-d}, ..., x_{t-(taps-1)d})` with the dilation `d`. What it can remember
    is what stands in its window: it has no hidden state. Several of them in a `stack` see further back, a
    window of windows.

    Args:
      taps: how many inputs each step sees, its own included.
      hidden_sizes: the features of each hidden layer; `()` for a linear model.
      output_size: `H`, the features of the output, which has no activation.
      activation: the elementwise function of the hidden layers.
      dilation: the steps from one tap to the next.
      initial_window: `"learned"` or `"zeros"`, what stands before the first input.

    Returns:
      A `Layer`: a stack of a `delay_line` and `dense` layers, whose params and carry are tuples with one
      entry each. Its output is `[T, *B, H]`.

    Raises:
      ValueError: if a size is not positive, or `initial_window` is neither word.
      TypeError: if a size is not an integer, `hidden_sizes` is no tuple, or `activation` cannot be called.

    Example:
      >>> import jax
      >>> layer = tdnn(4, (8,), 1)
      >>> params = layer.init(jax.random.key(0), 3)
      >>> carry, ys = layer.unroll(params, jnp.ones((7, 2, 3)))
      >>> params[1].kernel.shape, ys.shape
      ((12, 8), (7, 2, 1))
    """
    return stack(
        delay_line(taps, dilation, initial_window), *feed_forward(hidden_sizes, output_size, activation)
    )


def feed_forward(hidden_sizes: Any, output_size: int, activation: Activation) -> tuple[Layer, ...]:
    """The layers of a feed-forward network, the last of which is linear.

    Args:
      hidden_sizes: the features of each hidden layer.
      output_size: the features of the output.
      activation: the elementwise function of the hidden layers.

    Returns:
      One `dense` layer each.

    Raises:
      ValueError: if a size is not positive.
      TypeError: if a size is not an integer, `hidden_sizes` is no tuple, or `activation` cannot be called.

    Example:
      >>> len(feed_forward((8, 8), 1, jnp.tanh))
      3
      >>> feed_forward(8, 1, jnp.tanh)
      Traceback (most recent call last):
      TypeError: hidden_sizes is 8, expected a tuple of sizes, one for each hidden layer, such as (16,).
    """
    if not isinstance(hidden_sizes, (tuple, list)):
        raise TypeError(
            f"hidden_sizes is {shown(hidden_sizes)}, expected a tuple of sizes, one for each hidden layer, "
            f"such as (16,)."
        )
    for index, size in enumerate(hidden_sizes):
        check_size(f"hidden_sizes[{index}]", size)
    check_size("output_size", output_size)
    check_activation("activation", activation)
    return (*(dense(size, activation) for size in hidden_sizes), dense(output_size))
