"""The nearest picture by brute force."""

import numpy as np

from seqjax.recipes.baselines.nearest_pictures import nearest_pictures


def test_the_nearest_picture_is_the_one_that_differs_least():
    generator = np.random.default_rng(0)
    known, unseen = (generator.integers(0, 256, (count, 28, 28)).astype(np.uint8) for count in (7, 5))
    away = ((known[:, None].astype(float) - unseen.astype(float)) ** 2).sum(axis=(2, 3))
    np.testing.assert_array_equal(nearest_pictures(known, unseen), away.argmin(axis=0))
