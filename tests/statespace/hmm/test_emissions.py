"""Emissions against scipy's densities, maxima written out in numpy, and stationary points by autodiff."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import hmm
from seqjax.statespace.hmm.emissions import normal
from tests.statespace.hmm.families import (
    FAMILIES,
    LENGTHS,
    PADDING,
    SHAPE,
    STATES,
    drawn,
    garbled,
    observations,
    soft_weights,
)

everywhere = pytest.mark.parametrize("name", list(FAMILIES))

OBSERVED = np.ones(SHAPE, bool)
OBSERVED[[3, 7], [0, 1]] = False
READ = OBSERVED & ~PADDING


@functools.cache
def scored(name):
    """Log-likelihoods, their weighted sum and the log-prior, with gradients: compiled once for all tests."""
    emission = FAMILIES[name]

    def total(params, ys, weights, observed):
        log_likelihoods = emission.log_likelihoods(params, ys, LENGTHS, observed)
        return jnp.sum(weights * log_likelihoods), log_likelihoods

    @jax.jit
    def run(params, ys, weights, observed=OBSERVED):
        (value, table), gradient = jax.value_and_grad(total, has_aux=True)(params, ys, weights, observed)
        prior = jax.value_and_grad(emission.log_prior)(params, ys, LENGTHS, observed)
        return table, (value, gradient), prior

    return run


@functools.cache
def maximize(name):
    return jax.jit(FAMILIES[name].maximize)


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
            components = zip(params.weights[k], params.means[k], params.covariances[k], strict=True)
            parts = [
                weight * stats.multivariate_normal.pdf(ys, mean, matrix)
                for weight, mean, matrix in components
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
    params, ys = drawn(name), observations(name)
    got, *_ = scored(name)(params, garbled(ys), soft_weights())
    np.testing.assert_allclose(got[READ], log_density(name, params, ys)[READ], rtol=1e-9)
    assert not np.asarray(got)[~READ].any()


@everywhere
def test_any_real_numbers_are_params_and_what_is_not_read_leaves_no_trace(name, x64):
    ys = observations(name)
    # What an autoregression does not observe is still the past of the steps after it.
    hidden = PADDING if name == "autoregressive" else ~READ
    for scale in (0.5, 2.0):
        params = drawn(name, scale=scale)
        got = scored(name)(params, garbled(ys, hidden), soft_weights())
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(got))
        jax.tree.map(np.testing.assert_array_equal, got, scored(name)(params, ys, soft_weights()))


def test_many_features_take_another_way_to_the_same_density(x64):
    stats = pytest.importorskip("scipy.stats")
    generator = np.random.default_rng(0)
    factors = generator.normal(size=(2, 9, 9))
    covariances, means = factors @ factors.swapaxes(1, 2) + np.eye(9), generator.normal(size=(2, 9))
    ys = generator.normal(size=(5, 9))
    got = hmm.gaussian(2, 9).log_likelihoods(hmm.gaussian_params(means, covariances), ys)
    wanted = [stats.multivariate_normal.logpdf(ys, *of) for of in zip(means, covariances, strict=True)]
    np.testing.assert_allclose(got, np.stack(wanted, -1), rtol=1e-9)


def moments(weights, ys):
    """Counts, means and scatter of each state, the long way."""
    weights, ys = weights.reshape(-1, STATES), ys.reshape(-1, ys.shape[-1])
    counts = weights.sum(0)
    means = weights.T @ ys / counts[:, None]
    scatter = [((ys - mean).T * weight) @ (ys - mean) for weight, mean in zip(weights.T, means, strict=True)]
    return counts, means, np.array(scatter)


def test_maxima_of_counted_families_in_closed_form(x64):
    weights = soft_weights()
    ys = observations("categorical")
    got = maximize("categorical")(drawn("categorical"), ys, weights)
    counts = np.array([[weights[ys == v, k].sum() for v in range(4)] for k in range(STATES)]) + 0.5
    np.testing.assert_allclose(got.probabilities, counts / counts.sum(1, keepdims=True), rtol=1e-10)

    ys = observations("poisson")
    got = maximize("poisson")(drawn("poisson"), ys, weights)
    wanted = (np.einsum("tb,tbk->k", ys, weights) + 0.5 * ys.mean()) / (weights.sum((0, 1)) + 0.5)
    np.testing.assert_allclose(got.rates, wanted, rtol=1e-10)


@pytest.mark.parametrize(("name", "prior_mean"), [("full", 1.0), ("tied", 0.0), ("diagonal", None)])
def test_maxima_of_normal_families_in_closed_form(name, prior_mean, x64):
    weights, ys = soft_weights(), observations(name)
    got = maximize(name)(drawn(name), ys, weights)
    counts, means, scatter = moments(weights, ys)
    pooled = np.diag(ys.reshape(-1, 2).var(0))
    if name == "diagonal":
        np.testing.assert_allclose(got.means, means, rtol=1e-10)
        variances = (np.diagonal(scatter, axis1=1, axis2=2) + 0.5 * 2.0) / (counts + 0.5)[:, None]
        np.testing.assert_allclose(np.diagonal(got.covariances, axis1=1, axis2=2), variances, rtol=1e-10)
        return
    wanted = (counts[:, None] * means + 0.25 * prior_mean) / (counts[:, None] + 0.25)
    np.testing.assert_allclose(got.means, wanted, rtol=1e-10)
    away, moved = means - wanted, wanted - prior_mean
    about = scatter + np.einsum("k,ki,kj->kij", counts, away, away)
    about += 0.25 * np.einsum("ki,kj->kij", moved, moved)
    if name == "tied":
        covariances = (about.sum(0) + 0.5 * pooled) / (counts.sum() + 0.5)
    else:
        covariances = (about + 0.5 * pooled) / (counts + 0.5)[:, None, None]
    np.testing.assert_allclose(got.covariances, np.broadcast_to(covariances, (STATES, 2, 2)), rtol=1e-10)


@everywhere
def test_the_gradient_vanishes_at_the_maximum(name, x64):
    ys, weights = observations(name), soft_weights()
    weights[~READ] = 0  # as smoothing leaves what is not read
    garbage = garbled(ys, PADDING if name == "autoregressive" else ~READ)
    start = best = drawn(name)
    # A mixture has no closed form: each step goes a part of the way.
    for _ in range(1000 if name == "mixture" else 1):
        best = maximize(name)(best, garbage, weights)

    def objective(params):
        _, (value, gradient), (prior, prior_gradient) = scored(name)(params, garbage, weights)
        return value + prior, jax.tree.map(np.add, gradient, prior_gradient)

    value, gradient = objective(best)
    jax.tree.map(lambda leaf: np.testing.assert_allclose(leaf, 0, atol=1e-6), gradient)
    assert value > objective(start)[0]
    for seed in range(3):
        nearby = jax.tree.map(lambda leaf, away: leaf + 0.1 * away, best, drawn(name, seed))
        assert objective(nearby)[0] < value


@everywhere
def test_the_number_of_parameters_is_the_rank_of_what_they_change(name, x64):
    params, ys = drawn(name), garbled(observations(name))
    flat, restore = jax.flatten_util.ravel_pytree(params)
    columns = []
    for step in 1e-5 * np.eye(len(flat)):
        above, below = (scored(name)(restore(flat + sign * step), ys, soft_weights())[0] for sign in (1, -1))
        columns.append(np.ravel(above - below) / 2e-5)
    sizes = np.linalg.svd(np.array(columns), compute_uv=False)
    assert FAMILIES[name].num_parameters == np.sum(sizes > 1e-6 * sizes[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["categorical", "poisson", "mixture", "autoregressive"])
def test_samples_have_scores_of_mean_zero(name, x64):
    """`E[d log p(y | k) / d params] = 0` for draws from these params, and for those of hardly any others."""
    params = drawn(name, scale=0.2 if name == "autoregressive" else 0.5)
    states = np.where(PADDING, -1, np.random.default_rng(0).integers(0, STATES, SHAPE))
    sample = jax.jit(FAMILIES[name].sample)
    weights = np.eye(STATES)[states]
    everything = np.ones(SHAPE, bool)
    scores = []
    for seed in range(40):
        ys = sample(params, jax.random.key(seed), states)
        assert not np.asarray(ys)[PADDING].any()
        _, (_, gradient), _ = scored(name)(params, ys, weights, everything)
        scores.append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(gradient)]))
    scores = np.array(scores)
    spread = scores.std(0, ddof=1) / math.sqrt(len(scores))
    told = spread > 1e-12  # what stands above the diagonal of a factor changes nothing
    assert told.sum() >= FAMILIES[name].num_parameters
    assert np.abs(scores.mean(0)[told] / spread[told]).max() < 4.5


def test_float32_far_from_zero_keeps_variances():
    """Squares of numbers near 1e4 leave nothing of a variance of 1e-2; those of residuals do."""
    ys = (1e4 + 0.1 * np.random.default_rng(0).normal(size=(400, 2))).astype(np.float32)
    weights = soft_weights().reshape(-1, STATES).astype(np.float32)
    counts, means, scatter = moments(weights.astype(np.float64), ys.astype(np.float64))
    got = jax.jit(normal.moments, static_argnums=0)("full", ys, weights)
    np.testing.assert_allclose(got.counts, counts, rtol=1e-6)
    np.testing.assert_allclose(got.means, means, rtol=1e-7)
    np.testing.assert_allclose(got.scatter, scatter, rtol=1e-3, atol=1e-3)
    # Two features that are the same have a singular covariance, of which rounding is left.
    logs = jax.jit(normal.log_cholesky_of)(np.full((1, 2, 2), 0.01, np.float32))
    np.testing.assert_allclose(np.exp(2 * logs[0, 1, 1]), 0.01 * np.finfo(np.float32).eps, rtol=1e-3)


def test_float32_large_counts_keep_their_digits():
    stats = pytest.importorskip("scipy.stats")
    counts = np.array([0, 1, 15, 16, 1_000, 1_000_003])
    log_rates = np.log(np.array([0.5, 20.0, 1e6])).astype(np.float32)
    wanted = stats.poisson.logpmf(counts[:, None], np.exp(log_rates.astype(np.float64)))
    got = hmm.poisson(3).log_likelihoods(hmm.PoissonParams(log_rates=log_rates), counts)
    np.testing.assert_allclose(got[:, :2], wanted[:, :2], rtol=1e-6)
    np.testing.assert_allclose(got[:5, 2], wanted[:5, 2], rtol=1e-5)
    # The logarithm of a rate of a million has an error of 5e-7, of which nothing more comes than that.
    np.testing.assert_allclose(got[5, 2], wanted[5, 2], atol=1e-5)


def test_the_past_of_a_step_that_is_read_must_be_known():
    emission, ys = FAMILIES["autoregressive"], observations("autoregressive")
    ys[5, 0] = np.nan
    observed = np.ones(SHAPE, bool)
    observed[5, 0] = False
    with pytest.raises(ValueError, match=r"among the 2 steps before \(6, 0\)"):
        emission.log_likelihoods(drawn("autoregressive"), ys, observed=observed)
    observed[6:8, 0] = False
    assert np.isfinite(emission.check(ys, observed=observed)[8:]).all()
