"""Extended and unscented filters: linear systems, textbook equations, and a nonlinear system on a grid."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import lds
from tests.statespace.lds import textbook
from tests.statespace.lds.systems import covariance, squared, stable

N, U, T = 2, 1, 6
LENGTHS = np.array([T, 3, 0])
B = len(LENGTHS)


def dynamics(functions, x, u):
    bent = jnp.stack([jnp.sin(x[0] + x[1]), jnp.cos(x[0])])
    linear = functions["dynamics"]
    return linear["matrix"] @ x + linear["inputs"] @ u + linear["bias"] + functions["strength"] * bent


def emission(functions, x, u):
    linear = functions["emission"]
    bent = jnp.stack([jnp.sin(x[0]) * x[1], x[0] ** 2])[: len(linear["bias"])]
    return linear["matrix"] @ x + linear["inputs"] @ u + linear["bias"] + functions["strength"] * bent


# Each program runs once or twice.
QUICK = {"xla_backend_optimization_level": 0}
MODEL = lds.NonlinearModel(dynamics, emission)


@functools.cache
def problem(num_observed):
    """Params of the nonlinear system but for its strength, and observations; what must not be read is NaN."""
    generator = np.random.default_rng(3)
    normal = generator.normal
    covariances = {
        "initial_mean": normal(size=(B, N)),
        "initial_covariance": covariance(generator, N, B),
        "dynamics_covariance": covariance(generator, N, T, 1),
        "emission_covariance": covariance(generator, num_observed, T, B),
    }
    functions = {
        "dynamics": {
            "matrix": stable(generator, N),
            "inputs": normal(size=(N, U)),
            "bias": normal(size=N),
        },
        "emission": {
            "matrix": normal(size=(num_observed, N)),
            "inputs": normal(size=(num_observed, U)),
            "bias": normal(size=num_observed),
        },
    }
    ys, inputs = normal(size=(T, B, num_observed)), normal(size=(T, B, U))
    observed = generator.random((T, B, num_observed)) < 0.7
    observed[1, 0] = False
    padding = np.arange(T)[:, None] >= LENGTHS
    inputs[padding] = np.nan
    return covariances, functions, np.where(observed & ~padding[..., None], ys, np.nan), inputs, observed


def kalman(functions, noise, ys, **evidence):
    """The linear filter of what is linear in the functions."""
    named = {
        f"{side}{part}": functions[side][name]
        for side in ("dynamics", "emission")
        for part, name in {"": "matrix", "_inputs": "inputs", "_bias": "bias"}.items()
    }
    return lds.filter(lds.params(**noise, **named), ys, **evidence)


def extended(functions, noise, ys, **evidence):
    return lds.extended_filter(MODEL, lds.nonlinear_params(**noise, functions=functions), ys, **evidence)


def unscented(functions, noise, ys, **evidence):
    return lds.unscented_filter(MODEL, lds.nonlinear_params(**noise, functions=functions), ys, **evidence)


def spread(functions, noise, ys, **evidence):
    """With points that lie closer, and a mean of negative weight."""
    params = lds.nonlinear_params(**noise, functions=functions)
    return lds.unscented_filter(MODEL, params, ys, **evidence, alpha=0.5, beta=2.0, kappa=0.0)


MOMENTS = {
    extended: textbook.tangent,
    unscented: lambda mean, covariance, function, _: textbook.sigma_points(
        mean, covariance, function, 1.0, 0.0, 1.0
    ),
    spread: lambda mean, covariance, function, _: textbook.sigma_points(
        mean, covariance, function, 0.5, 2.0, 0.0
    ),
}


def values(method, functions, noise, ys, inputs, observed):
    """Everything that a filter gives, covariances in place of factors."""
    found = method(functions, noise, ys, inputs=inputs, observed=observed, lengths=LENGTHS)
    return {
        "predicted mean": found.predicted_mean,
        "predicted covariance": squared(found.predicted_cholesky),
        "mean": found.mean,
        "covariance": squared(found.cholesky),
        "log-likelihood": found.log_normalizer,
        "mean after": found.carry.mean,
        "covariance after": squared(found.carry.cholesky),
    }


def waves(tree, wave=jnp.cos):
    """Some numbers in the place of others."""
    return jax.tree.map(lambda leaf: wave(jnp.arange(leaf.size)).reshape(leaf.shape), tree)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def with_gradient(method, observed, *arguments):
    """Values, and the gradient of their sum with some weights."""
    found, pull = jax.vjp(lambda *arguments: values(method, *arguments, observed), *arguments)
    return found, pull(waves(found))


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def with_slope(method, observed, arguments, direction):
    """Values, and how the same sum changes along a direction."""
    found, changes = jax.jvp(lambda *arguments: values(method, *arguments, observed), arguments, direction)
    return found, sum(jax.tree.leaves(jax.tree.map(lambda a, b: (a * b).sum(), changes, waves(changes))))


@pytest.mark.slow
@pytest.mark.parametrize("method", [extended, unscented])
def test_a_linear_system_is_filtered_as_by_kalman(method, x64):
    """Values, and the gradient along a direction in functions, noise, observations and inputs."""
    covariances, functions, ys, inputs, observed = problem(1)
    arguments = functions | {"strength": np.zeros(())}, covariances, ys, inputs
    direction = waves(arguments, jnp.sin)
    direction[0]["strength"] *= 0
    wanted, slope = with_slope(kalman, observed, arguments, direction)
    found, gradient = with_gradient(method, observed, *arguments)
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-10), found, wanted)
    along = jax.tree.map(lambda a, b: (a * b).sum(), gradient, direction)
    np.testing.assert_allclose(sum(jax.tree.leaves(along)), slope, rtol=1e-10)


def system_of(covariances, functions, row):
    """One row, as the textbook reads it; functions and their derivatives written once more."""
    strength = functions["strength"]

    def side(name, bent, slope):
        linear = functions[name]

        def function(x, u):
            return linear["matrix"] @ x + linear["inputs"] @ u + linear["bias"] + strength * bent(*x)[:size]

        size = len(linear["bias"])
        return function, lambda x, u: linear["matrix"] + strength * np.array(slope(*x))[:size]

    return {
        "initial_mean": covariances["initial_mean"][row],
        "initial_covariance": covariances["initial_covariance"][row],
        "dynamics_covariance": covariances["dynamics_covariance"][:, 0],
        "emission_covariance": covariances["emission_covariance"][:, row],
        "dynamics": side(
            "dynamics",
            lambda a, b: np.array([np.sin(a + b), np.cos(a)]),
            lambda a, b: [[np.cos(a + b), np.cos(a + b)], [-np.sin(a), 0]],
        ),
        "emission": side(
            "emission",
            lambda a, b: np.array([np.sin(a) * b, a**2]),
            lambda a, b: [[np.cos(a) * b, np.sin(a)], [2 * a, 0]],
        ),
    }


def in_the_textbook(method, functions, ys, problem):
    """All results, by the names that `results` gives them."""
    covariances, _, _, inputs, observed = problem
    names = ("predicted mean", "predicted covariance", "mean", "covariance")
    shapes = dict.fromkeys(names, (T, B, N)) | {"mean after": (B, N), "log-likelihood": (B,)}
    found = {name: np.zeros((*shape, N) if "covariance" in name else shape) for name, shape in shapes.items()}
    found["covariance after"] = np.zeros((B, N, N))
    for row, length in enumerate(LENGTHS):
        evidence = (leaf[:length, row] for leaf in (ys, observed, inputs))
        steps, after, total = textbook.filtered(
            MOMENTS[method], system_of(covariances, functions, row), *evidence
        )
        found["log-likelihood"][row] = total
        found["mean after"][row], found["covariance after"][row] = after
        for t, step in enumerate(steps):
            for name, leaf in zip(names, step, strict=True):
                found[name][t, row] = leaf
    return found


@pytest.mark.slow
@pytest.mark.parametrize("method", [extended, unscented])
def test_a_nonlinear_system_is_filtered_as_in_the_textbook(method, x64):
    """Values, and the gradient along a direction, by differences of the textbook's values."""
    covariances, functions, ys, inputs, observed = problem(1)
    bent = functions | {"strength": np.full((), 0.4)}
    found, gradient = with_gradient(method, observed, bent, covariances, ys, inputs)
    wanted = in_the_textbook(method, bent, ys, problem(1))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-10), found, wanted)

    unread = ~observed | (np.arange(T)[:, None] >= LENGTHS)[..., None]
    np.testing.assert_array_equal(np.asarray(gradient[2])[unread], 0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))
    direction = jax.tree.map(np.asarray, waves((bent, ys), jnp.sin))

    def number(step):
        moved = jax.tree.map(lambda leaf, change: leaf + step * change, (bent, ys), direction)
        found = in_the_textbook(method, *moved, problem(1))
        return sum(leaf.ravel() @ np.cos(np.arange(leaf.size)) for leaf in found.values())

    slopes = jax.tree.map(lambda leaf, change: (leaf * change).sum(), (gradient[0], gradient[2]), direction)
    expected = (number(1e-5) - number(-1e-5)) / 2e-5
    np.testing.assert_allclose(sum(jax.tree.leaves(slopes)), expected, rtol=1e-6)


