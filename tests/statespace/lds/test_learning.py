"""Learning of linear dynamical systems: expectation maximisation, and by gradient."""

import dataclasses
import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqjax import data
from seqjax.statespace import lds
from tests.statespace.lds import complete, dense

T, B, U = 12, 4, 1
LENGTHS = np.array([T, T - 3, 1, 0], np.int32)
SEEDS, STEPS = 100, 6


class Case(NamedTuple):
    """What is learned, and of which size; `varying` fields are given once a step, and fixed."""

    num_states: int
    fixed: tuple[str, ...] = ()
    diagonal: tuple[str, ...] = ()
    varying: tuple[str, ...] = ()
    diffuse: tuple[bool, ...] | None = None
    rows: bool = False  # whether each row has an initial belief of its own
    dtype: type = np.float64
    missing: str = "entries"


def factors(generator, size, *axes):
    lower = np.tril(generator.normal(size=(*axes, size, size)))
    return 0.5 * lower + np.eye(size)


def drawn(case, seed, num_observed=2):
    """Params that are wrong about their data, which no model made."""
    generator = np.random.default_rng(seed)
    normal, size, first = generator.normal, case.num_states, (B,) if case.rows else ()

    def axes(field):
        return (T, B) if field in case.varying else ()

    def cholesky(field, size, axes):
        factor = factors(generator, size, *axes)
        return factor * np.eye(size) if field in case.diagonal else factor

    params = {
        "initial_mean": normal(size=(*first, size)),
        "initial_cholesky": cholesky("initial_cholesky", size, first),
        "dynamics": 0.5 * normal(size=(*axes("dynamics"), size, size)),
        "dynamics_cholesky": cholesky("dynamics_cholesky", size, axes("dynamics_cholesky")),
        "dynamics_bias": normal(size=size),
        "dynamics_inputs": normal(size=(size, U)),
        "emission": normal(size=(*axes("emission"), num_observed, size)),
        "emission_cholesky": cholesky("emission_cholesky", num_observed, axes("emission_cholesky")),
        "emission_bias": normal(size=num_observed),
        "emission_inputs": normal(size=(num_observed, U)),
    }
    ys, inputs = normal(size=(T, B, num_observed)).cumsum(0), normal(size=(T, B, U))
    observed = generator.random((T, B, num_observed)) < 0.7
    observed[2] = False
    if case.missing == "steps":
        observed = np.repeat(observed[..., :1], num_observed, axis=-1)
    padding = np.arange(T)[:, None] >= LENGTHS
    inputs[padding] = np.nan
    ys = np.where(observed & ~padding[..., None], ys, np.nan)
    params = {name: leaf.astype(case.dtype) for name, leaf in params.items()}
    params = lds.LDSParams(**params, diffuse=case.diffuse)
    return params, {"ys": ys, "inputs": inputs, "observed": observed, "lengths": LENGTHS}


# Each program runs once.
@functools.partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def trajectories(case, params, evidence):
    """The params after each of some steps `[S, STEPS]` and the log-likelihoods before it, of many starts."""

    def one(params, ys, inputs, observed):
        def step(params, _):
            found = lds.em_step(
                params,
                ys,
                inputs=inputs,
                observed=observed,
                lengths=LENGTHS,
                fixed=case.fixed,
                diagonal=case.diagonal,
            )
            return found.params, (found.params, found.log_likelihoods)

        return jax.lax.scan(step, params, None, STEPS)[1]

    observed = evidence["observed"][..., 0] if case.missing == "steps" else evidence["observed"]
    return jax.vmap(one)(params, evidence["ys"], evidence["inputs"], observed)


def leaves_of(params):
    """Every field by its name, as numpy arrays."""
    names = [field.name for field in dataclasses.fields(params) if field.name != "diffuse"]
    return {name: np.asarray(getattr(params, name)) for name in names}


def covariances(params):
    """The arguments of `lds.params`, as the dense oracle reads them."""
    return {
        name.replace("cholesky", "covariance"): leaf @ np.swapaxes(leaf, -1, -2)
        if name.endswith("cholesky")
        else leaf
        for name, leaf in leaves_of(params).items()
    }


CASES = {
    "everything": Case(num_states=2),
    "some of it, in single precision": Case(
        num_states=1,
        fixed=("initial_mean", "dynamics", "dynamics_inputs", "emission_bias"),
        diagonal=("emission_cholesky",),
        varying=("dynamics",),
        rows=True,
        dtype=np.float32,
    ),
}


