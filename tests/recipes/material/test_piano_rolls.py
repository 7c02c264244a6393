"""Piano rolls: in other keys and in batches."""

import numpy as np

from seqjax.data import Chorales
from seqjax.recipes.material.piano_rolls import before, every, rolls_in_batches, transposed


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
    random = np.random.default_rng(0)
    pieces = [random.integers(36, 82, (length, 4)) for length in (3, 5, 9)]
    batches = rolls_in_batches(pieces, 2)
    seen = 0
    for batch in batches.epoch_batches():
        for row, length in enumerate(batch.lengths):
            seen += length
            np.testing.assert_array_equal(batch.inputs[:length, row], before(batch.targets[:length, row]))
    assert seen == 17


def test_every_fourth_step_is_a_quarter():
    pitches = np.repeat(np.arange(36, 48)[:, None], 4, axis=0)
    pieces = Chorales(["a"], [pitches], [np.ones(pitches.shape, bool)], [(0,)], "made up", "these tests")
    quarters = every(pieces, 4)
    assert quarters.pitches[0][:, 0].tolist() == list(range(36, 48))
    assert len(quarters.attacks[0]) == 12
