"""The expected log-density of states and observations, from one joint normal distribution, in numpy."""

import numpy as np

from tests.statespace.lds import dense


def posterior(row):
    """Mean and covariance of all states and observations of a row, given what is seen, and their places."""
    whole = dense.joint(row)
    num_steps, size = row.drift.shape
    crossed = whole.emission @ whole.covariance
    mean = np.concatenate([whole.mean, whole.emission @ whole.mean + whole.offset])
    covariance = np.block(
        [[whole.covariance, crossed.T], [crossed, crossed @ whole.emission.T + whole.noise]]
    )
    seen = np.concatenate([np.zeros(len(whole.mean), bool), row.seen.reshape(-1)])
    gain = np.linalg.solve(covariance[np.ix_(seen, seen)], covariance[seen]).T
    mean = mean + gain @ (row.ys[row.seen] - mean[seen])
    covariance = covariance - gain @ covariance[seen]
    states = np.arange(num_steps * size).reshape(num_steps, size)
    observations = len(whole.mean) + np.arange(row.seen.size).reshape(row.seen.shape)
    return mean, covariance, states, observations


class Terms:
    """The factors of one kind of the density, and what is known of the two sides of each."""

    def __init__(self):
        self.means, self.covariances, self.places, self.inputs = [], [], [], []

    def add(self, mean, covariance, places, place, inputs):
        self.means.append(mean[places])
        self.covariances.append(covariance[np.ix_(places, places)])
        self.places.append(place)
        self.inputs.append(inputs)

    def expected(self, coefficients, bias, gain, factor):
        """The sum of `E log N(target; coefficients source + bias + gain inputs, factor factor')`."""
        steps, rows = np.array(self.places).T

        def at(leaf, rank):
            return leaf[steps, rows] if leaf.ndim > rank + 1 else leaf[rows] if leaf.ndim > rank else leaf

        coefficients, factor = at(coefficients, 2), at(factor, 2)
        count, size = len(self.means), coefficients.shape[-2]
        along = np.concatenate(
            [np.broadcast_to(np.eye(size), (count, size, size)), -np.broadcast_to(
                coefficients, (count, *coefficients.shape[-2:]))], axis=-1)  # fmt: skip
        shift = at(bias, 1) + np.einsum("...ku,nu->nk", gain, np.array(self.inputs))
        rest = np.einsum("nkj,nj->nk", along, np.array(self.means)) - shift
        square = rest[:, :, None] * rest[:, None] + along @ self.covariances @ np.swapaxes(along, -1, -2)
        noise = factor @ np.swapaxes(factor, -1, -2)
        away = np.trace(np.linalg.solve(np.broadcast_to(noise, square.shape), square), axis1=-2, axis2=-1)
        determinants = np.broadcast_to(np.linalg.slogdet(2 * np.pi * noise)[1], (count,))
        return -0.5 * (determinants.sum() + away.sum())


def expected_log_density(evidence, posteriors, diffuse):
    """A function of params, as a dictionary: the expectation over the valid steps of all rows.

    Steps of which nothing is seen count for the states alone, diffuse states for nothing at the first step.
    `posteriors` is what `posterior` gives of each row, from params that may be others.
    """
    inputs, observed, lengths = evidence["inputs"], evidence["observed"], evidence["lengths"]
    first, dynamics, emission = Terms(), Terms(), Terms()
    for row, (length, (mean, covariance, states, observations)) in enumerate(
        zip(lengths, posteriors, strict=True)
    ):
        known = np.flatnonzero(~np.array(diffuse or (False,) * states.shape[-1]))
        if length:
            first.add(mean, covariance, states[0, known], (0, row), np.zeros(1))
        for t in range(length):
            if observed[t, row].any():
                places = np.concatenate([observations[t], states[t]])
                emission.add(mean, covariance, places, (t, row), inputs[t, row])
            if t + 1 < length:
                places = np.concatenate([states[t + 1], states[t]])
                dynamics.add(mean, covariance, places, (t, row), inputs[t, row])

    def function(params):
        size = len(known)
        total = first.expected(
            np.zeros((size, 0)),
            params["initial_mean"][..., known],
            np.zeros((size, 1)),
            params["initial_cholesky"][..., known[:, None], known],
        )
        for name, terms in (("dynamics", dynamics), ("emission", emission)):
            total += terms.expected(
                *(params[f"{name}{part}"] for part in ("", "_bias", "_inputs", "_cholesky"))
            )
        return total

    return function


def slope(function, params, field, place, step=1e-5):
    """The derivative along one entry, by central differences."""

    def at(change):
        leaf = np.array(params[field], float)
        leaf[place] += change
        return function(params | {field: leaf})

    return (at(step) - at(-step)) / (2 * step)
