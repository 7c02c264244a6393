"""Notes that are counted, by hand."""

import numpy as np

from seqjax.recipes.baselines.counted_notes import counted_loss


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
    quarters = np.eye(3)[np.arange(12) % 2]
    pieces = [np.repeat(quarters[start:], 4, axis=0) for start in (0, 1)]
    counted = [counted_loss(pieces, pieces, previous=True, period=period) for period in (1, 2, 4)]
    assert counted[0] > counted[1] > counted[2]
    assert counted[2] < 0.5
