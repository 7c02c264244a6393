"""The numbers of states of Zucchini & MacDonald's earthquakes, and what criteria are made of."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data
from seqjax.statespace import hmm


@pytest.mark.slow
def test_earthquakes_of_two_and_three_states():
    counts = data.earthquakes().values
    emissions = [hmm.poisson(2), hmm.poisson(3)]
    options = {"num_restarts": 2, "num_iterations": 500, "tolerance": 1e-7}
    found = hmm.select(emissions, jax.random.key(0), counts, held_out_ys=counts[-7:], **options)
    np.testing.assert_allclose(-found.log_likelihood, [341.8787, 328.5275], atol=2e-4)
    np.testing.assert_array_equal(found.num_parameters, [2 + 2 + 1, 3 + 6 + 2])
    np.testing.assert_allclose(found.aic, 2 * np.array([341.8787 + 5, 328.5275 + 11]), atol=1e-3)
    free = np.array([5, 11])
    np.testing.assert_allclose(found.bic, 2 * np.array([341.8787, 328.5275]) + free * np.log(107), atol=1e-3)
    assert found.best == np.argmin(found.bic) == 0
    assert np.argmin(found.aic) == 1
    for fit, emission, held_out in zip(found.fits, emissions, found.held_out, strict=True):
        assert fit.converged
        assert fit.log_likelihood == fit.restart_objectives.max()
        scores = emission.log_likelihoods(fit.emission_params, counts[-7:])
        np.testing.assert_allclose(held_out, hmm.log_normalizer(fit.params, scores) / 7, rtol=1e-6)
    # Float32 stops where the likelihood is flat to its rounding, a little before the maximum.
    np.testing.assert_allclose(np.sort(found.fits[0].emission_params.rates), [15.421, 26.018], atol=0.02)


@pytest.mark.slow
def test_earthquakes_of_four_states():
    """The value of the book is where its optimiser stopped: a transition had become zero on the way.

    From the same start Baum-Welch comes to a better maximum, and to the book's where that transition is
    impossible.
    """
    emission, counts = hmm.poisson(4), data.earthquakes().values
    rates = hmm.PoissonParams(log_rates=jnp.log(jnp.array([10.0, 15.0, 20.0, 30.0])))
    transition = np.full((4, 4), 0.05) + 0.8 * np.eye(4)
    without = np.array(transition)
    without[0] = [0.9, 0.05, 0.05, 0.0]

    def fit(transition, rates=rates):
        chain = hmm.params(np.full(4, 0.25), transition)
        given = {"params": chain, "emission_params": rates, "num_iterations": 500, "tolerance": 1e-8}
        return hmm.fit(emission, jax.random.key(0), counts, **given), chain

    published, chain = fit(without)
    np.testing.assert_allclose(-published.log_likelihood, 326.6749, atol=2e-4)
    assert published.params.transition[0, 3] == 0
    best, _ = fit(transition)
    np.testing.assert_allclose(-best.log_likelihood, 326.4635, atol=2e-4)
    nothing = hmm.PoissonParams(log_rates=jnp.full(4, -jnp.inf))
    with pytest.raises(ValueError, match="ys is impossible under the best start"):
        fit(transition, nothing)
    # The criteria of the book count what its model may use.
    assert hmm.num_parameters(emission) == 19
    np.testing.assert_allclose(hmm.aic(-326.6749, 19), 691.3499, atol=2e-4)
    np.testing.assert_allclose(hmm.bic(-326.6749, 19, 107), 742.1336, atol=2e-4)
    assert hmm.num_parameters(emission, params=chain) == 18


def test_parameters_that_are_fixed_or_impossible_are_not_counted():
    emission = hmm.gaussian(3, 2, "tied")  # six means, three numbers of one covariance
    assert hmm.num_parameters(emission) == 2 + 6 + 9
    assert hmm.num_parameters(emission, fixed=["emission"]) == 2 + 6
    left_to_right = hmm.params([1, 0, 0], [[0.5, 0.5, 0], [0, 0.5, 0.5], [0, 0, 1]])
    assert hmm.num_parameters(emission, params=left_to_right) == 0 + 2 + 9
    assert hmm.num_parameters(emission, params=left_to_right, fixed=("initial", "transition")) == 9


def test_nothing_held_out_is_refused():
    emission, rate = hmm.poisson(1), hmm.PoissonParams(log_rates=np.zeros(1, np.float32))
    chain, ys = hmm.HMMParams(np.zeros(1), np.zeros((1, 1))), np.array([[0, 1], [5, 1], [9, 9]])
    with pytest.raises(ValueError, match="no step that is read"):
        hmm.held_out(emission, chain, rate, ys, lengths=np.array([0, 0]))
