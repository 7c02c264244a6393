"""Diagonal state-space layers: a continuous linear system, sampled."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.cells.affine import affine_cell, shared_by_all, wide
from seqjax.cells.lru import real_part
from seqjax.checks import check_number, check_size
from seqjax.types import Array, Key


@struct.dataclass
class S5Params:
    """Parameters of a diagonal state-space cell; complex kernels have an axis real, imaginary.

    Attributes:
      log_decay: `[N]`, the logarithm of minus the real part of each eigenvalue.
      frequency: `[N]`, the imaginary part.
      log_step: `[N]`, the logarithm of the time between two inputs.
      input_kernel: `[D, 2, N]`.
      output_kernel: `[N, 2, H]`.
      skip_kernel: `[D, H]`, from the input to the output.
      initial_carry: `[2, N]`, or `None` for zeros.
    """

    log_decay: Array
    frequency: Array
    log_step: Array
    input_kernel: Array
    output_kernel: Array
    skip_kernel: Array
    initial_carry: Array | None


def s5(
    hidden_size: int,
    *,
    state_size: int | None = None,
    min_step: float = 0.001,
    max_step: float = 0.1,
    initial_carry: str = "learned",
) -> Cell:
    """Simplified state-space layer (Smith et al., 2023), a diagonal S4 with many inputs and outputs.

    Equations: the system `ds/dt = lambda * s + x B`, `y = 2 Re(s C) + x D`, with `x` held constant for
    `step`: `s' = exp(lambda step) * s + (exp(lambda step) - 1) / lambda * (x B)`. Of each pair of conjugate
    states one is kept, which the factor 2 stands for. Eigenvalues start at those of the normal part of
    HiPPO-LegS, kernels random in its eigenvectors, steps log-uniform from `min_step` to `max_step`. Real
    parts stay negative: `lambda = -exp(log_decay) + i frequency`.

    Args:
      hidden_size: `H`, the features of the output.
      state_size: `N`, the complex numbers of the state, half of the real system's size; `None` for `H`.
      min_step: the least time between two inputs at the start.
      max_step: the greatest.
      initial_carry: `"learned"` or `"zeros"`.

    Returns:
      A `Cell`; its carry is the state, complex `[*B, N]`.

    Raises:
      ValueError: if a size is not positive, the steps are not `0 < min <= max`, or `initial_carry` is neither
        word.
      TypeError: if a size is not an integer, or a step no number.

    Example:
      >>> cell = s5(4)
      >>> params = cell.init(jax.random.key(0), 3)
      >>> carry, y = cell.step(params, cell.initial_carry(params, (2,)), jnp.ones((2, 3)))
      >>> carry.dtype, y.shape
      (dtype('complex64'), (2, 4))
    """
    check_size("hidden_size", hidden_size)
    size = hidden_size if state_size is None else state_size
    check_size("state_size", size)
    for name, number in (("min_step", min_step), ("max_step", max_step)):
        check_number(name, number)
    if not 0 < min_step <= max_step:
        raise ValueError(f"min_step is {min_step} and max_step {max_step}, expected 0 < min <= max.")

    def draw(key: Key, input_size: int) -> S5Params:
        step_key, input_key, output_key, skip_key = jax.random.split(key, 4)
        dtype = ops.default_dtype()
        eigenvalues, vectors = hippo_legs(2 * size)
        low, high = math.log(min_step), math.log(max_step)
        into = jax.random.normal(input_key, (input_size, 2 * size), dtype) / math.sqrt(input_size)
        out = jax.random.normal(output_key, (2 * size, hidden_size), dtype) / math.sqrt(2 * size)
        # Both kernels are those of the real system, seen from its eigenvectors.
        real, imaginary = (jnp.asarray(part, dtype) for part in (vectors.real, vectors.imag))
        return S5Params(
            log_decay=jnp.asarray(np.log(-eigenvalues.real), dtype),
            frequency=jnp.asarray(eigenvalues.imag, dtype),
            log_step=jax.random.uniform(step_key, (size,), dtype, low, high),
            input_kernel=jnp.stack([into @ real, -into @ imaginary], axis=1),
            output_kernel=jnp.stack([real.T @ out, imaginary.T @ out], axis=1),
            skip_kernel=ops.input_kernel(skip_key, input_size, 1, hidden_size)[:, 0],
            initial_carry=None,
        )

    def coefficients(params: S5Params, x: Any) -> tuple[Array, Array]:
        rate = jax.lax.complex(-jnp.exp(wide(params.log_decay)), wide(params.frequency))
        decay = jnp.exp(rate * jnp.exp(wide(params.log_step)))
        into = ops.product(x, params.input_kernel)
        held = shared_by_all((decay - 1) / rate, x)
        return shared_by_all(decay, x), held * jax.lax.complex(into[..., 0, :], into[..., 1, :])

    def readout(params: S5Params, carry: Array, x: Any) -> Array:
        return 2 * real_part(carry, params.output_kernel) + ops.product(x, params.skip_kernel)

    return affine_cell(
        hidden_size,
        coefficients=coefficients,
        draw=draw,
        readout=readout,
        initial_carry=initial_carry,
        zeros=lambda dtype: jnp.zeros((2, size), dtype),
        enter=lambda stored: jax.lax.complex(stored[0], stored[1]),
    )


def hippo_legs(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors of the normal part of the HiPPO-LegS matrix (Gu et al., 2022).

    Equations: `A + p pᵀ = -1/2 I + S`, with `A` the LegS matrix, `p_n = sqrt(n + 1/2)` and
    `S_nk = -sign(n - k) sqrt((2n + 1) (2k + 1)) / 2`, which is skew-symmetric.

    Args:
      size: of the real system, even.

    Returns:
      `size / 2` eigenvalues with positive imaginary part, and `[size, size / 2]` their vectors, of norm one.

    Example:
      >>> eigenvalues, vectors = hippo_legs(4)
      >>> np.round(eigenvalues, 2).tolist(), vectors.shape
      ([(-0.5+0.56j), (-0.5+4.6j)], (4, 2))
    """
    root = np.sqrt(2 * np.arange(size) + 1.0)
    order = np.sign(np.subtract.outer(np.arange(size), np.arange(size)))
    skew = -order * np.outer(root, root) / 2
    frequencies, vectors = np.linalg.eigh(-1j * skew)
    return -0.5 + 1j * frequencies[size // 2 :], vectors[:, size // 2 :]
