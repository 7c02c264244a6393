"""Systems and data that the tests of linear dynamical systems share, and results by the oracle's names."""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.statespace import lds
from tests.statespace.lds import dense

N, M, U, T, B = 3, 2, 2, 7, 4
METHODS = ("scan", "associative")


class Problem(NamedTuple):
    """The arguments of `lds.params`, and those of inference. What must not be read is NaN."""

    covariances: dict
    ys: np.ndarray
    inputs: np.ndarray
    observed: np.ndarray | None
    lengths: np.ndarray | None

    @property
    def params(self):
        return lds.params(**self.covariances)

    @property
    def evidence(self):
        return {"inputs": self.inputs, "observed": self.observed, "lengths": self.lengths}


def covariance(generator, size, *axes):
    """Positive definite matrices."""
    root = generator.normal(size=(*axes, size, size))
    return root @ np.swapaxes(root, -1, -2) / size + 0.2 * np.eye(size)


def stable(generator, size):
    """A matrix whose powers decay."""
    matrix = generator.normal(size=(size, size))
    return 0.9 * matrix / np.abs(np.linalg.eigvals(matrix)).max()


def invariant(num_steps=T, seed=0):
    """One matrix for all steps and all rows, everything observed but what is past the lengths."""
    generator = np.random.default_rng(seed)
    normal = generator.normal
    covariances = {
        "initial_mean": normal(size=N),
        "initial_covariance": covariance(generator, N),
        "dynamics": stable(generator, N),
        "dynamics_covariance": covariance(generator, N),
        "dynamics_bias": normal(size=N),
        "dynamics_inputs": normal(size=(N, U)),
        "emission": normal(size=(M, N)),
        "emission_covariance": covariance(generator, M),
        "emission_bias": normal(size=M),
        "emission_inputs": normal(size=(M, U)),
    }
    ys, inputs = normal(size=(num_steps, B, M)), normal(size=(num_steps, B, U))
    return padded(covariances, ys, inputs, None, np.array([num_steps, num_steps - 2, 1, 0]))


def padded(covariances, ys, inputs, observed, lengths):
    """A problem with NaN in place of what must not be read."""
    if observed is not None:
        ys = np.where(observed, ys, np.nan)
    padding = (np.arange(len(ys))[:, None] >= lengths)[..., None]
    ys, inputs = (np.where(padding, np.nan, leaf) for leaf in (ys, inputs))
    return Problem(covariances, ys, inputs, observed, lengths)


def varying(seed=1):
    """All that can vary varies, over time or rows or both, and entries and whole steps are missing."""
    problem = invariant(seed=seed)
    generator = np.random.default_rng(seed)
    normal = generator.normal
    covariances = problem.covariances | {
        "initial_mean": normal(size=(B, N)),
        "initial_covariance": covariance(generator, N, B),
        "dynamics": np.stack([stable(generator, N) for _ in range(T)])[:, None],
        "dynamics_covariance": covariance(generator, N, T, B),
        "dynamics_bias": normal(size=(T, B, N)),
        "emission": normal(size=(T, B, M, N)),
        "emission_covariance": covariance(generator, M, T, 1),
        "emission_inputs": normal(size=(T, 1, M, U)),
    }
    observed = generator.random((T, B, M)) < 0.7
    observed[2], observed[:, 1, 0] = False, False
    ys, inputs = normal(size=(T, B, M)), normal(size=(T, B, U))
    return padded(covariances, ys, inputs, observed, np.array([T, T - 2, 1, 0]))


def small(**changes):
    """A position seen through noise and its velocity, with a drift: two states, one observed feature."""
    arguments = {
        "initial_mean": [1.0, -0.5],
        "initial_covariance": [[2.0, 0.5], [0.5, 1.0]],
        "dynamics": [[1.0, 1.0], [-0.2, 0.7]],
        "dynamics_covariance": [[0.3, 0.1], [0.1, 0.4]],
        "dynamics_bias": [0.2, -0.1],
        "emission": [[1.0, 0.3]],
        "emission_covariance": [[0.5]],
        "emission_bias": [0.7],
    }
    return lds.params(**arguments | changes)


@functools.cache
def oracle(name):
    """What the dense joint distribution says of each row."""
    problem = {"invariant": invariant, "varying": varying}[name]()
    seen = np.ones(problem.ys.shape, bool) if problem.observed is None else problem.observed
    rows = []
    for row, length in enumerate(problem.lengths):
        data = problem.covariances, problem.ys, seen, problem.inputs
        rows.append(dense.inference(dense.row_of(*data, row, length)))
    return problem, rows


def squared(factor):
    """Covariances of factors."""
    return jnp.einsum("...ik,...jk->...ij", factor, factor)


def named(smoothed):
    """The results of `lds.smooth`, covariances in place of their factors, by the oracle's names."""
    filtered = smoothed.filtered
    return {
        "log_normalizer": smoothed.log_normalizer,
        "carry.mean": filtered.carry.mean,
        "carry.covariance": squared(filtered.carry.cholesky),
        "predicted_mean": filtered.predicted_mean,
        "predicted_covariance": squared(filtered.predicted_cholesky),
        "filtered_mean": filtered.mean,
        "filtered_covariance": squared(filtered.cholesky),
        "smoothed_mean": smoothed.mean,
        "smoothed_covariance": squared(smoothed.cholesky),
        "lag_one": smoothed.lag_one,
    }


@functools.partial(jax.jit, static_argnames="method")
def smoothed(covariances, ys, evidence, method):
    """From covariances to covariances: what gradients are taken of."""
    return named(lds.smooth(lds.params(**covariances), ys, **evidence, method=method))
