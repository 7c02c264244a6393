"""What inference must give, from the joint normal distribution of all states and observations of a row."""

from typing import NamedTuple

import numpy as np


class Row(NamedTuple):
    """A linear dynamical system along one row, with an entry a step of everything, and its observations."""

    initial_mean: np.ndarray
    initial_covariance: np.ndarray
    dynamics: np.ndarray
    dynamics_covariance: np.ndarray
    drift: np.ndarray
    emission: np.ndarray
    emission_covariance: np.ndarray
    offset: np.ndarray
    ys: np.ndarray
    seen: np.ndarray


def row_of(covariances, ys, seen, us, row, length):
    """The row of a batch: `covariances` holds the arguments of `lds.params`."""
    num_steps = len(ys)

    def steps(name, rank):
        leaf = np.asarray(covariances[name])
        if leaf.ndim > rank:
            leaf = leaf[:, min(row, leaf.shape[1] - 1)]
        return np.broadcast_to(leaf, (num_steps, *leaf.shape[leaf.ndim - rank :]))[:length]

    def added(side):
        bias, gain = steps(f"{side}_bias", 1), steps(f"{side}_inputs", 2)
        return bias + np.einsum("tnu,tu->tn", gain, us[:length, row])

    def first(name, rank):
        leaf = np.asarray(covariances[name])
        return leaf[row] if leaf.ndim > rank else leaf

    return Row(
        initial_mean=first("initial_mean", 1),
        initial_covariance=first("initial_covariance", 2),
        dynamics=steps("dynamics", 2),
        dynamics_covariance=steps("dynamics_covariance", 2),
        drift=added("dynamics"),
        emission=steps("emission", 2),
        emission_covariance=steps("emission_covariance", 2),
        offset=added("emission"),
        ys=ys[:length, row],
        seen=seen[:length, row],
    )


class Joint(NamedTuple):
    """All states, one more than observations, and the observations: one normal distribution."""

    mean: np.ndarray
    covariance: np.ndarray
    emission: np.ndarray
    noise: np.ndarray
    offset: np.ndarray


def joint(row):
    """The states as linear functions of the first one and of the noise of each step."""
    num_steps, size = row.drift.shape
    num_observed = row.offset.shape[1]
    mean = np.zeros((num_steps + 1, size))
    roots = np.zeros((num_steps + 1, size, num_steps + 1, size))
    roots[0, :, 0] = np.eye(size)
    mean[0] = row.initial_mean
    noise = np.zeros((num_steps + 1, size, num_steps + 1, size))
    noise[0, :, 0] = row.initial_covariance
    emission = np.zeros((num_steps, num_observed, num_steps + 1, size))
    measurement = np.zeros((num_steps, num_observed, num_steps, num_observed))
    for t in range(num_steps):
        mean[t + 1] = row.dynamics[t] @ mean[t] + row.drift[t]
        roots[t + 1] = np.einsum("ij,jsk->isk", row.dynamics[t], roots[t])
        roots[t + 1, :, t + 1] = np.eye(size)
        noise[t + 1, :, t + 1] = row.dynamics_covariance[t]
        emission[t, :, t] = row.emission[t]
        measurement[t, :, t] = row.emission_covariance[t]
    whole, seen = (num_steps + 1) * size, num_steps * num_observed
    roots, noise = roots.reshape(whole, whole), noise.reshape(whole, whole)
    return Joint(
        mean=mean.reshape(-1),
        covariance=roots @ noise @ roots.T,
        emission=emission.reshape(seen, whole),
        noise=measurement.reshape(seen, seen),
        offset=row.offset.reshape(-1),
    )


def given(row, num_steps):
    """Mean `[T + 1, N]` and covariance `[T + 1, N, T + 1, N]` of all states given the first observations."""
    whole, size = joint(row), row.drift.shape[1]
    seen = row.seen.copy()
    seen[num_steps:] = False
    seen = seen.reshape(-1)
    emission, noise = whole.emission[seen], whole.noise[np.ix_(seen, seen)]
    innovation = emission @ whole.covariance @ emission.T + noise
    residual = (row.ys.reshape(-1) - whole.offset)[seen] - emission @ whole.mean
    gain = np.linalg.solve(innovation, emission @ whole.covariance).T
    mean = whole.mean + gain @ residual
    covariance = whole.covariance - gain @ innovation @ gain.T
    terms = residual @ np.linalg.solve(innovation, residual) + seen.sum() * np.log(2 * np.pi)
    log_likelihood = -0.5 * (terms + np.linalg.slogdet(innovation)[1])
    count = len(row.drift) + 1
    return mean.reshape(count, size), covariance.reshape(count, size, count, size), log_likelihood


def inference(row):
    """Means and covariances by the names of the results of `lds.smooth`, for the valid steps of a row."""
    num_steps = len(row.drift)
    prefixes = [given(row, count) for count in range(num_steps + 1)]
    mean, covariance, log_likelihood = prefixes[-1]
    steps = range(num_steps)
    return {
        "log_normalizer": log_likelihood,
        "carry.mean": mean[-1],
        "carry.covariance": covariance[-1, :, -1],
        "predicted_mean": np.array([prefixes[t][0][t] for t in steps]),
        "predicted_covariance": np.array([prefixes[t][1][t, :, t] for t in steps]),
        "filtered_mean": np.array([prefixes[t + 1][0][t] for t in steps]),
        "filtered_covariance": np.array([prefixes[t + 1][1][t, :, t] for t in steps]),
        "smoothed_mean": mean[:-1],
        "smoothed_covariance": np.array([covariance[t, :, t] for t in steps]),
        "lag_one": np.array([covariance[t + 1, :, t] for t in range(num_steps - 1)]),
    }
