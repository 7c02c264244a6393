"""Baum-Welch against enumeration, hmmlearn and itself: a hundred seeds, none of which decreases."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from seqjax.statespace import hmm
from tests.statespace.hmm.families import FAMILIES, observations

COUNTS = np.array([[2, 7], [0, 9], [8, 5], [1, 1]])
LENGTHS = np.array([4, 2])
OBSERVED = np.ones((4, 2), bool)
OBSERVED[1, 0] = False
PSEUDO_COUNTS = {
    "initial_pseudo_count": np.array([0.5, 0.25]),
    "transition_pseudo_count": np.array([[1.0, 0.0], [0.0, 2.0]]),
}
CHAIN = hmm.HMMParams(np.log([0.3, 0.7]), np.log([[0.6, 0.4], [0.1, 0.9]]))
RATES = hmm.PoissonParams(np.log([2.0, 6.0]))
EMISSION = hmm.poisson(2)


def step(params=CHAIN, emission_params=RATES, **options):
    given = {"lengths": LENGTHS, "observed": OBSERVED} | PSEUDO_COUNTS | options
    return hmm.baum_welch_step(EMISSION, params, emission_params, COUNTS, **given)


def enumerated(scores):
    """Weights of states and of transitions, and the log-likelihood, of one sequence, path by path."""
    initial, transition = np.exp(CHAIN.initial_logits), np.exp(CHAIN.transition_logits)
    gamma, xi, total = np.zeros(scores.shape), np.zeros((2, 2)), 0.0
    for path in itertools.product(range(2), repeat=len(scores)):
        weight = initial[path[0]] * np.prod([np.exp(scores[t, k]) for t, k in enumerate(path)])
        weight *= np.prod([transition[pair] for pair in itertools.pairwise(path)])
        total += weight
        for t, k in enumerate(path):
            gamma[t, k] += weight
        for pair in itertools.pairwise(path):
            xi[pair] += weight
    return gamma / total, xi / total, np.log(total)


def test_a_step_is_what_enumeration_says(x64):
    scores = np.array(EMISSION.log_likelihoods(RATES, COUNTS))
    scores[~OBSERVED] = 0
    rows = [enumerated(scores[:length, b]) for b, length in enumerate(LENGTHS)]
    got = step()
    np.testing.assert_allclose(got.log_likelihoods, [row[2] for row in rows], rtol=1e-10)
    initial = sum(row[0][0] for row in rows) + PSEUDO_COUNTS["initial_pseudo_count"]
    np.testing.assert_allclose(got.params.initial, initial / initial.sum(), rtol=1e-10)
    transition = sum(row[1] for row in rows) + PSEUDO_COUNTS["transition_pseudo_count"]
    np.testing.assert_allclose(
        got.params.transition, transition / transition.sum(1, keepdims=True), rtol=1e-10
    )
    weights = np.concatenate([row[0] for row in rows])
    seen = np.concatenate([OBSERVED[:length, b] for b, length in enumerate(LENGTHS)])
    counts = np.concatenate([COUNTS[:length, b] for b, length in enumerate(LENGTHS)])
    rates = (weights * counts[:, None])[seen].sum(0) / weights[seen].sum(0)
    np.testing.assert_allclose(got.emission_params.rates, rates, rtol=1e-10)
    prior = 0.5 * np.log(0.3) + 0.25 * np.log(0.7) + np.log(0.6) + 2 * np.log(0.9)
    np.testing.assert_allclose(got.objective, sum(row[2] for row in rows) + prior, rtol=1e-10)


def test_what_is_fixed_stays_and_the_rest_is_learned_as_without(x64):
    free, held = step(), step(fixed=("initial", "emission"))
    np.testing.assert_array_equal(held.params.initial_logits, CHAIN.initial_logits)
    np.testing.assert_array_equal(held.emission_params.log_rates, RATES.log_rates)
    np.testing.assert_allclose(held.params.transition_logits, free.params.transition_logits, rtol=1e-12)


def test_a_state_that_nothing_reaches_keeps_what_it_has(x64):
    nowhere = hmm.HMMParams(np.array([0.0, -np.inf]), np.array([[0.0, -np.inf], np.log([0.3, 0.7])]))
    got = step(nowhere, initial_pseudo_count=np.zeros(2), transition_pseudo_count=np.zeros((2, 2)))
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(got))
    np.testing.assert_allclose(got.params.transition, [[1, 0], [0.3, 0.7]], rtol=1e-12)
    np.testing.assert_allclose(got.params.initial, [1, 0])
    np.testing.assert_allclose(got.emission_params.log_rates[1], RATES.log_rates[1], rtol=1e-12)
    # A pseudo-count makes nothing possible that is not.
    np.testing.assert_allclose(step(nowhere).params.transition[0], [1, 0])


SEEDS = 100
ITERATIONS = 25
ROWS = (9, 3)  # a short batch, whose likelihood has many maxima


def learned(name, dtype):
    """What is learned from many data sets side by side, each from a start of its own."""
    emission = FAMILIES[name]

    def learn(key, ys, lengths, observed):
        given = {"lengths": lengths, "observed": observed, "tolerance": 0.0, "num_iterations": ITERATIONS}
        return hmm.fit(emission, key, ys, transition_pseudo_count=0.1, **given)

    return jax.jit(jax.vmap(learn))(*data_sets(name, dtype))


def data_sets(name, dtype):
    """Random ones; the last are degenerate."""
    ys = np.stack([observations(name, seed, ROWS) for seed in range(SEEDS)])
    generator = np.random.default_rng(0)
    lengths = generator.integers(0, ROWS[0] + 1, (SEEDS, ROWS[1]))
    observed = generator.random((SEEDS, *ROWS)) < 0.9
    lengths[-1] = 0  # nothing at all
    lengths[-2] = [1, 0, 0]  # a single step
    lengths[-3] = 1  # single steps
    observed[-4] = False  # steps, but nothing observed
    ys[-8:-4] = 1  # constant, in long rows and in short ones
    ys[-6:-4] = 0
    lengths[[-5, -7]] = ROWS[0]
    keys = jax.random.split(jax.random.key(0), SEEDS)
    return keys, ys.astype(dtype) if ys.dtype.kind == "f" else ys, lengths, observed


@pytest.mark.slow
def test_no_iteration_decreases_over_a_hundred_seeds(x64):
    found = learned("mixture", np.float64)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((found.history, found.log_likelihoods)))
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
    gains = np.diff(found.history, axis=1)
    assert gains.min() > -1e-9
    assert (found.history[:-8, -1] - found.history[:-8, 0] > 0.1).mean() > 0.9


@pytest.mark.slow
def test_float32_and_degenerate_data_give_numbers():
    found = learned("autoregressive", np.float32)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((found.history, found.log_likelihoods)))
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(found))
    assert np.linalg.eigvalsh(np.asarray(found.emission_params.covariances, np.float64)).min() > 0
    assert np.diff(found.history, axis=1).min() > -1e-3


@pytest.mark.slow
def test_hmmlearn_takes_the_same_steps(x64):
    theirs = pytest.importorskip("hmmlearn.hmm")
    ys = observations("full", 1, (40, 1))[:, 0]
    start = np.array([0.5, 0.3, 0.2]), np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    means = np.array([[-2.0, -1.0], [3.0, 2.0], [0.0, 0.5]])
    # Its prior of the covariances, so chosen, adds nothing to them.
    peer = theirs.GaussianHMM(
        3,
        "full",
        n_iter=6,
        tol=-np.inf,
        init_params="",
        covars_prior=0,
        covars_weight=2,
        implementation="log",
    )
    peer.startprob_, peer.transmat_, peer.means_ = start[0], start[1], means
    peer.covars_ = np.broadcast_to(2 * np.eye(2), (3, 2, 2))
    peer.fit(ys)

    emission = hmm.gaussian(3, 2, covariance_pseudo_count=1e-13, prior_covariance=1.0)
    chain, emission_params = hmm.params(*start), hmm.gaussian_params(means, 2.0)
    values = []
    for _ in range(6):
        found = hmm.baum_welch_step(emission, chain, emission_params, ys)
        chain, emission_params = found.params, found.emission_params
        values.append(found.log_likelihoods)
    np.testing.assert_allclose(values, peer.monitor_.history, rtol=1e-8)
    np.testing.assert_allclose(chain.initial, peer.startprob_, atol=1e-8)
    np.testing.assert_allclose(chain.transition, peer.transmat_, atol=1e-8)
    np.testing.assert_allclose(emission_params.means, peer.means_, rtol=1e-7)
    np.testing.assert_allclose(emission_params.covariances, peer.covars_, rtol=1e-6, atol=1e-8)


@pytest.mark.slow
def test_networks_give_log_likelihoods_and_transitions_and_learn_by_gradient():
    """Inputs say when the state changes, and how what is observed depends on other inputs in each state."""
    num_steps, batch = 60, 8
    generator = np.random.default_rng(0)
    inputs = generator.normal(size=(num_steps, batch, 2)).astype(np.float32)
    states = np.zeros((num_steps, batch), int)
    for t in range(1, num_steps):
        states[t] = np.where(np.abs(inputs[t - 1, :, 0]) > 1, inputs[t - 1, :, 0] > 0, states[t - 1])
    slopes = np.array([1.5, -1.5])
    ys = np.sin(slopes[states] * inputs[..., 1]) + 0.2 * generator.normal(size=states.shape)
    lengths = generator.integers(num_steps // 2, num_steps + 1, batch)
    ys[np.arange(num_steps)[:, None] >= lengths] = 0

    def network(params, x):
        hidden = jnp.tanh(x @ params["input"] + params["bias"])
        return hidden @ params["output"]

    def init(num_outputs):
        sizes = {"input": (1, 16), "bias": (16,), "output": (16, num_outputs)}
        return {name: generator.normal(0, 0.5, size).astype(np.float32) for name, size in sizes.items()}

    def per_observation(params):
        log_likelihoods = -0.5 * ((ys[..., None] - network(params["emission"], inputs[..., 1:])) / 0.2) ** 2
        logits = network(params["transition"], inputs[..., :1]).reshape(num_steps, batch, 2, 2)
        chain = hmm.HMMParams(jnp.zeros(2), logits)
        return -jnp.sum(hmm.log_normalizer(chain, log_likelihoods, lengths=lengths)) / jnp.sum(lengths)

    params = {"emission": init(2), "transition": init(4)}
    optimizer = optax.adam(0.03)

    @jax.jit
    def train(params):
        def update(state, _):
            loss, gradient = jax.value_and_grad(per_observation)(state[0])
            updates, moments = optimizer.update(gradient, state[1])
            return (optax.apply_updates(state[0], updates), moments), loss

        return jax.lax.scan(update, (params, optimizer.init(params)), None, 300)

    (params, _), losses = train(params)
    assert np.isfinite(losses).all()
    # The noise alone costs half a nat; the changes of state that its own input does not tell, nothing.
    assert losses[0] > 3
    assert losses[-1] < 0.75
