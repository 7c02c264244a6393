"""Pieces and whole, draws and moments, what is to come, stiff and long systems, edges, devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import lds
from tests.layer_laws import compilations
from tests.statespace.lds.systems import METHODS, small, squared

YS = np.random.default_rng(0).normal(size=(6, 1))


def close(one, other, **tolerance):
    for leaf, expected in zip(*map(jax.tree.leaves, (one, other)), strict=True):
        np.testing.assert_allclose(leaf, expected, **({"atol": 1e-12} | tolerance))


def test_pieces_with_the_carry_handed_on_are_the_whole(x64):
    params = small()
    whole = lds.filter(params, YS)
    start = lds.LDSBelief(params.initial_mean, jnp.linalg.cholesky(params.initial_covariance))
    first = lds.filter(params, YS[:3], carry=start)
    second = lds.filter(params, YS[3:], carry=first.carry)
    for field in ("mean", "cholesky", "predicted_mean", "predicted_cholesky"):
        pieces = jnp.concatenate([getattr(first, field), getattr(second, field)])
        close(pieces, getattr(whole, field))
    close(second.carry, whole.carry)
    close(first.log_normalizer + second.log_normalizer, whole.log_normalizer)


@pytest.mark.slow
def test_a_forecast_is_a_filter_that_sees_nothing(x64):
    params = small()
    observed = np.array([True, True, True, False, False, False])
    blind = lds.filter(params, YS, observed=observed)
    carry = lds.filter(params, YS[:3]).carry
    ahead = lds.forecast(params, carry, 3)
    close((ahead.mean, ahead.cholesky), (blind.predicted_mean[3:], blind.predicted_cholesky[3:]))
    emission = params.emission
    close(ahead.observation_mean, ahead.mean @ emission.T + params.emission_bias)
    covariance = emission @ squared(ahead.cholesky) @ emission.T + params.emission_covariance
    close(squared(ahead.observation_cholesky), covariance)


@pytest.mark.slow
def test_draws_have_the_moments_of_the_smoother(x64):
    count, params = 4000, small()
    ys = np.broadcast_to(YS[:, None], (6, count, 1))
    draw = functools.partial(lds.posterior_sample, params, jax.random.key(1), ys)
    xs = np.asarray(draw())
    close(xs, draw(method="associative"), atol=1e-10)
    smoothed = lds.smooth(params, YS)
    covariance = squared(smoothed.cholesky)
    away = xs - smoothed.mean[:, None]
    error = 5 / np.sqrt(count)
    spread = np.sqrt(np.diagonal(covariance, axis1=-2, axis2=-1))
    np.testing.assert_array_less(np.abs(away.mean(1)), error * spread)
    scale = 2 * spread[:, :, None] * spread[:, None]
    np.testing.assert_array_less(
        np.abs(np.einsum("tbi,tbj->tij", away, away) / count - covariance), error * scale
    )
    lag_one = np.einsum("tbi,tbj->tij", away[1:], away[:-1]) / count
    scale = 2 * spread[1:, :, None] * spread[:-1, None]
    np.testing.assert_array_less(np.abs(lag_one - smoothed.lag_one), error * scale)


def test_samples_have_the_moments_of_the_prior(x64):
    count, params = 4000, small()
    xs, ys = lds.sample(params, jax.random.key(0), 3, (count,))
    mean, covariance = np.asarray(params.initial_mean), np.asarray(params.initial_covariance)
    for x, y in zip(np.asarray(xs), np.asarray(ys), strict=True):
        observed = params.emission @ covariance @ params.emission.T + params.emission_covariance
        np.testing.assert_allclose(x.mean(0), mean, atol=5 * np.sqrt(covariance.max() / count))
        np.testing.assert_allclose(np.cov(x.T), covariance, atol=10 * covariance.max() / np.sqrt(count))
        np.testing.assert_allclose(y.mean(0), params.emission @ mean + params.emission_bias, atol=0.2)
        np.testing.assert_allclose(np.var(y), observed[0, 0], rtol=0.15)
        mean = params.dynamics @ mean + params.dynamics_bias
        covariance = params.dynamics @ covariance @ params.dynamics.T + params.dynamics_covariance


def stiff(dtype):
    """Nearly exact observations of a start of which nearly nothing is known."""
    system = small(
        initial_covariance=1e4 * np.eye(2),
        dynamics=[[1.0, 0.1], [0.0, 1.0]],
        dynamics_covariance=1e-8 * np.eye(2),
        emission_covariance=[[1e-10]],
    )
    ys = np.cumsum(np.random.default_rng(0).normal(size=(2000, 1)) * 1e-4, axis=0)
    return lds.smooth(jax.tree.map(lambda leaf: leaf.astype(dtype), system), ys.astype(dtype))


@pytest.mark.slow
def test_a_stiff_filter_in_float32_has_no_negative_variance(x64):
    ours, exact = stiff(jnp.float32), stiff(jnp.float64)
    assert ours.mean.dtype == jnp.float32
    pairs = [(ours.filtered.cholesky, exact.filtered.cholesky), (ours.cholesky, exact.cholesky)]
    for factor, expected in pairs:
        diagonal = jnp.diagonal(factor, axis1=-2, axis2=-1)
        assert (diagonal > 0).all()
        expected = np.sum(np.asarray(expected) ** 2, axis=-1)
        np.testing.assert_allclose(np.sum(np.asarray(factor, float) ** 2, axis=-1), expected, rtol=2e-3)


@pytest.mark.slow
def test_a_million_steps_in_float32(x64):
    """The likelihood of a long sequence keeps its digits."""
    ys = np.random.default_rng(0).normal(size=(1_000_000, 1)).astype(np.float32)
    level = lds.params(
        dynamics=[[0.9]],
        dynamics_covariance=[[0.5]],
        emission=[[1.0]],
        emission_covariance=[[0.7]],
        initial_covariance=[[1.0]],
    )
    single = lds.log_normalizer(jax.tree.map(lambda leaf: leaf.astype(jnp.float32), level), ys)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, lds.log_normalizer(level, ys.astype(float)), rtol=1e-6)


@pytest.mark.slow
def test_the_steady_gain_is_where_the_filter_goes(x64):
    params, ys = small(), np.random.default_rng(0).normal(size=(80, 1))
    exact, steady = (lds.smooth(params, ys, method=method) for method in ("scan", "steady"))
    close(steady.filtered.mean[60:], exact.filtered.mean[60:], atol=1e-9)
    close(steady.cholesky[60:], exact.cholesky[60:], atol=1e-9)
    close(steady.mean[60:], exact.mean[60:], atol=1e-9)
    close(steady.filtered.carry, exact.filtered.carry, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(0,), (1,), (2, 0), (0, 2)])
def test_no_steps_one_step_and_no_rows_are_defined(shape, method):
    params = small()
    smoothed = jax.eval_shape(functools.partial(lds.smooth, method=method), params, np.zeros((*shape, 1)))
    assert smoothed.mean.shape == (*shape, 2)
    assert smoothed.lag_one.shape == (max(shape[0] - 1, 0), *shape[1:], 2, 2)


def test_without_steps_the_carry_is_the_start():
    filtered = lds.filter(small(), np.zeros((0, 1)))
    assert filtered.log_normalizer == 0
    np.testing.assert_allclose(filtered.carry.mean, small().initial_mean)
    np.testing.assert_allclose(squared(filtered.carry.cholesky), small().initial_covariance, rtol=1e-6)


def test_a_second_call_compiles_nothing():
    params, ys = small(), YS.astype(np.float32)
    lds.filter(params, ys)
    with compilations() as compiled:
        lds.filter(params, ys + 1)
    assert not set(compiled) & {"_filter", "filter"}


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_lowers_for_accelerators(method):
    loss = jax.value_and_grad(lambda params, ys: lds.log_normalizer(params, ys, method=method))
    jax.jit(loss).trace(small(), np.zeros((100, 1), np.float32)).lower(lowering_platforms=("cuda", "tpu"))
