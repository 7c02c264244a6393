"""Filters and smoothers against statsmodels, dynamax and scipy, on the Nile and on a general system."""

import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import data
from seqjax.statespace import lds

NILE = np.asarray(data.nile().values, float)
VARIANCES = (
    1469.2,
    15098.5,
)  # of the level's steps and of the observations (Durbin & Koopman, 2012, section 2.2.5)


def local_level(**start):
    return lds.params(
        dynamics=[[1.0]],
        dynamics_covariance=[[VARIANCES[0]]],
        emission=[[1.0]],
        emission_covariance=[[VARIANCES[1]]],
        **start,
    )


def statsmodels_level(**start):
    structural = pytest.importorskip("statsmodels.tsa.statespace.structural")
    model = structural.UnobservedComponents(NILE, "llevel", **start)
    return model, [VARIANCES[1], VARIANCES[0]]


def test_nile_with_a_known_start(x64):
    model, variances = statsmodels_level()
    model.ssm.initialize_known(np.array([1000.0]), np.array([[5e4]]))
    model.loglikelihood_burn = model.ssm.loglikelihood_burn = 0
    expected = model.smooth(variances)
    ours = lds.smooth(local_level(initial_mean=[1000.0], initial_covariance=[[5e4]]), NILE[:, None])
    np.testing.assert_allclose(ours.log_normalizer, expected.llf, rtol=1e-10)
    np.testing.assert_allclose(ours.filtered.mean.T, expected.filtered_state, rtol=1e-9)
    np.testing.assert_allclose(ours.mean.T, expected.smoothed_state, rtol=1e-9)
    np.testing.assert_allclose(ours.cholesky[:, 0, 0] ** 2, expected.smoothed_state_cov[0, 0], rtol=1e-9)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_nile_diffuse(dtype, x64):
    """The convention is that of the exact diffuse initialisation (Durbin & Koopman, 2012, section 7.2.2)."""
    model, variances = statsmodels_level(use_exact_diffuse=True)
    expected = model.smooth(variances)
    params = local_level(diffuse=True)
    params = type(params)(
        **{
            name: leaf if name == "diffuse" or leaf is None else leaf.astype(dtype)
            for name, leaf in vars(params).items()
        }
    )
    ours = lds.smooth(params, NILE[:, None])
    assert ours.mean.dtype == dtype
    tolerance = {"rtol": 1e-9 if dtype == jnp.float64 else 1e-5}
    np.testing.assert_allclose(ours.log_normalizer, expected.llf, **tolerance)
    # Others leave the constant of the first observation out.
    np.testing.assert_allclose(ours.log_normalizer + 0.5 * np.log(2 * np.pi), -632.5456, rtol=1e-6)
    np.testing.assert_allclose(ours.filtered.mean.T, expected.filtered_state, **tolerance)
    np.testing.assert_allclose(ours.mean.T, expected.smoothed_state, **tolerance)
    np.testing.assert_allclose(ours.cholesky[:, 0, 0] ** 2, expected.smoothed_state_cov[0, 0], **tolerance)


def general(num_steps=50):
    generator = np.random.default_rng(0)
    dynamics = generator.normal(size=(4, 4))
    dynamics *= 0.9 / np.abs(np.linalg.eigvals(dynamics)).max()
    root = generator.normal(size=(4, 4))
    return {
        "initial_mean": generator.normal(size=4),
        "initial_covariance": np.eye(4) + 0.5,
        "dynamics": dynamics,
        "dynamics_covariance": root @ root.T / 4,
        "dynamics_bias": generator.normal(size=4),
        "emission": generator.normal(size=(2, 4)),
        "emission_covariance": np.array([[0.5, 0.2], [0.2, 0.4]]),
        "emission_bias": generator.normal(size=2),
    }, generator.normal(size=(num_steps, 2))


@pytest.mark.slow
def test_general_system(x64):
    """Against statsmodels with missing entries, and without any against dynamax too."""
    smoothers = pytest.importorskip("statsmodels.tsa.statespace.kalman_smoother")
    arguments, ys = general()
    observed = np.random.default_rng(1).random(ys.shape) < 0.8
    ours = lds.smooth(lds.params(**arguments), ys, observed=observed)
    model = smoothers.KalmanSmoother(2, 4)
    model["transition"], model["state_cov"] = arguments["dynamics"], arguments["dynamics_covariance"]
    model["design"], model["obs_cov"] = arguments["emission"], arguments["emission_covariance"]
    model["state_intercept"] = arguments["dynamics_bias"][:, None]
    model["obs_intercept"] = arguments["emission_bias"][:, None]
    model["selection"] = np.eye(4)
    model.initialize_known(arguments["initial_mean"], arguments["initial_covariance"])
    model.bind(np.where(observed, ys, np.nan))
    expected = model.smooth()
    covariance = ours.cholesky @ jnp.swapaxes(ours.cholesky, -1, -2)
    np.testing.assert_allclose(ours.log_normalizer, np.sum(expected.llf_obs), rtol=1e-10)
    np.testing.assert_allclose(ours.filtered.mean.T, expected.filtered_state, atol=1e-9)
    np.testing.assert_allclose(ours.mean.T, expected.smoothed_state, atol=1e-9)
    np.testing.assert_allclose(np.moveaxis(covariance, 0, -1), expected.smoothed_state_cov, atol=1e-9)


@pytest.mark.slow
def test_dynamax(x64):
    inference = pytest.importorskip("dynamax.linear_gaussian_ssm.inference")
    arguments, ys = general()
    names = ("initial_mean", "initial_covariance", "dynamics", "dynamics_covariance", "emission")
    matrices = [jnp.asarray(arguments[name]) for name in (*names, "emission_covariance")]
    biases = {f"{name}_bias": jnp.asarray(arguments[f"{side}_bias"]) for name, side in SIDES.items()}
    theirs = inference.make_lgssm_params(*matrices, **biases)
    expected = inference.lgssm_smoother(theirs, jnp.asarray(ys))
    ours = lds.smooth(lds.params(**arguments), ys, observed=np.ones(ys.shape, bool))
    np.testing.assert_allclose(ours.log_normalizer, expected.marginal_loglik, rtol=1e-9)
    np.testing.assert_allclose(ours.mean, expected.smoothed_means, atol=1e-8)
    # dynamax holds E[x_t x_{t+1}'], not centred.
    moment = jnp.swapaxes(ours.lag_one, -1, -2) + ours.mean[:-1, :, None] * ours.mean[1:, None]
    np.testing.assert_allclose(moment, expected.smoothed_cross_covariances, atol=1e-7)


SIDES = {"dynamics": "dynamics", "emissions": "emission"}


def test_steady_state_solves_the_riccati_equation(x64):
    linalg = pytest.importorskip("scipy.linalg")
    arguments, _ = general()
    steady = lds.steady_state(lds.params(**arguments))
    emission, noise = arguments["emission"], arguments["emission_covariance"]
    expected = linalg.solve_discrete_are(
        arguments["dynamics"].T, emission.T, arguments["dynamics_covariance"], noise
    )
    gain = np.linalg.solve(emission @ expected @ emission.T + noise, emission @ expected).T
    np.testing.assert_allclose(steady.predicted_cholesky @ steady.predicted_cholesky.T, expected, atol=1e-10)
    np.testing.assert_allclose(steady.gain, gain, atol=1e-10)
    filtered = expected - gain @ emission @ expected
    np.testing.assert_allclose(steady.filtered_cholesky @ steady.filtered_cholesky.T, filtered, atol=1e-10)
