"""Flax's cells and ours from the same weights: outputs, carries and every gradient, and back."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import seqjax as sj
from seqjax import interop
from tests.marks import slow_except

NUM_STEPS, BATCH, INPUT_SIZE, HIDDEN_SIZE = 5, 3, 3, 4

LINEN = {
    "simple": ("simple", nn.SimpleCell(HIDDEN_SIZE)),
    "simple_residual": ("simple_residual", nn.SimpleCell(HIDDEN_SIZE, residual=True)),
    "lstm": ("lstm", nn.LSTMCell(HIDDEN_SIZE)),
    "optimized_lstm": ("lstm", nn.OptimizedLSTMCell(HIDDEN_SIZE)),
    "gru": ("gru", nn.GRUCell(HIDDEN_SIZE)),
    "mgu": ("mgu", nn.MGUCell(HIDDEN_SIZE)),
    "mgu_without_reset": ("mgu_without_reset", nn.MGUCell(HIDDEN_SIZE, reset_gate=False)),
}
NNX = {
    "simple": (nnx.SimpleCell, {"dtype": None}),
    "simple_residual": (nnx.SimpleCell, {"dtype": None, "residual": True}),
    "lstm": (nnx.LSTMCell, {}),
    "optimized_lstm": (nnx.OptimizedLSTMCell, {}),
    "gru": (nnx.GRUCell, {}),
}


def random_like(tree):
    """Weights drawn anew in double precision: the biases that flax starts with are zeros."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: jnp.array(rng.normal(size=leaf.shape)), tree)


def linen_weights(cell):
    inputs, key = jnp.ones((BATCH, INPUT_SIZE)), jax.random.key(0)
    carry = cell.initialize_carry(key, inputs.shape)
    return random_like(jax.eval_shape(cell.init, key, carry, inputs)["params"])


def nnx_split(kind):
    factory, settings = NNX[kind]
    shapes = nnx.eval_shape(lambda: factory(INPUT_SIZE, HIDDEN_SIZE, rngs=nnx.Rngs(0), **settings))
    graph, state = nnx.split(shapes, nnx.Param)
    return graph, state, random_like(nnx.to_pure_dict(state))


def ours_and_theirs(is_lstm, convert, their_step, weights):
    """All gradients, the outputs and the last carry, of our unroll and of a scan of their step."""
    rng = np.random.default_rng(1)
    xs = jnp.array(rng.normal(size=(NUM_STEPS, BATCH, INPUT_SIZE)))
    first = tuple(jnp.array(rng.normal(size=(BATCH, HIDDEN_SIZE))) for _ in range(2 if is_lstm else 1))
    output_weight = jnp.array(rng.normal(size=(NUM_STEPS, BATCH, HIDDEN_SIZE)))

    def ours(weights, xs, first):
        cell, params = convert(weights)
        carry = sj.cells.LSTMCarry(cell=first[0], hidden=first[1]) if is_lstm else first[0]
        carry, ys = sj.unroll(cell, params, xs, carry=carry)
        return ys, (carry.cell, carry.hidden) if is_lstm else (carry,)

    def theirs(weights, xs, first):
        carry, ys = jax.lax.scan(
            lambda carry, x: their_step(weights, carry, x), first if is_lstm else first[0], xs
        )
        return ys, carry if is_lstm else (carry,)

    def differentiated(run):
        def loss(*arguments):
            ys, last = run(*arguments)
            return (output_weight * ys).sum() + sum((output_weight[0] * part).sum() for part in last), (
                ys,
                last,
            )

        return jax.jit(jax.grad(loss, argnums=(0, 1, 2), has_aux=True))(weights, xs, first)

    return differentiated(ours), differentiated(theirs)


def assert_close(ours, theirs, atol=1e-10):
    assert jax.tree.structure(ours) == jax.tree.structure(theirs)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=0, atol=atol), ours, theirs)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", slow_except(LINEN, "lstm"))
def test_linen_agrees_there_and_back(name):
    kind, module = LINEN[name]
    weights = linen_weights(module)
    ours, theirs = ours_and_theirs(
        kind == "lstm",
        lambda weights: interop.flax.from_linen(weights, kind),
        lambda weights, carry, x: module.apply({"params": weights}, carry, x),
        weights,
    )
    assert_close(ours, theirs)
    _, params = interop.flax.from_linen(weights, kind)
    assert_close(interop.flax.to_linen(params, kind), weights)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("kind", NNX)
def test_nnx_agrees_there_and_back(kind):
    graph, state, weights = nnx_split(kind)

    def their_step(weights, carry, x):
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)(carry, x)

    ours, theirs = ours_and_theirs(
        kind.endswith("lstm"), lambda weights: interop.flax.from_nnx(weights, kind), their_step, weights
    )
    assert_close(ours, theirs)
    _, params = interop.flax.from_nnx(weights, kind)
    assert_close(interop.flax.to_nnx(params, kind), weights)


