"""Torch's modules and ours from the same weights: outputs, final states and every gradient, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import interop
from seqjax.layers import bidirectional, stack
from tests.marks import slow_except

torch = pytest.importorskip("torch", reason="torch is not installed: pip install 'seqjax[peers]'")
torch.set_num_threads(1)

NUM_STEPS, BATCH, INPUT_SIZE, HIDDEN_SIZE, PROJECTION_SIZE = 5, 3, 3, 4, 2
LENGTHS = (2, 5, 4)  # neither sorted nor all full

MODULES = {
    "rnn_tanh": (torch.nn.RNN, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTM, {}),
    "lstm_projected": (torch.nn.LSTM, {"proj_size": PROJECTION_SIZE}),
    "gru": (torch.nn.GRU, {}),
}
CELLS = {
    "rnn_tanh": (torch.nn.RNNCell, {"nonlinearity": "tanh"}),
    "rnn_relu": (torch.nn.RNNCell, {"nonlinearity": "relu"}),
    "lstm": (torch.nn.LSTMCell, {}),
    "gru": (torch.nn.GRUCell, {}),
}


def make_module(name, dtype=torch.float64, seed=0, **options):
    factory, settings = MODULES[name]
    torch.manual_seed(seed)
    return factory(INPUT_SIZE, HIDDEN_SIZE, dtype=dtype, **settings, **options)


def random_data(module, dtype):
    """Inputs, first states, and a weight for every output, so that a loss sees each of them differently."""
    count = module.num_layers * (2 if module.bidirectional else 1)
    output_size = module.proj_size or HIDDEN_SIZE
    outputs = output_size * (2 if module.bidirectional else 1)
    state_sizes = (output_size, HIDDEN_SIZE) if module.mode == "LSTM" else (output_size,)
    rng = np.random.default_rng(0)

    def normal(*shape):
        return rng.normal(size=shape).astype(dtype)

    xs = normal(NUM_STEPS, BATCH, INPUT_SIZE)
    states = tuple(normal(count, BATCH, size) for size in state_sizes)
    output_weight = normal(NUM_STEPS, BATCH, outputs)
    state_weights = tuple(normal(count, BATCH, size) for size in state_sizes)
    return xs, states, output_weight, state_weights


def run_torch(module, xs, states, output_weight, state_weights, lengths):
    """Outputs, final states and gradients by torch's names, all as numpy arrays."""
    xs, *states = (torch.tensor(array, requires_grad=True) for array in (xs, *states))
    inputs = xs
    if lengths is not None:
        inputs = torch.nn.utils.rnn.pack_padded_sequence(xs, torch.tensor(lengths), enforce_sorted=False)
    ys, finals = module(inputs, tuple(states) if module.mode == "LSTM" else states[0])
    if lengths is not None:
        ys, _ = torch.nn.utils.rnn.pad_packed_sequence(ys, total_length=NUM_STEPS)
    finals = finals if module.mode == "LSTM" else (finals,)
    loss = (torch.tensor(output_weight) * ys).sum()
    for weight, final in zip(state_weights, finals, strict=True):
        loss = loss + (torch.tensor(weight) * final).sum()
    loss.backward()
    gradients = (
        {name: parameter.grad.numpy() for name, parameter in module.named_parameters()},
        xs.grad.numpy(),
        tuple(state.grad.numpy() for state in states),
    )
    return ys.detach().numpy(), tuple(final.detach().numpy() for final in finals), gradients


