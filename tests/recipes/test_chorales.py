"""Chorales of two chords that alternate: training, the counted notes beside it, and MIDI files."""

import json
import struct

import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Chorales
from seqjax.recipes import chorales
from seqjax.recipes.midi import variable_length, write_midi
from seqjax.recipes.piano_rolls import before, counted_loss, rolls_in_batches, transposed

SMALL = ["--cell", "elman", "--method", "scan", "--hidden-size", "16", "--semitones", "0"]
CHORDS = np.array([[72, 67, 64, 48], [71, 67, 62, 55]])


def made_up(count=20):
    """Pieces of 12 quarters, in each of which one chord follows the other."""
    pieces = [np.repeat(CHORDS[(np.arange(12) + number) % 2], 4, axis=0) for number in range(count)]
    return Chorales(
        names=[f"piece{number}" for number in range(count)],
        pitches=[piece.astype(np.int16) for piece in pieces],
        attacks=[np.ones(piece.shape, bool) for piece in pieces],
        melodies=[(number,) for number in range(count)],
        licence="made up",
        source="these tests",
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained run's folder."""
    folder = tmp_path_factory.mktemp("runs") / "chorales"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(data, "chorales", made_up)
        arguments = ["--every", "4", "--steps", "120", "--learning-rate", "0.03", "--dropout", "0"]
        assert main(["train", "chorales", *SMALL, *arguments, "--run-dir", str(folder)]) == 0
    return folder


@pytest.fixture
def pieces(monkeypatch):
    monkeypatch.setattr(data, "chorales", made_up)


@pytest.mark.slow
def test_training_learns_what_alternates_and_saves_the_run(trained):
    names = ["curve.png", "report.md", "rolls.png", "run.json", "sample.mid", "weights.safetensors"]
    assert sorted(path.name for path in trained.iterdir()) == names
    results = json.loads((trained / "run.json").read_text())["results"]
    assert results["network"] < 0.8 < results["given the step before"] < results["independent notes"]
    assert "RNN-RBM 6.27" in (trained / "report.md").read_text()


@pytest.mark.slow
def test_generate_goes_on_from_a_chorale_into_a_file_of_its_own(trained, pieces, capsys):
    assert main(["generate", str(trained), "--prompt", "piece1", "--num-steps", "4", "--seed", "7"]) == 0
    assert capsys.readouterr().out == f"{trained / 'sample-7.mid'}: 12 quarter notes\n"
    events = read_midi(trained / "sample-7.mid")
    # Eight quarters of the piece, then what the network makes of it.
    expected = [(quarter * 480, sorted(CHORDS[(quarter + 1) % 2])) for quarter in range(12)]
    for time, chord in expected[:8]:
        assert [note for note in chord if sounding(events, time)[note]] == chord
        assert sum(sounding(events, time)) == 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--prompt", "bwv0"], "expected a chorale, from piece0 to piece19"),
        (["--temperature", "0.5"], "temperature given"),
        (["--num-steps", "0"], "num_steps is 0"),
    ],
)
def test_what_cannot_be_written_is_told_in_a_line(trained, pieces, arguments, fragment, capsys):
    assert main(["generate", str(trained), *arguments]) == 2
    assert fragment in capsys.readouterr().err


def test_a_transposed_piece_keeps_its_intervals_its_rests_and_the_range():
    piece = np.array([[60, 48, 0], [62, 0, 45]])
    shifts = set()
    for seed in range(60):
        moved = transposed(piece, np.random.default_rng(seed), 30)
        assert ((moved == 0) == (piece == 0)).all()
        assert moved[moved > 0].min() >= 36
        assert moved.max() <= 81
        (shift,) = set((moved - piece)[piece > 0].tolist())
        shifts.add(shift)
    assert shifts >= {-9, 19}
    assert (transposed(piece, np.random.default_rng(0), 0) == piece).all()
    assert (transposed(np.zeros((2, 4), int), np.random.default_rng(0)) == 0).all()


