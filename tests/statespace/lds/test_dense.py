"""Filter and smoother against one joint normal distribution of everything, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import lds
from tests.statespace.lds import dense
from tests.statespace.lds.systems import oracle, small, smoothed


@pytest.mark.parametrize(
    ("name", "method"), [("varying", "scan"), ("varying", "associative"), ("invariant", "scan")]
)
def test_equals_the_joint_distribution(name, method, x64):
    problem, rows = oracle(name)
    results = smoothed(problem.covariances, problem.ys, problem.evidence, method)
    for row, (expected, length) in enumerate(zip(rows, problem.lengths, strict=True)):
        for key, value in expected.items():
            leaf = np.asarray(results[key])
            if key.startswith(("carry", "log_normalizer")):
                np.testing.assert_allclose(leaf[row], value, atol=1e-10, err_msg=key)
                continue
            steps = max(length - (key == "lag_one"), 0)
            np.testing.assert_array_equal(leaf[steps:, row], 0, err_msg=key)
            np.testing.assert_allclose(
                leaf[:steps, row], value.reshape(leaf[:steps, row].shape), atol=1e-10, err_msg=key
            )


@pytest.mark.slow
def test_gradients_are_finite_differences_and_the_same_by_both_methods(x64):
    """With respect to everything that is read, through everything that is returned; NaN is never read."""
    problem, _ = oracle("varying")
    covariances = jax.tree.map(jnp.asarray, problem.covariances)
    generator = np.random.default_rng(3)
    shapes = jax.eval_shape(lambda: smoothed(covariances, problem.ys, problem.evidence, "scan"))
    weights = jax.tree.map(lambda leaf: generator.normal(size=leaf.shape), shapes)

    def loss(free, method):
        covariances, ys, inputs = free
        results = smoothed(covariances, ys, problem.evidence | {"inputs": inputs}, method)
        return sum(jnp.sum(weights[key] * results[key]) for key in results)

    free = covariances, jnp.asarray(problem.ys), jnp.asarray(problem.inputs)
    gradients = {method: jax.grad(loss)(free, method) for method in ("scan", "associative")}
    for leaf, other in zip(*map(jax.tree.leaves, gradients.values()), strict=True):
        assert jnp.isfinite(leaf).all()
        np.testing.assert_allclose(leaf, other, rtol=1e-9, atol=1e-9)
    assert not gradients["scan"][1][np.isnan(problem.ys)].any()

    # Covariances are moved symmetrically: their Cholesky factors read one triangle.
    direction = jax.tree.map(
        lambda leaf: jnp.where(jnp.isnan(leaf), 0, generator.normal(size=leaf.shape)), free
    )
    for name, leaf in direction[0].items():
        if name.endswith("covariance"):
            direction[0][name] = (leaf + jnp.swapaxes(leaf, -1, -2)) / 2

    def moved(step):
        return loss(jax.tree.map(lambda leaf, way: leaf + step * way, free, direction), "scan")

    step = 1e-5
    expected = (moved(step) - moved(-step)) / (2 * step)
    slope = sum(jax.tree.leaves(jax.tree.map(lambda g, way: jnp.sum(g * way), gradients["scan"], direction)))
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


def log_likelihood(params, ys, observed, method):
    return lds.log_normalizer(params, ys, observed=observed, method=method)


@pytest.mark.slow
def test_settled_covariances_change_nothing(x64):
    """Five segments, which settle, are disturbed by missing observations, and settle again."""
    params, (ys,) = small(), np.random.default_rng(0).normal(size=(1, 200, 1))
    observed = np.ones((200, 1), bool)
    observed[103:105] = False
    run = jax.jit(lds.smooth, static_argnames="method")
    results = {
        method: run(params, ys, observed=observed, method=method) for method in ("scan", "associative")
    }
    for leaf, other in zip(*map(jax.tree.leaves, results.values()), strict=True):
        np.testing.assert_allclose(leaf, other, atol=1e-11)
    spread = results["scan"].filtered.cholesky
    assert (spread[79] == spread[60]).all()  # settled
    assert not (spread[104] == spread[60]).all()  # and disturbed
    row = dense.Row(
        initial_mean=np.asarray(params.initial_mean),
        initial_covariance=np.asarray(params.initial_covariance),
        ys=ys,
        seen=observed,
        **{
            name: np.broadcast_to(leaf, (200, *leaf.shape))
            for name, leaf in {
                "dynamics": params.dynamics,
                "dynamics_covariance": params.dynamics_covariance,
                "drift": params.dynamics_bias,
                "emission": params.emission,
                "emission_covariance": params.emission_covariance,
                "offset": params.emission_bias,
            }.items()
        },
    )
    mean, covariance, log_likelihood_of_all = dense.given(row, 200)
    np.testing.assert_allclose(results["scan"].mean, mean[:-1], atol=1e-9)
    np.testing.assert_allclose(results["scan"].log_normalizer, log_likelihood_of_all, rtol=1e-11)
    expected = np.array([covariance[t + 1, :, t] for t in range(199)])
    np.testing.assert_allclose(results["scan"].lag_one, expected, atol=1e-9)

    gradients = [jax.grad(log_likelihood)(params, ys, observed, method) for method in ("scan", "associative")]
    for leaf, other in zip(*map(jax.tree.leaves, gradients), strict=True):
        np.testing.assert_allclose(leaf, other, rtol=1e-9, atol=1e-9)
