"""Cells, one family a file, each a factory that returns a `Cell`."""

from seqjax.cells.affine import AffineParams, affine_cell
from seqjax.cells.elman import ContextCarry, JordanParams, elman, irnn, jordan
from seqjax.cells.gru import GRUParams, gru, minimal_gated_unit
from seqjax.cells.lru import LRUParams, lru
from seqjax.cells.lstm import LSTMCarry, LSTMNorm, LSTMParams, lstm
from seqjax.cells.min_gru import min_gru, min_lstm
from seqjax.cells.qrnn import qrnn, sru
from seqjax.cells.rg_lru import RGLRUParams, rg_lru
from seqjax.cells.s5 import S5Params, s5

__all__ = [
    "AffineParams",
    "ContextCarry",
    "GRUParams",
    "JordanParams",
    "LRUParams",
    "LSTMCarry",
    "LSTMNorm",
    "LSTMParams",
    "RGLRUParams",
    "S5Params",
    "affine_cell",
    "elman",
    "gru",
    "irnn",
    "jordan",
    "lru",
    "lstm",
    "min_gru",
    "min_lstm",
    "minimal_gated_unit",
    "qrnn",
    "rg_lru",
    "s5",
    "sru",
]
