"""Array operations that cells, backends and layers share."""

from seqjax.ops.initializers import default_dtype, input_kernel, learned_carry, recurrent_kernel
from seqjax.ops.prefix_scan import prefix_scan
from seqjax.ops.products import accumulation_dtype, product
from seqjax.ops.ragged import (
    boundaries_backward,
    expand_like,
    length_mask,
    reverse,
    select,
    zero_padding,
)
from seqjax.ops.summation import compensated_sum

__all__ = [
    "accumulation_dtype",
    "boundaries_backward",
    "compensated_sum",
    "default_dtype",
    "expand_like",
    "input_kernel",
    "learned_carry",
    "length_mask",
    "prefix_scan",
    "product",
    "recurrent_kernel",
    "reverse",
    "select",
    "zero_padding",
]
