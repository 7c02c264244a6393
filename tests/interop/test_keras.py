"""Keras' layers and ours from the same weights: outputs, final states and every gradient, and back."""

import os

# Keras reads this when it is imported first, and never again.
os.environ.setdefault("KERAS_BACKEND", "jax")

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import interop
from tests.marks import slow_except

keras = pytest.importorskip("keras", reason="keras is not installed: pip install 'seqjax[peers]'")
if keras.backend.backend() != "jax":
    pytest.skip(f"keras runs on {keras.backend.backend()}, set KERAS_BACKEND=jax", allow_module_level=True)

# Keras' own variables do not follow numpy 2 yet.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)

NUM_STEPS, BATCH, INPUT_SIZE, HIDDEN_SIZE = 5, 3, 3, 4
LENGTHS = (2, 5, 4)


@keras.saving.register_keras_serializable()
def exact_tanh(x):
    """The hyperbolic tangent in the precision of `x`: on jax, keras' own works in single precision."""
    return jnp.tanh(x)


LAYERS = {
    "simple_rnn": ("simple_rnn", keras.layers.SimpleRNN, {}),
    "lstm": ("lstm", keras.layers.LSTM, {}),
    "gru_after": ("gru", keras.layers.GRU, {"reset_after": True}),
    "gru_before": ("gru", keras.layers.GRU, {"reset_after": False}),
}


def make_layer(name, wrap=lambda layer: layer, dtype="float64", **options):
    """A built layer, all of its weights drawn anew: keras' biases start as zeros and ones."""
    _, factory, settings = LAYERS[name]
    options |= settings | {"return_sequences": True, "return_state": True, "dtype": dtype}
    layer = wrap(factory(HIDDEN_SIZE, activation=exact_tanh, **options))
    layer.build((BATCH, NUM_STEPS, INPUT_SIZE))
    rng = np.random.default_rng(0)
    layer.set_weights([rng.normal(size=variable.shape) for variable in layer.weights])
    return layer


def imported(name, layer_weights):
    kind, _, settings = LAYERS[name]
    return interop.keras.from_weights(layer_weights, kind, **settings)


def differentiated(run, layer_weights, xs):
    """`((ys, states), gradients of weights and inputs)`, with a weight of its own for every output."""
    weight = jnp.array(np.random.default_rng(2).normal(size=(NUM_STEPS, BATCH, 2 * HIDDEN_SIZE)))

    def loss(layer_weights, xs):
        ys, states = run(layer_weights, xs)
        total = (weight[..., : ys.shape[-1]] * ys).sum()
        return total + sum((weight[i, :, :HIDDEN_SIZE] * part).sum() for i, part in enumerate(states)), (
            ys,
            states,
        )

    gradients, outputs = jax.jit(jax.grad(loss, argnums=(0, 1), has_aux=True))(layer_weights, xs)
    return outputs, gradients


def in_keras(layer, mask=None):
    def run(layer_weights, xs):
        fixed = [variable.value for variable in layer.non_trainable_variables]
        (ys, *states), _ = layer.stateless_call(layer_weights, fixed, jnp.swapaxes(xs, 0, 1), mask=mask)
        return jnp.swapaxes(ys, 0, 1), tuple(states)

    return run


def states_of(carry):
    return (carry.hidden, carry.cell) if isinstance(carry, sj.cells.LSTMCarry) else (carry,)


def data(layer):
    xs = jnp.array(np.random.default_rng(1).normal(size=(NUM_STEPS, BATCH, INPUT_SIZE)))
    return [jnp.array(array) for array in layer.get_weights()], xs


def assert_close(ours, theirs, atol=1e-10):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), ours, theirs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bias", slow_except([True, False], True))
@pytest.mark.parametrize("name", slow_except(LAYERS, "gru_after"))
def test_ragged_batch_agrees_there_and_back(name, bias):
    layer = make_layer(name, use_bias=bias, zero_output_for_mask=True)
    layer_weights, xs = data(layer)

    def run(layer_weights, xs):
        carry, ys = sj.unroll(*imported(name, layer_weights), xs, lengths=jnp.array(LENGTHS))
        return ys, states_of(carry)

    mask = jnp.arange(NUM_STEPS) < jnp.array(LENGTHS)[:, None]
    assert_close(
        differentiated(run, layer_weights, xs), differentiated(in_keras(layer, mask), layer_weights, xs)
    )

    _, params = imported(name, layer_weights)
    exported = interop.keras.to_weights(params, LAYERS[name][0], bias=bias)
    other = make_layer(name, use_bias=bias, zero_output_for_mask=True)
    other.set_weights(exported)
    assert_close(other(jnp.swapaxes(xs, 0, 1))[0], layer(jnp.swapaxes(xs, 0, 1))[0])


