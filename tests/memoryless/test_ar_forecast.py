"""Forecasts, draws, stability and the choice of an order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.memoryless import ar
from tests.memoryless.tools import LENGTHS, SPOILT, US, YS, lagged, simulated

COEFFICIENTS = np.array([[[0.5, 0.2], [-0.3, 0.4]], [[-0.2, 0.1], [0.1, -0.3]]])
INTERCEPT, GAIN = np.array([1.0, -2.0]), np.array([[0.7], [-0.4]])
NOISE = np.array([[1.0, 0.3], [0.3, 0.5]])
AHEAD = 5


def known_params():
    return ar.params(
        jnp.asarray(COEFFICIENTS),
        intercept=jnp.asarray(INTERCEPT),
        input_coefficients=jnp.asarray(GAIN),
        noise_covariance=NOISE,
    )


def continued(past, us, noise):
    """The equation, step by step."""
    ys = list(past[-2:])
    for u, e in zip(us, noise, strict=True):
        mean = INTERCEPT + u @ GAIN.T
        ys.append(mean + ys[-1] @ COEFFICIENTS[0].T + ys[-2] @ COEFFICIENTS[1].T + e)
    return np.array(ys[2:])


def test_forecast_of_ragged_series(x64):
    """Means by the equation, covariances by powers of the companion matrix."""
    params = known_params()
    ahead = ar.forecast(params, SPOILT, AHEAD, inputs=US[:AHEAD], lengths=LENGTHS)
    for b, length in enumerate(LENGTHS):
        wanted = continued(YS[:length, b], US[:AHEAD, b], np.zeros((AHEAD, 2)))
        np.testing.assert_allclose(ahead.mean[:, b], wanted, rtol=1e-12)
    companion = np.asarray(ar.companion(params))
    noise = np.zeros((4, 4))
    noise[:2, :2] = NOISE
    powers = [np.linalg.matrix_power(companion, i) for i in range(AHEAD)]
    wanted = np.cumsum([power @ noise @ power.T for power in powers], axis=0)[:, :2, :2]
    np.testing.assert_allclose(ahead.covariance, wanted, rtol=1e-12)
    lower, upper = ahead.interval(0.9)
    reach = 1.6448536269514722 * np.sqrt(wanted[:, [0, 1], [0, 1]])
    np.testing.assert_allclose((upper - lower)[:, 1] / 2, reach, rtol=1e-12)


def test_draws_obey_the_equation(key):
    """What is left of them is noise of the covariance asked for, independent from step to step."""
    _, us = simulated(400, (50,), seed=2)
    us = us.astype(np.float32)
    past = np.random.default_rng(3).normal(size=(4, 50, 2)).astype(np.float32)
    params = known_params()
    ys = ar.simulate(params, key, 400, (50,), past=past, inputs=us)
    whole = np.concatenate([past[-2:], ys])
    noise = whole[2:] - INTERCEPT - us @ GAIN.T
    noise = noise - whole[1:-1] @ COEFFICIENTS[0].T - whole[:-2] @ COEFFICIENTS[1].T
    np.testing.assert_allclose(np.cov(noise.reshape(-1, 2).T), NOISE, atol=0.03)
    np.testing.assert_allclose(np.mean(noise[1:, :, None] * noise[:-1, :, :, None], (0, 1)), 0, atol=0.03)
    np.testing.assert_allclose(noise.mean((0, 1)), 0, atol=0.03)
    np.testing.assert_array_equal(ys, ar.simulate(params, key, 400, (50,), past=past, inputs=us))


def test_roots_and_stability():
    """Of a polynomial with known roots: a cycle of eight steps, and a slow decay."""
    cycle = 0.9 * np.exp(2j * np.pi / 8)
    polynomial = np.real(np.poly([cycle, cycle.conj(), 0.95]))
    params = ar.params(-polynomial[1:, None, None])
    np.testing.assert_allclose(ar.roots(params), [0.95, cycle, cycle.conj()], rtol=1e-5)
    assert ar.is_stable(params)
    assert not ar.is_stable(ar.params(COEFFICIENTS * 3))
    # An eigenvector of the companion matrix is a series that each step multiplies by the root.
    root = ar.roots(known_params())[0]
    matrix = np.eye(2) * root**2 - COEFFICIENTS[0] * root - COEFFICIENTS[1]
    assert abs(np.linalg.det(matrix)) < 1e-6
    with pytest.raises(TypeError, match="outside of jit"):
        jax.jit(lambda params: ar.is_stable(params))(params)


def test_orders_of_ragged_series_by_each_fit(x64):
    """The scores of one factorisation are those of a regression for each order, over the same steps."""
    ys, us, lengths, largest, late = YS, US, LENGTHS, 4, 5
    for criterion in ("bic", "held_out"):
        wanted, ends = [], lengths - late if criterion == "held_out" else lengths
        for order in range(largest + 1):
            long = [(b, n) for b, n in enumerate(lengths) if n > largest]
            parts = [lagged(ys[:n, b], order, largest, us[:n, b]) for b, n in long]
            design, targets = (
                np.concatenate([part[i][: n - largest] for part, n in zip(parts, ends, strict=False)])
                for i in (0, 1)
            )
            columns = np.linalg.lstsq(design, targets, rcond=None)[0]
            left = targets - design @ columns
            noise = left.T @ left / len(left)
            if criterion == "held_out":
                left = np.concatenate([part[1][-late:] - part[0][-late:] @ columns for part in parts])
            squares = np.einsum("tm,mn,tn->", left, np.linalg.inv(noise), left)
            score = squares + len(left) * np.linalg.slogdet(2 * np.pi * noise)[1]
            if criterion == "bic":
                score += np.log(len(left)) * (columns.size + 3)
            wanted.append(score)
        held_out = late if criterion == "held_out" else None
        got = ar.select_order(
            ys, largest, criterion=criterion, inputs=us, lengths=lengths, num_held_out=held_out
        )
        np.testing.assert_allclose(got.scores, wanted, rtol=1e-9)
        assert int(got.order) == np.argmin(wanted)
