"""Layers that read their own past outputs: the true ones, or those they gave themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.checks import check_key, check_size, kind_of, shown
from seqjax.layers import DelayLineParams, Layer, delay_line, recurrent, streaming_step
from seqjax.layers.pointwise import features
from seqjax.memoryless.arguments import check_count
from seqjax.types import Array, Carry, Key, Params
from seqjax.unroll import check_no_list, checked_lengths, sequence_shape


@struct.dataclass
class FeedbackCarry:
    """What a model with taps of inputs and outputs hands from step to step, the same with either feedback.

    Attributes:
      inputs: `[*B, input_taps - 1, U]`, the last inputs, oldest first; `None` where there are no inputs.
      outputs: `[*B, output_taps, M]`, the last outputs, oldest first.
    """

    inputs: Array | None
    outputs: Array


class Regression(NamedTuple):
    """An output as a function of the inputs up to its step and the outputs before it.

    Attributes:
      init: `(key, num_inputs) -> params`, where `num_inputs` is `U`, zero or more.
      windows: `(params) -> (inputs, outputs)`, the `DelayLineParams` of both; `None` for no inputs.
      predict: `(params, inputs[..., input_taps * U] or None, outputs[..., output_taps * M]) -> y[..., M]`
        for any leading axes, taps newest first.
      input_taps: how many inputs the output sees, that of its own step included.
      output_taps: how many outputs before its own it sees.
      output_size: `M`.
      initial_window: `"learned"` or `"zeros"`, which both windows share.
    """

    init: Callable[[Key, int], Params]
    windows: Callable[[Params], tuple[DelayLineParams | None, DelayLineParams]]
    predict: Callable[[Params, Array | None, Array], Array]
    input_taps: int
    output_taps: int
    output_size: int
    initial_window: str


def feedback_layer(regression: Regression, feedback: str) -> Layer:
    """A regression on past outputs as a layer.

    Equation: `y_t = predict(u_t, ..., u_{t-n+1}, y_{t-1}, ..., y_{t-m})`. Fed by a teacher, the past outputs
    are the true ones: features of `xs` after the inputs, those of step `t` read once `y_t` is given. Fed by
    its own, they are what the layer gave, and `xs` are the inputs alone.

    Args:
      regression: the function and its taps.
      feedback: `"teacher"` or `"own"`.

    Returns:
      A `Layer` with a `FeedbackCarry`. Params and carries serve either feedback.

    Raises:
      ValueError: if `feedback` is neither word.

    Example:
      >>> half = Regression(
      ...     init=lambda key, num_inputs: DelayLineParams(jnp.ones((1, 1))),
      ...     windows=lambda params: (None, params),
      ...     predict=lambda params, inputs, outputs: 0.5 * outputs,
      ...     input_taps=1,
      ...     output_taps=1,
      ...     output_size=1,
      ...     initial_window="learned",
      ... )
      >>> import jax
      >>> params = half.init(jax.random.key(0), 0)
      >>> feedback_layer(half, "own").unroll(params, jnp.zeros((3, 0)))[1].ravel().tolist()
      [0.5, 0.25, 0.125]
      >>> feedback_layer(half, "teacher").unroll(params, jnp.ones((3, 1)))[1].ravel().tolist()
      [0.5, 0.5, 0.5]
    """
    if not isinstance(feedback, str) or feedback not in ("teacher", "own"):
        raise ValueError(f"feedback is {shown(feedback)}, expected 'teacher' or 'own'.")
    return _with_teacher(regression) if feedback == "teacher" else _with_own_outputs(regression)


def _initial_carry(regression: Regression) -> Callable[..., FeedbackCarry]:
    input_line = delay_line(regression.input_taps, initial_window=regression.initial_window)
    output_line = delay_line(regression.output_taps + 1, initial_window=regression.initial_window)

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> FeedbackCarry:
        inputs, outputs = regression.windows(params)
        return FeedbackCarry(
            inputs=None if inputs is None else input_line.initial_carry(inputs, batch_shape),
            outputs=output_line.initial_carry(outputs, batch_shape),
        )

    return initial_carry


def _with_teacher(regression: Regression) -> Layer:
    """All steps at once: two delay lines, and the prediction from their taps."""
    size = regression.output_size
    input_line = delay_line(regression.input_taps, initial_window=regression.initial_window)
    # One tap more, and the first one dropped: an output sees those before it, and not itself.
    output_line = delay_line(regression.output_taps + 1, initial_window=regression.initial_window)

    def split(params: Params, xs: Array) -> tuple[DelayLineParams | None, DelayLineParams, int]:
        inputs, outputs = regression.windows(params)
        num_inputs = 0 if inputs is None else inputs.initial_window.shape[-1]
        if xs.ndim == 0 or xs.shape[-1] != num_inputs + size:
            came = f"feature size {xs.shape[-1]}" if xs.ndim else "shape ()"
            raise ValueError(
                f"xs has {came}, expected {num_inputs + size}: the {num_inputs} inputs that these params "
                f"were initialised with, then the {size} true outputs."
            )
        return inputs, outputs, num_inputs

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_size("input_size", input_size)
        if input_size < size:
            raise ValueError(
                f"input_size is {input_size}, expected at least {size}: fed by a teacher, the features are "
                f"the inputs, then the {size} outputs."
            )
        return regression.init(key, input_size - size)

    def step(params: Params, carry: Carry, x: Any) -> tuple[FeedbackCarry, Array]:
        x, carry = features(x), _checked_carry(carry)
        inputs, outputs, num_inputs = split(params, x)
        input_carry, input_taps = carry.inputs, None
        if inputs is not None:
            input_carry, input_taps = streaming_step(input_line)(inputs, carry.inputs, x[..., :num_inputs])
        output_carry, output_taps = streaming_step(output_line)(outputs, carry.outputs, x[..., num_inputs:])
        y = regression.predict(params, input_taps, output_taps[..., size:])
        return FeedbackCarry(input_carry, output_carry), y

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[FeedbackCarry, Array]:
        check_no_list(xs)
        xs = features(xs)
        num_steps, batch_shape = sequence_shape(xs)
        inputs, outputs, num_inputs = split(params, xs)
        if carry is not None:
            carry = _checked_carry(carry)
        over_time = {"lengths": lengths, "resets": resets, "key": key}
        input_carry = input_taps = None
        if inputs is not None:
            input_carry = None if carry is None else carry.inputs
            input_carry, input_taps = input_line.unroll(
                inputs, xs[..., :num_inputs], carry=input_carry, **over_time
            )
        output_carry = None if carry is None else carry.outputs
        output_carry, output_taps = output_line.unroll(
            outputs, xs[..., num_inputs:], carry=output_carry, **over_time
        )
        ys = regression.predict(params, input_taps, output_taps[..., size:])
        if lengths is not None:
            lengths = checked_lengths(lengths, num_steps, batch_shape)
            ys = ops.zero_padding(ys, ops.length_mask(lengths, num_steps))
        return FeedbackCarry(input_carry, output_carry), ys

    return Layer(init, _initial_carry(regression), step, unroll, lambda input_size: size)


def _with_own_outputs(regression: Regression) -> Layer:
    """A recurrence: each output is an input of the steps after it."""
    input_line = delay_line(regression.input_taps, initial_window=regression.initial_window)

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_count("input_size", input_size)
        return regression.init(key, input_size)

    def step(params: Params, carry: Carry, x: Any) -> tuple[FeedbackCarry, Array]:
        carry = _checked_carry(carry)
        inputs, _ = regression.windows(params)
        input_carry, input_taps = carry.inputs, None
        if inputs is not None:
            input_carry, input_taps = streaming_step(input_line)(inputs, carry.inputs, x)
        features_of_taps = regression.output_taps * regression.output_size
        newest_first = jnp.flip(carry.outputs, -2).reshape(*carry.outputs.shape[:-2], features_of_taps)
        y = regression.predict(params, input_taps, newest_first)
        outputs = jnp.concatenate([carry.outputs[..., 1:, :], y[..., None, :]], axis=-2)
        return FeedbackCarry(input_carry, outputs), y

    cell = Cell(init, _initial_carry(regression), step, regression.output_size)
    with_inputs = recurrent(cell)
    # A recurrence reads at least one feature: where there is no input, it reads one that it does not look at.
    without_inputs = recurrent(cell._replace(init=lambda key, input_size: init(key, 0)))

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[FeedbackCarry, Array]:
        check_no_list(xs)
        xs = features(xs)
        options = {"carry": carry, "lengths": lengths, "resets": resets, "key": key}
        if regression.windows(params)[0] is not None:
            return with_inputs.unroll(params, xs, **options)
        num_steps, batch_shape = sequence_shape(xs)
        if xs.shape[-1]:
            raise ValueError(
                f"xs has feature size {xs.shape[-1]}, but these params were initialised without inputs: "
                f"pass jnp.zeros((num_steps, *batch_shape, 0)), which says how many steps to go on."
            )
        return without_inputs.unroll(params, jnp.zeros((num_steps, *batch_shape, 1), xs.dtype), **options)

    return Layer(init, cell.initial_carry, step, unroll, lambda input_size: regression.output_size)


def _checked_carry(carry: Any) -> FeedbackCarry:
    if not isinstance(carry, FeedbackCarry):
        raise ValueError(
            f"carry is {kind_of(carry)}, expected a FeedbackCarry, as initial_carry of this layer makes it."
        )
    return carry
