"""Inverses of lower triangular matrices with ones on the diagonal, by products alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array


@jax.custom_jvp
def inverse_plus_one(lower: Array) -> Array:
    """The inverse of `I + L` for a strictly lower triangular `L`.

    Blocks on the diagonal are inverted in pairs, twice as large each time:
    `[[A, 0], [C, B]]⁻¹ = [[A⁻¹, 0], [-B⁻¹ C A⁻¹, B⁻¹]]`. That is as exact as substitution, and takes
    `log2(n)` products one after another where substitution takes `n` steps.

    Args:
      lower: `[..., n, n]`, floating; what stands on or above the diagonal is not read.

    Returns:
      `[..., n, n]`, lower triangular with ones on the diagonal.

    Example:
      >>> inverse_plus_one(jnp.array([[0.0, 0.0], [3.0, 0.0]])).tolist()
      [[1.0, 0.0], [-3.0, 1.0]]
    """
    size = lower.shape[-1]
    whole = 1 << (size - 1).bit_length()
    lower = jnp.pad(lower, [(0, 0)] * (lower.ndim - 2) + [(0, whole - size)] * 2)
    inverses = jnp.ones((*lower.shape[:-2], whole, 1, 1), lower.dtype)
    while inverses.shape[-1] < whole:
        half = inverses.shape[-1]
        pairs = whole // (2 * half)
        blocks = lower.reshape(*lower.shape[:-2], pairs, 2 * half, pairs, 2 * half)
        corner = jnp.einsum("...ijik->...ijk", blocks)[..., half:, :half]
        first, second = inverses[..., ::2, :, :], inverses[..., 1::2, :, :]
        below = -_product(second, _product(corner, first))
        top = jnp.concatenate([first, jnp.zeros_like(first)], -1)
        inverses = jnp.concatenate([top, jnp.concatenate([below, second], -1)], -2)
    return inverses[..., 0, :size, :size]


@inverse_plus_one.defjvp
def _inverse_plus_one_jvp(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    inverse = inverse_plus_one(*primals)
    return inverse, -_product(inverse, _product(jnp.tril(tangents[0], -1), inverse))


def _product(a: Array, b: Array) -> Array:
    return jnp.matmul(a, b, precision="highest")
