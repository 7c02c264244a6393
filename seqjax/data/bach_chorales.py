"""Four-part chorales of J.S. Bach on a grid of sixteenths, and piano rolls of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from seqjax.data.archives import fetch
from seqjax.data.catalogue import MUSIC21
from seqjax.data.errors import DataError
from seqjax.data.musicxml import Score, play, read_bars, read_score
from seqjax.data.orders import whole_number

VOICES = ("Soprano", "Alto", "Tenor", "Bass")
LOWEST, HIGHEST = 36, 81
"""The MIDI numbers of the lowest and the highest note of all chorales: 46 notes."""


class Chorales(NamedTuple):
    """Pieces for four voices, sixteenth by sixteenth.

    Attributes:
      names: `N` names, the numbers of Bach's works.
      pitches: for each piece `[T, 4]` int16, the MIDI numbers that soprano, alto, tenor and bass sound; 0
        for a rest.
      attacks: for each piece `[T, 4]` booleans, whether a note begins: what tells a note struck twice from
        a long one.
      melodies: for each piece how the soprano begins, the same in all keys: eight notes in semitones
        above the first. Settings of one melody have it in common.
      licence: their licence.
      source: where they come from.
    """

    names: list[str]
    pitches: list[npt.NDArray[np.int16]]
    attacks: list[npt.NDArray[np.bool_]]
    melodies: list[tuple[int, ...]]
    licence: str
    source: str


def chorales(*, repeats: bool = False, cache: Path | None = None) -> Chorales:
    """Return 365 chorales for four voices, of 96 to 772 sixteenths, with notes from MIDI number 36 to 81.

    Some are there twice, in another key or with another harmony: `split_by(pieces, pieces.melodies)` holds
    out melodies. `piano_roll` gives what a Bernoulli head predicts.

    Args:
      repeats: whether what Bach marked to be repeated comes twice, or once as it is written.
      cache: the cache folder; `None` for `cache_folder()`.

    Raises:
      TypeError: `repeats` is neither `True` nor `False`.
      DataError: they are not cached and cannot be fetched, or are not of the expected form.
    """
    if not isinstance(repeats, bool):
        raise TypeError(f"repeats is {repeats!r}, expected True or False.")
    files = fetch(MUSIC21, cache=cache)
    names, pitches, attacks, melodies = [], [], [], []
    for file in sorted(files, key=_order):
        # One at a time: so many objects at once would double the time, which collecting garbage takes.
        score = read_score(files[file], _name(file))
        # The others have instruments beside the voices, or are no chorales.
        if score.names == VOICES:
            sounding, struck = _voices(score, repeats)
            names.append(score.name)
            pitches.append(sounding)
            attacks.append(struck)
            melodies.append(melody(sounding[:, 0], struck[:, 0]))
    return Chorales(
        names=names,
        pitches=pitches,
        attacks=attacks,
        melodies=melodies,
        licence=MUSIC21.licence,
        source=f"chorales of J.S. Bach, in the package {MUSIC21.package} {MUSIC21.version}",
    )


def piano_roll(pitches: Any, *, lowest: int = LOWEST, highest: int = HIGHEST) -> npt.NDArray[np.float32]:
    """Return which notes sound at each step.

    Args:
      pitches: `[T, ..., voices]` integers, MIDI numbers, 0 for a rest, such as one of `Chorales.pitches`.
      lowest: the first note of the roll.
      highest: the last.

    Returns:
      `[T, ..., highest - lowest + 1]`, 1 for a note that a voice sounds, else 0.

    Raises:
      TypeError: `pitches`, `lowest` or `highest` are not integers.
      ValueError: a pitch is outside of the roll, or there is no axis of voices.

    >>> piano_roll([[61, 60], [0, 61], [0, 0]], lowest=60, highest=62).tolist()
    [[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    lowest = whole_number(lowest, "lowest", 1)
    highest = whole_number(highest, "highest", lowest)
    array = np.asarray(pitches)
    if array.ndim == 0:
        raise ValueError("pitches is one number, expected an axis of voices: [T, voices].")
    if array.dtype.kind not in "iu":
        raise TypeError(f"pitches has dtype {array.dtype}, expected integers.")
    sounding = array[array != 0]
    if sounding.size and not (lowest <= sounding.min() and sounding.max() <= highest):
        raise ValueError(
            f"pitches go from {sounding.min()} to {sounding.max()}, expected 0 or {lowest} to {highest}: "
            "give another lowest or highest."
        )
    return (array[..., None] == np.arange(lowest, highest + 1)).any(axis=-2).astype(np.float32)


def melody(pitches: Any, attacks: Any, count: int = 8) -> tuple[int, ...]:
    """Return the first notes that a voice strikes, in semitones above the first.

    >>> melody([0, 60, 60, 62, 59], [False, True, False, True, True])
    (0, 2, -1)
    """
    struck = np.asarray(pitches)[np.asarray(attacks)][:count].astype(int)
    return tuple((struck - struck[:1]).tolist())


def _voices(score: Score, repeats: bool) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    parts = [read_bars(score, part) for part in range(len(VOICES))]
    shapes = [[(len(bar.pitches), bar.opens, bar.closes) for bar in bars] for bars in parts]
    if any(shape != shapes[0] for shape in shapes):
        raise DataError(f"The voices of the score {score.name} differ in bars or repetitions. Report it.")
    played = [play(bars, repeats=repeats) for bars in parts]
    return np.stack([pitches for pitches, _ in played], axis=1), np.stack(
        [hits for _, hits in played], axis=1
    )


def _name(file: str) -> str:
    return file.rsplit("/", 1)[-1].rsplit(".", 1)[0]


def _order(file: str) -> tuple[tuple[int, str], ...]:
    """Names in the order of their numbers: bwv9.7 before bwv10.7."""
    parts = _name(file).removeprefix("bwv").replace("-", ".").split(".")
    return tuple((int(part), "") if part.isdecimal() else (0, part) for part in parts)
