"""What can be wrong with a checkpoint, apart from what can be wrong with a disk."""


class BrokenCheckpoint(ValueError):
    """A checkpoint that is not whole, was changed, or was never one; the message names the file."""
