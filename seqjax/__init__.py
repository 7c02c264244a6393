"""Sequence models for JAX: cells, layers and filters as pure functions over explicit parameters."""

from seqjax import data, interop, memoryless, tasks, training
from seqjax.cell import Affine, Cell, Gated, GatedParams, gated_cell, step_of
from seqjax.cells import (
    ContextCarry,
    GRUParams,
    JordanParams,
    LSTMCarry,
    LSTMNorm,
    LSTMParams,
    elman,
    gru,
    irnn,
    jordan,
    lstm,
    minimal_gated_unit,
)
from seqjax.layers import (
    Layer,
    attention,
    bidirectional,
    delay_line,
    dense,
    dropout,
    embed,
    layer_norm,
    recurrent,
    residual,
    stack,
    streaming_step,
    summary,
)
from seqjax.tasks import heads
from seqjax.transforms import masked, recurrent_dropout, resettable, zoneout
from seqjax.types import Batch
from seqjax.unroll import unroll

__all__ = [
    "Affine",
    "Batch",
    "Cell",
    "ContextCarry",
    "GRUParams",
    "Gated",
    "GatedParams",
    "JordanParams",
    "LSTMCarry",
    "LSTMNorm",
    "LSTMParams",
    "Layer",
    "attention",
    "bidirectional",
    "data",
    "delay_line",
    "dense",
    "dropout",
    "elman",
    "embed",
    "gated_cell",
    "gru",
    "heads",
    "interop",
    "irnn",
    "jordan",
    "layer_norm",
    "lstm",
    "masked",
    "memoryless",
    "minimal_gated_unit",
    "recurrent",
    "recurrent_dropout",
    "residual",
    "resettable",
    "stack",
    "step_of",
    "streaming_step",
    "summary",
    "tasks",
    "training",
    "unroll",
    "zoneout",
]
__version__ = "0.1.0"
