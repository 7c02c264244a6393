"""Chorales of two chords that alternate: training, and what is written as MIDI files."""

import json

import numpy as np
import pytest

from seqjax import data
from seqjax.__main__ import main
from seqjax.data import Chorales
from tests.recipes.midi_files import read_midi, sounding

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
    report = (trained / "report.md").read_text()
    assert "published: RNN 8.91 nats a step (Bai et al., 2018, table 1)" in report
    assert "published: RNN-RBM 6.27 nats a step (Boulanger-Lewandowski et al., 2012, table 1)" in report


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
