"""Scores in MusicXML, read as which note each part sounds at every sixteenth."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt

from seqjax.data.errors import DataError

LARGEST = 2**24
"""How many bytes a score may have when unpacked."""
LONGEST_BAR = 1024
"""How many sixteenths a bar may have."""
_SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


class Bar(NamedTuple):
    """A bar of a part.

    Attributes:
      pitches: `[n]` int16, the MIDI number of the note that sounds at each sixteenth, 0 for a rest.
      attacks: `[n]` booleans, whether the note begins there.
      opens: whether what will be repeated begins with this bar.
      closes: whether it ends with this bar.
    """

    pitches: npt.NDArray[np.int16]
    attacks: npt.NDArray[np.bool_]
    opens: bool
    closes: bool


class Score(NamedTuple):
    """A score, of which no bar was read yet.

    Attributes:
      name: what an error calls it.
      names: the name of each part.
      parts: the XML of each part.
    """

    name: str
    names: tuple[str, ...]
    parts: tuple[ElementTree.Element, ...]


def read_score(content: bytes, name: str) -> Score:
    """Return the score that `content` is, MusicXML as it is or compressed (`.mxl`).

    The file may come from anyone: its size is limited, and entities, which could make a small file a large
    one or read other files, are refused.

    Args:
      content: the file.
      name: what to call it in an error.

    Raises:
      DataError: it is not a score, or larger than 16 MB.

    >>> read_score(b"<score-partwise><part-list/></score-partwise>", "example").names
    ()
    """
    root = _parse(_unzipped(content, name) if content[:2] == b"PK" else content, name)
    listed = {part.get("id"): (part.findtext("part-name") or "").strip() for part in root.iter("score-part")}
    parts = root.findall("part")
    if root.tag != "score-partwise" or any(part.get("id") not in listed for part in parts):
        raise DataError(
            f"The score {name} is a {root.tag}, expected a score-partwise with parts that it lists."
        )
    return Score(name, tuple(listed[part.get("id")] for part in parts), tuple(parts))


def read_bars(score: Score, part: int) -> list[Bar]:
    """Read the bars of a part that sounds one note at a time.

    A sixteenth has the note that sounds when it begins, so shorter notes between two are left out, and so
    are grace notes. Notes that a tie joins are one.

    Args:
      score: the score.
      part: which of its parts.

    Raises:
      DataError: a bar is not of that form: the message names it.
    """
    bars = []
    divisions = 0
    for number, measure in enumerate(score.parts[part].iterfind("measure"), 1):
        try:
            for found in measure.iterfind("attributes/divisions"):
                divisions = int(found.text or "")
            bars.append(_read_bar(measure, divisions))
        except (ArithmeticError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"Bar {number} of {score.names[part]!r} in the score {score.name} cannot be read: {error}."
            ) from error
    return bars


def play(bars: Sequence[Bar], *, repeats: bool) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.bool_]]:
    """Put bars end to end.

    Args:
      bars: the bars of a part.
      repeats: whether what is between signs of repetition comes twice, as it is played, or once, as it is
        written.

    Returns:
      `pitches[T]` and `attacks[T]`.
    """
    order: list[int] = []
    start = 0
    for place, bar in enumerate(bars):
        start = place if bar.opens else start
        order.append(place)
        if bar.closes:
            order += range(start, place + 1) if repeats else ()
            start = place + 1
    pitches = np.concatenate([np.zeros(0, np.int16), *(bars[place].pitches for place in order)])
    attacks = np.concatenate([np.zeros(0, np.bool_), *(bars[place].attacks for place in order)])
    # A note whose beginning fell between two sixteenths begins where it is first heard.
    attacks |= np.diff(pitches, prepend=0) != 0
    return pitches, attacks & (pitches > 0)


def _read_bar(measure: ElementTree.Element, divisions: int) -> Bar:
    """A `measure`; times are in `divisions` a quarter note until they are rounded to sixteenths."""
    if divisions < 1:
        raise ValueError("it has no 'divisions' to count time in")
    if measure.find(".//ending") is not None:
        raise ValueError("it is an ending for one of several repetitions, which is not supported")
    time = 0
    notes: list[tuple[int, int, int, bool]] = []
    for element in measure:
        if element.tag in ("backup", "chord") or element.find("chord") is not None:
            raise ValueError("two notes sound at once, expected one")
        if element.tag not in ("note", "forward") or element.find("grace") is not None:
            continue
        duration = int(element.findtext("duration") or "")
        if not 0 <= duration <= LONGEST_BAR * divisions:
            raise ValueError(f"a note has the duration {duration}")
        if element.tag == "note" and element.find("rest") is None:
            tied = any(tie.get("type") == "stop" for tie in element.iterfind("tie"))
            notes.append((time, time + duration, _midi(element), tied))
        time += duration
    length, rest = divmod(4 * time, divisions)
    if rest or length > LONGEST_BAR:
        raise ValueError(
            f"it lasts {4 * time / divisions:g} sixteenths, expected a whole number to {LONGEST_BAR}"
        )
    pitches, attacks = np.zeros(length, np.int16), np.zeros(length, np.bool_)
    for start, stop, pitch, tied in notes:
        first, last = (-(-4 * place // divisions) for place in (start, stop))
        pitches[first:last] = pitch
        attacks[first : first + 1] |= first < last and not tied
    repeats = [repeat.get("direction") for repeat in measure.iterfind("barline/repeat")]
    return Bar(pitches, attacks, "forward" in repeats, "backward" in repeats)


def _midi(note: ElementTree.Element) -> int:
    step, octave = note.findtext("pitch/step") or "", int(note.findtext("pitch/octave") or "")
    number = 12 * (octave + 1) + _SEMITONES[step] + int(note.findtext("pitch/alter") or 0)
    if not 0 < number < 128:
        raise ValueError(f"a note has the MIDI number {number}, expected 1 to 127")
    return number


def _parse(content: bytes, name: str) -> ElementTree.Element:
    try:
        # Decoded here, so that no declared encoding can hide from the search what the parser then finds.
        text = content.decode("utf-8")
        if len(text) > LARGEST or "<!ENTITY" in text:
            raise DataError(
                f"The score {name} is larger than {LARGEST} bytes or declares entities: not read."
            )
        return ElementTree.fromstring(text)
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise DataError(f"The score {name} cannot be read: {error}. Report it.") from error


def _unzipped(content: bytes, name: str) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            files = [
                info
                for info in archive.infolist()
                if "/" not in info.filename and info.filename.endswith("xml")
            ]
            if len(files) != 1:
                raise DataError(
                    f"The score {name} holds {len(files)} files of MusicXML, expected one. Report it."
                )
            with archive.open(files[0]) as file:
                # What the archive says of a size need not be so: no more is unpacked than is allowed.
                return file.read(LARGEST + 1)
    except (EOFError, NotImplementedError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"The score {name} cannot be read: {error}. Report it.") from error
