"""Extended and unscented filters as textbooks write them, with covariances and weights, in numpy."""

import numpy as np
import scipy.stats


def tangent(mean, covariance, function, jacobian):
    """Moments of a function of a normal vector and their covariance (Särkkä, 2013, algorithm 5.4)."""
    slope = jacobian(mean)
    return function(mean), slope @ covariance @ slope.T, covariance @ slope.T


def sigma_points(mean, covariance, function, alpha, beta, kappa):
    """The same by weighted points (Särkkä, 2013, equations 5.77 to 5.84)."""
    size = len(mean)
    spread = alpha**2 * (size + kappa)
    columns = np.sqrt(spread) * np.linalg.cholesky(covariance).T
    points = np.concatenate([mean[None], mean + columns, mean - columns])
    weights = np.full(len(points), 1 / (2 * spread))
    weights[0] = 1 - size / spread
    of_covariance = weights.copy()
    of_covariance[0] += 1 - alpha**2 + beta
    values = np.array([function(point) for point in points])
    average = weights @ values
    away = values - average
    return average, away.T * of_covariance @ away, (points - mean).T * of_covariance @ away


def filtered(moments, system, ys, seen, inputs):
    """Predicted and filtered moments of each step, the belief after the last one, and the log-likelihood.

    `moments` is `tangent` or `sigma_points` with its options bound. `system` holds first moments, the
    covariances of each step, and for each side a function of `(x, u)` and, if it is read, its Jacobian.
    """
    mean, covariance, total = system["initial_mean"], system["initial_covariance"], 0.0
    steps = []
    for t, (y, here, u) in enumerate(zip(ys, seen, inputs, strict=True)):
        predicted = mean, covariance
        value, spread, cross = moments(
            mean, covariance, *(lambda x, f=f, u=u: f(x, u) for f in system["emission"])
        )
        innovation = (spread + system["emission_covariance"][t])[np.ix_(here, here)]
        gain = np.linalg.solve(innovation, cross[:, here].T).T
        if here.any():
            total += scipy.stats.multivariate_normal(value[here], innovation).logpdf(y[here])
        mean = mean + gain @ (y - value)[here]
        covariance = covariance - gain @ innovation @ gain.T
        steps.append((*predicted, mean, covariance))
        mean, spread, _ = moments(
            mean, covariance, *(lambda x, f=f, u=u: f(x, u) for f in system["dynamics"])
        )
        covariance = spread + system["dynamics_covariance"][t]
    return steps, (mean, covariance), total
