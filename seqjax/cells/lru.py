"""Linear recurrent units: a diagonal complex recurrence inside the unit circle."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.affine import affine_cell, shared_by_all, wide
from seqjax.checks import check_number, check_size
from seqjax.types import Array, Key


@struct.dataclass
class LRUParams:
    """Parameters of a linear recurrent unit; complex kernels have an axis real, imaginary.

    Attributes:
      log_decay: `[N]`, the logarithm of minus the logarithm of the radius of each eigenvalue.
      log_phase: `[N]`, the logarithm of its phase.
      log_scale: `[N]`, the logarithm of what its input is multiplied with.
      input_kernel: `[D, 2, N]`.
      output_kernel: `[N, 2, H]`.
      skip_kernel: `[D, H]`, from the input to the output.
      initial_carry: `[2, N]`, or `None` for zeros.
    """

    log_decay: Array
    log_phase: Array
    log_scale: Array
    input_kernel: Array
    output_kernel: Array
    skip_kernel: Array
    initial_carry: Array | None


def lru(
    hidden_size: int,
    *,
    state_size: int | None = None,
    min_radius: float = 0.9,
    max_radius: float = 0.999,
    max_phase: float = 2 * math.pi,
    initial_carry: str = "learned",
) -> Cell:
    """Linear recurrent unit (Orvieto et al., 2023, sections 3.1-3.4).

    Equations: `lambda = exp(-exp(log_decay) + i exp(log_phase))`, `s' = lambda * s + exp(log_scale) * (x B)`,
    `y = Re(s' C) + x D`. Radii start uniform on the ring between `min_radius` and `max_radius`, phases up to
    `max_phase`, and the scale at `sqrt(1 - |lambda|^2)`, which gives a state of noise the noise's variance.

    Args:
      hidden_size: `H`, the features of the output.
      state_size: `N`, the complex numbers of the state; `None` for `H`.
      min_radius: the least radius of an eigenvalue at the start.
      max_radius: the greatest, below 1.
      max_phase: the greatest phase at the start; small ones remember long.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the state, complex `[*B, N]`.

    Raises:
      ValueError: if a size is not positive, the radii are not `0 <= min < max < 1`, or `initial_carry` is
        neither word.
      TypeError: if a size is not an integer, or a radius or phase no number.

    Example:
      >>> cell = lru(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> carry.dtype, y.shape
      (dtype('complex64'), (2, 4))
    """
    check_size("hidden_size", hidden_size)
    size = hidden_size if state_size is None else state_size
    check_size("state_size", size)
    for name, number in (("min_radius", min_radius), ("max_radius", max_radius), ("max_phase", max_phase)):
        check_number(name, number)
    if not 0 <= min_radius < max_radius < 1:
        raise ValueError(
            f"min_radius is {min_radius} and max_radius {max_radius}, expected 0 <= min < max < 1."
        )
    if max_phase <= 0:
        raise ValueError(f"max_phase is {max_phase}, expected a positive number.")

    def draw(key: Key, input_size: int) -> LRUParams:
        radius_key, phase_key, input_key, output_key, skip_key = jax.random.split(key, 5)
        dtype = ops.default_dtype()
        square = jax.random.uniform(radius_key, (size,), dtype, min_radius**2, max_radius**2)
        square = jnp.maximum(square, jnp.finfo(dtype).tiny)
        phase = max_phase * (1 - jax.random.uniform(phase_key, (size,), dtype))  # from (0, 1]
        return LRUParams(
            log_decay=jnp.log(-0.5 * jnp.log(square)),
            log_phase=jnp.log(phase),
            log_scale=0.5 * jnp.log1p(-square),
            input_kernel=jax.random.normal(input_key, (input_size, 2, size), dtype)
            / math.sqrt(2 * input_size),
            output_kernel=jax.random.normal(output_key, (size, 2, hidden_size), dtype) / math.sqrt(size),
            skip_kernel=ops.input_kernel(skip_key, input_size, 1, hidden_size)[:, 0],
            initial_carry=None,
        )

    def coefficients(params: LRUParams, x: Any) -> tuple[Array, Array]:
        radius, phase = jnp.exp(-jnp.exp(wide(params.log_decay))), jnp.exp(wide(params.log_phase))
        decay = jax.lax.complex(radius * jnp.cos(phase), radius * jnp.sin(phase))
        update = ops.product(x, params.input_kernel) * jnp.exp(wide(params.log_scale))
        return shared_by_all(decay, x), jax.lax.complex(update[..., 0, :], update[..., 1, :])

    def readout(params: LRUParams, carry: Array, x: Any) -> Array:
        return real_part(carry, params.output_kernel) + ops.product(x, params.skip_kernel)

    return affine_cell(
        hidden_size,
        coefficients=coefficients,
        draw=draw,
        readout=readout,
        initial_carry=initial_carry,
        zeros=lambda dtype: jnp.zeros((2, size), dtype),
        enter=lambda stored: jax.lax.complex(stored[0], stored[1]),
    )


def real_part(state: Array, kernel: Array) -> Array:
    """The real part of a product with a complex kernel, in real products.

    Args:
      state: complex `[..., N]`.
      kernel: `[N, 2, H]`, real and imaginary parts.

    Returns:
      `[..., H]`.

    Example:
      >>> real_part(jnp.array([1j]), jnp.array([[[0.0], [2.0]]])).tolist()
      [-2.0]
    """
    return ops.product(jnp.real(state), kernel[:, 0]) - ops.product(jnp.imag(state), kernel[:, 1])
