"""MIDI files, read back by the standard."""

import numpy as np
import pytest

from seqjax.recipes.material.midi import variable_length, write_midi
from tests.recipes.midi_files import read_midi, sounding


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
