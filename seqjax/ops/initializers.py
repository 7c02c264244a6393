"""Initial values for kernels with a gate axis."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from seqjax.types import Array, Carry, Key

_glorot = jax.nn.initializers.glorot_uniform()

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


@partial(jax.jit, static_argnums=(1, 2, 3))
def orthogonal(key: Key, rows: int, columns: int, dtype: jnp.dtype) -> Array:
    """A matrix with orthonormal rows or columns, whichever are fewer, drawn uniformly (Stewart, 1980).

    Equation: `Q = S H_1 H_2 ... H_n`, with `H_k` the reflection that maps a normal vector of `n - k + 1`
    entries onto its first axis, and `S` the signs that make the distribution uniform.

    Reflections take nothing but array operations. A QR decomposition of LAPACK, several of them batched by
    `vmap` in one compiled program, stalls for ever on a CPU with two threads.

    Args:
      key: a random key.
      rows: rows of the matrix.
      columns: columns of the matrix.
      dtype: its dtype.

    Returns:
      `[rows, columns]`.

    Example:
      >>> matrix = orthogonal(jax.random.key(0), 5, 3, jnp.float32)
      >>> bool(jnp.allclose(matrix.T @ matrix, jnp.eye(3), atol=1e-5))
      True
    """
    size = max(rows, columns)
    normals = jax.random.normal(key, (size, size), dtype)
    index = jnp.arange(size)

    def reflect(k: Array, matrix: Array) -> Array:
        x = jnp.where(index < k, 0, normals[k])
        sign = jnp.where(x[k] < 0, -1, 1).astype(dtype)
        v = x + jnp.where(index == k, sign * jnp.linalg.norm(x), 0)
        v = v / jnp.linalg.norm(v)
        reflected = matrix - 2 * (matrix @ v)[:, None] * v
        return reflected * jnp.where(index == k, -sign, 1)[:, None]

    matrix = jax.lax.fori_loop(0, size, reflect, jnp.eye(size, dtype=dtype))
    return matrix[:rows, :columns]


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
    kernels = [orthogonal(k, feedback_size, hidden_size, default_dtype()) for k in keys]
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
