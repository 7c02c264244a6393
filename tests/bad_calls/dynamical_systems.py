"""Linear dynamical systems and nonlinear filters: params, inference, learning."""

import dataclasses

import numpy as np

from seqjax.statespace import lds
from tests.bad_calls.values import KEY, NO_FUNCTIONS, NO_KEYS, SIZES, TYPE, VALUE, each, table, zeros

EYE = np.eye(2, dtype=np.float32)
COVARIANCES = {
    "dynamics": EYE,
    "dynamics_covariance": EYE,
    "emission": EYE[:1],
    "emission_covariance": EYE[:1, :1],
    "initial_covariance": EYE,
}
PARAMS = lds.LDSParams(
    initial_mean=zeros(2),
    initial_cholesky=EYE,
    dynamics=EYE,
    dynamics_cholesky=EYE,
    dynamics_bias=zeros(2),
    emission=EYE[:1],
    emission_cholesky=EYE[:1, :1],
    emission_bias=zeros(1),
)
YS = zeros(5, 1)
BELIEF = lds.LDSBelief(mean=zeros(2), cholesky=EYE)
MODEL = lds.NonlinearModel(dynamics=lambda _, x, u: x, emission=lambda _, x, u: x[:1])
NONLINEAR = lds.NonlinearParams(zeros(2), EYE, EYE, EYE[:1, :1])


def params(**changes):
    return lambda: lds.params(**COVARIANCES | changes)


def changed(**leaves):
    return dataclasses.replace(PARAMS, **leaves)


def infer(ys=YS, params=PARAMS, function=lds.filter, **options):
    return lambda: function(params, ys, **options)


def fit(params=PARAMS, ys=YS, **options):
    return lambda: lds.fit(params, ys, **options)


def extended(model=MODEL, params=NONLINEAR, ys=YS, **options):
    return lambda: lds.extended_filter(model, params, ys, **options)


def unscented(**options):
    return lambda: lds.unscented_filter(MODEL, NONLINEAR, YS, **options)


