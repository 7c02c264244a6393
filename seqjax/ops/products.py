"""Matrix products whose dtype the parameters decide, accumulated in at least float32."""

from __future__ import annotations

import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax.types import Array


def accumulation_dtype(dtype: DTypeLike) -> jnp.dtype:
    """The dtype in which sums over values of `dtype` are held: itself, but never under float32.

    Args:
      dtype: the dtype of the values.

    Returns:
      float32 for the 16-bit types, else `dtype`.

    Example:
      >>> accumulation_dtype(jnp.bfloat16)
      dtype('float32')
    """
    return jnp.promote_types(dtype, jnp.float32)


def product(x: Array, kernel: Array, *, name: str = "xs", size_name: str = "input_size") -> Array:
    """The last axis of `x` against the first axis of `kernel`.

    Equation: `out[..., g, h] = sum_d x[..., d] kernel[d, g, h]`. The kernel's dtype is the dtype of the
    multiplications; sums are held in at least float32, and so is the result.

    Args:
      x: `[..., D]` floating.
      kernel: `[D, ...]` floating, with any number of further axes.
      name: what the caller calls `x`, for the error.
      size_name: what the caller calls `D`, for the error.

    Returns:
      `[..., ...]` of dtype `accumulation_dtype(kernel.dtype)`.

    Raises:
      TypeError: if `x` is no array or not floating.
      ValueError: if `x` and `kernel` disagree about `D`.

    Example:
      >>> product(jnp.ones((5, 2)), jnp.ones((2, 4, 3))).shape
      (5, 4, 3)
    """
    check_features(x, kernel, name, size_name)
    # Of two matrices XLA computes the kernel's gradient without copies, of more axes not. Rows with several
    # axes are left as they are: they may lie on several devices.
    matrix = kernel.reshape(len(kernel), -1) if x.ndim == 2 else kernel
    out = jnp.tensordot(
        x.astype(kernel.dtype), matrix, 1, preferred_element_type=accumulation_dtype(kernel.dtype)
    )
    return out.reshape(*x.shape[:-1], *kernel.shape[1:])


def check_features(x: Array, kernel: Array, name: str, size_name: str) -> None:
    """Refuses features that a kernel cannot multiply.

    Args:
      x: the features `[..., D]`.
      kernel: `[D, ...]`.
      name: what the caller calls `x`.
      size_name: what the caller calls `D`.

    Raises:
      TypeError: if `x` is no array or not floating.
      ValueError: if `x` and `kernel` disagree about `D`.

    Example:
      >>> check_features(jnp.ones((5, 3)), jnp.ones((2, 4)), "xs", "input_size")
      Traceback (most recent call last):
      ValueError: xs has feature size 3, but these params were initialised with input_size 2...
    """
    if not hasattr(x, "dtype"):
        raise TypeError(f"{name} is a {type(x).__name__}, expected an array of floating features.")
    if not jnp.issubdtype(x.dtype, jnp.floating):
        raise TypeError(
            f"{name} has dtype {x.dtype}, expected floating features: embed tokens first "
            f"(seqjax.embed), or cast with {name}.astype(jnp.float32)."
        )
    if x.ndim == 0 or x.shape[-1] != kernel.shape[0]:
        size = x.shape[-1] if x.ndim else "none (it is a scalar)"
        raise ValueError(
            f"{name} has feature size {size}, but these params were initialised with "
            f"{size_name} {kernel.shape[0]}. Initialise with the size of the data, or pass the data "
            f"these params were made for."
        )