@pytest.mark.slow
def test_points_of_any_spread_and_entries_that_are_missing(x64):
    covariances, functions, ys, inputs, observed = problem(2)
    assert (observed.any(-1) & ~observed.all(-1)).any()
    bent = functions | {"strength": np.full((), 0.4)}
    found = jax.jit(values, static_argnums=0, compiler_options=QUICK)(
        spread, bent, covariances, ys, inputs, observed
    )
    wanted = in_the_textbook(spread, bent, ys, problem(2))
    jax.tree.map(functools.partial(np.testing.assert_allclose, atol=1e-10), found, wanted)


def on_a_grid(noise, ys, num_points=1500):
    """Mean and variance of each filtered state, and the log-likelihood, by sums over a grid of states."""
    states = np.linspace(-12, 12, num_points)
    width = states[1] - states[0]

    def density(away):
        return np.exp(-0.5 * away**2 / noise) / np.sqrt(2 * np.pi * noise)

    follows = density(states[:, None] - 0.8 * states - np.sin(states)) * width
    belief, total, found = density(states - 0.5), 0.0, []
    for y in ys:
        belief = belief * density(y - states - 0.1 * states**2)
        likelihood = belief.sum() * width
        belief, total = belief / likelihood, total + np.log(likelihood)
        mean = (belief * states).sum() * width
        found.append((mean, (belief * (states - mean) ** 2).sum() * width))
        belief = follows @ belief
    return np.array(found).T, total