LDS_SIZES = {
    "lds forecast": ("num_steps", lambda size: lds.forecast(PARAMS, BELIEF, size)),
    "lds sample": ("num_steps", lambda size: lds.sample(PARAMS, KEY, size)),
    "lds iterations": ("num_iterations", lambda size: lds.fit(PARAMS, YS, num_iterations=size)),
}
LDS_KEYS = {
    "lds sample": ("key", lambda key: lds.sample(PARAMS, key, 3)),
    "lds posterior sample": ("key", lambda key: lds.posterior_sample(PARAMS, key, YS)),
}
LDS_FUNCTIONS = {
    name: (f"model.{name}", lambda value, name=name: extended(MODEL._replace(**{name: value}))())
    for name in MODEL._fields
}
# fmt: off
DYNAMICAL_SYSTEMS = [
    *each(SIZES, LDS_SIZES, "a positive integer"),
    *each(NO_KEYS, LDS_KEYS, "jax.random.key"),
    *each(NO_FUNCTIONS, LDS_FUNCTIONS, "a function of (params.functions, x, u)"),
    *table(
        # What a system is made of.
        ("dynamics oblong", params(dynamics=zeros(2, 3)), VALUE, "dynamics | (2, 3) | a square matrix"),
        ("dynamics number", params(dynamics=1.0), VALUE, "dynamics | () | A scalar is [[1.0]]"),
        ("emission columns", params(emission=zeros(1, 3)), VALUE, "emission | (1, 3) | [M, 2]"),
        ("lopsided noise", params(dynamics_covariance=np.array([[1.0, 0.5], [0.1, 1.0]])),
         VALUE, "dynamics_covariance | 0.5 at (0, 1) | not symmetric"),
        ("negative noise", params(emission_covariance=-EYE[:1, :1]),
         VALUE, "emission_covariance | -1 | positive definite"),
        ("no noise in what is seen", params(emission_covariance=zeros(1, 1)),
         VALUE, "emission_covariance | 0 | positive definite"),
        ("noise nan", params(dynamics_covariance=np.nan * EYE),
         VALUE, "dynamics_covariance | nan at (0, 0) | finite numbers"),
        ("noise words", params(dynamics_covariance="small"), TYPE, "dynamics_covariance | 'small' | array"),
        ("no start", params(initial_covariance=None), VALUE, "initial_covariance | None | diffuse=True"),
        ("diffuse flags", params(diffuse=[True]), VALUE, "diffuse | [True] | each of the 2 states"),
        # Inference.
        ("lds params dict", infer(params=COVARIANCES), TYPE, "params | a dict | LDSParams"),
        ("lds features", infer(zeros(5, 2)), VALUE, "ys | 2 | 1 observed features"),
        ("lds list", infer([[0.0]]), TYPE, "ys | a list | array"),
        ("lds words", infer("flow"), TYPE, "ys | 'flow' | array"),
        ("lds complex", infer(zeros(5, 1, dtype=np.complex64)), TYPE, "ys | complex64 | real numbers"),
        ("lds method", infer(method="parallel"), VALUE, "method | 'parallel' | 'associative'"),
        ("lds observed numbers", infer(observed=zeros(5)), TYPE, "observed | float32 | booleans"),
        ("lds observed shape", infer(observed=zeros(4, dtype=bool)), VALUE, "observed | (4,) | (5,)"),
        ("lds inputs unread", infer(inputs=zeros(5, 1)), VALUE, "inputs | given | dynamics_inputs"),
        ("lds inputs missing", infer(params=changed(dynamics_inputs=zeros(2, 1))),
         VALUE, "inputs | None | pass inputs"),
        ("lds lengths", infer(zeros(5, 2, 1), lengths=np.array([6, 1])), VALUE, "lengths | 6 | 5"),
        ("lds carry", infer(carry=(zeros(2), EYE)), TYPE, "carry | a tuple | LDSBelief"),
        ("lds carry size", infer(carry=lds.LDSBelief(zeros(3), EYE)), VALUE, "carry.mean | (3,) | (2,)"),
        ("lds steps of matrix", infer(params=changed(dynamics=zeros(4, 2, 2))),
         VALUE, "params.dynamics | (4, 2, 2) | (5,)"),
        ("lds steady", infer(params=changed(dynamics=zeros(5, 2, 2)), method="steady"),
         VALUE, "params.dynamics | (5, 2, 2) | one matrix for all steps"),
        ("lds sample diffuse", lambda: lds.sample(changed(diffuse=(True, False)), KEY, 3),
         VALUE, "params | diffuse | initial_covariance"),
        # Learning.
        ("lds fit dict", fit(COVARIANCES), TYPE, "params | a dict | LDSParams"),
        ("lds fixed word", fit(fixed="dynamics"), TYPE, "fixed | 'dynamics' | as a tuple"),
        ("lds fixed name", fit(fixed=("transition",)), VALUE, "fixed | 'transition' | 'dynamics'"),
        ("lds fixed covariance", fit(fixed=("dynamics_covariance",)),
         VALUE, "fixed | 'dynamics_covariance' | 'dynamics_cholesky'"),
        ("lds all fixed", fit(fixed=tuple(field.name for field in dataclasses.fields(PARAMS))[:10]),
         VALUE, "fixed | every field | left to learn"),
        ("lds diagonal name", fit(diagonal=("dynamics",)),
         VALUE, "diagonal | 'dynamics' | 'dynamics_cholesky'"),
        ("lds diagonal fixed", fit(fixed=("dynamics_cholesky",), diagonal=("dynamics_cholesky",)),
         VALUE, "diagonal | 'dynamics_cholesky' | one of them"),
        ("lds not diagonal", fit(changed(dynamics_cholesky=np.tril(np.ones((2, 2)))),
                                 diagonal=("dynamics_cholesky",)),
         VALUE, "params.dynamics_cholesky | 1 at (1, 0) | a diagonal factor"),
        ("lds fit varying", fit(changed(dynamics=zeros(5, 2, 2))),
         VALUE, "params.dynamics | (5, 2, 2) | one matrix for all steps"),
        ("lds fit beside varying",
         fit(changed(dynamics_cholesky=zeros(5, 2, 2)), fixed=("dynamics_cholesky",)),
         VALUE, "params.dynamics_cholesky | (5, 2, 2) | fix dynamics too"),
        ("lds fit shared mean", fit(changed(initial_cholesky=zeros(3, 2, 2)), zeros(5, 3, 1)),
         VALUE, "params.initial_mean | (2,) | (3, 2)"),
        ("lds fit steady", fit(method="steady"), VALUE, "method | 'steady' | 'associative'"),
        ("lds fit nothing", fit(ys=zeros(0, 1)), VALUE, "ys | (0, 1) | at least one step"),
        ("lds fit no rows", fit(ys=zeros(5, 0, 1)), VALUE, "ys | (5, 0, 1) | one sequence"),
        ("lds tolerance", fit(tolerance=-1.0), VALUE, "tolerance | -1.0 | not negative"),
        ("lds tolerance word", fit(tolerance="small"), TYPE, "tolerance | 'small' | a finite number"),
        # Nonlinear systems.
        ("nonlinear variance", lambda: lds.nonlinear_params(
            initial_mean=zeros(2), initial_covariance=EYE, dynamics_covariance=1.0, emission_covariance=EYE),
         VALUE, "dynamics_covariance | () | [[variance]]"),
        ("nonlinear model", extended(lambda _, x, u: x), TYPE, "model | a function | NonlinearModel"),
        ("nonlinear params", extended(params=PARAMS), TYPE, "params | LDSParams | NonlinearParams"),
        ("nonlinear size", extended(MODEL._replace(emission=lambda _, x, u: x)),
         VALUE, "model.emission | [2] | [1]"),
        ("nonlinear number", extended(MODEL._replace(emission=lambda _, x, u: 1.0)),
         VALUE, "model.emission | [] | [1]"),
        ("nonlinear pair", extended(MODEL._replace(emission=lambda _, x, u: (x, x))),
         TYPE, "model.emission | a tuple | jnp.stack"),
        ("nonlinear inputs", extended(inputs=zeros(4, 1)), VALUE, "inputs | (4, 1) | (5,)"),
        ("nonlinear features", extended(ys=zeros(5, 2)), VALUE, "ys | 2 | 1 observed features"),
        ("alpha zero", unscented(alpha=0.0), VALUE, "alpha | 0 | a positive alpha"),
        ("alpha word", unscented(alpha="small"), TYPE, "alpha | 'small' | a number"),
        ("kappa", unscented(kappa=-2), VALUE, "kappa | -2 | above -2"),
        ("beta", unscented(beta=-1.0), VALUE, "beta | -1 | a larger beta"),
    ),
]
# fmt: on