def many(case):
    """Starts and data of all seeds."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *(drawn(case, seed) for seed in range(SEEDS)))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_step_is_the_best_for_what_is_expected_and_never_a_worse_one(name, x64):
    """What is free is where the gradient of the expected log-density is zero, which it is in one place."""
    case = CASES[name]
    eps = np.finfo(case.dtype).eps
    found, log_likelihoods = trajectories(case, *many(case))
    totals = np.asarray(log_likelihoods.sum(-1))
    assert totals.dtype == case.dtype
    assert np.isfinite(totals).all()
    assert (np.diff(totals) > -8 * eps * np.abs(totals[:, :-1])).all()
    assert np.diff(totals)[:, 0].min() > 0.1

    params, evidence = drawn(case, 0)
    seen, arguments = evidence["observed"], covariances(params)
    rows = [
        dense.row_of(arguments, evidence["ys"], seen, evidence["inputs"], row, length)
        for row, length in enumerate(LENGTHS)
    ]
    expected = [dense.given(row, len(row.drift))[2] for row in rows]
    np.testing.assert_allclose(log_likelihoods[0, 0], expected, rtol=1e3 * eps)
    posteriors = [complete.posterior(row) for row in rows]
    function = complete.expected_log_density(evidence, posteriors, case.diffuse)
    free = leaves_of(lds.free_entries(params, fixed=case.fixed, diagonal=case.diagonal))
    before, after = leaves_of(params), leaves_of(jax.tree.map(lambda leaf: leaf[0, 0], found))
    assert function(after) > function(before) + 1
    for field, leaf in after.items():
        kept = free[field] == 0
        np.testing.assert_array_equal(leaf[kept], before[field][kept], err_msg=field)
        assert np.abs(leaf - before[field]).max() > 1e-3 or field in case.fixed
        for place in np.argwhere(free[field]):
            slope = complete.slope(function, after, field, tuple(place))
            np.testing.assert_allclose(slope, 0, atol=1e5 * eps + 1e-6, err_msg=f"{field}{place}")


NILE = data.nile().values[:, None] / 100
FIXED = ("initial_mean", "initial_cholesky", "dynamics", "dynamics_bias", "emission", "emission_bias")


def level():
    """The local level of Durbin & Koopman (2012, section 2.2), with variances that are wrong."""
    one = np.ones((1, 1))
    return lds.params(
        dynamics=one, dynamics_covariance=one, emission=one, emission_covariance=one, diffuse=True
    )


@pytest.mark.slow
def test_the_variances_of_the_nile_by_expectation_maximisation(x64):
    found = lds.fit(level(), NILE, fixed=FIXED, num_iterations=1000, tolerance=1e-9)
    history = np.asarray(found.history)
    assert found.converged
    assert 10 < found.num_iterations < 1000
    assert np.diff(history).min() > -1e-9
    np.testing.assert_array_equal(history[found.num_iterations :], found.log_likelihood)
    np.testing.assert_allclose(found.log_likelihood, lds.log_normalizer(found.params, NILE), rtol=1e-12)
    assert found.params.diffuse == (True,)
    assert all(getattr(found.params, name) == getattr(level(), name) for name in FIXED)
    # The likelihood is flat: at this tolerance it is a thousandth of a nat below its maximum.
    np.testing.assert_allclose(1e4 * found.params.emission_covariance, 15098.5, rtol=1e-3)
    np.testing.assert_allclose(1e4 * found.params.dynamics_covariance, 1469.2, rtol=5e-3)


@functools.partial(jax.jit, static_argnums=0, compiler_options={"xla_backend_optimization_level": 0})
def climbed(num_steps, start, ys):
    """By the gradient, with an optimiser that would move what is fixed."""
    free = lds.free_entries(start, fixed=FIXED)
    mask = optax.stateless(lambda updates, _: jax.tree.map(jnp.multiply, updates, free))
    rate = optax.exponential_decay(0.1, 20, 0.7)
    optimizer = optax.chain(mask, optax.adamw(rate, weight_decay=1e-6), mask)

    def step(carry, _):
        params, state = carry
        gradient = jax.grad(lambda params: -lds.log_normalizer(params, ys))(params)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), None

    return jax.lax.scan(step, (start, optimizer.init(start)), None, num_steps)[0][0]


@pytest.mark.slow
def test_the_variances_of_the_nile_by_gradient(x64):
    found = climbed(400, level(), NILE)
    np.testing.assert_allclose(1e4 * found.emission_covariance, 15098.5, rtol=1e-3)
    np.testing.assert_allclose(1e4 * found.dynamics_covariance, 1469.2, rtol=1e-3)
    assert all(getattr(found, name) == getattr(level(), name) for name in FIXED)


def test_a_likelihood_that_is_no_number_is_an_error(x64):
    with pytest.raises(ValueError, match="log-likelihood is nan after 0 iterations, expected a number"):
        lds.fit(level(), np.nan * NILE, fixed=FIXED, num_iterations=1000)
