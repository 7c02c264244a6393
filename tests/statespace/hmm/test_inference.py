"""Filter, smoother, Viterbi and their gradients against the enumeration of all paths, by both methods."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.statespace import hmm
from tests.statespace.hmm import enumeration

T, B, K = 4, 4, 3
LENGTHS = np.array([4, 0, 3, 1])
PADDING = np.arange(T)[:, None] >= LENGTHS
METHODS = ["scan", "associative"]
by_method = pytest.mark.parametrize("method", METHODS)


def example(per_step=False, scale=2.0):
    """Params `[K]` and `[K, K]` or `[T, 1, K, K]`, and scores `[T, B, K]` with NaN as padding.

    States lead from left to right: what one loses, it never gets back.
    """
    generator = np.random.default_rng(0)
    transition = np.triu(generator.dirichlet(np.ones(K), (T, 1, K) if per_step else K))
    params = hmm.params(generator.dirichlet(np.ones(K)), transition / transition.sum(-1, keepdims=True))
    scores = scale * generator.normal(size=(T, B, K))
    return params, np.where(PADDING[..., None], np.nan, scores)


@functools.partial(jax.jit, static_argnames=("method", "differentiated"))
def run(params, scores, weights, method, differentiated=True):
    """All results, and the gradients of their sum with given weights."""

    def loss(params, scores):
        posterior = hmm.smooth(params, scores, lengths=LENGTHS, method=method)
        path, log_probability = hmm.viterbi(params, scores, lengths=LENGTHS, method=method)
        results = {
            "log_normalizer": posterior.log_normalizer,
            "filtered": posterior.filtered,
            "predicted": posterior.predicted,
            "smoothed": posterior.smoothed,
            "carry": jnp.exp(posterior.carry),
            "pairwise": hmm.pairwise(params, posterior),
            "expected": hmm.expected_transitions(params, posterior),
            "log_probability": log_probability,
        }
        # A sum without a term for what is -inf.
        terms = jax.tree.map(
            lambda weight, leaf: jnp.sum(jnp.where(weight == 0, 0, weight * leaf)), weights, results
        )
        return sum(terms.values()), results | {"path": path}

    if not differentiated:
        return loss(params, scores)[1]
    (value, results), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(params, scores)
    return value, results, gradients


@functools.cache
def weights_of(*names):
    """Weights that differ from element to element for some results, and zero for all others."""
    shapes = {"log_normalizer": (B,), "log_probability": (B,), "carry": (B, K), "expected": (B, K, K)}
    shapes |= {"pairwise": (T - 1, B, K, K)} | dict.fromkeys(("filtered", "predicted", "smoothed"), (T, B, K))
    generator = np.random.default_rng(1)
    names = names or tuple(shapes)
    drawn = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    return {name: value * (name in names) for name, value in drawn.items()}


def wanted_of(params, scores, row):
    """The enumeration of one row, cut to its length."""
    initial, transition = (
        jax.nn.log_softmax(leaf) for leaf in (params.initial_logits, params.transition_logits)
    )
    matrices = transition[:, 0] if transition.ndim > 2 else transition
    return enumeration.enumerate_paths(*map(np.asarray, (initial, matrices)), scores[: LENGTHS[row], row])


def check_results(results, params, scores):
    """Each row is what the enumeration of its paths gives, and nothing stands in the padding."""
    close = functools.partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12)
    for row, length in enumerate(LENGTHS):
        for name in ("filtered", "predicted", "smoothed"):
            assert not results[name][length:, row].any(), name
        assert not results["pairwise"][max(length - 1, 0) :, row].any()
        assert (results["path"][length:, row] == -1).all()
        if length == 0:
            close(results["carry"][row], params.initial)
            assert results["log_normalizer"][row] == results["log_probability"][row] == 0
            continue
        wanted = wanted_of(params, scores, row)
        for name in ("filtered", "predicted", "smoothed", "path"):
            close(results[name][:length, row], wanted[name], err_msg=name)
        for name in ("log_normalizer", "carry", "log_probability"):
            close(results[name][row], wanted[name], err_msg=name)
        close(results["pairwise"][: length - 1, row], wanted["pairwise"])
        close(results["expected"][row], wanted["pairwise"].sum(0))


def check_gradient_of_log_normalizer(params, scores, method):
    """Fisher's identity: the gradients are numbers of states and of transitions, which were enumerated."""
    weights = weights_of("log_normalizer")
    _, _, (chain, by_score) = jax.device_get(run(params, scores, weights, method))
    wanted_initial, wanted_transition = np.zeros(K), np.zeros((K, K))
    for row, length in enumerate(LENGTHS):
        assert not by_score[length:, row].any()
        if length:
            wanted, weight = wanted_of(params, scores, row), weights["log_normalizer"][row]
            np.testing.assert_allclose(
                by_score[:length, row], weight * wanted["smoothed"], rtol=1e-9, atol=1e-12
            )
            counts = wanted["pairwise"].sum(0)
            wanted_initial += weight * (wanted["smoothed"][0] - params.initial)
            wanted_transition += weight * (counts - params.transition * counts.sum(-1, keepdims=True))
    np.testing.assert_allclose(chain.initial_logits, wanted_initial, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(chain.transition_logits, wanted_transition, rtol=1e-9, atol=1e-12)


def check_gradient_of_everything(params, scores, method):
    """Central differences along a random direction, which leaves what is impossible as it is."""
    _, _, gradients = jax.device_get(run(params, scores, weights_of(), method))
    chex.assert_tree_all_finite(gradients)
    generator = np.random.default_rng(2)
    direction = jax.tree.map(
        lambda leaf: np.where(np.isfinite(leaf), generator.normal(size=leaf.shape), 0), (params, scores)
    )

    def moved(step):
        at = jax.tree.map(lambda leaf, along: leaf + step * along, (params, scores), direction)
        return run(*at, weights_of(), method)[0]

    slope = sum(jax.tree.leaves(jax.tree.map(lambda one, other: np.sum(one * other), gradients, direction)))
    np.testing.assert_allclose((moved(1e-5) - moved(-1e-5)) / 2e-5, slope, rtol=1e-7)


@pytest.mark.slow
@by_method
def test_one_matrix_for_all_steps(method, x64):
    params, scores = example()
    _, results, _ = jax.device_get(run(params, scores, weights_of(), method))
    check_results(results, params, scores)
    check_gradient_of_log_normalizer(params, scores, method)
    check_gradient_of_everything(params, scores, method)


@pytest.mark.slow
@by_method
def test_shares_below_the_smallest_number_of_the_dtype_may_decide(method, x64):
    params, scores = example(scale=1e4)
    _, results, _ = jax.device_get(run(params, scores, weights_of(), method))
    check_results(results, params, scores)
    check_gradient_of_log_normalizer(params, scores, method)


@by_method
def test_one_matrix_a_step(method, x64):
    params, scores = example(per_step=True)
    check_results(jax.device_get(run(params, scores, weights_of(), method, False)), params, scores)


@pytest.mark.slow
def test_gradients_of_one_matrix_a_step(x64):
    """That of the log-likelihood is the number of transitions, less what the chain alone expects of it."""
    params, scores = example(per_step=True)

    @jax.jit
    def gradients(params, scores):
        def total(params, method):
            return hmm.log_normalizer(params, scores, lengths=LENGTHS, method=method).sum()

        return [jax.grad(total)(params, method).transition_logits for method in METHODS]

    pairs = np.zeros((T, 1, K, K))
    for row, length in enumerate(LENGTHS):
        if length:
            pairs[: length - 1, 0] += wanted_of(params, scores, row)["pairwise"]
    wanted = pairs - params.transition * pairs.sum(-1, keepdims=True)
    for got in gradients(params, scores):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


@by_method
def test_impossible_observations(method, x64):
    """-inf, zero probabilities, no path, and finite gradients of all that is finite."""
    params, scores = example()
    scores = np.array(scores)
    scores[1, 0] = [0, -np.inf, -np.inf]
    scores[0, 0] = [-np.inf, 0, 0]
    scores[:, 2] = -np.inf
    value, results, gradients = jax.device_get(
        run(params, scores, weights_of("filtered", "smoothed"), method)
    )
    assert np.isfinite(value)
    chex.assert_tree_all_finite(gradients)
    for name in ("log_normalizer", "log_probability"):
        assert np.isneginf(results[name][[0, 2]]).all()
        assert np.isfinite(results[name][[1, 3]]).all()
    assert (results["path"][:, [0, 2]] == -1).all()
    for name in ("smoothed", "pairwise"):
        assert not results[name][:, [0, 2]].any()
    assert not results["filtered"][1:, 0].any()
    assert results["filtered"][0, 0].sum() == pytest.approx(1)
    assert not results["carry"][[0, 2]].any()


@by_method
def test_ties_go_to_the_lowest_state_from_the_end(method, x64):
    """Sums of small integers are exact, and many paths are equally good."""
    generator = np.random.default_rng(3)
    params = hmm.HMMParams(initial_logits=np.zeros(K), transition_logits=np.zeros((K, K)))
    for _ in range(5):
        scores = generator.integers(-1, 1, (T, B, K)).astype(float)
        path = np.asarray(run(params, scores, weights_of(), method)[1]["path"])
        for row, length in enumerate(LENGTHS):
            if length:
                np.testing.assert_array_equal(path[:length, row], wanted_of(params, scores, row)["path"])
