"""Scores are read sixteenth by sixteenth; scores that would do harm, or cannot be read, are refused."""

from __future__ import annotations

import numpy as np
import pytest

import seqjax.data as sjd
from seqjax.data import bach_chorales, musicxml
from seqjax.data.bach_chorales import VOICES, melody
from seqjax.data.musicxml import play, read_bars, read_score


def note(pitch="C4", duration=1, inside=""):
    if pitch == "rest":
        return f"<note><rest/><duration>{duration}</duration></note>"
    step, alter, octave = pitch[0], pitch[1:-1], pitch[-1]
    altered = f"<alter>{alter}</alter>" if alter else ""
    named = f"<pitch><step>{step}</step>{altered}<octave>{octave}</octave></pitch>"
    return f"<note>{inside}{named}<duration>{duration}</duration></note>"


def bar(*notes, divisions=None, inside=""):
    unit = "" if divisions is None else f"<attributes><divisions>{divisions}</divisions></attributes>"
    return f"<measure>{unit}{''.join(notes)}{inside}</measure>"


def score(parts):
    """A score of parts by name, each a list of bars."""
    listed = "".join(f'<score-part id="{name}"><part-name>{name}</part-name></score-part>' for name in parts)
    content = "".join(f'<part id="{name}">{"".join(bars)}</part>' for name, bars in parts.items())
    return f"<score-partwise><part-list>{listed}</part-list>{content}</score-partwise>".encode()


def bars_of(*bars):
    return read_bars(read_score(score({"Soprano": bars}), "test"), 0)


def repeat(direction):
    return f'<barline><repeat direction="{direction}"/></barline>'


TIE = '<tie type="stop"/>'


def test_pitches_and_durations():
    # Two divisions a quarter: an eighth is one division and two sixteenths.
    (read,) = bars_of(bar(note("C4"), note("F14", 2), note("rest"), note("B-13", 1), divisions=2))
    assert read.pitches.tolist() == [60, 60, 66, 66, 66, 66, 0, 0, 58, 58]
    assert read.attacks.astype(int).tolist() == [1, 0, 1, 0, 0, 0, 0, 0, 1, 0]
    assert read.pitches.dtype == np.int16


def test_a_unit_holds_until_the_next():
    first, second, third = bars_of(bar(note(), divisions=1), bar(note()), bar(note(), divisions=4))
    assert [len(each.pitches) for each in (first, second, third)] == [4, 4, 1]


def test_notes_shorter_than_a_sixteenth_are_left_out_where_they_begin_between_two():
    # Eight divisions a quarter: two to a sixteenth.
    (read,) = bars_of(bar(note("C4", 1), note("D4", 1), note("E4", 3), note("F4", 3), divisions=8))
    assert read.pitches.tolist() == [60, 64, 64, 65]
    pitches, attacks = play([read], repeats=False)
    assert pitches.tolist() == [60, 64, 64, 65]
    assert attacks.tolist() == [True, True, False, True]


def test_grace_notes_take_no_time_and_ties_join():
    grace = "<note><grace/><pitch><step>G</step><octave>4</octave></pitch></note>"
    read = bars_of(bar(grace, note(), note(inside=TIE), divisions=4), bar(note(inside=TIE), note()))
    pitches, attacks = play(read, repeats=False)
    assert pitches.tolist() == [60] * 4
    assert attacks.tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    ("signs", "order"),
    [
        (("", "backward", ""), [0, 1, 0, 1, 2]),
        (("", "forward", "backward"), [0, 1, 2, 1, 2]),
        (("backward", "", "backward"), [0, 0, 1, 2, 1, 2]),
        (("", "", ""), [0, 1, 2]),
    ],
)
def test_repetitions_are_played_from_where_they_open(signs, order):
    bars = [
        bar(note(f"{'CDE'[number]}4"), divisions=4, inside=repeat(sign) if sign else "")
        for number, sign in enumerate(signs)
    ]
    read = bars_of(*bars)
    assert play(read, repeats=True)[0].tolist() == [(60, 62, 64)[number] for number in order]
    assert play(read, repeats=False)[0].tolist() == [60, 62, 64]


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (bar(note("C4", 0), divisions=0), "no 'divisions'"),
        (bar(note(), divisions="two"), "invalid literal"),
        (bar(note(duration="")), "invalid literal"),
        (bar(note(duration="-1")), "the duration -1"),
        (bar(note(duration=10**9)), "the duration 1000000000"),
        (bar(*[note(duration=2048)] * 3), "lasts 6144 sixteenths"),
        (bar(note(), divisions=8), "lasts 0.5 sixteenths"),
        (bar(note("H4")), "'H'"),
        (bar(note("C?")), "invalid literal"),
        (bar(note("C-2004")), "the MIDI number -140, expected 1 to 127"),
        (bar(note(inside="<chord/>")), "two notes sound at once"),
        (bar("<backup><duration>4</duration></backup>"), "two notes sound at once"),
        (bar(note(), inside="<barline><ending/></barline>"), "an ending for one of several"),
    ],
)
def test_bars_of_another_form_are_named(content, fragment):
    with pytest.raises(sjd.DataError, match=f"^Bar 2 of 'Soprano' in the score test .* read: .*{fragment}"):
        bars_of(bar(divisions=4), content)