def test_activations_are_settings():
    module = nn.LSTMCell(HIDDEN_SIZE, gate_fn=nn.hard_sigmoid, activation_fn=nn.soft_sign)
    weights = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), linen_weights(module))
    cell, params = interop.flax.from_linen(
        weights, "lstm", activation=nn.soft_sign, gate_activation=nn.hard_sigmoid
    )
    x = jnp.linspace(-2, 2, BATCH * INPUT_SIZE).reshape(BATCH, INPUT_SIZE)
    _, y = cell.step(params, cell.initial_carry(params, (BATCH,)), x)
    zeros = jnp.zeros((BATCH, HIDDEN_SIZE))
    _, theirs = module.apply({"params": weights}, (zeros, zeros), x)
    assert_close(y, theirs, 2e-6)


def test_a_learned_linen_mgu_runs_over_time(key):
    cell = interop.linen_mgu(HIDDEN_SIZE)
    params = cell.init(key, INPUT_SIZE)
    xs = jax.random.normal(key, (NUM_STEPS, BATCH, INPUT_SIZE))
    fused, scanned = (sj.unroll(cell, params, xs, method=method)[1] for method in ("fused", "scan"))
    assert_close(fused, scanned, 1e-6)
    exported = interop.flax.to_linen(interop.without_initial_carry(params), "mgu")
    assert sorted(exported) == ["hf", "hn", "if", "in"]


def simple(**changes):
    """The params of linen's `SimpleCell` with something changed; `None` leaves out."""
    weights = {
        "i": {"kernel": np.ones((3, 4)), "bias": np.ones(4)},
        "h": {"kernel": np.ones((4, 4))},
    } | changes
    return {name: module for name, module in weights.items() if module is not None}


@pytest.mark.parametrize(
    ("weights", "kind", "error", "message"),
    [
        (simple(), "SimpleCell", ValueError, "kind is 'SimpleCell', expected one of 'simple'"),
        ([], "simple", TypeError, r"params is a list, expected .*variables\['params'\]"),
        ({"params": simple()}, "simple", ValueError, r"no 'i', 'h' and the unexpected 'params'.*variables\["),
        (simple(h=None), "simple", ValueError, "params has no 'h', expected 'i', 'h'"),
        (simple(), "gru", ValueError, "params has no 'ir', .* and the unexpected 'i', 'h'"),
        (simple(h=np.ones((4, 4))), "simple", TypeError, r"params\['h'\] is a ndarray, expected a mapping"),
        (
            simple(h={"kernel": np.ones((4, 4)), "bias": np.ones(4)}),
            "simple",
            ValueError,
            "unexpected 'bias'",
        ),
        (simple(i={"kernel": np.ones((3, 4))}), "simple", ValueError, r"params\['i'\] has no 'bias'"),
        (simple(h={"kernel": np.ones((4, 5))}), "simple", ValueError, r"shape \(4, 5\), expected \(4, 4\)"),
        (simple(h={"kernel": np.ones(4)}), "simple", ValueError, r"\['h'\]\['kernel'\].*expected a matrix"),
        (simple(h={"kernel": np.ones((4, 4), int)}), "simple", TypeError, "dtype int64, expected a floating"),
    ],
)
def test_weights_that_do_not_fit_are_refused(weights, kind, error, message):
    with pytest.raises(error, match=message):
        interop.flax.from_linen(weights, kind)


def zeros_params(factory, **options):
    return factory(HIDDEN_SIZE, initial_carry="zeros", **options).init(jax.random.key(0), INPUT_SIZE)


def test_params_that_flax_has_no_place_for_are_refused():
    with pytest.raises(ValueError, match="projection_kernel is set"):
        interop.flax.to_linen(zeros_params(sj.lstm, projection_size=2), "lstm")
    with pytest.raises(ValueError, match="candidate_bias is None, expected an array"):
        interop.flax.to_linen(zeros_params(sj.gru, reset_after=False), "gru")
    with pytest.raises(ValueError, match="candidate_bias is an array, expected None"):
        interop.flax.to_linen(zeros_params(interop.linen_mgu), "mgu_without_reset")
    with pytest.raises(TypeError, match="is a GatedParams, expected LinenMGUParams"):
        interop.flax.to_linen(zeros_params(sj.minimal_gated_unit), "mgu")
    biased = zeros_params(sj.gru).replace(candidate_bias=jnp.ones(HIDDEN_SIZE))
    with pytest.raises(ValueError, match=r"candidate_bias has values other than zero.*export to linen"):
        interop.flax.to_nnx(biased, "gru")
    with pytest.raises(ValueError, match="without_initial_carry"):
        interop.flax.to_nnx(sj.lstm(HIDDEN_SIZE).init(jax.random.key(0), INPUT_SIZE), "lstm")
