"""Attention: from a query to a weighted mean over an encoded sequence."""

from seqjax.layers.attention.multi_head import MultiHeadParams, multi_head
from seqjax.layers.attention.protocol import Attention, Memory, PreparedMemory
from seqjax.layers.attention.scored import AdditiveParams, GeneralParams, additive, dot, general

__all__ = [
    "AdditiveParams",
    "Attention",
    "GeneralParams",
    "Memory",
    "MultiHeadParams",
    "PreparedMemory",
    "additive",
    "dot",
    "general",
    "multi_head",
]
