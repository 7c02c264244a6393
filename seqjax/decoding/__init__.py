"""Decoding: from a trained task to sequences of targets, by sampling or by beam search."""

from seqjax.decoding.beam import Beams, beam
from seqjax.decoding.ctc_beam import CTCBeams, ctc_beam
from seqjax.decoding.sampling import generate, lengths_before, stream
from seqjax.decoding.truncation import Truncation, truncated, truncation

__all__ = [
    "Beams",
    "CTCBeams",
    "Truncation",
    "beam",
    "ctc_beam",
    "generate",
    "lengths_before",
    "stream",
    "truncated",
    "truncation",
]
