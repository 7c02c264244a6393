"""What holds of inference whatever it computes: pieces, batches, platforms, long sequences, peers."""

import functools
import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import hmm
from tests.layer_laws import compilations

T, K = 6, 3
METHODS = ["scan", "associative"]
by_method = pytest.mark.parametrize("method", METHODS)


def example(num_states=K, shape=(T,), seed=0):
    generator = np.random.default_rng(seed)
    initial, transition = (
        generator.dirichlet(np.ones(num_states)),
        generator.dirichlet(np.ones(num_states), num_states),
    )
    scores = 2 * generator.normal(size=(*shape, num_states))
    return hmm.params(np.float32(initial), np.float32(transition)), np.float32(scores)


@by_method
def test_pieces_with_the_carry_handed_on_are_the_whole(method):
    params, scores = example()

    @jax.jit
    def run(params, scores):
        whole = hmm.filter(params, scores, method=method)
        first = hmm.filter(params, scores[:3], method=method)
        return whole, first, hmm.filter(params, scores[3:], carry=first.carry, method=method)

    whole, first, second = run(params, scores)
    np.testing.assert_allclose(first.log_normalizer + second.log_normalizer, whole.log_normalizer, rtol=1e-5)
    for name in ("filtered", "predicted"):
        joined = np.concatenate([getattr(piece, name) for piece in (first, second)])
        np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(second.carry, whole.carry, rtol=1e-5, atol=1e-6)


def test_predict_multiplies_by_the_transitions():
    params, _ = example()
    carry = np.log(np.float32([0.2, 0.3, 0.5]))
    ahead = hmm.predict(params, carry, 4)
    for steps, got in enumerate(ahead):
        wanted = np.exp(carry) @ np.linalg.matrix_power(np.asarray(params.transition), steps)
        np.testing.assert_allclose(got, wanted, rtol=1e-5)
    per_step = params.replace(transition_logits=jnp.broadcast_to(params.transition_logits, (4, K, K)))
    np.testing.assert_allclose(hmm.predict(per_step, carry, 4), ahead, rtol=1e-6)


def results(params, scores, method="scan"):
    posterior = hmm.smooth(params, scores, method=method)
    return posterior, hmm.viterbi(params, scores, method=method)


@pytest.mark.slow
def test_batches_and_maps_are_loops_over_rows():
    """Any batch axes, params of each row, `vmap` over models, of which one needs logarithms."""
    chains = [example(seed=seed)[0] for seed in range(4)]
    chains[2] = hmm.params(
        np.eye(K)[0], np.triu(chains[2].transition) / np.triu(chains[2].transition).sum(1, keepdims=True)
    )
    scores = np.stack([(1000 if row == 2 else 1) * example(seed=row)[1] for row in range(4)])
    alone = [results(params, own) for params, own in zip(chains, scores, strict=True)]
    wanted = jax.tree.map(lambda *leaves: np.stack(leaves), *alone)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *chains)
    mapped = jax.jit(jax.vmap(results))(stacked, scores)
    chex.assert_trees_all_close(mapped, wanted, rtol=1e-5, atol=1e-6)

    per_row = hmm.HMMParams(
        initial_logits=stacked.initial_logits.reshape(2, 2, K),
        transition_logits=jnp.broadcast_to(stacked.transition_logits.reshape(2, 2, K, K), (T, 2, 2, K, K)),
    )
    posterior, (path, log_probability) = results(per_row, np.moveaxis(scores, 1, 0).reshape(T, 2, 2, K))

    def rows_first(leaf):
        return np.moveaxis(leaf.reshape(T, 4, *leaf.shape[3:]), 0, 1)

    for name in ("filtered", "log_predicted", "smoothed"):
        np.testing.assert_allclose(
            rows_first(getattr(posterior, name)), getattr(wanted[0], name), rtol=1e-4, atol=1e-5
        )
    np.testing.assert_array_equal(rows_first(path), wanted[1][0])
    np.testing.assert_allclose(log_probability.reshape(-1), wanted[1][1], rtol=1e-5)
    np.testing.assert_allclose(posterior.carry.reshape(4, K), wanted[0].carry, rtol=1e-5, atol=1e-6)

    with compilations() as compiled:
        results(chains[0], scores[0])
    assert not compiled


@by_method
def test_no_steps_one_step_and_no_rows(method):
    params, _ = example()
    for shape in ((0,), (1,), (2, 0)):
        posterior, (path, log_probability) = jax.eval_shape(
            functools.partial(results, method=method), params, np.zeros((*shape, K))
        )
        assert posterior.smoothed.shape == (*shape, K)
        assert path.shape == shape
        assert log_probability.shape == posterior.log_normalizer.shape == shape[1:]
    posterior = hmm.filter(params, np.zeros((0, K)), method=method)
    assert posterior.log_normalizer == 0
    np.testing.assert_allclose(np.exp(posterior.carry), params.initial, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("num_states", "method"), [(3, "scan"), (3, "associative"), (20, "scan")])
def test_lowers_for_every_platform(num_states, method):
    params, scores = example(num_states, (2, 2))

    def loss(params, scores):
        posterior, (_, log_probability) = results(params, scores, method)
        drawn = hmm.posterior_sample(params, jax.random.key(0), scores, method=method)
        return posterior.smoothed.sum() + posterior.log_normalizer.sum() + log_probability.sum(), drawn

    function = jax.grad(loss, (0, 1), has_aux=True) if num_states == 20 else loss
    traced = jax.jit(function).trace(params, scores)
    for platform in ("cuda", "tpu"):
        assert traced.lower(lowering_platforms=(platform,)).as_text()


