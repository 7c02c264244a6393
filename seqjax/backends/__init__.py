"""Ways of running a cell over time: `(cell, params, carry, xs) -> (carry, ys)`, one a file."""

from seqjax.backends.associative import associative
from seqjax.backends.checkpointed import checkpointed
from seqjax.backends.chunkwise import chunkwise
from seqjax.backends.fused import fused
from seqjax.backends.newton import newton
from seqjax.backends.scan import scan
from seqjax.backends.sharded import sharded

BACKENDS = {
    "scan": scan,
    "fused": fused,
    "associative": associative,
    "chunkwise": chunkwise,
    "newton": newton,
    "checkpointed": checkpointed,
}
"""Backends by the name that `unroll(method=...)` takes."""

__all__ = ["BACKENDS", "associative", "checkpointed", "chunkwise", "fused", "newton", "scan", "sharded"]
