"""Conditional random fields against the enumeration of all sequences of tags."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax import layers
from tests.statespace.hmm.enumeration import enumerate_paths, path_weights, shares

T, B, K = 4, 4, 3
LENGTHS = np.array([4, 0, 3, 1])
PADDING = np.arange(T)[:, None] >= LENGTHS
TAGS = layers.crf(K)
by_method = pytest.mark.parametrize("method", ["scan", "associative"])


def example(scale=1.0):
    """Params of which one transition is forbidden, scores and tags, NaN and -7 as padding."""
    generator = np.random.default_rng(0)
    drawn = generator.normal(size=(K + 2, K))
    params = layers.CRFParams(start=drawn[0], transition=5 * drawn[2:] + 60, end=drawn[1])
    params.transition[0, 2] = -np.inf
    scores = np.where(PADDING[..., None], np.nan, scale * generator.normal(size=(T, B, K)))
    tags = np.where(PADDING, -7, np.array([[0, 0, 1, 2], [1, 0, 2, 0], [2, 0, 0, 0], [2, 0, 0, 0]]))
    return params, scores, tags


@functools.partial(jax.jit, static_argnames="method")
def run(params, scores, tags, method):
    def loss(params, scores):
        values = TAGS.log_likelihood(params, scores, tags, lengths=LENGTHS, method=method)
        return jnp.where(jnp.isneginf(values), 0, values).sum(), values

    (_, values), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, scores)
    functions = TAGS.log_normalizer, TAGS.marginals, TAGS.decode
    results = (function(params, scores, lengths=LENGTHS, method=method) for function in functions)
    return values, gradients, *results


@by_method
@pytest.mark.parametrize("scale", [1.0, 1e4], ids=["usual", "far_apart"])
def test_enumeration(method, scale, x64):
    params, scores, tags = example(scale)
    values, (by_params, by_score), log_normalizer, marginals, (found, log_probability) = jax.device_get(
        run(params, scores, tags, method)
    )
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    likelihood, by_start, by_transition, by_end = 0.0, np.zeros(K), np.zeros((K, K)), np.zeros(K)
    for row, length in enumerate(LENGTHS):
        assert (found[length:, row] == -1).all()
        assert not marginals[length:, row].any()
        assert not by_score[length:, row].any()
        if length == 0:
            assert log_normalizer[row] == log_probability[row] == 0
            continue
        own = scores[:length, row] + 0
        own[-1] += params.end
        wanted = enumerate_paths(params.start, params.transition, own)
        close(log_normalizer[row], wanted["log_normalizer"])
        close(marginals[:length, row], wanted["smoothed"])
        np.testing.assert_array_equal(found[:length, row], wanted["path"])
        close(log_probability[row], wanted["log_probability"] - wanted["log_normalizer"], atol=1e-10 * scale)
        # The gradient is what is there less what is expected there.
        paths, weights = path_weights(params.start, params.transition, own)
        here = (paths == tags[:length, row]).all(1)
        likelihood += weights[here][0] - shares(weights)[1]
        states = np.eye(K)[tags[:length, row]]
        change = states - wanted["smoothed"]
        close(by_score[:length, row], change)
        by_start += change[0]
        by_end += change[-1]
        by_transition += np.einsum("ti,tj->ij", states[:-1], states[1:]) - wanted["pairwise"].sum(0)
    close(values.sum(), likelihood)
    close(by_params.start, by_start)
    close(by_params.end, by_end)
    close(by_params.transition, by_transition)


@by_method
def test_forbidden_tags(method, x64):
    """What no sequence can have is impossible, and gradients are finite where values are."""
    params, scores, tags = example()
    scores[1, 0] = [-np.inf, 0, 0]
    scores[2, 2] = -np.inf
    tags[1, 0] = 0
    values, gradients, log_normalizer, marginals, (found, log_probability) = jax.device_get(
        run(params, scores, tags, method)
    )
    np.testing.assert_array_equal(np.isneginf(values), [True, False, True, False])
    chex.assert_tree_all_finite(gradients)
    for value in (log_normalizer, log_probability):
        np.testing.assert_array_equal(np.isneginf(value), [False, False, True, False])
    assert (found[:, 2] == -1).all()
    assert not marginals[:, 2].any()
    assert marginals[1, 0, 0] == 0
    tags[0, 3] = K  # does not exist
    values, gradients, *_ = run(params, scores, tags, method)
    np.testing.assert_array_equal(np.isnan(values), [False, False, False, True])
    assert np.isnan(gradients[0].start).all()


def test_mistakes_are_named():
    params, scores, tags = example()
    scores = np.nan_to_num(scores)
    with pytest.raises(ValueError, match=r"tags has the value -7 at \(1, 3\), expected tags from 0 to 2"):
        TAGS.log_likelihood(params, scores, tags, lengths=np.array([4, 0, 3, 2]))
    with pytest.raises(ValueError, match=r"tags has shape \(4,\), expected \(4, 4\): one tag a step"):
        TAGS.log_likelihood(params, scores, tags[0])
    with pytest.raises(TypeError, match="tags has dtype float"):
        TAGS.log_likelihood(params, scores, tags * 1.0)
    with pytest.raises(ValueError, match=r"scores has shape \(4, 4, 2\), expected \[T, \*B, 3\]"):
        TAGS.decode(params, scores[..., :2])
    with pytest.raises(TypeError, match="scores has dtype int"):
        TAGS.marginals(params, scores.astype(int))
    with pytest.raises(TypeError, match="params is a dict, expected CRFParams"):
        TAGS.log_normalizer({}, scores)
    with pytest.raises(ValueError, match="method is 'fused', expected 'scan' or 'associative'"):
        TAGS.decode(params, scores, method="fused")


def test_long_sequences_keep_their_digits():
    """Without transitions tags are independent; two sums of 400,000 differ by 3, right to 1e-4."""
    tags = np.random.default_rng(0).integers(0, K, 4096)
    scores = 100 + 8 * np.eye(K)[tags]
    params = layers.CRFParams(start=np.zeros(K), transition=np.zeros((K, K)), end=np.zeros(K))
    got = TAGS.log_likelihood(jax.tree.map(np.float32, params), np.float32(scores), tags)
    np.testing.assert_allclose(got, -len(tags) * np.log1p((K - 1) * np.exp(-8)), rtol=1e-4)
