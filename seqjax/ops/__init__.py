"""Array operations that cells, backends and layers share."""

from seqjax.ops.initializers import default_dtype, input_kernel, learned_carry, recurrent_kernel
from seqjax.ops.products import accumulation_dtype, product
from seqjax.ops.ragged import (
    boundaries_backward,
    expand_like,
    length_mask,
    reverse,
    select,
    zero_padding,
)

__all__ = [
    "accumulation_dtype",
    "boundaries_backward",
    "default_dtype",
    "expand_like",
    "input_kernel",
    "learned_carry",
    "length_mask",
    "product",
    "recurrent_kernel",
    "reverse",
    "select",
    "zero_padding",
]
