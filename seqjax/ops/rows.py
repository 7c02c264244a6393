"""A carry as one real vector a row, and the way back."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.types import Array, Carry


class Rows(NamedTuple):
    """How a carry becomes one real vector a row: its leaves one after the other, imaginary parts apart.

    Attributes:
      structure: of the carry.
      leaves: the shape without batch axes, and the dtype, of each leaf.
    """

    structure: Any
    leaves: tuple[tuple[tuple[int, ...], np.dtype], ...]

    @classmethod
    def of(cls, carry: Carry, num_batch_axes: int) -> Rows:
        """The plan for a carry.

        Args:
          carry: leaves `[*B, ...]`, arrays or their shapes.
          num_batch_axes: how many axes `*B` are.

        Returns:
          The plan.

        Example:
          >>> Rows.of({"a": jnp.ones((5, 2)), "b": jnp.ones((5, 3), complex)}, 1).size
          8
        """
        leaves, structure = jax.tree.flatten(carry)
        return cls(structure, tuple((leaf.shape[num_batch_axes:], np.dtype(leaf.dtype)) for leaf in leaves))

    @property
    def size(self) -> int:
        """`N`, the real numbers of a row."""
        return sum(math.prod(shape) * (2 if _is_complex(dtype) else 1) for shape, dtype in self.leaves)

    def flat(self, carry: Carry) -> Array:
        """Leaves `[*L, ...]` to `[*L, N]`, for any leading axes."""
        parts = []
        for leaf, (shape, dtype) in zip(jax.tree.leaves(carry), self.leaves, strict=True):
            vector = leaf.reshape(*leaf.shape[: leaf.ndim - len(shape)], math.prod(shape))
            parts += [jnp.real(vector), jnp.imag(vector)] if _is_complex(dtype) else [vector]
        return jnp.concatenate(parts, -1)

    def tree(self, flat: Array) -> Carry:
        """The way back."""
        leaves, place = [], 0

        def take(shape: tuple[int, ...]) -> Array:
            nonlocal place
            place += math.prod(shape)
            return flat[..., place - math.prod(shape) : place].reshape(*flat.shape[:-1], *shape)

        for shape, dtype in self.leaves:
            leaf = take(shape)
            if _is_complex(dtype):
                leaf = jax.lax.complex(leaf, take(shape))
            leaves.append(leaf.astype(dtype))
        return jax.tree.unflatten(self.structure, leaves)


def _is_complex(dtype: np.dtype) -> bool:
    return jnp.issubdtype(dtype, jnp.complexfloating)
