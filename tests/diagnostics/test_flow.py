"""What reaches each step of each layer, against a network written out step by step and moved by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import diagnostics, layers
from seqjax.cells import LSTMCarry
from seqjax.tasks import heads, many_to_many, many_to_one, synced
from tests import laws
from tests.layers.tools import draw
from tests.registry import CELLS, KINDS

T, B, D = 3, 2, 2
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(T, B, D))
FIRST, SECOND = sj.elman(2), sj.lstm(2)


def test_each_layer_is_reached_as_finite_differences_say(x64):
    """Each number of each carry is moved at each step, in a loop over steps that knows nothing of shifts."""
    task = synced(layers.stack(FIRST, SECOND), heads.gaussian(1, scale=1.0))
    params = jax.tree.map(lambda leaf: np.asarray(leaf, float), draw(task, D))
    targets, lengths = GENERATOR.normal(size=(T, B, 1)), np.array([T, T - 1])
    batch = sj.Batch(INPUTS, targets, lengths=lengths)
    shapes = {"h": (T, B, 2), "c": (T, B, 2), "g": (T, B, 2), "y": (T, B, 2)}

    @jax.jit
    def error(move):
        lower, upper = params.network
        h = jnp.broadcast_to(lower.initial_carry, (B, 2))
        carry = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (B, 2)), upper.initial_carry)
        total = 0.0
        for t in range(T):
            valid = (t < lengths)[:, None]
            h = jnp.where(valid, FIRST.step(lower, h, INPUTS[t])[0] + move["h"][t], h)
            after, _ = SECOND.step(upper, carry, h + move["y"][t])
            after = LSTMCarry(cell=after.cell + move["c"][t], hidden=after.hidden + move["g"][t])
            carry = jax.tree.map(lambda new, old, valid=valid: jnp.where(valid, new, old), after, carry)
            predicted = carry.hidden @ params.head.kernel[:, 0] + params.head.bias[0]
            squares = 0.5 * (predicted - targets[t]) ** 2 + 0.5 * np.log(2 * np.pi)
            total += jnp.sum(jnp.where(valid, squares, 0))
        return total / lengths.sum()

    zeros = {name: np.zeros(shape) for name, shape in shapes.items()}
    reached = {name: np.zeros(shape) for name, shape in shapes.items()}
    for name, shape in shapes.items():
        for place in np.ndindex(shape):
            ends = []
            for small in (1e-5, -1e-5):
                moved = {key: value.copy() for key, value in zeros.items()}
                moved[name][place] = small
                ends.append(float(error(moved)))
            reached[name][place] = (ends[0] - ends[1]) / 2e-5
    wanted = {name: np.linalg.norm(slopes, axis=-1) for name, slopes in reached.items()}
    flow = diagnostics.gradient_flow(task.loss, params, batch)
    assert float(flow.loss) == pytest.approx(float(error(zeros)), rel=1e-12)
    lower, upper = flow.layers["network[0]"], flow.layers["network[1]"]
    np.testing.assert_allclose(lower.carry, wanted["h"], atol=1e-9)
    np.testing.assert_allclose(lower.output, wanted["y"], atol=1e-9)
    np.testing.assert_allclose(upper.carry.cell, wanted["c"], atol=1e-9)
    np.testing.assert_allclose(upper.carry.hidden, wanted["g"], atol=1e-9)
    assert not np.asarray(lower.carry)[T - 1, 1].any()  # padding
    gradients = jax.jit(jax.grad(lambda params: task.loss(params, batch)[0]))(params)
    for name, norm in diagnostics.parameter_norms(gradients).items():
        assert float(flow.params[name]) == pytest.approx(float(norm), rel=1e-10), name


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_what_reaches_the_last_carry_flows_as_products_of_jacobians(name, x64):
    cell = CELLS[name]
    params, xs, carry = laws.example(cell, num_steps=4, batch_shape=(2,))
    jacobians = diagnostics.state_jacobians(cell, params, xs, carry=carry)
    weights = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)), carry)

    def loss(params, batch, *, carry=None, key=None):
        last, _ = sj.unroll(cell, params, batch.inputs, carry=carry)
        terms = jax.tree.map(lambda leaf, w: jnp.sum(jnp.real(leaf) * w), last, weights)
        return sum(jax.tree.leaves(terms)), None

    flow = diagnostics.gradient_flow(loss, params, sj.Batch(xs), carry=carry, cells=lambda params: [params])
    rows = diagnostics.jacobians.Rows.of(carry, 1)
    direction = rows.flat(jax.tree.map(lambda w, leaf: w.astype(leaf.dtype), weights, carry))
    products = diagnostics.jacobian_products(jacobians.matrices, [(3, k) for k in range(4)])
    reached = rows.tree(jnp.einsum("kbij,bi->kbj", products, direction))
    axes = jax.tree.map(lambda leaf: tuple(range(2, leaf.ndim)), reached)
    wanted = jax.tree.map(
        lambda leaf, axes: jnp.sqrt(jnp.sum(jnp.abs(leaf) ** 2, axes)), reached, axes, is_leaf=lambda x: False
    )
    laws.check(flow.layers[""].carry, wanted, 1e-9)
    pulled = diagnostics.pull_back(cell, params, xs, rows.tree(direction), carry=carry)
    laws.check(jax.tree.map(jnp.abs, pulled), jax.tree.map(jnp.abs, reached), 1e-9)


@pytest.mark.slow
def test_networks_of_every_build_are_reached():
    """Both directions, residual branches, a last step that alone is read; and padding has nothing."""
    network = layers.stack(layers.bidirectional(sj.elman(2)), layers.residual(sj.elman(4)))
    task = many_to_one(network, heads.categorical(2))
    params = draw(task, D)
    flow = diagnostics.gradient_flow(
        task.loss, params, sj.Batch(INPUTS.astype(np.float32), np.array([0, 1]), lengths=np.array([3, 2]))
    )
    assert set(flow.layers) == {"network[0].forward", "network[0].backward", "network[1]"}
    top = np.asarray(flow.layers["network[1]"].output)
    np.testing.assert_array_equal(top > 0, [[False, False], [False, True], [True, False]])
    backward = np.asarray(flow.layers["network[0].backward"].carry)
    np.testing.assert_array_equal(backward > 0, [[True, True], [True, True], [True, False]])


@pytest.mark.slow
def test_a_decoder_that_reads_itself_is_refused_and_its_encoder_is_not():
    kernel = layers.attention.dot()
    task = many_to_many(
        sj.elman(2),
        sj.elman(2),
        heads.categorical(3),
        embedding=layers.embed(3, 2),
        start=0,
        attention=kernel,
        input_feeding=True,
    )
    params = draw(task, D)
    batch = sj.Batch(INPUTS.astype(np.float32), np.ones((2, B), int))
    with pytest.raises(ValueError, match=r"params.decoder.network are run over time more than once"):
        diagnostics.gradient_flow(task.loss, params, batch)
    flow = diagnostics.gradient_flow(task.loss, params, batch, cells=lambda params: [params.encoder])
    assert (np.asarray(flow.layers["encoder"].carry) > 0).all()


def test_mistakes_are_named():
    batch = sj.Batch(INPUTS, None)
    with pytest.raises(ValueError, match="params hold no params of a cell"):
        diagnostics.gradient_flow(
            lambda params, batch: (params["kernel"].sum(), None), {"kernel": jnp.ones(2)}, batch
        )
    with pytest.raises(ValueError, match=r"params.cell are run over time nowhere in the loss"):
        diagnostics.gradient_flow(
            lambda params, batch: (jnp.zeros(()), None), {"cell": draw(FIRST, D)}, batch
        )
    with pytest.raises(TypeError, match=r"loss is 3, expected a function such as task.loss"):
        diagnostics.gradient_flow(3, {}, batch)


def test_norms_are_recorded_as_training_goes():
    """In the optimizer's state, before clipping."""
    optimizer = optax.chain(diagnostics.record_norms(), optax.scale(0.0))
    params = {"layer": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}}
    gradients = {"layer": {"kernel": jnp.full((2, 2), 2.0), "bias": jnp.array([3.0, 4.0])}}
    _, state = optimizer.update(gradients, optimizer.init(params))
    assert {name: float(norm) for name, norm in state[0].items()} == {"layer.kernel": 4.0, "layer.bias": 5.0}