def test_a_batch_predicts_each_step_from_the_one_before():
    pieces = [piece[:length] for piece, length in zip(made_up(3).pitches, (3, 5, 9), strict=True)]
    batches = rolls_in_batches(pieces, 2)
    seen = 0
    for batch in batches.epoch_batches():
        for row, length in enumerate(batch.lengths):
            seen += length
            np.testing.assert_array_equal(batch.inputs[:length, row], before(batch.targets[:length, row]))
    assert seen == 17


def test_counted_notes_are_shares():
    learned = [np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [1.0, 0.0]])]
    new = [np.array([[1.0, 0.0]])]
    # Three of four times and never; pooled three of eight, each with one more: 0.4.
    expected = -np.log((3 + 0.4) / 5) - np.log((4 + 0.6) / 5)
    np.testing.assert_allclose(counted_loss(learned, new), expected)
    # After silence the first note sounds two of two times, the other none of four; pooled two of six.
    expected = -np.log((2 + 3 / 8) / 3) - np.log((4 + 5 / 8) / 5)
    np.testing.assert_allclose(counted_loss(learned, new, previous=True), expected)


def test_the_place_in_the_beat_tells_when_chords_change():
    pieces = [data.piano_roll(piece) for piece in made_up().pitches]
    counted = [counted_loss(pieces, pieces, previous=True, period=period) for period in (1, 2, 4)]
    assert counted[0] > counted[1] > counted[2]
    assert counted[2] < 0.5


def test_every_fourth_step_is_a_quarter():
    quarters = chorales.every(made_up(1), 4)
    assert quarters.pitches[0].tolist() == np.tile(CHORDS, (6, 1)).tolist()
    assert len(quarters.attacks[0]) == 12


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (0, "00"),
        (0x40, "40"),
        (0x7F, "7f"),
        (0x80, "8100"),
        (0x2000, "c000"),
        (0x3FFF, "ff7f"),
        (0x4000, "818000"),
        (0x0FFFFFFF, "ffffff7f"),
    ],
)
def test_waits_are_written_as_in_the_table_of_the_standard(number, expected):
    assert variable_length(number).hex() == expected


def test_a_midi_file_holds_the_roll(tmp_path):
    generator = np.random.default_rng(0)
    roll = generator.random((50, 7)) < 0.4
    roll[-3:] = False
    write_midi(tmp_path / "roll.mid", roll, lowest=50, steps_per_quarter=2)
    events = read_midi(tmp_path / "roll.mid")
    found = [sounding(events, 240 * step)[50:57] for step in range(50)]
    assert found == roll.tolist()
    assert events[-1][0] == 50 * 240


def test_what_is_no_roll_is_refused(tmp_path):
    for options, fragment in [
        ({"lowest": 127}, "lowest is 127"),
        ({"lowest": 60, "steps_per_quarter": 7}, "is 7"),
    ]:
        with pytest.raises(ValueError, match=fragment):
            write_midi(tmp_path / "none.mid", np.ones((2, 2)), **options)
    with pytest.raises(ValueError, match=r"shape \(2,\)"):
        write_midi(tmp_path / "none.mid", np.ones(2), lowest=60)
    assert not list(tmp_path.iterdir())


def read_midi(path):
    """`(ticks, status, note)` of each event of a file of one track; the end of the track is the last."""
    content = path.read_bytes()
    assert content[:14] == b"MThd" + struct.pack(">IHHH", 6, 0, 1, 480)
    assert content[14:22] == b"MTrk" + struct.pack(">I", len(content) - 22)
    track, at, time, events = content[22:], 0, 0, []
    while at < len(track):
        wait = 0
        while track[at] & 0x80:
            wait, at = wait << 7 | track[at] & 0x7F, at + 1
        wait, at = wait << 7 | track[at], at + 1
        time += wait
        status = track[at]
        if status == 0xFF:
            events.append((time, status, track[at + 1]))
            at += 3 + track[at + 2]
        else:
            events.append((time, status, track[at + 1]))
            at += 2 if status == 0xC0 else 3
    assert events[-1][1:] == (0xFF, 0x2F)
    return events


def sounding(events, time):
    """Which of 128 notes are on after all events up to a time."""
    on = [False] * 128
    for when, status, note in events:
        if when <= time and status in (0x80, 0x90):
            assert on[note] == (status == 0x80)
            on[note] = status == 0x90
    return on
