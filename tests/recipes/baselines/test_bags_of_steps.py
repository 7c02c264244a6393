"""Steps alone, against densities written out."""

import numpy as np

from seqjax.data import LabelledSeries
from seqjax.recipes.baselines.bags_of_steps import steps_alone


def test_steps_alone_are_classified_by_gaussian_densities():
    random, labels = np.random.default_rng(0), np.arange(17) % 2
    series = [random.normal(label, 1 + label, (4, 3)) for label in labels]
    short, unseen = series[:12], series[12:]
    spoken = LabelledSeries(short, labels[:12], ("1", "2"), "made up", "these tests")

    def log_density(bag, steps):
        away, covariance = steps - bag.mean(axis=0), np.cov(bag.T)
        square = np.einsum("ti,ij,tj->", away, np.linalg.inv(covariance), away)
        return -0.5 * (square + len(steps) * np.log(np.linalg.det(2 * np.pi * covariance)))

    bags = [np.concatenate(short[speaker::2]) for speaker in (0, 1)]
    expected = [np.argmax([log_density(bag, steps) for bag in bags]) for steps in unseen]
    assert steps_alone(spoken, unseen).tolist() == expected
