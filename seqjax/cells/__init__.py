"""Cells, one family a file, each a factory that returns a `Cell`."""

from seqjax.cells.affine import AffineParams, affine_cell
from seqjax.cells.elman import ContextCarry, JordanParams, elman, irnn, jordan
from seqjax.cells.gated_delta_net import GatedDeltaNetParams, gated_delta_net
from seqjax.cells.gru import GRUParams, gru, minimal_gated_unit
from seqjax.cells.linear_attention import linear_attention_cell
from seqjax.cells.lru import LRUParams, lru
from seqjax.cells.lstm import LSTMCarry, LSTMNorm, LSTMParams, lstm
from seqjax.cells.mamba2 import Mamba2Params, mamba2
from seqjax.cells.min_gru import min_gru, min_lstm
from seqjax.cells.mlstm import MLSTMParams, mlstm
from seqjax.cells.qrnn import qrnn, sru
from seqjax.cells.rg_lru import RGLRUParams, rg_lru
from seqjax.cells.s5 import S5Params, s5
from seqjax.cells.slstm import SLSTMCarry, slstm

__all__ = [
    "AffineParams",
    "ContextCarry",
    "GRUParams",
    "GatedDeltaNetParams",
    "JordanParams",
    "LRUParams",
    "LSTMCarry",
    "LSTMNorm",
    "LSTMParams",
    "MLSTMParams",
    "Mamba2Params",
    "RGLRUParams",
    "S5Params",
    "SLSTMCarry",
    "affine_cell",
    "elman",
    "gated_delta_net",
    "gru",
    "irnn",
    "jordan",
    "linear_attention_cell",
    "lru",
    "lstm",
    "mamba2",
    "min_gru",
    "min_lstm",
    "minimal_gated_unit",
    "mlstm",
    "qrnn",
    "rg_lru",
    "s5",
    "slstm",
    "sru",
]
