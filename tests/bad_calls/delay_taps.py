"""Delay lines and models with delay taps."""

import numpy as np

import seqjax as sj
from seqjax import memoryless
from seqjax.memoryless import ar
from tests.bad_calls.values import KEY, PARAMS, TYPE, VALUE, B, D, T, params_of, table, zeros

LINE = sj.delay_line(3)
NARX, ALONE = memoryless.narx(2, 2, (3,), 1), memoryless.narx(2, 2, (3,), 1, feedback="own")
AR_LAYER = ar.layer(2, D)
KNOWN = ar.ARParams(zeros(2, D, D), noise_cholesky=np.eye(D, dtype=np.float32))
SERIES = np.random.default_rng(0).normal(size=(30, 1)).astype(np.float32)
NAN = np.where(np.arange(30)[:, None] == 4, np.nan, SERIES)


def fit(ys=SERIES, order=2, **options):
    return lambda: ar.fit(ys, order, **options)


def select(**options):
    return lambda: ar.select_order(SERIES, 2, **options)


def forecast(params=KNOWN, past=None, num_steps=3, **options):
    return lambda: ar.forecast(params, zeros(T, D) if past is None else past, num_steps, **options)


def unrolled(layer, xs, params=None, input_size=D, **options):
    params = params_of(layer, input_size) if params is None else params
    return lambda: layer.unroll(params, xs, **options)


