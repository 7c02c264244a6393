"""Initial values for kernels with a gate axis."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from seqjax.types import Array, Carry, Key

_glorot = jax.nn.initializers.glorot_uniform()
_orthogonal = jax.nn.initializers.orthogonal()

INITIAL_CARRY_SCALE = 0.1
"""Standard deviation of a learned initial carry at initialisation."""


def default_dtype() -> jnp.dtype:
    """The dtype of new parameters: float32, or float64 under `jax.enable_x64`.

    Example:
      >>> default_dtype()
      dtype('float32')
    """
    return jnp.result_type(float)


def input_kernel(key: Key, input_size: int, num_gates: int, hidden_size: int) -> Array:
    """Uniform kernels of variance `2 / (D + H)` (Glorot & Bengio, 2010, eq. 16), one a gate.

    Args:
      key: a random key.
      input_size: `D`.
      num_gates: `G`.
      hidden_size: `H`.

    Returns:
      `[D, G, H]` of the default dtype.

    Example:
      >>> input_kernel(jax.random.key(0), 3, 4, 5).shape
      (3, 4, 5)
    """
    keys = jax.random.split(key, num_gates)
    kernels = [_glorot(k, (input_size, hidden_size), default_dtype()) for k in keys]
    return jnp.stack(kernels, axis=1)


def recurrent_kernel(key: Key, feedback_size: int, num_gates: int, hidden_size: int) -> Array:
    """Orthogonal kernels (Saxe et al., 2014), one a gate, which keep the norm of what they multiply.

    Args:
      key: a random key.
      feedback_size: the size of what is fed back, `H` for most cells.
      num_gates: `G`.
      hidden_size: `H`.

    Returns:
      `[feedback_size, G, H]` of the default dtype.

    Example:
      >>> kernel = recurrent_kernel(jax.random.key(0), 4, 1, 4)[:, 0]
      >>> bool(jnp.allclose(kernel @ kernel.T, jnp.eye(4), atol=1e-5))
      True
    """
    keys = jax.random.split(key, num_gates)
    kernels = [_orthogonal(k, (feedback_size, hidden_size), default_dtype()) for k in keys]
    return jnp.stack(kernels, axis=1)


def learned_carry(key: Key, zeros: Carry) -> Carry:
    """A random initial carry, to be trained like any other parameter.

    Args:
      key: a random key.
      zeros: the structure, a pytree of arrays without batch axes.

    Returns:
      The structure of `zeros`, normal with standard deviation `INITIAL_CARRY_SCALE`.

    Example:
      >>> learned_carry(jax.random.key(0), jnp.zeros((3,))).shape
      (3,)
    """
    leaves, structure = jax.tree.flatten(zeros)
    keys = jax.random.split(key, max(len(leaves), 1))
    drawn = [
        INITIAL_CARRY_SCALE * jax.random.normal(k, leaf.shape, leaf.dtype)
        for k, leaf in zip(keys, leaves, strict=False)
    ]
    return jax.tree.unflatten(structure, drawn)
