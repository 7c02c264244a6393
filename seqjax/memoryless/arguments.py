"""Arguments that the models of this package share, looked at before anything is computed."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.checks import as_array, shown
from seqjax.types import Array
from seqjax.unroll import checked_lengths


def check_count(name: str, count: Any) -> None:
    """Refuses what is not an integer of zero or more.

    Args:
      name: the argument's name.
      count: its value.

    Raises:
      TypeError: if `count` is not an integer.
      ValueError: if it is negative.

    Example:
      >>> check_count("order", -1)
      Traceback (most recent call last):
      ValueError: order is -1, expected an integer of zero or more.
    """
    if isinstance(count, (bool, jax.Array)) or not hasattr(count, "__index__"):
        raise TypeError(f"{name} is {shown(count, typed=True)}, expected an integer of zero or more.")
    if count < 0:
        raise ValueError(f"{name} is {count}, expected an integer of zero or more.")


def checked_series(name: str, values: Any) -> Array:
    """A series of vectors as an array, after a look at its dtype and axes.

    Args:
      name: what the caller calls it, for the error.
      values: `[T, *B, M]` floating.

    Returns:
      The array, of at least float32.

    Raises:
      TypeError: if `values` is not floating.
      ValueError: if there is no time or no feature axis, or no feature.

    Example:
      >>> checked_series("ys", jnp.ones(5))
      Traceback (most recent call last):
      ValueError: ys has shape (5,), expected [T, *B, M]: time first, features last. For one feature a step,
      add an axis: ys[..., None].
    """
    values = as_array(name, values)
    if not jnp.issubdtype(values.dtype, jnp.floating):
        raise TypeError(f"{name} has dtype {values.dtype}, expected floating numbers: {name}.astype(float).")
    if values.ndim < 2 or values.shape[-1] == 0:
        raise ValueError(
            f"{name} has shape {values.shape}, expected [T, *B, M]: time first, features last. "
            f"For one feature a step, add an axis: {name}[..., None]."
        )
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def checked_inputs(inputs: Any, num_steps: int, batch_shape: tuple[int, ...], steps_of: str) -> Array:
    """Driving inputs as an array, after a look at whether their time and batch axes are those of the outputs.

    Args:
      inputs: `[T, *B, U]` floating.
      num_steps: `T`.
      batch_shape: the shape of `*B`.
      steps_of: what `T` are the steps of, for the error.

    Returns:
      The array, of at least float32.

    Raises:
      TypeError: if `inputs` is not floating.
      ValueError: if its shape does not fit.

    Example:
      >>> checked_inputs(jnp.ones((4, 2)), 5, (), "ys")
      Traceback (most recent call last):
      ValueError: inputs has shape (4, 2), expected (5, U): the time and batch axes of ys, then the features.
    """
    inputs = checked_series("inputs", inputs)
    axes = (num_steps, *batch_shape)
    if inputs.shape[:-1] != axes:
        expected = ", ".join(map(str, (*axes, "U")))
        raise ValueError(
            f"inputs has shape {inputs.shape}, expected ({expected}): the time and batch axes of {steps_of}, "
            f"then the features."
        )
    return inputs


def check_finite(name: str, given: Any, lengths: Any) -> None:
    """Refuses a value that is not a number within the valid steps, where values are known.

    Args:
      name: what the caller calls it, for the error.
      given: `[T, *B, M]`.
      lengths: `[*B]` integers, or `None`.

    Raises:
      ValueError: if a concrete valid value is NaN or infinite.

    Example:
      >>> check_finite("ys", jnp.array([[1.0], [jnp.nan]]), None)
      Traceback (most recent call last):
      ValueError: ys has the value nan at (1, 0), expected finite numbers in the valid steps: cut ...
    """
    if isinstance(given, jax.core.Tracer) or isinstance(lengths, jax.core.Tracer):
        return
    values = np.asarray(given)
    wrong = ~np.isfinite(values)
    if lengths is not None:
        steps = np.arange(len(values)).reshape((-1,) + (1,) * (values.ndim - 2))
        wrong &= (steps < np.asarray(lengths))[..., None]
    for where in np.argwhere(wrong)[:1]:
        place = tuple(int(i) for i in where)
        raise ValueError(
            f"{name} has the value {values[place]} at {place}, expected finite numbers in the valid steps: "
            f"cut the series there, or use seqjax.lds, which takes missing observations."
        )


def checked_data(ys: Any, inputs: Any, lengths: Any) -> tuple[Array, Array | None, Array | None]:
    """Outputs, driving inputs and lengths as arrays that fit each other.

    Args:
      ys: `[T, *B, M]` floating.
      inputs: `[T, *B, U]` floating, or `None`.
      lengths: `[*B]` integers, or `None`.

    Returns:
      The three as arrays, `None` as it is.

    Raises:
      TypeError: if a dtype does not fit.
      ValueError: if a shape does not fit, or a concrete value within the lengths is not finite.

    Example:
      >>> [part if part is None else part.shape for part in checked_data(jnp.ones((5, 2, 1)), None, [5, 3])]
      [(5, 2, 1), None, (2,)]
    """
    given = ys, inputs
    ys = checked_series("ys", ys)
    if inputs is not None:
        inputs = checked_inputs(inputs, ys.shape[0], ys.shape[1:-1], "ys")
    if lengths is not None:
        lengths = checked_lengths(lengths, ys.shape[0], ys.shape[1:-1])
    for name, values in zip(("ys", "inputs"), given, strict=True):
        if values is not None:
            check_finite(name, values, lengths)
    return ys, inputs, lengths
