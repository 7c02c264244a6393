"""What layers share that treat each step by itself: validation, padding, and a carry of nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import as_array, check_function, check_key, check_size, kind_of
from seqjax.layers.layer import Layer
from seqjax.types import Array, Carry, Key, Params
from seqjax.unroll import check_no_list, checked_lengths, checked_resets, sequence_shape


def features(xs: Any) -> Array:
    """Features as an array, after a look at their dtype.

    Args:
      xs: `[..., D]` floating.

    Returns:
      `xs` as a jax array.

    Raises:
      TypeError: if `xs` is not floating.

    Example:
      >>> features([1, 2])
      Traceback (most recent call last):
      TypeError: xs has dtype int32, expected floating features: embed tokens first (seqjax.embed), or cast
      with xs.astype(jnp.float32).
    """
    xs = as_array("xs", xs)
    if not jnp.issubdtype(xs.dtype, jnp.floating):
        raise TypeError(
            f"xs has dtype {xs.dtype}, expected floating features: embed tokens first (seqjax.embed), "
            f"or cast with xs.astype(jnp.float32)."
        )
    return xs


def no_params(key: Key, input_size: int) -> Params:
    """The `init` of a layer without parameters.

    Args:
      key: a random key, of which nothing is drawn.
      input_size: `D`.

    Returns:
      `()`.

    Raises:
      TypeError: if `key` is not a typed key or `input_size` is not an integer.
      ValueError: if `input_size` is not positive.

    Example:
      >>> no_params(jax.random.key(0), 3)
      ()
    """
    check_key(key)
    check_size("input_size", input_size)
    return ()


def pointwise(
    apply: Callable[[Params, Array], Array],
    *,
    output_size: Callable[[int], int],
    init: Callable[[Key, int], Params] = no_params,
    params_type: type = tuple,
    train: Callable[[Params, Array, Key, Array | None], Array] | None = None,
    checked: Callable[[Any], Array] = features,
    shape_of: Callable[[Array], tuple[int, tuple[int, ...]]] = sequence_shape,
) -> Layer:
    """A layer each of whose outputs depends on the input of the same step alone.

    Padding is cleared before `apply` reads it, so that NaN there reaches no gradient, and after, so that
    outputs there are zero.

    Args:
      apply: `(params, xs) -> ys` for any leading axes: a whole sequence, or one step.
      output_size: `(input_size) -> int`.
      init: `(key, input_size) -> params`.
      params_type: the type of the params, for the error.
      train: `(params, xs[T, *B, D], key, resets) -> ys`, used instead of `apply` where there is a key.
      checked: `(xs) -> xs` as an array of a dtype that `apply` reads.
      shape_of: `(xs) -> (T, *B)`.

    Returns:
      A `Layer` whose carry is `()`.

    Raises:
      TypeError: if `apply` cannot be called.

    Example:
      >>> double = pointwise(lambda params, xs: 2 * xs, output_size=lambda input_size: input_size)
      >>> double.unroll((), jnp.ones((2, 1)), lengths=1)[1].tolist()
      [[2.0], [0.0]]
    """
    check_function("apply", apply)

    def unroll(
        params: Params,
        xs: Any,
        *,
        carry: Carry | None = None,
        lengths: Any = None,
        resets: Any = None,
        key: Key | None = None,
    ) -> tuple[Carry, Array]:
        check_no_list(xs)
        xs = checked(xs)
        num_steps, batch_shape = shape_of(xs)
        _check_params(params, params_type)
        _check_no_carry(carry)
        if resets is not None:
            resets = checked_resets(resets, num_steps, batch_shape)
        if key is not None:
            check_key(key)
        valid = None
        if lengths is not None:
            valid = ops.length_mask(checked_lengths(lengths, num_steps, batch_shape), num_steps)
            xs = ops.zero_padding(xs, valid)
        ys = apply(params, xs) if key is None or train is None else train(params, xs, key, resets)
        return (), ys if valid is None else ops.zero_padding(ys, valid)

    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Array]:
        _check_params(params, params_type)
        _check_no_carry(carry)
        return (), apply(params, checked(x))

    return Layer(
        init=init,
        initial_carry=lambda params, batch_shape=(): (),
        step=step,
        unroll=unroll,
        output_size=output_size,
    )


def _check_params(params: Params, params_type: type) -> None:
    if not isinstance(params, params_type):
        name = "()" if params_type is tuple else params_type.__name__
        raise ValueError(
            f"params is {kind_of(params)}, expected {name}: pass params made by this layer's init."
        )


def _check_no_carry(carry: Carry | None) -> None:
    if jax.tree.leaves(carry):
        raise ValueError(
            f"carry is {kind_of(carry)}, expected () or None: this layer hands nothing from step to step."
        )
