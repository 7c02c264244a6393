"""A delay line: each step sees the inputs of the steps before it."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size, kind_of, shown
from seqjax.layers.layer import Layer
from seqjax.layers.pointwise import features
from seqjax.types import Array, Carry, Key
from seqjax.unroll import check_no_list, checked_lengths, checked_resets, sequence_shape


@struct.dataclass
class DelayLineParams:
    """Parameters of a delay line.

    Attributes:
      initial_window: the inputs before the first, oldest first: `[(taps - 1) * dilation, D]` where they are
        learned. Where they are zeros, an empty `[0, D]`, which trains nothing and remembers `D`.
    """

    initial_window: Array


def delay_line(taps: int, dilation: int = 1, initial_window: str = "learned") -> Layer:
    """The input of each step beside those of the steps before it, newest first.

    Equation: `y_t = concat(x_t, x_{t-d}, x_{t-2d}, ..., x_{t-(taps-1)d})` with the dilation `d` (Waibel et
    al., 1989, section II.A). One tap is the identity.

    The carry is the window of the last inputs `[*B, (taps - 1) * dilation, D]`, oldest first, so that a delay
    line streams and is unrolled in chunks like any other layer. A reset empties it: the inputs before the
    reset are those of the initial window again. Nothing loops over time.

    Args:
      taps: how many inputs each step sees, its own included.
      dilation: the steps from one tap to the next.
      initial_window: what stands before the first input: `"learned"`, a parameter drawn at random by `init`,
        or `"zeros"`.

    Returns:
      A `Layer` with `DelayLineParams`. Its output `[T, *B, taps * D]`, whose features
      `[k * D : (k + 1) * D]` are the input `k * d` steps ago, has the dtype of the params, at least float32.

    Raises:
      ValueError: if `taps` or `dilation` is not positive, or `initial_window` is neither word.
      TypeError: if `taps` or `dilation` is not an integer.

    Example:
      >>> layer = delay_line(3, initial_window="zeros")
      >>> params = layer.init(jax.random.key(0), 1)
      >>> window, ys = layer.unroll(params, jnp.array([[1.0], [2.0], [3.0], [4.0]]))
      >>> ys.tolist()
      [[1.0, 0.0, 0.0], [2.0, 1.0, 0.0], [3.0, 2.0, 1.0], [4.0, 3.0, 2.0]]
      >>> window.tolist()
      [[3.0], [4.0]]
    """
    check_size("taps", taps)
    check_size("dilation", dilation)
    if not isinstance(initial_window, str) or initial_window not in ("learned", "zeros"):
        raise ValueError(f"initial_window is {shown(initial_window)}, expected 'learned' or 'zeros'.")
    taps, dilation = int(taps), int(dilation)
    window_size = (taps - 1) * dilation
    rows = window_size if initial_window == "learned" else 0

    def init(key: Key, input_size: int) -> DelayLineParams:
        check_key(key)
        check_size("input_size", input_size)
        zeros = jnp.zeros((rows, input_size), ops.default_dtype())
        return DelayLineParams(initial_window=ops.learned_carry(key, zeros))

    def initial_carry(params: DelayLineParams, batch_shape: tuple[int, ...] = ()) -> Array:
        if not isinstance(batch_shape, (tuple, list)):
            raise TypeError(f"batch_shape is {shown(batch_shape)}, expected a tuple of sizes, such as (32,).")
        initial = _checked_initial(params, rows)
        initial = jnp.pad(initial, ((window_size - rows, 0), (0, 0)))
        return jnp.broadcast_to(initial, (*batch_shape, *initial.shape))

    def step(params: DelayLineParams, carry: Carry, x: Any) -> tuple[Carry, Array]:
        x = _checked_features(features(x), _checked_initial(params, rows))
        carry = _checked_window(carry, (*x.shape[:-1], window_size, x.shape[-1]), x.dtype)
        window = jnp.concatenate([carry, x[..., None, :]], axis=-2)
        return window[..., 1:, :], window[..., ::-dilation, :].reshape(*x.shape[:-1], taps * x.shape[-1])

    def unroll(
        params: DelayLineParams,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[Carry, Array]:
        check_no_list(xs)
        xs = features(xs)
        num_steps, batch_shape = sequence_shape(xs)
        initial = _checked_initial(params, rows)
        xs = _checked_features(xs, initial)
        if carry is None:
            carry = initial_carry(params, batch_shape)
        carry = _checked_window(carry, (*batch_shape, window_size, xs.shape[-1]), xs.dtype)
        if lengths is not None:
            lengths = checked_lengths(lengths, num_steps, batch_shape)
        if resets is not None:
            resets = checked_resets(resets, num_steps, batch_shape)
        if key is not None:
            check_key(key)
        return _run(taps, dilation, initial, carry, xs, lengths, resets)

    return Layer(
        init=init,
        initial_carry=initial_carry,
        step=step,
        unroll=unroll,
        output_size=lambda input_size: taps * input_size,
    )


# Compiled once for its shapes, so that a call outside of any jit compiles nothing again.
@partial(jax.jit, static_argnums=(0, 1))
def _run(
    taps: int,
    dilation: int,
    initial: Array,
    carry: Array,
    xs: Array,
    lengths: Array | None,
    resets: Array | None,
) -> tuple[Array, Array]:
    """The window and the inputs in one row of time, from which each tap is a shifted piece."""
    num_steps, batch_axes, window_size = xs.shape[0], xs.ndim - 2, carry.shape[-2]
    steps = jnp.arange(num_steps).reshape((-1,) + (1,) * batch_axes)
    valid = None
    if lengths is not None:
        valid = ops.length_mask(lengths, num_steps)
        xs = ops.zero_padding(xs, valid)
    line = jnp.concatenate([jnp.moveaxis(carry, -2, 0), xs])  # the input of step t is at window_size + t

    starts = None
    if resets is not None:  # the last reset up to each step, -1 where there was none
        resets = resets if valid is None else resets & valid
        starts = jax.lax.cummax(jnp.where(resets, steps, -1), axis=0)
    delayed = []
    for delay in range(0, window_size + 1, dilation):
        tap = line[window_size - delay : window_size - delay + num_steps]
        if starts is not None and delay:
            tap = _from_initial_window(tap, steps - delay, starts, initial, window_size)
        delayed.append(tap)
    ys = jnp.concatenate(delayed, axis=-1)

    ends = num_steps if lengths is None else lengths
    places = jnp.arange(window_size).reshape((-1,) + (1,) * batch_axes)
    if lengths is None:
        window = line[num_steps:]
    else:
        window = jnp.take_along_axis(line, (places + ends)[..., None], axis=0)
    if resets is not None:
        start = jnp.max(jnp.where(resets, steps, -1), axis=0, initial=-1)
        window = _from_initial_window(window, places + ends - window_size, start, initial, window_size)
    ys = ys if valid is None else ops.zero_padding(ys, valid)
    return jnp.moveaxis(window, 0, -2), ys


def _from_initial_window(
    inputs: Array, steps: Array, starts: Array, initial: Array, window_size: int
) -> Array:
    """The inputs of some steps, but those before the start of the sequence from the initial window."""
    before = (starts >= 0) & (steps < starts)
    if initial.shape[0] == 0:
        return jnp.where(before[..., None], 0, inputs)
    place = jnp.clip(window_size + steps - starts, 0, max(window_size - 1, 0))
    return jnp.where(before[..., None], initial[place], inputs)


def _checked_initial(params: Any, rows: int) -> Array:
    """The initial window of params of this layer, in the dtype of its carry."""
    if not isinstance(params, DelayLineParams):
        raise ValueError(
            f"params is {kind_of(params)}, expected DelayLineParams: pass params made by this layer's init."
        )
    initial = as_array("params.initial_window", params.initial_window)
    if initial.ndim != 2 or initial.shape[0] != rows:
        raise ValueError(
            f"params.initial_window has shape {initial.shape}, expected {rows} rows [{rows}, D]: pass params "
            f"made by the init of a delay line of the same taps, dilation and initial_window."
        )
    return initial.astype(ops.accumulation_dtype(initial.dtype))


def _checked_features(xs: Array, initial: Array) -> Array:
    if xs.ndim == 0 or xs.shape[-1] != initial.shape[-1]:
        size = xs.shape[-1] if xs.ndim else "none (it is a scalar)"
        raise ValueError(
            f"xs has feature size {size}, but these params were initialised with input_size "
            f"{initial.shape[-1]}. Pass the features that these params were made for, or init again."
        )
    return xs.astype(initial.dtype)


def _checked_window(carry: Any, shape: tuple[int, ...], dtype: jnp.dtype) -> Array:
    what = "a window of inputs, as initial_carry of this layer makes it"
    carry = as_array("carry", carry)
    if not jnp.issubdtype(carry.dtype, jnp.floating):
        raise TypeError(f"carry has dtype {carry.dtype}, expected a floating array: {what}.")
    if carry.shape != shape:
        raise ValueError(f"carry has shape {carry.shape}, expected {shape}: {what}.")
    return carry.astype(dtype)
