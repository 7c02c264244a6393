"""A nonlinear autoregression with driving inputs."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax.cell import Activation
from seqjax.checks import check_size, kind_of
from seqjax.layers import DelayLineParams, DenseParams, Layer, delay_line, stack, streaming_step
from seqjax.memoryless.arguments import check_count
from seqjax.memoryless.feedback import Regression, feedback_layer
from seqjax.memoryless.tdnn import feed_forward
from seqjax.types import Array, Key


@struct.dataclass
class NARXParams:
    """Parameters of a nonlinear autoregression with driving inputs, the same with either feedback.

    Attributes:
      inputs: the inputs before the first; `None` where there are no inputs.
      outputs: the outputs before the first.
      network: the params of the layers of the network, whose features are the taps of the inputs and then
        those of the outputs, newest first.
    """

    inputs: DelayLineParams | None
    outputs: DelayLineParams
    network: tuple[DenseParams, ...]


def narx(
    input_taps: int,
    output_taps: int,
    hidden_sizes: tuple[int, ...],
    output_size: int,
    *,
    activation: Activation = jnp.tanh,
    feedback: str = "teacher",
    initial_window: str = "learned",
) -> Layer:
    """A feed-forward network over taps of the inputs and of the outputs (Narendra & Parthasarathy, 1990).

    Equation: `y_t = network(u_t, ..., u_{t-n+1}, y_{t-1}, ..., y_{t-m})` with `n` input taps and `m` output
    taps (their model IV). What stands for the past outputs is the one difference between

    - `feedback="teacher"`, the series-parallel form: the true outputs. The features of `xs` are the inputs,
      then the true outputs, both of the same step: the layer predicts `y_t` before it reads it, so that
      targets need no shift, `xs = concat(us, ys)` and `targets = ys`. All steps run at once.
    - `feedback="own"`, the parallel form: its own outputs. `xs` are the inputs alone. It simulates, and its
      gradient is that of the whole simulation.

    Params and carries serve both. To close the loop after a stretch of true outputs, hand the carry on:

        carry, predicted = narx(..., feedback="teacher").unroll(params, concat(us, ys))
        carry, simulated = narx(..., feedback="own").unroll(params, later_us, carry=carry)

    Args:
      input_taps: how many inputs the network sees, that of the step included; 0 if there are no inputs. Then
        `xs` is `ys` with a teacher, and `jnp.zeros((T, *B, 0))` without.
      output_taps: how many outputs before its own the network sees.
      hidden_sizes: the features of each hidden layer; `()` for a linear model.
      output_size: `M`, the features of the output, which has no activation.
      activation: the elementwise function of the hidden layers.
      feedback: `"teacher"` or `"own"`.
      initial_window: `"learned"` or `"zeros"`, what stands before the first input and output.

    Returns:
      A `Layer` with `NARXParams` and a `FeedbackCarry`. Its `input_size` is `U + M` with a teacher, else `U`;
      its output is `[T, *B, M]`.

    Raises:
      ValueError: if a size is not positive, or a word is none of those above. `init` raises it if
        `input_size` leaves no inputs for the input taps, or some without one.
      TypeError: if a size is not an integer, `hidden_sizes` is no tuple, or `activation` cannot be called.

    Example:
      >>> import functools
      >>> model = functools.partial(narx, 2, 3, (8,), 1)
      >>> params = model().init(jax.random.key(0), 2 + 1)
      >>> us, ys = jnp.ones((7, 5, 2)), jnp.ones((7, 5, 1))
      >>> carry, predicted = model().unroll(params, jnp.concatenate([us, ys], -1))
      >>> carry, simulated = model(feedback="own").unroll(params, us, carry=carry)
      >>> predicted.shape, simulated.shape, carry.outputs.shape
      ((7, 5, 1), (7, 5, 1), (5, 3, 1))
    """
    check_count("input_taps", input_taps)
    check_size("output_taps", output_taps)
    network = stack(*feed_forward(hidden_sizes, output_size, activation))
    network_step = streaming_step(network)
    input_line = delay_line(max(input_taps, 1), initial_window=initial_window)
    output_line = delay_line(output_taps + 1, initial_window=initial_window)

    def init(key: Key, num_inputs: int) -> NARXParams:
        if (num_inputs > 0) != (input_taps > 0):
            mend = "pass input_taps=0" if input_taps else "pass how many inputs the network sees"
            raise ValueError(
                f"input_taps is {input_taps}, but input_size leaves {num_inputs} inputs beside the "
                f"{output_size} outputs: {mend}."
            )
        input_key, output_key, network_key = jax.random.split(key, 3)
        return NARXParams(
            inputs=input_line.init(input_key, num_inputs) if input_taps else None,
            outputs=output_line.init(output_key, output_size),
            network=network.init(network_key, input_taps * num_inputs + output_taps * output_size),
        )

    def windows(params: Any) -> tuple[DelayLineParams | None, DelayLineParams]:
        if not isinstance(params, NARXParams):
            raise ValueError(
                f"params is {kind_of(params)}, expected NARXParams: pass params made by this layer's init."
            )
        if (params.inputs is None) != (input_taps == 0):
            came = "None" if params.inputs is None else kind_of(params.inputs)
            raise ValueError(
                f"params.inputs is {came}, but input_taps is {input_taps}: pass params made by this "
                f"layer's init."
            )
        return params.inputs, params.outputs

    def predict(params: NARXParams, inputs: Array | None, outputs: Array) -> Array:
        taps = outputs if inputs is None else jnp.concatenate([inputs, outputs], axis=-1)
        return network_step(params.network, network.initial_carry(params.network), taps)[1]

    return feedback_layer(
        Regression(init, windows, predict, max(input_taps, 1), output_taps, output_size, initial_window),
        feedback,
    )
