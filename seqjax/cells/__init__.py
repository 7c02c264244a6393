"""Cells, one family a file, each a factory that returns a `Cell`."""

from seqjax.cells.elman import ContextCarry, JordanParams, elman, irnn, jordan
from seqjax.cells.gru import GRUParams, gru, minimal_gated_unit
from seqjax.cells.lstm import LSTMCarry, LSTMNorm, LSTMParams, lstm

__all__ = [
    "ContextCarry",
    "GRUParams",
    "JordanParams",
    "LSTMCarry",
    "LSTMNorm",
    "LSTMParams",
    "elman",
    "gru",
    "irnn",
    "jordan",
    "lstm",
    "minimal_gated_unit",
]
