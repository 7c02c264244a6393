"""Hidden Markov models: emissions, learning, selection."""

import numpy as np

from seqjax.statespace import hmm
from tests.bad_calls.values import KEY, NO_KEYS, SIZES, TYPE, VALUE, each, table, zeros

COIN = hmm.categorical(2, 3)
COUNTS = hmm.poisson(2)
VECTORS = hmm.gaussian(2, 2)
LAGGED = hmm.autoregressive(2, 1, 1)
CHAIN = hmm.HMMParams(zeros(2), zeros(2, 2))
RATES = hmm.PoissonParams(log_rates=zeros(2))
NORMAL = hmm.GaussianParams(means=zeros(2, 2), log_cholesky=zeros(2, 2, 2))
YS = np.array([0, 3, 1])
NAN = np.array([[0.0, 1.0], [np.nan, 1.0]], np.float32)


def fit(emission=COUNTS, ys=YS, key=KEY, **options):
    return lambda: hmm.fit(emission, key, ys, **options)


def step(emission=COUNTS, params=CHAIN, ys=YS, **options):
    return lambda: hmm.baum_welch_step(emission, params, RATES, ys, **options)


def select(emissions=(COUNTS,), **options):
    return lambda: hmm.select(emissions, KEY, YS, **options)


def supervised(ys=YS, states=YS, **options):
    return lambda: hmm.fit_supervised(COUNTS, ys, states, emission_params=RATES, **options)