def run_ours(module, xs, states, output_weight, state_weights, lengths):
    """The same from the state dict: gradients pass the conversion, and so carry torch's names."""
    kind = module.mode.lower()

    @jax.jit
    def differentiate(state_dict, xs, states):
        def loss(state_dict, xs, states):
            network, params = interop.torch.from_state_dict(state_dict, kind)
            pair = states if kind == "lstm" else states[0]
            carry = interop.torch.from_hidden_state(pair, params)
            # `from_hidden_state` is linear, so that it places the weights of the final states as well.
            weights = state_weights if kind == "lstm" else state_weights[0]
            weights = interop.torch.from_hidden_state(weights, params)
            carry, ys = network.unroll(
                params, xs, carry=carry, lengths=None if lengths is None else jnp.array(lengths)
            )
            parts = jax.tree.map(lambda weight, final: (weight * final).sum(), weights, carry)
            return (output_weight * ys).sum() + sum(jax.tree.leaves(parts)), (ys, carry)

        return jax.grad(loss, argnums=(0, 1, 2), has_aux=True)(state_dict, xs, states)

    gradients, (ys, carry) = differentiate(numpy_state(module), xs, states)
    finals = interop.torch.to_hidden_state(carry)
    return ys, finals if kind == "lstm" else (finals,), gradients


def numpy_state(module):
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def tensors(state_dict):
    return {name: torch.from_numpy(array) for name, array in state_dict.items()}


def assert_close(ours, theirs, atol):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), ours, theirs)


def compare(module, dtype, lengths, atol):
    data = random_data(module, dtype)
    ys, finals, gradients = run_ours(module, *data, lengths)
    assert ys.dtype == dtype
    their_ys, their_finals, their_gradients = run_torch(module, *data, lengths)
    assert_close(ys, their_ys, atol)
    assert_close(finals, their_finals, atol)
    assert_close(gradients, their_gradients, atol)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("num_layers", "two"), slow_except([(1, False), (1, True), (3, False), (3, True)], (1, False))
)
@pytest.mark.parametrize("name", slow_except(MODULES, "lstm"))
def test_ragged_batch_agrees_in_double_precision(name, num_layers, two):
    compare(make_module(name, num_layers=num_layers, bidirectional=two), np.float64, LENGTHS, 1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", slow_except(MODULES, "rnn_tanh"))
def test_full_batch_without_biases_agrees_in_double_precision(name):
    compare(make_module(name, bias=False), np.float64, None, 1e-10)


@pytest.mark.parametrize("name", slow_except(MODULES, "lstm"))
def test_ragged_batch_agrees_in_single_precision(name):
    compare(make_module(name, dtype=torch.float32), np.float32, LENGTHS, 2e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("name", CELLS)
def test_cell_agrees(name, bias):
    factory, settings = CELLS[name]
    torch.manual_seed(0)
    module = factory(INPUT_SIZE, HIDDEN_SIZE, bias=bias, dtype=torch.float64, **settings)
    rng = np.random.default_rng(0)
    x, h, c = (rng.normal(size=(BATCH, size)) for size in (INPUT_SIZE, HIDDEN_SIZE, HIDDEN_SIZE))
    is_lstm = name == "lstm"

    def loss(state_dict):
        cell, params = interop.torch.from_cell_state_dict(state_dict, name)
        carry = sj.cells.LSTMCarry(cell=jnp.array(c), hidden=jnp.array(h)) if is_lstm else jnp.array(h)
        carry, y = cell.step(params, carry, jnp.array(x))
        return (x[:, :1] * y).sum(), (y, carry.cell if is_lstm else carry)

    gradients, (y, memory) = jax.jit(jax.grad(loss, has_aux=True))(numpy_state(module))
    hx = tuple(map(torch.tensor, (h, c))) if is_lstm else torch.tensor(h)
    after = module(torch.tensor(x), hx)
    their_y, their_memory = after if is_lstm else (after, after)
    (torch.tensor(x[:, :1]) * their_y).sum().backward()
    assert_close((y, memory), (their_y.detach().numpy(), their_memory.detach().numpy()), 1e-10)
    their_gradients = {name: parameter.grad.numpy() for name, parameter in module.named_parameters()}
    assert_close(gradients, their_gradients, 1e-10)

    _, params = interop.torch.from_cell_state_dict(module.state_dict(), name)
    exported = interop.torch.to_cell_state_dict(params, name, bias=bias)
    module.load_state_dict(tensors(exported), strict=True)
    again = module(torch.tensor(x), hx)
    assert_close((again[0] if is_lstm else again).detach().numpy(), their_y.detach().numpy(), 1e-10)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("name", MODULES)
def test_export_of_an_import_runs_the_same_in_torch(name, bias):
    options = {"num_layers": 2, "bidirectional": True, "bias": bias}
    module, other = make_module(name, **options), make_module(name, seed=1, **options)
    kind = module.mode.lower()
    _, params = interop.torch.from_state_dict(module.state_dict(), kind)
    exported = interop.torch.to_state_dict(params, kind, bias=bias)
    assert list(exported) == list(module.state_dict())
    other.load_state_dict(tensors(exported), strict=True)
    xs = torch.tensor(random_data(module, np.float64)[0])
    with torch.no_grad():
        assert_close(other(xs)[0].numpy(), module(xs)[0].numpy(), 1e-10)
    # Exported once, the biases are one, and from then on nothing changes at all.
    _, params_again = interop.torch.from_state_dict(exported, kind)
    assert_close(params_again, params, 0)


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("rnn_tanh", sj.elman(HIDDEN_SIZE)),
        ("lstm_projected", sj.lstm(HIDDEN_SIZE, projection_size=PROJECTION_SIZE)),
        ("gru", sj.gru(HIDDEN_SIZE)),
    ],
)
def test_a_network_of_ours_runs_the_same_in_torch(name, cell, key):
    network = stack(bidirectional(cell), bidirectional(cell))
    params = network.init(key, INPUT_SIZE)
    module = make_module(name, dtype=torch.float32, num_layers=2, bidirectional=True)
    xs = random_data(module, np.float32)[0]
    # The learned initial carry, which a state dict has no place for, is handed over as a state.
    states = interop.torch.to_hidden_state(network.initial_carry(params, (BATCH,)))
    weights = interop.without_initial_carry(params)
    module.load_state_dict(tensors(interop.torch.to_state_dict(weights, module.mode.lower())), strict=True)
    _, ys = jax.jit(network.unroll)(params, xs)
    as_tensors = jax.tree.map(torch.from_numpy, states)
    with torch.no_grad():
        assert_close(ys, module(torch.from_numpy(xs), as_tensors)[0].numpy(), 2e-5)


