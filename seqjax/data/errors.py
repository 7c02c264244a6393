"""What goes wrong between this library and data that lives elsewhere."""

from __future__ import annotations


class DataError(RuntimeError):
    """A data set could not be had; the message says what happened and what to do."""


class UnreachableError(DataError):
    """No package index that offers the archive could be reached, as on a machine without a network."""
