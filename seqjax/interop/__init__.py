"""Weights from and to other frameworks, as plain arrays, and programs; no module imports torch or keras."""

from seqjax.interop import flax, keras, torch
from seqjax.interop.exported import load_exported, save_exported
from seqjax.interop.minimal_gated import LinenMGUParams, linen_mgu
from seqjax.interop.weights import without_initial_carry

__all__ = [
    "LinenMGUParams",
    "flax",
    "keras",
    "linen_mgu",
    "load_exported",
    "save_exported",
    "torch",
    "without_initial_carry",
]