HMM_SIZES = {
    "categorical": ("num_states", lambda size: hmm.categorical(size, 2)),
    "categorical symbols": ("num_symbols", lambda size: hmm.categorical(2, size)),
    "poisson states": ("num_states", hmm.poisson),
    "normal states": ("num_states", lambda size: hmm.gaussian(size, 2)),
    "normal size": ("size", lambda size: hmm.gaussian(2, size)),
    "mixture components": ("num_components", lambda size: hmm.mixture(2, size, 2)),
    "autoregressive order": ("order", lambda size: hmm.autoregressive(2, 2, size)),
    "hmm iterations": ("num_iterations", lambda size: hmm.fit(COUNTS, KEY, YS, num_iterations=size)),
    "hmm restarts": ("num_restarts", lambda size: hmm.fit(COUNTS, KEY, YS, num_restarts=size)),
}
HMM_KEYS = {
    "hmm fit": ("key", lambda key: hmm.fit(COUNTS, key, YS)),
    "hmm select": ("key", lambda key: hmm.select([COUNTS], key, YS)),
    "emission init": ("key", lambda key: COUNTS.init(key, YS)),
    "emission sample": ("key", lambda key: COUNTS.sample(RATES, key, YS)),
}
# fmt: off
HIDDEN_MARKOV = [
    *each(SIZES, HMM_SIZES, "a positive integer"),
    *each(NO_KEYS, HMM_KEYS, "jax.random.key"),
    *table(
        # What an emission is made of.
        ("normal form", lambda: hmm.gaussian(2, 2, "spherical"),
         VALUE, "covariance | 'spherical' | 'full', 'diagonal' or 'tied'"),
        ("mixture form", lambda: hmm.mixture(2, 2, 2, "round"), VALUE, "covariance | 'round' | 'tied'"),
        ("normal no prior", lambda: hmm.gaussian(2, 2, covariance_pseudo_count=0),
         VALUE, "covariance_pseudo_count | 0 | positive"),
        ("normal prior size", lambda: hmm.gaussian(2, 2, prior_covariance=[1.0, 2.0, 3.0]),
         VALUE, "prior_covariance | (3,) | (2, 2)"),
        ("normal prior negative", lambda: hmm.gaussian(2, 2, prior_covariance=[1.0, -2.0]),
         VALUE, "prior_covariance | -2 | positive definite"),
        ("normal prior mean", lambda: hmm.gaussian(2, 2, prior_mean=[1.0, 2.0, 3.0]),
         VALUE, "prior_mean | [1.0, 2.0, 3.0] | a number or 2"),
        ("poisson count word", lambda: hmm.poisson(2, pseudo_count="one"),
         TYPE, "pseudo_count | 'one' of type str | not negative"),
        ("categorical count nan", lambda: hmm.categorical(2, 2, pseudo_count=float("nan")),
         VALUE, "pseudo_count | nan | finite"),
        ("poisson rate", lambda: hmm.poisson(2, prior_rate=-1.0), VALUE, "prior_rate | -1.0 | not negative"),
        ("mixture weights", lambda: hmm.mixture(2, 2, 2, weight_pseudo_count=-1),
         VALUE, "weight_pseudo_count | -1 | not negative"),
        ("autoregressive ridge", lambda: hmm.autoregressive(2, 2, 1, coefficient_pseudo_count=0.0),
         VALUE, "coefficient_pseudo_count | 0.0 | positive"),
        ("gaussian_params shape", lambda: hmm.gaussian_params([0.0, 1.0], 1.0),
         VALUE, "means | (2,) | [K, M]"),
        ("gaussian_params word", lambda: hmm.gaussian_params("zero", 1.0), TYPE, "means | 'zero' | numbers"),
        ("gaussian_params asymmetric", lambda: hmm.gaussian_params([[0, 1]], [[[1, 0.5], [0, 1]]]),
         VALUE, "covariances | not symmetric | symmetric positive definite"),
        ("gaussian_params diagonal", lambda: hmm.gaussian_params([[0, 1]], [[[2, 1], [1, 2]]], "diagonal"),
         VALUE, "covariances | off the diagonal | 'diagonal'"),
        # What is observed.
        ("symbols float", lambda: COIN.check(zeros(3)), TYPE, "ys | float32 | integers"),
        ("symbols range", lambda: COIN.check(np.array([0, 3])),
         VALUE, "ys | 3 at (1,) | symbols from 0 to 2"),
        ("symbols list of lists", lambda: COIN.check([[0, 1], [2]]), TYPE, "ys | a list | time first"),
        ("counts negative", lambda: COUNTS.check(np.array([1, -1])), VALUE, "ys | -1 at (1,) | counts"),
        ("counts not whole", lambda: COUNTS.check(np.array([0.5])),
         VALUE, "ys | 0.5 at (0,) | whole numbers"),
        ("counts complex", lambda: COUNTS.check(zeros(3, dtype=np.complex64)),
         TYPE, "ys | complex64 | counts"),
        ("vectors size", lambda: VECTORS.check(zeros(5, 3)), VALUE, "ys | (5, 3) | [T, *B, 2]"),
        ("vectors no feature axis", lambda: LAGGED.check(zeros(5)), VALUE, "ys | (5,) | ys[..., None]"),
        ("vectors nan", lambda: VECTORS.check(NAN), VALUE, "ys | nan at (1, 0) | observed to False"),
        ("vectors boolean", lambda: VECTORS.check(zeros(3, 2, dtype=bool)), TYPE, "ys | bool | real numbers"),
        ("lengths beyond", lambda: COUNTS.check(YS[:, None], lengths=np.array([4])),
         VALUE, "lengths | 4 | 3"),
        ("observed shape", lambda: COUNTS.check(YS, observed=np.ones(2, bool)),
         VALUE, "observed | (2,) | (3,)"),
        ("observed numbers", lambda: COUNTS.check(YS, observed=np.ones(3)),
         TYPE, "observed | float | booleans"),
        ("emission params other", lambda: COUNTS.log_likelihoods(NORMAL, YS),
         TYPE, "emission_params | a GaussianParams | log_rates"),
        ("emission params size", lambda: hmm.poisson(3).log_likelihoods(RATES, YS),
         VALUE, "emission_params.log_rates | (2,) | (3,)"),
        ("weights shape", lambda: COUNTS.maximize(RATES, YS, zeros(3, 3)),
         VALUE, "weights | (3, 3) | (3, 2)"),
        ("weights negative", lambda: COUNTS.maximize(RATES, YS, zeros(3, 2) - 1),
         VALUE, "weights | -1.0 at (0, 0) | none below zero"),
        ("sample states", lambda: COUNTS.sample(RATES, KEY, np.array([0, 2])),
         VALUE, "states | 2 at (1,) | 0 to 1"),
        ("sample floats", lambda: COUNTS.sample(RATES, KEY, zeros(2)), TYPE, "states | float32 | integers"),
        # Learning.
        ("fit factory", fit(hmm.poisson), TYPE, "emission | a function | hmm.poisson(2)"),
        ("fit no steps", fit(ys=zeros(0, dtype=np.int32)), VALUE, "ys | no steps | at least one"),
        ("fit tolerance", fit(tolerance=-1.0), VALUE, "tolerance | -1.0 | not negative"),
        ("fit tolerance word", fit(tolerance="small"),
         TYPE, "tolerance | 'small' of type str | finite number"),
        ("fit fixed name", fit(fixed=("transitions",)), VALUE, "fixed | 'transitions' | 'transition'"),
        ("fit fixed word", fit(fixed="initial"), TYPE, "fixed | 'initial' | as a tuple"),
        ("fit fixed all", fit(fixed=("initial", "transition", "emission")),
         VALUE, "fixed | every part | not all"),
        ("fit one start", fit(params=CHAIN, emission_params=RATES, num_restarts=3),
         VALUE, "num_restarts | 3 | one start"),
        ("fit chain size", fit(params=hmm.HMMParams(zeros(3), zeros(3, 3))),
         VALUE, "params | 3 states | (2,)"),
        ("fit chain per step", fit(params=hmm.HMMParams(zeros(2), zeros(3, 2, 2))),
         VALUE, "params | (3, 2, 2) | one matrix"),
        ("fit chain arrays", fit(params=(zeros(2), zeros(2, 2))), TYPE, "params | a tuple | HMMParams"),
        ("step counts shape", step(initial_pseudo_count=zeros(3)),
         VALUE, "initial_pseudo_count | (3,) | (2,)"),
        ("step counts negative", step(transition_pseudo_count=-1),
         VALUE, "transition_pseudo_count | -1 | finite"),
        ("step counts word", step(transition_pseudo_count="one"),
         TYPE, "transition_pseudo_count | 'one' | numbers"),
        ("supervised floats", supervised(states=zeros(3)), TYPE, "states | float32 | integers"),
        ("supervised shape", supervised(states=YS[:2]), VALUE, "states | (2,) | time and batch axes"),
        ("supervised range", supervised(states=np.array([0, 2, 1])), VALUE, "states | 2 at (1,) | 0 to 1"),
        # Selection.
        ("select one emission", select(COUNTS), TYPE, "emissions | a Emission | a list of emissions"),
        ("select nothing", select([]), VALUE, "emissions | empty | at least one"),
        ("select criterion", select(criterion="hqic"), VALUE, "criterion | 'hqic' | 'bic', 'aic'"),
        ("select held out", select(criterion="held_out"), VALUE, "held_out_ys | None | observations"),
        ("bic no observation", lambda: hmm.bic(0.0, 1, 0), VALUE, "num_observations | 0 | at least one"),
    ),
]
# fmt: on