def test_states_without_batch_axes_and_there_and_back():
    module = make_module("lstm_projected", num_layers=2, bidirectional=True)
    _, params = interop.torch.from_state_dict(module.state_dict(), "lstm")
    states = (np.arange(8.0, dtype=np.float32).reshape(4, 2), np.ones((4, 4), np.float32))
    carry = interop.torch.from_hidden_state(states, params)
    assert carry[0].backward.hidden.tolist() == [2.0, 3.0]
    assert carry[1].forward.hidden.tolist() == [4.0, 5.0]
    assert_close(interop.torch.to_hidden_state(carry), states, 0)


def test_prefix_takes_one_module_out_of_a_larger_one():
    module = make_module("gru", num_layers=2)
    larger = torch.nn.ModuleDict({"encoder": module, "norm": torch.nn.BatchNorm1d(3)})
    _, params = interop.torch.from_state_dict(larger.state_dict(), "gru", prefix="encoder.")
    exported = interop.torch.to_state_dict(params, "gru", prefix="encoder.")
    assert list(exported) == [name for name in larger.state_dict() if name.startswith("encoder.")]
    with pytest.raises(ValueError, match=r"no 'weight_ih_l0'.*with prefix='encoder.'"):
        interop.torch.from_state_dict(larger.state_dict(), "gru")