# fmt: off
DELAY_TAPS = table(
    ("delay_line taps", lambda: sj.delay_line(0), VALUE, "taps | 0 | a positive integer"),
    ("delay_line dilation", lambda: sj.delay_line(2, 1.5), TYPE, "dilation | 1.5 | a positive integer"),
    ("delay_line window", lambda: sj.delay_line(2, initial_window="ones"),
     VALUE, "initial_window | 'ones' | 'learned' or 'zeros'"),
    ("delay_line features", unrolled(LINE, zeros(T, B, D + 1)),
     VALUE, "xs | feature size 4 | input_size 3"),
    ("delay_line params", unrolled(LINE, zeros(T, B, D), PARAMS),
     VALUE, "params | GRUParams | DelayLineParams"),
    ("delay_line params of other taps", unrolled(LINE, zeros(T, B, D), params_of(sj.delay_line(5))),
     VALUE, "params.initial_window | (4, 3) | 2 rows"),
    ("delay_line carry", unrolled(LINE, zeros(T, B, D), carry=zeros(B, 3, D)),
     VALUE, "carry | (2, 3, 3) | (2, 2, 3)"),
    ("tdnn hidden sizes", lambda: memoryless.tdnn(2, 8, 1), TYPE, "hidden_sizes | 8 | a tuple"),
    ("tdnn hidden size", lambda: memoryless.tdnn(2, (8, 0), 1), VALUE, "hidden_sizes[1] | 0 | positive"),
    ("tdnn activation", lambda: memoryless.tdnn(2, (8,), 1, activation="relu"),
     TYPE, "activation | 'relu' | jnp.tanh"),
    ("narx feedback", lambda: memoryless.narx(1, 1, (2,), 1, feedback=True),
     VALUE, "feedback | True | 'teacher' or 'own'"),
    ("narx output taps", lambda: memoryless.narx(1, 0, (2,), 1), VALUE, "output_taps | 0 | positive"),
    ("narx input taps", lambda: memoryless.narx(-1, 1, (2,), 1), VALUE, "input_taps | -1 | zero or more"),
    ("narx without inputs", lambda: NARX.init(KEY, 1), VALUE, "input_taps | 0 inputs | input_taps=0"),
    ("narx inputs alone", lambda: memoryless.narx(0, 1, (2,), 1).init(KEY, 3),
     VALUE, "input_taps | leaves 2 inputs | how many inputs"),
    ("narx fewer features than outputs", lambda: memoryless.narx(0, 1, (2,), 4).init(KEY, 3),
     VALUE, "input_size | 3 | at least 4"),
    ("narx no true outputs", unrolled(NARX, zeros(T, B, 2)), VALUE, "xs | feature size 2 | true outputs"),
    ("narx own with true outputs", unrolled(ALONE, zeros(T, B, 3), input_size=2),
     VALUE, "xs | feature size 3 | input_size 2"),
    ("narx carry", unrolled(NARX, zeros(T, B, D), carry=zeros(B, 2)), VALUE, "carry | array | FeedbackCarry"),
    ("narx params", unrolled(NARX, zeros(T, B, D), PARAMS), VALUE, "params | GRUParams | NARXParams"),
    ("ar.layer params", unrolled(AR_LAYER, zeros(T, B, D), PARAMS), VALUE, "params | GRUParams | ARParams"),
    ("ar.layer fitted params", unrolled(AR_LAYER, zeros(T, B, D), KNOWN),
     VALUE, "params.intercept | None | an array"),
    ("ar.fit one axis", fit(SERIES[:, 0]), VALUE, "ys | (30,) | ys[..., None]"),
    ("ar.fit integers", fit(np.ones((9, 1), int)), TYPE, "ys | int | floating"),
    ("ar.fit nan", fit(NAN), VALUE, "ys | nan at (4, 0) | finite"),
    ("ar.fit order", fit(order=-1), VALUE, "order | -1 | zero or more"),
    ("ar.fit order float", fit(order=2.0), TYPE, "order | 2.0 | integer"),
    ("ar.fit too few steps", fit(SERIES[:5]), VALUE, "ys | 3 steps | more than the 3 coefficients"),
    ("ar.fit method", fit(method="ols"), VALUE, "method | 'ols' | 'qr'"),
    ("ar.fit ridge without penalty", fit(method="ridge"), VALUE, "penalty | None | over zero"),
    ("ar.fit penalty without ridge", fit(penalty=1.0), VALUE, "penalty | 'qr' | method='ridge'"),
    ("ar.fit penalty zero", fit(method="ridge", penalty=0.0), VALUE, "penalty | 0.0 | over zero"),
    ("ar.fit burg of vectors", fit(zeros(30, 2), method="burg"),
     VALUE, "method | feature size 2 | one output"),
    ("ar.fit burg with inputs", fit(method="burg", inputs=SERIES), VALUE, "inputs | 'burg' | method='qr'"),
    ("ar.fit inputs", fit(inputs=SERIES[1:]), VALUE, "inputs | (29, 1) | (30, U)"),
    ("ar.select_order criterion", select(criterion="AIC"), VALUE, "criterion | 'AIC' | 'aic'"),
    ("ar.select_order held out", select(criterion="held_out"), VALUE, "num_held_out | None | how many steps"),
    ("ar.select_order held out beside aic", select(num_held_out=3),
     VALUE, "num_held_out | 'aic' | criterion='held_out'"),
    ("ar.forecast params", forecast(PARAMS), VALUE, "params | GRUParams | ARParams"),
    ("ar.forecast past", forecast(past=zeros(1, D)), VALUE, "past | 1 steps | at least 2"),
    ("ar.forecast features", forecast(past=zeros(T, 1)), VALUE, "past | feature size 1 | 3 outputs"),
    ("ar.forecast short series", forecast(past=zeros(T, B, D), lengths=[T, 1]),
     VALUE, "lengths | 1 | at least 2"),
    ("ar.forecast no noise", forecast(ar.ARParams(zeros(2, D, D))),
     VALUE, "params.noise_cholesky | None | ar.estimate_noise"),
    ("ar.forecast inputs", forecast(inputs=zeros(3, 1)), VALUE, "inputs | 1 features | leave inputs out"),
    ("ar.interval", lambda: ar.ARForecast(zeros(1, 1), zeros(1, 1, 1)).interval(95),
     VALUE, "level | 95 | between 0 and 1"),
    ("ar.simulate past", lambda: ar.simulate(KNOWN, KEY, 3, (2,), past=zeros(T, 3, D)),
     VALUE, "past | (3,) | (2,)"),
    ("ar.params shape", lambda: ar.params(zeros(2, 1)), VALUE, "coefficients | (2, 1) | [p, M, M]"),
    ("ar.params covariance", lambda: ar.params(zeros(1, 1, 1), noise_covariance=[[-1.0]]),
     VALUE, "noise_covariance | -1 | positive definite"),
)
# fmt: on
