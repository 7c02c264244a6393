"""Emissions against scipy's densities, maxima written out in numpy, and stationary points by autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import hmm
from tests.statespace.hmm.families import (
    FAMILIES,
    LENGTHS,
    SHAPE,
    STATES,
    drawn,
    garbled,
    observations,
    soft_weights,
)

everywhere = pytest.mark.parametrize("name", list(FAMILIES))
of_numbers = pytest.mark.parametrize("name", ["full", "diagonal", "tied", "mixture", "autoregressive"])


def log_density(name, params, ys):
    """`[T, B, K]`, of scipy."""
    stats = pytest.importorskip("scipy.stats")
    table = np.empty((*SHAPE, STATES))
    for k in range(STATES):
        if name == "categorical":
            table[..., k] = np.log(np.asarray(params.probabilities)[k][ys])
        elif name == "poisson":
            table[..., k] = stats.poisson.logpmf(ys, np.asarray(params.rates)[k])
        elif name == "mixture":
            parts = [
                weight * stats.multivariate_normal.pdf(ys, mean, matrix)
                for weight, mean, matrix in zip(
                    params.weights[k], params.means[k], params.covariances[k], strict=True
                )
            ]
            table[..., k] = np.log(sum(parts))
        elif name == "autoregressive":
            padded = np.concatenate([np.zeros((2, *ys.shape[1:])), ys])
            lags = np.stack([padded[1:-1], padded[:-2]])  # one step ago, two steps ago
            means = np.einsum("jtbm,jnm->tbn", lags, params.coefficients[k]) + params.biases[k]
            table[..., k] = stats.multivariate_normal.logpdf(ys - means, cov=params.covariances[k])
        else:
            table[..., k] = stats.multivariate_normal.logpdf(ys, params.means[k], params.covariances[k])
    return table


@everywhere
def test_log_likelihoods_are_those_of_scipy(name, x64):
    emission, ys = FAMILIES[name], observations(name)
    params = drawn(emission, name)
    got = emission.log_likelihoods(params, ys)
    np.testing.assert_allclose(got, log_density(name, params, ys), rtol=1e-10)
    # Padding reads as zero, whatever stands there.
    ragged = emission.log_likelihoods(params, garbled(ys), LENGTHS)
    np.testing.assert_array_equal(ragged[:7], got[:7])
    assert not ragged[7:, 1].any()


def test_many_features_take_another_way_to_the_same_density(x64):
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(2, 10, 10))
    covariances, means = factors @ factors.swapaxes(1, 2) + np.eye(10), generator.normal(size=(2, 10))
    ys = generator.normal(size=(5, 10))
    got = hmm.gaussian(2, 10).log_likelihoods(hmm.gaussian_params(means, covariances), ys)
    wanted = [stats.multivariate_normal.logpdf(ys, *of) for of in zip(means, covariances, strict=True)]
    np.testing.assert_allclose(got, np.stack(wanted, -1), rtol=1e-9)
    np.testing.assert_allclose(hmm.gaussian_params(means, covariances).covariances, covariances, rtol=1e-9)


def moments(weights, ys):
    """Counts, means and scatter of each state, the long way."""
    weights, ys = weights.reshape(-1, STATES), ys.reshape(-1, ys.shape[-1])
    counts = weights.sum(0)
    means = weights.T @ ys / counts[:, None]
    scatter = [((ys - mean).T * weight) @ (ys - mean) for weight, mean in zip(weights.T, means, strict=True)]
    return counts, means, np.array(scatter)


def test_maxima_in_closed_form(x64):
    weights = soft_weights()
    ys = observations("categorical")
    got = FAMILIES["categorical"].maximize(drawn(FAMILIES["categorical"], "categorical"), ys, weights)
    counts = np.array([[weights[ys == v, k].sum() for v in range(4)] for k in range(STATES)]) + 0.5
    np.testing.assert_allclose(got.probabilities, counts / counts.sum(1, keepdims=True), rtol=1e-10)

    ys = observations("poisson")
    got = FAMILIES["poisson"].maximize(drawn(FAMILIES["poisson"], "poisson"), ys, weights)
    wanted = (np.einsum("tb,tbk->k", ys, weights) + 0.5 * ys.mean()) / (weights.sum((0, 1)) + 0.5)
    np.testing.assert_allclose(got.rates, wanted, rtol=1e-10)

    ys = observations("full")
    counts, means, scatter = moments(weights, ys)
    pooled = np.diag(ys.reshape(-1, 2).var(0))
    for name, prior_mean in (("full", 1.0), ("tied", 0.0)):
        got = FAMILIES[name].maximize(drawn(FAMILIES[name], name), ys, weights)
        wanted = (counts[:, None] * means + 0.25 * prior_mean) / (counts[:, None] + 0.25)
        np.testing.assert_allclose(got.means, wanted, rtol=1e-10)
        away, moved = means - wanted, wanted - prior_mean
        about = (
            scatter
            + np.einsum("k,ki,kj->kij", counts, away, away)
            + 0.25 * np.einsum("ki,kj->kij", moved, moved)
        )
        if name == "tied":
            covariances = np.broadcast_to(
                (about.sum(0) + 0.5 * pooled) / (counts.sum() + 0.5), (STATES, 2, 2)
            )
        else:
            covariances = (about + 0.5 * pooled) / (counts + 0.5)[:, None, None]
        np.testing.assert_allclose(got.covariances, covariances, rtol=1e-10)
    got = FAMILIES["diagonal"].maximize(drawn(FAMILIES["diagonal"], "diagonal"), ys, weights)
    np.testing.assert_allclose(got.means, means, rtol=1e-10)
    variances = (np.diagonal(scatter, axis1=1, axis2=2) + 0.5 * 2.0) / (counts + 0.5)[:, None]
    np.testing.assert_allclose(np.diagonal(got.covariances, axis1=1, axis2=2), variances, rtol=1e-10)


@everywhere
def test_the_gradient_vanishes_at_the_maximum(name, x64):
    emission, ys, weights = FAMILIES[name], observations(name), soft_weights()
    weights[LENGTHS[1] :, 1] = 0  # as smoothing leaves padding

    @jax.jit
    def maximized(params):
        # A mixture has no closed form: each step goes a part of the way.
        steps = 1000 if name == "mixture" else 1
        return jax.lax.fori_loop(
            0, steps, lambda _, now: emission.maximize(now, garbled(ys), weights), params
        )

    @jax.jit
    @jax.value_and_grad
    def expected(params):
        log_likelihoods = emission.log_likelihoods(params, garbled(ys), LENGTHS)
        return jnp.sum(weights * log_likelihoods) + emission.log_prior(params, garbled(ys), LENGTHS)

    start = drawn(emission, name)
    best = maximized(start)
    value, gradient = expected(best)
    jax.tree.map(lambda leaf: np.testing.assert_allclose(leaf, 0, atol=1e-7), gradient)
    for seed in range(3):
        noise = drawn(emission, name, seed)
        nearby = jax.tree.map(lambda leaf, away: leaf + 0.1 * away, best, noise)
        assert expected(nearby)[0] < value
    assert value > expected(start)[0]


@everywhere
def test_any_real_numbers_are_params_and_padding_leaves_no_trace(name):
    emission, ys = FAMILIES[name], observations(name)

    @jax.jit
    def evaluate(params, ys):
        return jax.value_and_grad(lambda p: jnp.sum(emission.log_likelihoods(p, ys, LENGTHS)))(params)

    for scale in (1.0, 4.0):
        params = jax.tree.map(lambda leaf, scale=scale: scale * leaf, drawn(emission, name))
        value, gradient = evaluate(params, garbled(ys))
        assert np.isfinite(value)
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
        jax.tree.map(
            np.testing.assert_array_equal, gradient, evaluate(params, garbled(ys, LENGTHS) * 0 + ys)[1]
        )
