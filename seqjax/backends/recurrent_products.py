"""The products of a loop over time with the recurrent kernel, forward and backward, in the faster order."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax import ops
from seqjax.types import Array

MOST_ROWS = 64
"""More rows than these make up for what the other order spares."""


class RecurrentProducts(NamedTuple):
    """A kernel, made ready once for all steps.

    A matrix product on a CPU packs its right operand anew in each step. Packing a large kernel takes as long
    as multiplying it by a few rows: then the kernel is put on the left, the rows, as columns, on the right.

    Attributes:
      kernel: `[H, G, H']`.
      turned: the same, `[G, H', H]`.
      kernel_first: whether the kernel is the left operand.
    """

    kernel: Array
    turned: Array
    kernel_first: bool

    @classmethod
    def of(cls, kernel: Array, hidden: Array, kernel_first_from: int | None) -> RecurrentProducts:
        """For a kernel and hidden vectors `[*B, H]`, by how many entries a kernel must have to come first."""
        rows = hidden.size // hidden.shape[-1]
        large = kernel_first_from is not None and kernel.size >= kernel_first_from
        return cls(kernel, jnp.moveaxis(kernel, 0, -1), large and rows <= MOST_ROWS)

    def forward(self, hidden: Array) -> Array:
        """What hidden vectors `[*B, H]` add to the gates, `[*B, G, H']`."""
        if not self.kernel_first:
            return ops.product(hidden, self.kernel, name="carry", size_name="hidden_size")
        ops.check_features(hidden, self.kernel, "carry", "hidden_size")
        dtype = ops.accumulation_dtype(self.kernel.dtype)
        columns = jnp.tensordot(self.turned, self._cast(hidden), (2, -1), preferred_element_type=dtype)
        return jnp.moveaxis(columns, (0, 1), (-2, -1))

    def backward(self, cotangent: Array, dtype: DTypeLike) -> Array:
        """From the cotangent of what `forward` returns to that of the hidden vectors, of their dtype."""
        cotangent = self._cast(cotangent)
        if not self.kernel_first:
            return jnp.tensordot(cotangent, self.turned, 2, preferred_element_type=dtype)
        # With one axis for both, or XLA would turn the kernel in each step.
        matrix = self.kernel.reshape(len(self.kernel), -1)
        cotangent = cotangent.reshape(*cotangent.shape[:-2], -1)
        return jnp.moveaxis(jnp.tensordot(matrix, cotangent, (1, -1), preferred_element_type=dtype), 0, -1)

    def _cast(self, array: Array) -> Array:
        return array.astype(self.kernel.dtype)
