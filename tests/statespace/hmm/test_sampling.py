"""Drawn paths are as frequent as they are probable."""

import jax
import jax.numpy as jnp
import numpy as np

from seqjax.statespace import hmm
from tests.statespace.hmm.enumeration import enumerate_paths

DRAWS, T, K = 20_000, 3, 2
CHAIN = hmm.params([0.3, 0.7], [[0.9, 0.1], [0.4, 0.6]])


def check_frequencies(draws, scores):
    """Each path of `[T, DRAWS]` is as frequent as it is probable, up to five standard errors."""
    chain = (np.log(np.asarray(leaf, float)) for leaf in (CHAIN.initial, CHAIN.transition))
    wanted = enumerate_paths(*chain, scores)
    for path, share in zip(wanted["paths"], wanted["shares"], strict=True):
        frequency = (np.asarray(draws) == path[:, None]).all(0).mean()
        assert abs(frequency - share) <= 5 * np.sqrt(share * (1 - share) / DRAWS), path


def test_sample_follows_the_chain():
    check_frequencies(hmm.sample(CHAIN, jax.random.key(0), T, (DRAWS,)), np.zeros((T, K)))


def test_posterior_sample_follows_the_posterior_by_both_methods():
    scores = np.array([[0.0, -1.0], [-np.inf, 0.5], [1.0, 0.0]])

    @jax.jit
    def draw(key):
        many = jnp.broadcast_to(jnp.float32(scores)[:, None], (T, DRAWS, K))
        return [hmm.posterior_sample(CHAIN, key, many, method=method) for method in ("scan", "associative")]

    sequential, parallel = jax.device_get(draw(jax.random.key(0)))
    np.testing.assert_array_equal(sequential, parallel)
    check_frequencies(sequential, scores)
