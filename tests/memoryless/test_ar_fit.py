"""Autoregressions estimated in closed form, against the equations in numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from seqjax.memoryless import ar
from tests.layer_laws import compilations
from tests.memoryless.tools import SUNSPOTS, lagged, simulated

LENGTHS = np.array([60, 41, 3])


def columns_of(params):
    """The coefficients as the rows of a regression, `[P, M]`."""
    order, size, _ = params.coefficients.shape
    parts = [params.intercept[None]] if params.intercept is not None else []
    if params.input_coefficients is not None:
        parts.append(params.input_coefficients.T)
    return np.concatenate([*parts, np.swapaxes(params.coefficients, 1, 2).reshape(order * size, size)])


def stacked(ys, us, lengths, order):
    """The regression of several series, one below the other."""
    parts = [lagged(ys[:n, b], order, order, us[:n, b]) for b, n in enumerate(lengths) if n > order]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


@pytest.mark.parametrize("method", ["qr", "ridge"])
def test_least_squares_over_ragged_series(method, x64):
    ys, us = simulated(batch=(3,))
    design, targets = stacked(ys, us, LENGTHS, 2)
    penalty = {"ridge": 3.0}.get(method)
    ridge = np.diag([0.0, *[penalty or 0.0] * (design.shape[1] - 1)])
    inverse = np.linalg.inv(design.T @ design + ridge)
    wanted = inverse @ design.T @ targets
    left = targets - design @ wanted
    noise = left.T @ left / len(left)
    errors = np.sqrt(np.outer(np.diag(inverse @ design.T @ design @ inverse), np.diag(noise)))

    spoilt = np.where((np.arange(60)[:, None] < LENGTHS)[..., None], ys, np.nan)
    fitted = ar.fit(spoilt, 2, inputs=us, lengths=LENGTHS, method=method, penalty=penalty)
    np.testing.assert_allclose(columns_of(fitted.params), wanted, rtol=1e-9)
    np.testing.assert_allclose(columns_of(fitted.standard_errors), errors, rtol=1e-9)
    cholesky = fitted.params.noise_cholesky
    np.testing.assert_allclose(cholesky @ cholesky.T, noise, rtol=1e-10)
    np.testing.assert_allclose(fitted.residual_covariance, noise * len(left) / (len(left) - 6), rtol=1e-10)
    np.testing.assert_allclose(fitted.residuals[: 41 - 2, 1], left[58 : 58 + 39], atol=1e-10)
    assert not np.asarray(fitted.residuals[39:, 1]).any()
    wanted_likelihood = scipy.stats.multivariate_normal(np.zeros(2), noise).logpdf(left).sum()
    np.testing.assert_allclose(fitted.log_likelihood, wanted_likelihood, rtol=1e-11)
    assert (int(fitted.num_observations), fitted.num_parameters) == (58 + 39 + 1, 2 * 6 + 3)
    np.testing.assert_allclose(fitted.aic, -2 * wanted_likelihood + 2 * 15, rtol=1e-11)
    np.testing.assert_allclose(fitted.bic, -2 * wanted_likelihood + 15 * np.log(98), rtol=1e-11)
    np.testing.assert_allclose(fitted.hqic, -2 * wanted_likelihood + 30 * np.log(np.log(98)), rtol=1e-11)


def test_yule_walker_solves_its_equations(x64):
    """With the autocovariances of two series together, one shorter than the order."""
    ys, _ = simulated(num_steps=20, batch=(3,))
    lengths, order = [20, 9, 2], 3
    rows = [ys[:n, b] for b, n in enumerate(lengths)]
    count = sum(lengths)
    mean = np.concatenate(rows).mean(0)

    def autocovariance(lag):  # of y_t and y_{t-lag}
        total = sum(
            np.einsum("tm,tn->mn", row[lag:] - mean, row[: max(len(row) - lag, 0)] - mean) for row in rows
        )
        return total / count

    gamma = [autocovariance(lag) for lag in range(order + 1)]
    block = np.block(
        [[gamma[j - i] if j >= i else gamma[i - j].T for j in range(order)] for i in range(order)]
    )
    wanted = np.linalg.solve(block.T, np.concatenate(gamma[1:], axis=1).T).T  # A_1 ... A_p side by side
    fitted = ar.fit(ys, order, lengths=np.array(lengths), method="yule_walker")
    got = np.concatenate(np.asarray(fitted.params.coefficients), axis=1)
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-12)
    cholesky = fitted.params.noise_cholesky
    noise = gamma[0] - wanted @ np.concatenate(gamma[1:], axis=1).T
    np.testing.assert_allclose(cholesky @ cholesky.T, noise, rtol=1e-9)
    np.testing.assert_allclose(
        fitted.params.intercept, mean - sum(np.split(wanted, order, 1)) @ mean, rtol=1e-9
    )
    assert ar.is_stable(fitted.params)


def test_burg_minimises_the_errors_of_both_directions(x64):
    """By the definition: at each order, the reflection that makes the sum of squares least, on a grid."""
    rows = [SUNSPOTS[:30], SUNSPOTS[100:112], SUNSPOTS[50:52]]
    padded = np.full((30, 3, 1), np.nan)
    for b, row in enumerate(rows):
        padded[: len(row), b, 0] = row
    mean = np.concatenate(rows).mean()
    rows = [row - mean for row in rows]

    def errors(coefficients):
        order, found = len(coefficients), []
        for row in rows:
            for t in range(order, len(row)):
                window = row[t - order : t + 1]
                found += [window[-1] - coefficients @ window[-2::-1], window[0] - coefficients @ window[1:]]
        return np.array(found)

    def longer(coefficients, reflection):
        return np.append(coefficients - reflection * coefficients[::-1], reflection)

    wanted = np.zeros(0)
    for _ in range(3):
        # Three points determine a parabola, and its lowest point.
        values = [np.sum(errors(longer(wanted, k)) ** 2) for k in (-1, 0, 1)]
        wanted = longer(wanted, (values[0] - values[2]) / (2 * (values[0] - 2 * values[1] + values[2])))
    fitted = ar.fit(padded, 3, lengths=np.array([30, 12, 2]), method="burg")
    np.testing.assert_allclose(fitted.params.coefficients.ravel(), wanted, rtol=1e-9)
    np.testing.assert_allclose(fitted.params.noise_cholesky**2, np.mean(errors(wanted) ** 2), rtol=1e-9)
    assert ar.is_stable(fitted.params)


@pytest.mark.parametrize("method", ["qr", "yule_walker"])
def test_order_zero_is_mean_and_variance(method):
    ys, _ = simulated()
    fitted = ar.fit(ys.astype(np.float32), 0, method=method)
    np.testing.assert_allclose(fitted.params.intercept, ys.mean(0), rtol=1e-5)
    cholesky = fitted.params.noise_cholesky
    np.testing.assert_allclose(cholesky @ cholesky.T, np.cov(ys.T, bias=True), rtol=1e-5)


def test_the_likelihood_of_a_fit_is_at_its_maximum(x64):
    """The gradient there is zero, in every parameter."""
    ys, us = simulated(batch=(3,))
    lengths = LENGTHS
    fitted = ar.fit(ys, 2, inputs=us, lengths=lengths)

    def total(params, ys):
        return ar.log_likelihood(params, ys, inputs=us, lengths=lengths).sum()

    value, gradients = jax.jit(jax.value_and_grad(total, (0, 1)))(fitted.params, ys)
    np.testing.assert_allclose(value, fitted.log_likelihood, rtol=1e-12)
    for leaf in jax.tree.leaves(
        dataclasses.replace(gradients[0], noise_cholesky=jnp.tril(gradients[0].noise_cholesky))
    ):
        np.testing.assert_allclose(leaf, 0, atol=1e-9)
    assert np.isfinite(gradients[1]).all()
    assert not np.asarray(gradients[1][41:, 1]).any()
    found = ar.estimate_noise(
        dataclasses.replace(fitted.params, noise_cholesky=None), ys, inputs=us, lengths=lengths
    )
    np.testing.assert_allclose(found.noise_cholesky, fitted.params.noise_cholesky, rtol=1e-10)


def test_under_jit_vmap_and_grad():
    """One program fits several series apart, and hands a gradient to the data, padding aside."""
    ys, _ = simulated(batch=(3,))
    lengths = jnp.array([60, 50, 40])
    spoilt = jnp.where(jnp.arange(60)[:, None, None] < lengths[:, None], ys, jnp.nan).astype(jnp.float32)

    def likelihood(ys, length):
        return ar.fit(ys, 2, lengths=length).log_likelihood

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(likelihood), (1, 0), (0, 1)))(spoilt, lengths)
    assert np.isfinite(gradients).all()
    assert not np.asarray(gradients[40:, 2]).any()
    for b, length in enumerate(lengths):
        alone = ar.fit(ys[: int(length), b].astype(np.float32), 2).log_likelihood
        np.testing.assert_allclose(values[b], alone, rtol=1e-5)


def test_dependent_columns_are_named_or_nan():
    ramp = jnp.arange(12.0)[:, None]  # two lags of a line, and a constant, say the same
    with pytest.raises(ValueError, match=r"lag 2 of ys\[..., 0\].*expected independent columns"):
        ar.fit(ramp, 2)
    assert np.isnan(jax.jit(lambda ys: ar.fit(ys, 2).params.coefficients)(ramp)).all()
    assert np.isfinite(ar.fit(ramp, 2, method="ridge", penalty=0.1).params.coefficients).all()
    with pytest.raises(ValueError, match=r"inputs leaves inputs\[..., 0\]"):
        ar.fit(ramp**2, 1, inputs=jnp.ones_like(ramp))


def test_a_second_call_compiles_nothing():
    ys, us = (part.astype(np.float32) for part in simulated(num_steps=31, batch=(2,)))
    lengths = np.array([31, 20])

    def run(ys, us):
        fitted = ar.fit(ys, 2, inputs=us, lengths=lengths)
        selection = ar.select_order(ys, 2, inputs=us, lengths=lengths)
        ahead = ar.forecast(fitted.params, ys, 3, inputs=us[:3], lengths=lengths)
        drawn = ar.simulate(fitted.params, jax.random.key(0), 3, (2,), past=ys, inputs=us[:3])
        return jax.block_until_ready((fitted, selection, ahead.interval(), drawn))

    run(ys, us)
    with compilations() as compiled:
        run(ys[:, ::-1], us[:, ::-1])
    assert not compiled