BENT = lds.NonlinearModel(
    dynamics=lambda _, x, u: 0.8 * x + jnp.sin(x), emission=lambda _, x, u: x + 0.1 * x**2
)


def test_errors_beside_a_grid_are_small_and_vanish_with_the_noise():
    """In posterior deviations, the errors of both filters, the smaller ones those of the unscented filter."""
    generator, num_steps = np.random.default_rng(0), 60
    noise = np.array([0.5, 0.5 / 16])
    x, ys = np.full(2, 0.5), []
    for _ in range(num_steps):
        ys.append(x + 0.1 * x**2 + np.sqrt(noise) * generator.normal(size=2))
        x = 0.8 * x + np.sin(x) + np.sqrt(noise) * generator.normal(size=2)
    ys = np.array(ys, np.float32)
    factor = np.sqrt(noise).astype(np.float32)[:, None, None]
    along = np.broadcast_to(factor, (num_steps, 2, 1, 1))
    params = lds.NonlinearParams(np.full(1, 0.5, np.float32), factor, along, along)
    errors = {}
    for method in (lds.extended_filter, lds.unscented_filter):
        found = method(BENT, params, ys[..., None])
        for row in range(2):
            (mean, variance), total = on_a_grid(noise[row], ys[:, row])
            away = (found.mean[:, row, 0] - mean) / np.sqrt(variance)
            errors[method, row] = np.sqrt(np.mean(away**2))
            ratios = found.cholesky[:, row, 0, 0] ** 2 / variance
            np.testing.assert_allclose(ratios.mean(), 1, atol=0.05)
            np.testing.assert_allclose(found.log_normalizer[row], total, atol=0.03 * num_steps)
    tangent, points = lds.extended_filter, lds.unscented_filter
    assert errors[points, 0] < 0.04 < errors[tangent, 0] < 0.2
    assert errors[points, 1] < 0.015 < errors[tangent, 1] < 0.04


def test_single_precision_holds_a_wide_prior_and_precise_observations():
    """Two states of which nearly nothing is known, and their sum, a little bent, to five digits."""
    model = lds.NonlinearModel(
        dynamics=lambda _, x, u: jnp.stack([x[0] + 0.1 * x[1], x[1] - 0.1 * jnp.sin(x[0])]),
        emission=lambda _, x, u: (x[0] + x[1] + 0.1 * jnp.tanh(x[0]))[None],
    )
    params = lds.nonlinear_params(
        initial_mean=np.zeros(2),
        initial_covariance=1e4 * np.eye(2),
        dynamics_covariance=1e-6 * np.eye(2),
        emission_covariance=[[1e-10]],
    )
    x, states = np.array([0.3, 1.0]), []
    for _ in range(500):
        states.append(x)
        x = np.array([x[0] + 0.1 * x[1], x[1] - 0.1 * np.sin(x[0])])
    states = np.array(states)
    ys = (states.sum(-1) + 0.1 * np.tanh(states[:, 0]))[:, None]
    for method in (lds.extended_filter, lds.unscented_filter):
        found = method(model, params, ys.astype(np.float32))
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(found))
        deviations = np.sqrt(np.diagonal(squared(found.cholesky), axis1=-2, axis2=-1))
        assert deviations.min() > 0
        assert np.abs(found.mean - states)[100:].max() < 0.01
