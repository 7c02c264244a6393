"""What recurrent kernels do to the length of a vector: spectral radius, norm, and how far from orthogonal."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.ops.singular_values import singular_values
from seqjax.types import Array

SQUARINGS = 40
"""Powers up to `2^40`, at which the norm's root is the radius up to rounding."""


def spectral_radius(kernel: Array) -> Array:
    """The largest absolute value of an eigenvalue, of each gate's recurrent kernel.

    Equation: `rho = lim |A^n|^(1/n)` (Gelfand, 1941), with `n = 2^40` by squaring, in array operations.

    Below one, small states shrink in the long run whatever the norm of the kernel is (Pascanu et al., 2013).

    Args:
      kernel: `[H, G, H]` as params hold it, or `[H, H]`.

    Returns:
      `[G]`, or `[]`.

    Raises:
      ValueError: if the kernel is not square.

    Example:
      >>> spectral_radius(jnp.array([[0.0, 2.0], [0.0, 0.5]])).round(4).item()
      0.5
    """
    radius = _spectral_radius(_by_gate(kernel, square=True))
    return radius if jnp.ndim(kernel) == 3 else radius[0]


@jax.jit
def _spectral_radius(matrices: Array) -> Array:
    def square(i: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        power, log_radius = state
        scale = jnp.sqrt(jnp.sum(power * power, (-2, -1)))
        power = power / jnp.where(scale > 0, scale, 1)[..., None, None]
        # A^(2^i) is the scaled power times the product of all scales so far, each squared at every turn.
        log_radius = log_radius + jnp.log(scale) / 2.0**i
        return jnp.matmul(power, power, precision="highest"), log_radius

    start = matrices, jnp.zeros(matrices.shape[:-2], matrices.dtype)
    return jnp.exp(jax.lax.fori_loop(0, SQUARINGS, square, start)[1])


def kernel_norm(kernel: Array) -> Array:
    """The largest singular value of each gate's recurrent kernel: by how much it can stretch a vector.

    Args:
      kernel: `[H, G, H']` as params hold it, or `[H, H']`.

    Returns:
      `[G]`, or `[]`.

    Raises:
      ValueError: if the kernel has another number of axes.

    Example:
      >>> kernel_norm(jnp.array([[0.0, 2.0], [0.0, 0.0]])).item()
      2.0
    """
    norms = singular_values(_by_gate(kernel))[..., 0]
    return norms if jnp.ndim(kernel) == 3 else norms[0]


def orthogonality_gap(kernel: Array) -> Array:
    """How far each gate's recurrent kernel is from one that keeps the length of vectors.

    Equation: `max_i |s_i - 1|` over the singular values, zero for an orthogonal kernel (Saxe et al., 2014).

    Args:
      kernel: `[H, G, H']` as params hold it, or `[H, H']`.

    Returns:
      `[G]`, or `[]`.

    Raises:
      ValueError: if the kernel has another number of axes.

    Example:
      >>> orthogonality_gap(jnp.array([[0.0, 1.0], [-1.0, 0.0]])).item()
      0.0
    """
    gaps = jnp.max(jnp.abs(singular_values(_by_gate(kernel)) - 1), -1)
    return gaps if jnp.ndim(kernel) == 3 else gaps[0]


def _by_gate(kernel: Array, square: bool = False) -> Array:
    """Kernels `[G, H, H']`."""
    kernel = jnp.asarray(kernel)
    if kernel.ndim not in (2, 3) or (square and kernel.shape[0] != kernel.shape[-1]):
        wanted = "[H, G, H] or [H, H]" if square else "[H, G, H'] or [H, H']"
        raise ValueError(f"kernel has shape {kernel.shape}, expected {wanted}: a recurrent kernel.")
    return kernel[None] if kernel.ndim == 2 else jnp.moveaxis(kernel, 1, 0)
