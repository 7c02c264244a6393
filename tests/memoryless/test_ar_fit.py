"""Autoregressions estimated in closed form, against the equations in numpy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from seqjax.memoryless import ar
from tests.layer_laws import compilations
from tests.memoryless.tools import ALONE, LENGTHS, SPOILT, SUNSPOTS, US, YS, lagged, padded, simulated

PENALTY = 3.0


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
    design, targets = stacked(YS, US, LENGTHS, 2)
    penalty = {"ridge": PENALTY}.get(method)
    ridge = np.diag([0.0, *[penalty or 0.0] * (design.shape[1] - 1)])
    inverse = np.linalg.inv(design.T @ design + ridge)
    wanted = inverse @ design.T @ targets
    left = targets - design @ wanted
    noise = left.T @ left / len(left)
    errors = np.sqrt(np.outer(np.diag(inverse @ design.T @ design @ inverse), np.diag(noise)))

    fitted = ar.fit(SPOILT, 2, inputs=US, lengths=LENGTHS, method=method, penalty=penalty)
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
    lengths, order = [60, 9, 2], 3
    rows = [YS[:n, b] for b, n in enumerate(lengths)]
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
    fitted = ar.fit(YS, order, lengths=np.array(lengths), method="yule_walker")
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
    ys, lengths = padded(rows)
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
    fitted = ar.fit(ys, 3, lengths=lengths, method="burg")
    np.testing.assert_allclose(fitted.params.coefficients.ravel(), wanted, rtol=1e-9)
    np.testing.assert_allclose(fitted.params.noise_cholesky**2, np.mean(errors(wanted) ** 2), rtol=1e-9)
    assert ar.is_stable(fitted.params)


@pytest.mark.parametrize("method", ["yule_walker", "burg"])
def test_always_stable(method, x64):
    """Of walks, of a line with a little noise, and of a few steps, where least squares explodes."""
    generator, exploded = np.random.default_rng(0), 0
    for _ in range(20):
        walk, noise = generator.normal(size=60).cumsum(), 1e-3 * generator.normal(size=60)
        for row in (walk, np.arange(60) + noise, 1.1 ** np.arange(60) + noise, walk[:8]):
            ys, lengths = padded([row])
            assert ar.is_stable(ar.fit(ys, 3, lengths=lengths, method=method).params)
            largest = np.linalg.lstsq(lagged(row[:, None], 3, 3)[0], row[3:], rcond=None)[0][1:]
            exploded += not ar.is_stable(ar.params(largest[:, None, None]))
    assert exploded


def test_order_zero_is_mean_and_variance():
    ys, _ = simulated()
    fitted = ar.fit(ys.astype(np.float32), 0)
    np.testing.assert_allclose(fitted.params.intercept, ys.mean(0), rtol=1e-5)
    cholesky = fitted.params.noise_cholesky
    np.testing.assert_allclose(cholesky @ cholesky.T, np.cov(ys.T, bias=True), rtol=1e-5)


def test_the_likelihood_of_a_fit_is_at_its_maximum(x64):
    """The gradient there is zero, in every parameter."""
    fitted = ar.fit(YS, 2, inputs=US, lengths=LENGTHS)

    def total(params, ys):
        return ar.log_likelihood(params, ys, inputs=US, lengths=LENGTHS).sum()

    value, gradients = jax.jit(jax.value_and_grad(total, (0, 1)))(fitted.params, SPOILT)
    np.testing.assert_allclose(value, fitted.log_likelihood, rtol=1e-12)
    for leaf in jax.tree.leaves(
        dataclasses.replace(gradients[0], noise_cholesky=jnp.tril(gradients[0].noise_cholesky))
    ):
        np.testing.assert_allclose(leaf, 0, atol=1e-9)
    assert np.isfinite(gradients[1]).all()
    assert not np.asarray(gradients[1][41:, 1]).any()
    found = ar.estimate_noise(
        dataclasses.replace(fitted.params, noise_cholesky=None), YS, inputs=US, lengths=LENGTHS
    )
    np.testing.assert_allclose(found.noise_cholesky, fitted.params.noise_cholesky, rtol=1e-10)


@pytest.mark.slow
def test_under_jit_vmap_and_grad(x64):
    """One program fits several series apart, and hands a gradient to the data, padding aside."""
    lengths = np.array([60, 50, 40])
    ys = np.where((np.arange(60)[:, None] < lengths)[..., None], YS, np.nan)

    def likelihood(ys, us, length):
        return ar.fit(ys, 2, inputs=us, lengths=length).log_likelihood

    run = jax.jit(jax.vmap(jax.value_and_grad(likelihood), (1, 1, 0), (0, 1)))
    values, gradients = run(ys, US, lengths)
    assert np.isfinite(gradients).all()
    assert not np.asarray(gradients[40:, 2]).any()
    for b, length in enumerate(lengths):
        alone = ar.fit(np.roll(ys, -b, 1), 2, inputs=np.roll(US, -b, 1), lengths=[length, 0, 0])
        np.testing.assert_allclose(values[b], alone.log_likelihood, rtol=1e-12)
    way = np.random.default_rng(0).normal(size=ys.shape)
    above, below = (run(ys + sign * 1e-5 * way, US, lengths)[0] for sign in (1, -1))
    slopes = np.sum(np.asarray(gradients) * np.where(np.isnan(ys), 0, way), axis=(0, 2))
    np.testing.assert_allclose(slopes, (above - below) / 2e-5, rtol=1e-6)


def test_dependent_columns_are_named_or_nan(x64):
    ramp = YS.copy()
    ramp[:, :, 0] = np.arange(60.0)[:, None]  # two lags of a line, and a constant, say the same

    def fit(ys, **options):
        return ar.fit(ys, 2, **{"inputs": US, "lengths": ALONE} | options)

    with pytest.raises(ValueError, match=r"lag 2 of ys\[..., 0\].*expected independent columns"):
        fit(ramp)
    with pytest.raises(ValueError, match=r"inputs leaves inputs\[..., 0\]"):
        fit(YS, inputs=np.ones_like(US))
    assert np.isnan(jax.jit(lambda ys: fit(ys).params.coefficients)(ramp)).all()
    assert np.isfinite(fit(ramp, method="ridge", penalty=PENALTY).params.coefficients).all()


def test_a_series_without_noise():
    """Its likelihood has no maximum, which is no NaN."""
    halves = 0.5 ** jnp.arange(10.0)[:, None]
    fitted = ar.fit(halves, 1, intercept=False)
    assert fitted.params.coefficients.item() == 0.5
    assert fitted.params.noise_cholesky.item() == 0
    assert (fitted.log_likelihood.item(), fitted.aic.item()) == (np.inf, -np.inf)
    assert ar.log_likelihood(fitted.params, halves + jnp.eye(10, 1)).item() == -np.inf


def test_a_second_call_compiles_nothing(key, x64):
    def run(ys, us):
        fitted = ar.fit(ys, 2, inputs=us, lengths=LENGTHS)
        selection = ar.select_order(ys, 4, inputs=us, lengths=LENGTHS)
        ahead = ar.forecast(fitted.params, ys, 5, inputs=us[:5], lengths=LENGTHS)
        drawn = ar.simulate(fitted.params, key, 5, (3,), past=ys, inputs=us[:5])
        return jax.block_until_ready((fitted, selection, ahead.interval(), drawn))

    run(YS, US)
    with compilations() as compiled:
        run(YS[:, ::-1], US[:, ::-1])
    assert not compiled
