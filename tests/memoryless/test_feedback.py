"""TDNN, NARX and autoregressive layers: networks on lag matrices with a teacher, loops by hand without."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.test_util import check_grads

from seqjax import memoryless
from seqjax.memoryless import FeedbackCarry, ar
from tests.memoryless.tools import LENGTHS, US, YS

NUM_STEPS, ROWS, INPUTS, OUTPUTS = 6, 2, 2, 1
RNG = np.random.default_rng(0)
INPUT_SERIES = RNG.normal(size=(NUM_STEPS, ROWS, INPUTS))
OUTPUT_SERIES = RNG.normal(size=(NUM_STEPS, ROWS, OUTPUTS))
BOTH = np.concatenate([INPUT_SERIES, OUTPUT_SERIES], axis=-1)
NARX = functools.partial(memoryless.narx, 2, 3, (4,), OUTPUTS)


def drawn_params(layer, input_size):
    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), input_size))
    return jax.tree.map(lambda leaf: jnp.asarray(RNG.normal(size=leaf.shape)), shapes)


def network(params, features):
    """Two dense layers, by their equation."""
    first, last = params
    return jnp.tanh(features @ first.kernel + first.bias) @ last.kernel + last.bias


def lags(window, series, delays):
    """The lag matrix `[T, B, len(delays) * D]`: the series after a window, so many steps before each step."""
    before = jnp.broadcast_to(window[:, None], (len(window), *series.shape[1:]))
    line = jnp.concatenate([before, series])
    rows = [
        jnp.concatenate([line[len(window) + t - delay] for delay in delays], axis=-1)
        for t in range(len(series))
    ]
    return jnp.stack(rows)


def check_values_and_gradients(run, wanted, params):
    """Both functions of params give the same, and so do the gradients of a number made of it."""

    def loss(function, params):
        ys = function(params)
        return jnp.sum(jnp.sin(ys)), ys

    got, want = (
        jax.jit(jax.value_and_grad(functools.partial(loss, function), has_aux=True))(params)
        for function in (run, wanted)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-12), got, want)


def test_tdnn_is_a_network_on_a_lag_matrix(x64):
    layer = memoryless.tdnn(3, (4,), OUTPUTS, dilation=2)
    params = drawn_params(layer, INPUTS)

    def wanted(params):
        return network(params[1:], lags(params[0].initial_window, INPUT_SERIES, (0, 2, 4)))

    check_values_and_gradients(lambda params: layer.unroll(params, INPUT_SERIES)[1], wanted, params)


def test_narx_with_a_teacher_is_a_network_on_a_lag_matrix(x64):
    """Of the inputs up to a step, and of the true outputs before it."""
    layer = NARX()
    params = drawn_params(layer, INPUTS + OUTPUTS)

    def wanted(params):
        inputs = lags(params.inputs.initial_window, INPUT_SERIES, (0, 1))
        outputs = lags(params.outputs.initial_window, OUTPUT_SERIES, (1, 2, 3))
        return network(params.network, jnp.concatenate([inputs, outputs], axis=-1))

    check_values_and_gradients(lambda params: layer.unroll(params, BOTH)[1], wanted, params)


def test_narx_by_itself_is_a_loop(x64):
    """After true outputs, whose carry it goes on from."""
    params = drawn_params(NARX(), INPUTS + OUTPUTS)
    carry, _ = NARX().unroll(params, BOTH)
    later = RNG.normal(size=(NUM_STEPS, ROWS, INPUTS))
    last, ys = NARX(feedback="own").unroll(params, later, carry=carry)

    us, simulated = [*INPUT_SERIES, *later], list(OUTPUT_SERIES)
    for t in range(NUM_STEPS, 2 * NUM_STEPS):
        seen = [us[t], us[t - 1], simulated[t - 1], simulated[t - 2], simulated[t - 3]]
        simulated.append(network(params.network, np.concatenate(seen, axis=-1)))
    np.testing.assert_allclose(ys, simulated[NUM_STEPS:], rtol=1e-11)
    np.testing.assert_allclose(last.outputs, np.swapaxes(simulated[-3:], 0, 1), rtol=1e-11)
    np.testing.assert_array_equal(last.inputs, np.swapaxes(later[-1:], 0, 1))


def test_the_gradient_through_the_closed_loop_is_numerical(x64):
    """In the params, the carry and the inputs, of rows that end and start anew."""
    layer = NARX(feedback="own")
    params = drawn_params(layer, INPUTS)
    resets = np.zeros((NUM_STEPS, ROWS), bool)
    resets[3, 0] = True
    carry = FeedbackCarry(jnp.asarray(RNG.normal(size=(ROWS, 1, INPUTS))), jnp.ones((ROWS, 3, OUTPUTS)))

    @jax.jit
    def total(params, carry, us):
        last, ys = layer.unroll(params, us, carry=carry, lengths=[NUM_STEPS, 4], resets=resets)
        return jnp.sum(jnp.sin(ys)) + jnp.sum(last.outputs)

    check_grads(total, (params, carry, jnp.asarray(INPUT_SERIES)), 1, ["rev"], 1e-6, 1e-6, eps=1e-6)


@functools.partial(jax.jit, static_argnums=(0, 3))
def train(layer, params, data, num_steps):
    """Adam on the mean square of all errors from the third step on."""
    optimizer = optax.adam(optax.cosine_decay_schedule(0.02, num_steps))
    xs, targets = data

    def loss(params):
        return jnp.mean((layer.unroll(params, xs)[1] - targets)[2:] ** 2)

    def step(state, _):
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params), moments)
        return (optax.apply_updates(params, updates), moments), None

    return jax.lax.scan(step, (params, optimizer.init(params)), None, num_steps)[0][0]


def plant(us):
    """`y_t = y_{t-1} / (1 + y_{t-1}²) + u_t³` (Narendra & Parthasarathy, 1990, example 3, u of this step)."""
    ys, y = [], np.zeros(us.shape[1:])
    for u in us:
        y = y / (1 + y**2) + u**3
        ys.append(y)
    return np.array(ys, np.float32)


@pytest.mark.slow
def test_narx_learns_a_system_and_simulates_it(key):
    """A hundred steps by its own outputs. Training in closed loop makes up for noise of the measurements."""
    make = functools.partial(memoryless.narx, 1, 1, (12,), 1)
    generator = np.random.default_rng(0)
    us, new = generator.uniform(-1.3, 1.3, (2, 100, 8, 1)).astype(np.float32)
    truth, noise = plant(us), 0.3 * generator.normal(size=us.shape).astype(np.float32)
    measured = truth + noise

    def error(params):
        """Of simulating inputs never seen, beside the size of the outputs."""
        ys = make(feedback="own").unroll(params, new)[1]
        return float(np.sqrt(np.mean((ys - plant(new)) ** 2)) / plant(new).std())

    params = make().init(key, 2)
    clean = train(make(), params, (np.concatenate([us, truth], -1), truth), 600)
    noisy = train(make(), params, (np.concatenate([us, measured], -1), measured), 600)
    closed = train(make(feedback="own"), noisy, (us, measured), 300)
    linear = ar.fit(truth, 1, inputs=us)
    ahead = ar.forecast(linear.params, np.zeros((1, 8, 1), np.float32), len(new), inputs=new).mean
    straight = float(np.sqrt(np.mean((ahead - plant(new)) ** 2)) / plant(new).std())
    assert error(clean) < 0.1 < 0.3 < straight
    assert error(closed) < 0.75 * error(noisy)


def test_gradient_descent_arrives_at_least_squares(x64):
    """Over ragged series: the loss of the layer is that of the regression, once windows are full."""
    layer = ar.layer(2, 2, initial_window="zeros")
    xs = np.concatenate([US, YS], axis=-1)
    full = (np.arange(60)[:, None] >= 2) & (np.arange(60)[:, None] < LENGTHS)
    optimizer = optax.sgd(0.1, momentum=0.9)

    def loss(params):
        ys = layer.unroll(params, xs, lengths=LENGTHS)[1]
        return jnp.sum(jnp.where(full[..., None], ys - YS, 0) ** 2) / full.sum()

    def step(state, _):
        params, moments = state
        updates, moments = optimizer.update(jax.grad(loss)(params), moments)
        return (optax.apply_updates(params, updates), moments), None

    start = layer.init(jax.random.key(0), 3)
    run = jax.jit(lambda start: jax.lax.scan(step, (start, optimizer.init(start)), None, 800)[0][0])
    found, fitted = run(start), ar.fit(YS, 2, inputs=US, lengths=LENGTHS).params
    for name in ("coefficients", "intercept", "input_coefficients"):
        np.testing.assert_allclose(getattr(found, name), getattr(fitted, name), atol=1e-8)


def test_an_autoregressive_layer_by_itself_forecasts(x64):
    """Fitted params run in it: the mean of the forecast is the closed loop, before it the fitted values."""
    fitted = ar.fit(YS, 2, inputs=US, lengths=LENGTHS)
    teacher, alone = (ar.layer(2, 2, initial_window="zeros", feedback=word) for word in ("teacher", "own"))
    carry, predicted = teacher.unroll(fitted.params, np.concatenate([US, YS], -1), lengths=LENGTHS)
    residuals = np.where((np.arange(60)[:, None] < LENGTHS)[..., None], YS - predicted, 0)[2:]
    np.testing.assert_allclose(fitted.residuals, residuals, atol=1e-12)
    _, simulated = alone.unroll(fitted.params, US[:5], carry=carry)
    ahead = ar.forecast(fitted.params, YS, 5, inputs=US[:5], lengths=LENGTHS)
    np.testing.assert_allclose(simulated, ahead.mean, rtol=1e-11)


@pytest.mark.parametrize("feedback", ["teacher", "own"])
def test_without_inputs(feedback, x64):
    """Features are the outputs with a teacher, and none without: how many steps is what they say."""
    layer = memoryless.narx(0, 2, (4,), OUTPUTS, feedback=feedback, initial_window="zeros")
    params = drawn_params(layer, OUTPUTS if feedback == "teacher" else 0)
    assert params.inputs is None
    given = OUTPUT_SERIES if feedback == "teacher" else np.zeros((NUM_STEPS, ROWS, 0))
    carry, ys = layer.unroll(params, given)
    series = OUTPUT_SERIES if feedback == "teacher" else ys
    np.testing.assert_allclose(
        ys, network(params.network, lags(np.zeros((2, 1)), series, (1, 2))), rtol=1e-11
    )
    np.testing.assert_array_equal(carry.outputs, np.swapaxes(series[-2:], 0, 1))
