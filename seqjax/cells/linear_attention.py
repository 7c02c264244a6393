"""Cells with a matrix a head for their carry, from the functions that make entries and read them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.cell import Cell, LinearAttention, start, step_of
from seqjax.checks import check_initial_carry, check_key, check_size
from seqjax.types import Array, Key, Params


def linear_attention_cell(
    hidden_size: int,
    matrix_shape: tuple[int, int, int],
    *,
    draw: Callable[[Key, int], Params],
    entries: Callable[[Params, Any], ops.Entries],
    readout: Callable[[Params, ops.Read, Any], Any],
    scaled: bool = False,
    initial_carry: str = "learned",
) -> Cell:
    """A cell whose carry is a matrix a head, written and read by `ops.attention_step`.

    Args:
      hidden_size: `H`, the features of the output.
      matrix_shape: `N`, `K` and `V`, all positive.
      draw: `(key, input_size) -> params`, with the fields `value_kernel`, whose dtype is that of the params,
        and `initial_carry`, which is filled in.
      entries: `(params, xs) -> ops.Entries`; takes any leading axes, time included.
      readout: `(params, read, x) -> y`; takes any leading axes.
      scaled: whether entries have a `log_write`, and the carry a `log_scale`.
      initial_carry: `"learned"`, a parameter drawn at random by `init`, or `"zeros"`.

    Returns:
      A `Cell` with a `LinearAttention` structure.

    Raises:
      ValueError: if `initial_carry` is neither word.

    Example:
      >>> def entries(params, x):  # what a cell without decay remembers
      ...     x = x[..., None, :]
      ...     return ops.Entries(x, x, x, jnp.zeros(x.shape[:-1]))
      >>> cell = linear_attention_cell(
      ...     2,
      ...     (1, 2, 2),
      ...     draw=None,
      ...     entries=entries,
      ...     readout=lambda params, read, x: read.vectors[..., 0, :],
      ... )
      >>> cell.step(None, ops.MatrixCarry(jnp.zeros((1, 2, 2))), jnp.ones(2))[1].tolist()
      [2.0, 2.0]
    """
    check_initial_carry(initial_carry)

    def zeros(dtype: jnp.dtype) -> ops.MatrixCarry:
        scale = jnp.zeros(matrix_shape[:1], dtype) if scaled else None
        return ops.MatrixCarry(jnp.zeros(matrix_shape, dtype), scale)

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_size("input_size", input_size)
        own_key, carry_key = jax.random.split(key)
        params = draw(own_key, input_size)
        if initial_carry == "zeros":
            return params
        return params.replace(initial_carry=ops.learned_carry(carry_key, zeros(ops.default_dtype())))

    structure = LinearAttention(entries, readout)
    return Cell(
        init=init,
        initial_carry=lambda params, batch_shape=(): start(params, zeros, batch_shape, params.value_kernel),
        step=step_of(structure),
        output_size=hidden_size,
        structure=structure,
    )


def joined(heads: Array) -> Array:
    """The features of all heads side by side.

    Args:
      heads: `[..., N, V]`.

    Returns:
      `[..., N V]`.

    Example:
      >>> joined(jnp.ones((5, 2, 3))).shape
      (5, 6)
    """
    return heads.reshape(*heads.shape[:-2], heads.shape[-2] * heads.shape[-1])
