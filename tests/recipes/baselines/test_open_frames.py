"""Open reading frames by hand."""

import numpy as np
import pytest

from seqjax.recipes.baselines.open_frames import open_frames, score


def bases_of(text):
    return np.array(["ACGT".index(letter) for letter in text], np.int8)


def test_open_frames_run_from_start_to_stop():
    gene = "ATGGCTTAA"
    found = open_frames(bases_of(f"C{gene}CTTAAGCCATT{gene}"), 3)
    assert found.tolist() == [*[False, *[True] * 9] * 3]
    assert not open_frames(bases_of(f"C{gene}C"), 4).any()
    # Without a stop nothing ends, and another start within does not begin anew.
    assert not open_frames(bases_of("ATGGCTGCTGCT"), 2).any()
    assert open_frames(bases_of("ATGATGTAA"), 3).all()


def test_scores_count_all_four_cases():
    truth, guess = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 0, 1], bool)
    got = score(truth, guess)
    assert got["correlation"] == pytest.approx(np.corrcoef(truth, guess)[0, 1])
    del got["correlation"]
    assert got == {"accuracy": 0.6, "sensitivity": pytest.approx(2 / 3), "specificity": 0.5}