def test_time_needs_a_unit():
    with pytest.raises(sjd.DataError, match=r"Bar 1 .* no 'divisions'"):
        bars_of(bar(note()))


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"", "cannot be read"),
        (b"<score-partwise>", "cannot be read"),
        (b"\xff\xfe<\x00", "cannot be read"),
        ("<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"), "cannot be read"),
        (b"<opus/>", "is a opus, expected a score-partwise"),
        (b"<score-partwise><part id='P1'/></score-partwise>", "parts that it lists"),
        (b'<!DOCTYPE a [<!ENTITY b "boo">]><score-partwise>&b;</score-partwise>', "declares entities"),
        (
            b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><score-partwise>&b;</score-partwise>',
            "declares entities",
        ),
    ],
)
def test_files_that_are_no_scores_are_refused(content, fragment):
    with pytest.raises(sjd.DataError, match=f"The score test .*{fragment}"):
        read_score(content, "test")


def test_compressed_scores(make_zip):
    content = score({"Soprano": []})
    compressed = make_zip({"META-INF/container.xml": b"<container/>", "x.xml": content})
    assert read_score(compressed, "test").names == ("Soprano",)
    with pytest.raises(sjd.DataError, match="holds 2 files of MusicXML"):
        read_score(make_zip({"x.xml": content, "y.musicxml": content}), "test")
    with pytest.raises(sjd.DataError, match="cannot be read"):
        read_score(compressed[:-30], "test")


def test_a_score_that_unpacks_to_more_than_allowed_is_refused(make_zip, monkeypatch):
    monkeypatch.setattr(musicxml, "LARGEST", 1000)
    with pytest.raises(sjd.DataError, match="larger than 1000 bytes"):
        read_score(make_zip({"x.xml": b" " * 2000 + score({})}), "test")


def voices(*bars, **changes):
    return {voice: list(bars) for voice in VOICES} | changes


CHORALE = voices(bar(note("C4", 2), note("D4", 2), divisions=4, inside=repeat("backward")))


def test_chorales_are_those_with_the_four_voices(offer, make_zip):
    folder = "music21/corpus/bach"
    files = {
        f"{folder}/bwv10.7.mxl": make_zip({"x.xml": score(CHORALE)}),
        f"{folder}/bwv9.7.mxl": make_zip({"x.xml": score(voices(bar(note("E4", 4), divisions=4)))}),
        f"{folder}/bwv11.6.mxl": make_zip({"x.xml": score({"Violin": []} | CHORALE)}),
        f"{folder}/bwv67.4.xml": score(CHORALE),
    }
    offer(bach_chorales, files)
    pieces = sjd.chorales()
    assert pieces.names == ["bwv9.7", "bwv10.7", "bwv67.4"]
    assert pieces.pitches[1].tolist() == [[60] * 4, [60] * 4, [62] * 4, [62] * 4]
    assert pieces.attacks[1][:, 0].tolist() == [True, False, True, False]
    assert pieces.melodies == [(0,), (0, 2), (0, 2)]
    assert [len(pitches) for pitches in sjd.chorales(repeats=True).pitches] == [4, 8, 8]


def test_voices_must_fit_together(offer, make_zip):
    longer = CHORALE | {"Bass": [bar(note("C3", 5), divisions=4)]}
    offer(
        bach_chorales,
        {
            "music21/corpus/bach/bwv1.6.mxl": make_zip({"x.xml": score(longer)}),
            "music21/corpus/bach/bwv67.4.xml": score(CHORALE),
        },
    )
    with pytest.raises(sjd.DataError, match=r"The voices of the score bwv1\.6 differ"):
        sjd.chorales()


def test_piano_rolls_keep_their_axes():
    pitches = np.array([[[60, 62], [0, 60]], [[61, 61], [0, 0]]])
    roll = sjd.piano_roll(pitches, lowest=60, highest=62)
    assert roll.dtype == np.float32
    assert roll.tolist() == [[[1, 0, 1], [1, 0, 0]], [[0, 1, 0], [0, 0, 0]]]
    assert sjd.piano_roll([[36, 81]]).shape == (1, 46)


def test_melodies_do_not_depend_on_the_key():
    attacks = np.array([1, 1, 0, 1], bool)
    pitches = np.array([60, 64, 64, 67], np.int16)
    assert melody(pitches, attacks) == melody(pitches + 5, attacks) == (0, 4, 7)
    assert melody(pitches, attacks, 2) == (0, 4)
    assert melody(np.zeros(0), np.zeros(0, bool)) == ()
