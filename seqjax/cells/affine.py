"""Cells that are linear in their carry, from the functions that make their coefficients and read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Affine, Cell, step_of
from seqjax.checks import check_function, check_initial_carry, check_key, check_size, shown
from seqjax.types import Array, Carry, Key, Params


@struct.dataclass
class AffineParams:
    """Parameters of an affine cell whose gates read the input alone.

    Attributes:
      input_kernel: `[D, G, H]`.
      bias: `[G, H]`.
      initial_carry: the learned carry before the first step `[H]`, or `None` for zeros.
    """

    input_kernel: Array
    bias: Array
    initial_carry: Array | None


def affine_cell(
    hidden_size: int,
    *,
    coefficients: Callable[[Params, Any], tuple[Carry, Carry]],
    gates: tuple[str, ...] = (),
    draw: Callable[[Key, int], Params] | None = None,
    readout: Callable[[Params, Carry, Any], Any] = lambda params, carry, x: carry,
    initial_carry: str = "learned",
    zeros: Callable[[jnp.dtype], Any] | None = None,
    enter: Callable[[Any], Carry] = lambda stored: stored,
) -> Cell:
    """A cell whose carry obeys `carry' = a * carry + b`, with `a` and `b` functions of the input.

    Args:
      hidden_size: `H`, the features of the output.
      coefficients: `(params, xs) -> (a, b)`, each with the structure of the carry; takes any leading axes,
        time included. `a` may have axes of size one where `b` has not.
      gates: the names of the gates of `AffineParams`, in the order of the gate axis; not used with `draw`.
      draw: `(key, input_size) -> params`, with fields `input_kernel`, whose dtype is that of the params, and
        `initial_carry`, which is filled in; by default an `AffineParams`.
      readout: `(params, carry, x) -> y`; by default the carry. Takes any leading axes.
      initial_carry: `"learned"`, a parameter drawn at random by `init`, or `"zeros"`.
      zeros: `(dtype) -> zeros` without batch axes, as params hold the initial carry; by default `[H]`.
      enter: what params hold -> carry, for a carry that is not held as it is (a complex one).

    Returns:
      A `Cell` with an `Affine` structure.

    Raises:
      ValueError: if `hidden_size` is not positive, or `initial_carry` is neither word.
      TypeError: if `hidden_size` is not an integer, or a function cannot be called.

    Example:
      >>> def coefficients(params, x):  # a leaky integrator with a gate
      ...     keep, write = jnp.moveaxis(ops.product(x, params.input_kernel) + params.bias, -2, 0)
      ...     return jax.nn.sigmoid(keep), write
      >>> cell = affine_cell(4, gates=("keep", "write"), coefficients=coefficients)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (5,)), jnp.ones((5, 3)))
      >>> y.shape
      (5, 4)
    """
    check_size("hidden_size", hidden_size)
    check_initial_carry(initial_carry)
    check_function("coefficients", coefficients)
    check_function("readout", readout)
    zeros = zeros or (lambda dtype: jnp.zeros((hidden_size,), dtype))

    def draw_gates(key: Key, input_size: int) -> Params:
        kernel = ops.input_kernel(key, input_size, len(gates), hidden_size)
        return AffineParams(kernel, jnp.zeros((len(gates), hidden_size), kernel.dtype), None)

    def init(key: Key, input_size: int) -> Params:
        check_key(key)
        check_size("input_size", input_size)
        own_key, carry_key = jax.random.split(key)
        params = (draw or draw_gates)(own_key, input_size)
        if initial_carry == "zeros":
            return params
        return params.replace(initial_carry=ops.learned_carry(carry_key, zeros(ops.default_dtype())))

    def start(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
        if not isinstance(batch_shape, (tuple, list)):
            raise TypeError(f"batch_shape is {shown(batch_shape)}, expected a tuple of sizes, such as (32,).")
        dtype = ops.accumulation_dtype(params.input_kernel.dtype)
        stored = zeros(dtype) if params.initial_carry is None else params.initial_carry
        carry = enter(jax.tree.map(lambda leaf: leaf.astype(dtype), stored))
        return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (*batch_shape, *leaf.shape)), carry)

    structure = Affine(coefficients, readout)
    return Cell(init, start, step_of(structure), hidden_size, structure)


def gate_inputs(params: AffineParams, x: Array) -> list[Array]:
    """What the gates read, `x W_g + b_g`, one array a gate.

    Args:
      params: with `input_kernel` and `bias`.
      x: `[..., D]`.

    Returns:
      Arrays `[..., H]`.

    Example:
      >>> params = AffineParams(jnp.ones((2, 3, 4)), jnp.zeros((3, 4)), None)
      >>> [part.shape for part in gate_inputs(params, jnp.ones((5, 2)))]
      [(5, 4), (5, 4), (5, 4)]
    """
    part = ops.product(x, params.input_kernel) + params.bias
    return [part[..., g, :] for g in range(part.shape[-2])]


def shared_by_all(coefficient: Array, x: Array) -> Array:
    """A coefficient that is the same at every step and in every row, with axes of size one for them.

    Args:
      coefficient: `[N]`.
      x: `[..., D]`, the input.

    Returns:
      `[1, ..., 1, N]`, with as many axes as `x`.

    Example:
      >>> shared_by_all(jnp.ones(4), jnp.ones((7, 2, 3))).shape
      (1, 1, 4)
    """
    return coefficient.reshape((1,) * (x.ndim - 1) + coefficient.shape)


def wide(parameter: Array) -> Array:
    """A parameter in the dtype in which sums are held.

    Args:
      parameter: an array.

    Returns:
      It, in at least float32.

    Example:
      >>> wide(jnp.ones(2, jnp.bfloat16)).dtype
      dtype('float32')
    """
    return parameter.astype(ops.accumulation_dtype(parameter.dtype))