# In single precision: keras merges in no other on jax.
@pytest.mark.parametrize(("mode", "merge"), slow_except([("concat", "concat"), ("ave", "average")]))
def test_bidirectional_agrees_there_and_back(mode, merge):
    layer = make_layer(
        "gru_after", lambda layer: keras.layers.Bidirectional(layer, merge_mode=mode), dtype="float32"
    )
    layer_weights, xs = data(layer)

    def run(layer_weights, xs):
        network, params = interop.keras.from_bidirectional_weights(layer_weights, "gru", merge=merge)
        carry, ys = network.unroll(params, xs)
        return ys, (carry.forward, carry.backward)

    theirs = differentiated(in_keras(layer), layer_weights, xs)
    assert_close(differentiated(run, layer_weights, xs), theirs, 2e-5)
    _, params = interop.keras.from_bidirectional_weights(layer_weights, "gru")
    exported = interop.keras.to_bidirectional_weights(params, "gru")
    assert [array.shape for array in exported] == [array.shape for array in layer_weights]
    assert_close(interop.keras.from_bidirectional_weights(exported, "gru")[1], params)


def test_activations_are_settings():
    settings = {"activation": "softsign", "recurrent_activation": "hard_sigmoid"}
    layer = keras.layers.LSTM(HIDDEN_SIZE, return_sequences=True, **settings)
    xs = np.random.default_rng(1).normal(size=(NUM_STEPS, BATCH, INPUT_SIZE)).astype(np.float32)
    theirs = jnp.swapaxes(layer(jnp.swapaxes(xs, 0, 1)), 0, 1)
    cell, params = interop.keras.from_weights(
        layer.get_weights(), "lstm", activation=jax.nn.soft_sign, gate_activation=jax.nn.hard_sigmoid
    )
    assert_close(sj.unroll(cell, params, xs)[1], theirs, 2e-6)


KERNELS = [np.ones((3, 12)), np.ones((4, 12))]


@pytest.mark.parametrize(
    ("layer_weights", "settings", "error", "message"),
    [
        (KERNELS, {"kind": "GRU"}, ValueError, "kind is 'GRU', expected one of 'simple_rnn', 'lstm', 'gru'"),
        (KERNELS[:1], {}, ValueError, "is a list of 1, expected a list of two or three arrays: kernel, rec"),
        (np.ones((2, 3, 12)), {}, ValueError, "is a ndarray, expected a list"),
        (KERNELS * 2, {}, ValueError, "is a list of 4.*from_bidirectional_weights"),
        (KERNELS, {"kind": "lstm"}, ValueError, r"\[0\] \(kernel\) has shape \(3, 12\), expected \(3, 16\)"),
        ([np.ones((3, 12)), np.ones((5, 12))], {}, ValueError, r"\(kernel\).*expected \(3, 15\)"),
        ([np.ones((3, 12)), np.ones(12)], {}, ValueError, r"\(recurrent_kernel\).*expected a matrix"),
        ([*KERNELS, np.ones(12)], {}, ValueError, r"\(bias\) has shape \(12,\).*reset_after=False"),
        ([*KERNELS, np.ones((2, 12))], {"reset_after": False}, ValueError, r"\(12,\).*reset_after=True"),
        ([*KERNELS, np.ones((2, 12), int)], {}, TypeError, r"\(bias\) has dtype int64, expected a floating"),
    ],
)
def test_weights_that_do_not_fit_are_refused(layer_weights, settings, error, message):
    with pytest.raises(error, match=message):
        interop.keras.from_weights(layer_weights, **({"kind": "gru"} | settings))


def zeros_lstm(**options):
    return sj.lstm(HIDDEN_SIZE, initial_carry="zeros", **options).init(jax.random.key(0), INPUT_SIZE)


def test_params_that_keras_has_no_place_for_are_refused():
    with pytest.raises(ValueError, match="projection_kernel is set"):
        interop.keras.to_weights(zeros_lstm(projection_size=2), "lstm")
    with pytest.raises(ValueError, match=r"params.bias has values other than zero.*use_bias=True"):
        interop.keras.to_weights(zeros_lstm(), "lstm", bias=False)
    with pytest.raises(TypeError, match="is a LSTMParams, expected GRUParams"):
        interop.keras.to_weights(zeros_lstm(), "gru")
    with pytest.raises(TypeError, match="is a LSTMParams, expected BidirectionalParams"):
        interop.keras.to_bidirectional_weights(zeros_lstm(), "lstm")
    with pytest.raises(ValueError, match="has 3 arrays, expected an even number"):
        interop.keras.from_bidirectional_weights([*KERNELS, np.ones(12)], "gru")
