"""Array operations that cells, backends and layers share."""

from seqjax.ops.initializers import default_dtype, input_kernel, learned_carry, recurrent_kernel
from seqjax.ops.least_squares import LeastSquares, back_substitute, dependent_columns, least_squares, qr
from seqjax.ops.linear_algebra import cholesky, solve_triangular, triangularize
from seqjax.ops.linear_attention import (
    Entries,
    MatrixCarry,
    Read,
    Restart,
    attention_step,
    linear_attention,
    skip_where,
)
from seqjax.ops.linear_recurrence import linear_recurrence
from seqjax.ops.prefix_scan import prefix_scan
from seqjax.ops.products import accumulation_dtype, check_features, product
from seqjax.ops.ragged import (
    boundaries_backward,
    expand_like,
    length_mask,
    reverse,
    select,
    zero_padding,
)
from seqjax.ops.sharded_scan import sharded_prefix_scan
from seqjax.ops.summation import compensated_sum

__all__ = [
    "Entries",
    "LeastSquares",
    "MatrixCarry",
    "Read",
    "Restart",
    "accumulation_dtype",
    "attention_step",
    "back_substitute",
    "boundaries_backward",
    "check_features",
    "cholesky",
    "compensated_sum",
    "default_dtype",
    "dependent_columns",
    "expand_like",
    "input_kernel",
    "learned_carry",
    "least_squares",
    "length_mask",
    "linear_attention",
    "linear_recurrence",
    "prefix_scan",
    "product",
    "qr",
    "recurrent_kernel",
    "reverse",
    "select",
    "sharded_prefix_scan",
    "skip_where",
    "solve_triangular",
    "triangularize",
    "zero_padding",
]