def test_many_states_are_few_states():
    """Twenty states take another form than three: states that cannot be reached change nothing."""
    params, scores = example()
    more = 20 - K
    big = hmm.HMMParams(
        initial_logits=jnp.pad(params.initial_logits, (0, more), constant_values=-np.inf),
        transition_logits=jnp.pad(params.transition_logits, ((0, more), (0, more)), constant_values=-np.inf)
        .at[K:, 0]
        .set(0.0),
    )
    (got, path), (wanted, wanted_path) = (
        results(*arguments) for arguments in ((big, np.pad(scores, ((0, 0), (0, more)))), (params, scores))
    )
    for name in ("filtered", "smoothed", "predicted"):
        np.testing.assert_allclose(getattr(got, name)[:, :K], getattr(wanted, name), rtol=1e-4, atol=1e-6)
        assert not np.asarray(getattr(got, name))[:, K:].any()
    np.testing.assert_allclose(got.log_normalizer, wanted.log_normalizer, rtol=1e-5)
    np.testing.assert_array_equal(path[0], wanted_path[0])


@pytest.mark.slow
@pytest.mark.parametrize("num_states", [K, 20])
def test_many_rows_are_a_few_rows(num_states):
    """Big steps take another form than small ones."""
    params, scores = example(num_states, (T, 2))
    few, many = results(params, scores), results(params, np.tile(scores, (1, 64, 1)))

    def first_rows(leaf):
        return leaf[:2] if leaf.shape[0] == 128 else leaf[:, :2]

    chex.assert_trees_all_close(jax.tree.map(first_rows, many), few, rtol=1e-4, atol=1e-5)
    chex.assert_trees_all_close(many[0].smoothed[:, -2:], few[0].smoothed, rtol=1e-4, atol=1e-5)


def test_the_umbrella_world():
    """Russell & Norvig (2010), section 15.2: two days with an umbrella, five days in figure 15.5."""
    rain = hmm.params(initial=[0.5, 0.5], transition=[[0.7, 0.3], [0.3, 0.7]])
    seen = np.log(np.float32([[0.9, 0.2], [0.9, 0.2], [0.1, 0.8], [0.9, 0.2], [0.9, 0.2]]))
    np.testing.assert_allclose(hmm.log_normalizer(rain, seen), -3.3725, atol=5e-5)
    np.testing.assert_array_equal(hmm.viterbi(rain, seen)[0], [0, 0, 1, 0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("num_states", [4, 16, 64])
def test_a_million_steps_in_float32(num_states):
    """The log-likelihood is that of float64 to 1e-7; the best path differs at most in ties of float32."""
    params, scores = example(num_states, (1_000_000,))

    def both(params, scores):
        return float(hmm.log_normalizer(params, scores)), np.asarray(hmm.viterbi(params, scores)[0])

    value, path = both(params, scores)
    with jax.enable_x64(True):
        exact = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, scores))
        wanted, wanted_path = both(*exact)
        transition = np.log(np.asarray(exact[0].transition))

    def weights(path):  # of each step with the move that leads there, but for the first
        return exact[1][np.arange(1, len(path)), path[1:]] + transition[path[:-1], path[1:]]

    assert abs(value - wanted) <= 1e-7 * abs(wanted)
    assert np.sum(path != wanted_path) <= 4  # of K = 16, which are worth 3e-7; none of K = 4 and 64
    assert np.sum(weights(wanted_path) - weights(path)) <= 1e-6


def test_hmmlearn():
    peer = pytest.importorskip("hmmlearn._hmmc")
    params, scores = example()
    initial, transition = (np.asarray(leaf, np.float64) for leaf in (params.initial, params.transition))
    posterior, (path, log_probability) = results(params, scores)
    wanted, forward = peer.forward_log(initial, transition, scores.astype(float))
    logs = forward + peer.backward_log(initial, transition, scores.astype(float))
    np.testing.assert_allclose(posterior.log_normalizer, wanted, rtol=1e-5)
    np.testing.assert_allclose(np.log(posterior.smoothed), logs - wanted, rtol=1e-4, atol=1e-5)
    best, best_path = peer.viterbi(initial, transition, scores.astype(float))
    np.testing.assert_array_equal(path, best_path)
    np.testing.assert_allclose(log_probability, best, rtol=1e-5)


def test_the_first_mistake_is_named():
    params, scores = example()
    functions = hmm.filter, hmm.smooth, hmm.log_normalizer, hmm.viterbi
    mistakes = {
        "params is a tuple, expected HMMParams": ((), scores, {}),
        "method is 'parallel', expected 'scan' or 'associative'": (params, scores, {"method": "parallel"}),
        r"log_likelihoods has shape \(6, 2\), expected \[T, \*B, 3\]": (params, scores[:, :2], {}),
        r"carry has shape \(2,\), expected \(3,\)": (params, scores, {"carry": np.zeros(2)}),
        r"lengths has the value 7 at \(\), expected 0 to 6": (params, scores, {"lengths": 7}),
        "log_likelihoods is a jax array bool": (params, scores > 0, {}),
        r"transition_logits has shape \(5, 3, 3\), expected \(3, 3\), or one matrix a step, \(6, 3, 3\)": (
            params.replace(transition_logits=np.zeros((5, 3, 3))),
            scores,
            {},
        ),
    }
    for function, (message, (chain, given, options)) in itertools.product(functions, mistakes.items()):
        with pytest.raises((ValueError, TypeError), match=message):
            function(chain, given, **options)
    with pytest.raises(ValueError, match="no smoothed probabilities"):
        hmm.pairwise(params, hmm.HMMPosterior(*[None] * 5))
    with pytest.raises(TypeError, match="typed random key"):
        hmm.posterior_sample(params, 0, scores)
    with pytest.raises(ValueError, match="num_steps is 0"):
        hmm.predict(params, np.zeros(K), 0)
