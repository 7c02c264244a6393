"""Sequence models for JAX: cells, layers and filters as pure functions over explicit parameters."""

from seqjax.cell import Affine, Cell, Gated, GatedParams, gated_cell, step_of
from seqjax.cells import elman, gru, irnn, jordan, lstm, minimal_gated_unit
from seqjax.transforms import masked, recurrent_dropout, resettable, zoneout
from seqjax.types import Batch
from seqjax.unroll import unroll

__all__ = [
    "Affine",
    "Batch",
    "Cell",
    "Gated",
    "GatedParams",
    "elman",
    "gated_cell",
    "gru",
    "irnn",
    "jordan",
    "lstm",
    "masked",
    "minimal_gated_unit",
    "recurrent_dropout",
    "resettable",
    "step_of",
    "unroll",
    "zoneout",
]
__version__ = "0.1.0"