def state_of(**changes):
    """The arrays of a GRU of one layer with something changed; `None` leaves out."""
    state = {
        "weight_ih_l0": np.ones((12, 3)),
        "weight_hh_l0": np.ones((12, 4)),
        "bias_ih_l0": np.ones(12),
        "bias_hh_l0": np.ones(12),
    } | changes
    return {name: array for name, array in state.items() if array is not None}


@pytest.mark.parametrize(
    ("state", "kind", "error", "message"),
    [
        (state_of(), "GRU", ValueError, "kind is 'GRU', expected one of .*'gru'"),
        (state_of(), ["gru"], ValueError, r"kind is \['gru'\], expected one of"),
        ([], "gru", TypeError, r"state_dict is a list, expected .*module.state_dict\(\)"),
        ({0: np.ones(3)}, "gru", TypeError, "has the key 0, expected strings"),
        ({}, "gru", ValueError, "state_dict has no 'weight_ih_l0', 'weight_hh_l0'"),
        (state_of(weight_hh_l0=None), "gru", ValueError, "has no 'weight_hh_l0', expected"),
        (state_of(bias_hh_l0=None), "gru", ValueError, "has no 'bias_hh_l0', expected"),
        (state_of(scale=np.ones(3)), "gru", ValueError, "has the unexpected 'scale', expected"),
        (state_of(weight_ih_l0_reverse=np.ones(3)), "gru", ValueError, "no 'weight_hh_l0_reverse'"),
        (state_of(weight_hr_l0=np.ones((2, 4))), "gru", ValueError, "the unexpected 'weight_hr_l0'"),
        (state_of(weight_ih_l99=np.ones(3)), "gru", ValueError, "'weight_ih_l1'.*unexpected 'weight_ih_l99'"),
        (state_of() | {"weight_ih_l" + "9" * 5000: np.ones(3)}, "gru", ValueError, "no 'weight_ih_l1'"),
        (state_of(), "lstm", ValueError, r"\['weight_ih_l0'\] has shape \(12, 3\), expected \(16, 3\). Kind"),
        (state_of(weight_hh_l0=np.ones((12, 5))), "gru", ValueError, r"expected \(15, 3\)"),
        (state_of(weight_hh_l0=np.ones(12)), "gru", ValueError, r"has shape \(12,\), expected a matrix"),
        (state_of(weight_ih_l0=np.ones(12)), "gru", ValueError, r"has shape \(12,\), expected a matrix"),
        (
            state_of(bias_ih_l0=np.ones(11)),
            "gru",
            ValueError,
            r"'bias_ih_l0'\] has shape \(11,\), expected \(12",
        ),
        (state_of(bias_ih_l0=np.ones(12, int)), "gru", TypeError, "has dtype int64, expected a floating"),
        (state_of(bias_ih_l0="import os"), "gru", TypeError, "expected a floating array"),
        (state_of(bias_ih_l0=[[1.0], [1.0, 2.0]]), "gru", TypeError, "is a list that numpy cannot read"),
        (state_of(bias_ih_l0=torch.ones(12, dtype=torch.bfloat16)), "gru", TypeError, r"float\(\).numpy\(\)"),
        (state_of(bias_ih_l0=torch.ones(12, requires_grad=True)), "gru", TypeError, r"detach\(\)"),
    ],
)
def test_a_state_dict_that_does_not_fit_is_refused(state, kind, error, message):
    with pytest.raises(error, match=message):
        interop.torch.from_state_dict(state, kind)


def test_layers_that_do_not_fit_together_are_refused():
    state = state_of() | {
        name.replace("l0", "l1"): array for name, array in state_of(weight_ih_l0=np.ones((12, 5))).items()
    }
    with pytest.raises(ValueError, match=r"'weight_ih_l1'\] has shape \(12, 5\), expected \(12, 4\)"):
        interop.torch.from_state_dict(state, "gru")


def zeros_gru(hidden_size=4, input_size=3, **options):
    return sj.gru(hidden_size, initial_carry="zeros", **options).init(jax.random.key(0), input_size)


