"""Coefficients, standard errors, criteria and forecasts are those of statsmodels."""

import dataclasses
import warnings

import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.memoryless import ar
from tests.memoryless.tools import ALONE, SUNSPOTS, US, YS, padded, simulated

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of what statsmodels imports
    pytest.importorskip("statsmodels")
    from statsmodels.regression.linear_model import burg, yule_walker
    from statsmodels.tsa.api import VAR
    from statsmodels.tsa.ar_model import AutoReg

# statsmodels says of itself that a later version will return named tuples.
pytestmark = pytest.mark.filterwarnings("ignore:.*currently returns a plain tuple:FutureWarning")
ORDER, AHEAD = 9, 12
YEARS = SUNSPOTS[:, None]


def close(got, wanted, tolerance=1e-9):
    np.testing.assert_allclose(np.asarray(got).ravel(), np.asarray(wanted).ravel(), rtol=tolerance)


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 1e-4)])
def test_sunspots_by_autoreg(dtype, tolerance, x64):
    peer = AutoReg(SUNSPOTS, ORDER).fit()
    fitted = ar.fit(YEARS.astype(dtype), ORDER)
    close(fitted.params.intercept, peer.params[0], tolerance)
    close(fitted.params.coefficients, peer.params[1:], tolerance)
    close(fitted.params.noise_cholesky**2, peer.sigma2, tolerance)
    close(fitted.standard_errors.intercept, peer.bse[0], tolerance)
    close(fitted.standard_errors.coefficients, peer.bse[1:], tolerance)
    close(fitted.log_likelihood, peer.llf, tolerance)
    close([fitted.aic, fitted.bic, fitted.hqic], [peer.aic, peer.bic, peer.hqic], tolerance)
    close(np.sort(1 / np.abs(ar.roots(fitted.params))), np.sort(np.abs(peer.roots)), tolerance)

    if dtype == np.float32:
        return
    ahead = ar.forecast(fitted.params, YEARS, AHEAD)
    wanted = peer.get_prediction(len(SUNSPOTS), len(SUNSPOTS) + AHEAD - 1)
    close(ahead.mean, wanted.predicted_mean, tolerance)
    close(np.sqrt(ahead.covariance), wanted.se_mean, tolerance)
    for level in (0.5, 0.95):
        close(np.concatenate(ahead.interval(level), -1), wanted.conf_int(1 - level), 10 * tolerance)


def test_orders_of_sunspots_by_autoreg(x64):
    """Every order on the same years, for which statsmodels has `hold_back`."""
    largest = 11
    peers = [AutoReg(SUNSPOTS, order, hold_back=largest).fit() for order in range(largest + 1)]
    for criterion in ("aic", "bic", "hqic"):
        wanted = [getattr(peer, criterion) for peer in peers]
        selection = ar.select_order(YEARS, largest, criterion=criterion)
        close(selection.scores, wanted)
        assert int(selection.order) == np.argmin(wanted) == 9


def test_sunspots_by_yule_walker_and_burg(x64):
    years = SUNSPOTS[:60]
    ys, lengths = padded([years])
    fitted = ar.fit(ys, 3, lengths=lengths, method="yule_walker").params
    coefficients, deviation = yule_walker(years, 3, method="mle")
    close(fitted.coefficients, coefficients)
    close(fitted.noise_cholesky, deviation)
    fitted = ar.fit(ys, 3, lengths=lengths, method="burg").params
    coefficients, variance = burg(years, 3)
    close(fitted.coefficients, coefficients)
    close(fitted.noise_cholesky**2, variance)
    close(fitted.intercept, years.mean() * (1 - coefficients.sum()))


def test_two_outputs_and_an_input_by_var(x64):
    """statsmodels divides by the degrees of freedom where the likelihood divides by the steps."""
    ys, us = YS[:, 0], US[:, 0]
    peer = VAR(ys, exog=us).fit(2)
    fitted = ar.fit(YS, 2, inputs=US, lengths=ALONE)
    correction = np.sqrt(peer.nobs / peer.df_resid)
    close(fitted.params.coefficients, peer.coefs)
    close(fitted.params.intercept, peer.params[0])
    close(fitted.params.input_coefficients, peer.params[1])
    close(fitted.standard_errors.intercept * correction, peer.bse[0])
    close(fitted.standard_errors.input_coefficients * correction, peer.bse[1])
    close(np.swapaxes(fitted.standard_errors.coefficients, 1, 2) * correction, peer.bse[2:])
    close(fitted.residual_covariance, peer.sigma_u)
    close(fitted.params.noise_cholesky @ fitted.params.noise_cholesky.T, peer.sigma_u_mle)
    close(fitted.log_likelihood, peer.llf)
    # Lütkepohl's criteria are ours for one step, without the parameters of the noise and what all share.
    for name, weight in (("aic", 2), ("bic", np.log(58)), ("hqic", 2 * np.log(np.log(58)))):
        shared = 2 * (1 + np.log(2 * np.pi)) + weight * 3 / 58
        close(getattr(fitted, name) / 58 - shared, getattr(peer, name))

    corrected = dataclasses.replace(
        fitted.params, noise_cholesky=jnp.asarray(np.linalg.cholesky(peer.sigma_u))
    )
    later = simulated(seed=1)[1][:AHEAD]
    ahead = ar.forecast(corrected, ys, AHEAD, inputs=later)
    mean, lower, upper = peer.forecast_interval(ys[-2:], AHEAD, exog_future=later)
    close(ahead.mean, mean)
    close(ahead.covariance, peer.mse(AHEAD))
    close(ahead.interval(0.95), (lower, upper))
