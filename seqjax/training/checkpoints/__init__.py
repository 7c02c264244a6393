"""Checkpoints of a training: whole or not there, checked from the first bit to the last, without pickle."""

from seqjax.training.checkpoints.errors import BrokenCheckpoint
from seqjax.training.checkpoints.store import (
    Checkpoint,
    checkpoint_paths,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
)
from seqjax.training.checkpoints.writer import Checkpoints, Writer, open_writer

__all__ = [
    "BrokenCheckpoint",
    "Checkpoint",
    "Checkpoints",
    "Writer",
    "checkpoint_paths",
    "load_checkpoint",
    "newest_checkpoint",
    "open_writer",
    "save_checkpoint",
]
