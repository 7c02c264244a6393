"""Filter and smoother against one joint normal distribution of everything, values and gradients."""

import numpy as np
import pytest

from tests.statespace.lds.systems import METHODS, oracle, smoothed


def run(problem, method, covariances=None):
    covariances = problem.covariances if covariances is None else covariances
    return smoothed(covariances, problem.ys, problem.evidence, method)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["invariant", "varying"])
def test_equals_the_joint_distribution(name, method, x64):
    problem, rows = oracle(name)
    results = {key: np.asarray(leaf) for key, leaf in run(problem, method).items()}
    for row, (expected, length) in enumerate(zip(rows, problem.lengths, strict=True)):
        for key, value in expected.items():
            leaf = results[key]
            if not key.startswith(("carry", "log_normalizer")):
                steps = max(length - (key == "lag_one"), 0)
                np.testing.assert_array_equal(leaf[steps:, row], 0, err_msg=key)
                leaf = leaf[:steps]
                value = value.reshape(leaf[:, row].shape)
                np.testing.assert_allclose(leaf[:, row], value, atol=1e-10, err_msg=key)
            else:
                np.testing.assert_allclose(leaf[row], value, atol=1e-10, err_msg=key)
