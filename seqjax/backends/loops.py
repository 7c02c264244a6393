"""How the loop over time of a gated cell runs on each platform, and the faster forms of its products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import DTypeLike

from seqjax import ops
from seqjax.cell import Gated, InputProduct, PartsSum, of_first, unchanged
from seqjax.types import Array, Params


class Loops(NamedTuple):
    """How time is cut, and which form products with the recurrent kernel take.

    Attributes:
      chunk_size: steps whose weight gradients are summed in one product; `None` for all, and the inputs' part
        of the gates computed before the loop instead of inside it.
      long_chunk_size: the same where rows are so few that many steps are still a small product.
      unroll: steps that one turn of a loop takes.
      kernel_first_from: entries from which on a recurrent kernel is the left operand of its products with a
        few rows; `None` for never.
      joint: whether hidden vectors and inputs are multiplied together, where gates read only the sum.
    """

    chunk_size: int | None
    long_chunk_size: int | None
    unroll: int
    kernel_first_from: int | None
    joint: bool

    def steps_of_chunk(self, hidden: Array, num_steps: int) -> int:
        """How many steps of hidden vectors `[*B, H]` a chunk has, about."""
        size = self.long_chunk_size if few_rows(hidden, VERY_FEW_ROWS) else self.chunk_size
        return num_steps if size is None else size


ON_CPU = Loops(chunk_size=16, long_chunk_size=100, unroll=1, kernel_first_from=2**19, joint=True)
"""So few steps that they stay in the cache; the inputs' part computed ahead would have to be read again."""
ON_ACCELERATORS = Loops(chunk_size=None, long_chunk_size=None, unroll=4, kernel_first_from=None, joint=False)
"""Few large products, and few starts of kernels."""

FEW_ROWS = 64
"""Up to so many rows large kernels were measured to be faster as left operands on a CPU."""
VERY_FEW_ROWS = 32
"""And up to so many, long chunks."""


def few_rows(hidden: Array, limit: int = FEW_ROWS) -> bool:
    """Whether hidden vectors `[*B, H]` are known to be of few rows."""
    return isinstance(hidden.size, int) and hidden.size <= limit * hidden.shape[-1]


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
    def of(cls, kernel: Array, hidden: Array, loops: Loops) -> RecurrentProducts:
        """For a kernel, and hidden vectors `[*B, H]`."""
        large = loops.kernel_first_from is not None and kernel.size >= loops.kernel_first_from
        return cls(kernel, jnp.moveaxis(kernel, 0, -1), large and few_rows(hidden))

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


def joint_parts(
    structure: Gated, params: Params, hidden: Array, loops: Loops
) -> Callable[[Any, Array], Any] | None:
    """Both parts of what gates read as one product, `[x, h] [W; U] + bias`: one call takes less than two.

    Args:
      structure: a cell's structure.
      params: the cell's params.
      hidden: hidden vectors `[*B, H]`.
      loops: how the loop over time runs.

    Returns:
      `(x[*B, D], hidden[*B, H]) -> [*B, G, H']`, with the pairs of `x` around the result; `None` where gates
      read more than the sum, or the kernels differ in dtype.
    """
    project = structure.project
    is_sum = isinstance(structure.merge, PartsSum) and structure.feedback is unchanged
    if not (loops.joint and is_sum and isinstance(project, InputProduct)):
        return None
    of_inputs, of_hidden, bias = project.kernel(params), structure.recurrent(params), project.bias(params)
    if of_inputs.dtype != of_hidden.dtype:  # each is multiplied in its own
        return None
    kernel = jnp.concatenate([of_inputs, of_hidden])
    products = RecurrentProducts.of(kernel, hidden, loops)

    def parts(x: Array, hidden: Array) -> Array:
        ops.check_features(x, of_inputs, "xs", "input_size")
        ops.check_features(hidden, of_hidden, "carry", "hidden_size")
        both = jnp.concatenate([x.astype(kernel.dtype), hidden.astype(kernel.dtype)], axis=-1)
        return products.forward(both) + bias

    return lambda x, hidden: of_first(project.pairs, lambda x: parts(x, hidden), x)
