"""Several states of which nothing is known at the start, seen through one number a step."""

import dataclasses

import jax
import numpy as np
import pytest

from seqjax.recipes import co2
from seqjax.statespace import lds

YS = np.random.default_rng(0).normal(size=(8, 1))


def with_a_wide_prior(model, ys, deviation):
    """The covariance filter in long doubles: the log-likelihood in the limit, and the last mean."""
    dynamics, noise, emission, measurement = (
        np.asarray(leaf, np.longdouble)
        for leaf in (
            model.dynamics,
            model.dynamics_covariance,
            model.emission[0],
            model.emission_covariance[0, 0],
        )
    )
    size = len(dynamics)
    mean, covariance = np.zeros(size, np.longdouble), np.longdouble(deviation) ** 2 * np.eye(size)
    total = size * np.log(np.longdouble(deviation))
    for y in ys[:, 0]:
        predicted, before = mean, covariance
        variance = emission @ before @ emission + measurement
        gain, residual = before @ emission / variance, y - emission @ predicted
        total -= (np.log(2 * np.pi * variance) + residual**2 / variance) / 2
        filtered = predicted + gain * residual
        mean = dynamics @ filtered
        covariance = dynamics @ (before - variance * np.outer(gain, gain)) @ dynamics.T + noise
    return total, filtered


@pytest.mark.slow
@pytest.mark.parametrize("precise", [True, False], ids=["float64", "float32"])
def test_a_trend_and_a_season_with_a_diffuse_start(precise):
    """However wide the prior, the gain is a small number, and no large ones may cancel to give it."""
    with jax.enable_x64(precise):
        model = co2.model(np.log(np.array(co2.START)), harmonics=1)
        model = dataclasses.replace(model, diffuse=(True,) * 4)
        found = lds.filter(model, YS)
        total, mean = with_a_wide_prior(model, YS, 1e5)
        tolerance = 1e-6 if precise else 1e-3
        np.testing.assert_allclose(found.log_normalizer, float(total), rtol=tolerance)
        np.testing.assert_allclose(found.mean[-1], mean.astype(float), rtol=tolerance)