def zeros_lstm(**options):
    return sj.lstm(4, initial_carry="zeros", **options).init(jax.random.key(0), 3)


def both(params):
    return sj.layers.BidirectionalParams(forward=params, backward=params)


@pytest.mark.parametrize(
    ("params", "kind", "error", "message"),
    [
        (zeros_gru, "gru", TypeError, r"params is a GRUParams, expected a tuple .* \(params,\)"),
        (lambda: (), "gru", TypeError, "expected a tuple with one entry a layer"),
        (lambda: (zeros_gru(),), "lstm", TypeError, r"params\[0\] is a GRUParams, expected LSTMParams"),
        (
            lambda: (zeros_gru(reset_after=False),),
            "gru",
            ValueError,
            "candidate_bias is None.*reset_after=True",
        ),
        (lambda: (sj.gru(4).init(jax.random.key(0), 3),), "gru", ValueError, "without_initial_carry"),
        (lambda: (zeros_lstm(peepholes=True),), "lstm", ValueError, r"params\[0\].peephole is set"),
        (lambda: (zeros_lstm(layer_norm=True),), "lstm", ValueError, r"params\[0\].norm is set"),
        (
            lambda: (zeros_lstm(forget_gate=False),),
            "lstm",
            ValueError,
            r"bias has shape \(3, 4\), expected \(4, hid",
        ),
        (
            lambda: (zeros_gru(), zeros_gru(5, 4)),
            "gru",
            ValueError,
            r"params\[1\].recurrent_kernel.*one hidden size",
        ),
        (
            lambda: (zeros_gru(), zeros_gru(4, 3)),
            "gru",
            ValueError,
            r"params\[1\].input_kernel.*reads 4 features",
        ),
        (lambda: (zeros_gru(), both(zeros_gru(4, 4))), "gru", ValueError, r"params\[1\] has 2 directions"),
        (
            lambda: (both(zeros_gru(4, 3)), both(zeros_gru(4, 4))),
            "gru",
            ValueError,
            r"\[1\].forward.*reads 8",
        ),
        (
            lambda: (zeros_gru().replace(candidate_bias=jnp.ones(5)),),
            "gru",
            ValueError,
            r"candidate_bias has shape",
        ),
    ],
)
def test_params_that_torch_has_no_place_for_are_refused(params, kind, error, message):
    with pytest.raises(error, match=message):
        interop.torch.to_state_dict(params(), kind)


def test_a_bias_is_never_dropped():
    with pytest.raises(ValueError, match=r"params\[0\].bias has values other than zero.*bias=True"):
        interop.torch.to_state_dict((zeros_lstm(),), "lstm", bias=False)
    with pytest.raises(ValueError, match=r"projection_kernel is set.*to_state_dict\(\(params,\), 'lstm'\)"):
        interop.torch.to_cell_state_dict(zeros_lstm(projection_size=2), "lstm")


@pytest.mark.parametrize(
    ("state", "params", "error", "message"),
    [
        (np.ones((1, 4)), lambda: (zeros_lstm(),), ValueError, "hidden_state is a ndarray, expected a pair"),
        (
            np.ones((2, 5, 4)),
            lambda: (zeros_gru(),),
            ValueError,
            r"has shape \(2, 5, 4\), expected \(1, 5, 4\)",
        ),
        (
            np.ones(4),
            lambda: (zeros_gru(),),
            ValueError,
            r"has shape \(4,\), expected \[layers \* directions",
        ),
        (
            np.ones((1, 4)),
            lambda: (zeros_gru(), ()),
            TypeError,
            "params has GRUParams, tuple, expected params of one kind",
        ),
        (np.ones((1, 4)), zeros_gru, TypeError, "params is a GRUParams, expected a tuple"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state, params, error, message):
    with pytest.raises(error, match=message):
        interop.torch.from_hidden_state(state, params())
