"""Piano rolls as standard MIDI files, which any player plays."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

TICKS = 480
"""Ticks a quarter note."""
CHURCH_ORGAN = 19
"""The instrument's number in General MIDI, from 0: notes that last as long as they are held."""


def write_midi(
    path: Path,
    roll: npt.ArrayLike,
    *,
    lowest: int,
    steps_per_quarter: int = 4,
    quarters_per_minute: float = 80,
) -> None:
    """Writes a piano roll as a file of one track (MIDI Manufacturers Association, 1996, format 0).

    A note that sounds at steps that follow each other is held and not struck again.

    Args:
      path: the file to write.
      roll: `[T, M]`, nonzero where a note sounds.
      lowest: the MIDI number of the first of the `M` notes.
      steps_per_quarter: steps a quarter note, a divisor of 480.
      quarters_per_minute: the tempo.

    Raises:
      ValueError: if the roll has no such form, or a note has no MIDI number, which go from 0 to 127.

    Example:
      >>> import tempfile
      >>> file = Path(tempfile.mkdtemp()) / "third.mid"
      >>> write_midi(file, [[1, 0, 0, 0, 1], [1, 0, 0, 0, 0]], lowest=60)
      >>> file.read_bytes()[:4], len(file.read_bytes())
      (b'MThd', 52)
    """
    array = np.asarray(roll)
    if array.ndim != 2:
        raise ValueError(f"roll has shape {array.shape}, expected [T, notes].")
    if not 0 <= lowest <= 128 - array.shape[1]:
        raise ValueError(f"lowest is {lowest}, expected {array.shape[1]} notes from there to be in 0 to 127.")
    if TICKS % steps_per_quarter:
        raise ValueError(f"steps_per_quarter is {steps_per_quarter}, expected a divisor of {TICKS}.")
    tempo = round(60_000_000 / quarters_per_minute)
    events = [b"\x00\xff\x51\x03" + tempo.to_bytes(3, "big"), bytes([0, 0xC0, CHURCH_ORGAN])]
    # Where a note begins there is 1, where it ends -1: at each step ends come first.
    edges = np.diff((array != 0).astype(np.int8), axis=0, prepend=0, append=0)
    last = 0
    for step in np.flatnonzero(edges.any(axis=1)).tolist():
        for sign, status, velocity in ((-1, 0x80, 0), (1, 0x90, 80)):
            for note in np.flatnonzero(edges[step] == sign).tolist():
                wait = (step - last) * TICKS // steps_per_quarter
                events.append(variable_length(wait) + bytes([status, lowest + note, velocity]))
                last = step
    # What follows the last note is silence, which is a wait before the end of the track.
    rest = (len(array) - last) * TICKS // steps_per_quarter
    track = b"".join(events) + variable_length(rest) + b"\xff\x2f\x00"
    header = b"MThd" + struct.pack(">IHHH", 6, 0, 1, TICKS)
    path.write_bytes(header + b"MTrk" + struct.pack(">I", len(track)) + track)


def variable_length(number: int) -> bytes:
    """A number in groups of seven bits, the first ones marked as not the last: how MIDI writes waits.

    Args:
      number: not negative.

    Returns:
      One byte or more.

    Example:
      >>> variable_length(0x4000).hex()
      '818000'
    """
    groups = [number & 0x7F]
    while number := number >> 7:
        groups.append(number & 0x7F | 0x80)
    return bytes(reversed(groups))
