"""What the lectures say of gradients through time, measured: each statement is a test that could fail."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import diagnostics
from tests import laws

T, H = 9, 4


def inputs(num_steps=T):
    return np.random.default_rng(0).normal(size=(num_steps, 2, 3))


def params_of(cell, scale=0.5):
    generator = np.random.default_rng(1)
    shapes = jax.eval_shape(lambda: cell.init(jax.random.key(0), 3))
    return jax.tree.map(lambda leaf: scale * generator.normal(size=leaf.shape), shapes)


def kernel_of_radius(radius):
    """A kernel that is not normal, with that spectral radius: its norm is larger."""
    kernel = np.random.default_rng(2).normal(size=(H, H))
    return radius / np.abs(np.linalg.eigvals(kernel)).max() * kernel


def norms_of(cell, params, xs, **options):
    jacobians = diagnostics.state_jacobians(cell, params, xs, **options)
    return np.asarray(diagnostics.product_norms(jacobians.matrices))


def test_a_tanh_network_of_radius_below_one_decays_geometrically_and_stays_under_the_bound(x64):
    cell = sj.elman(H)
    params = params_of(cell)
    xs = inputs(25)
    for kernel, under_one in [
        (kernel_of_radius(0.8), False),
        (0.9 * np.linalg.qr(np.ones((H, H)) + np.eye(H))[0], True),
    ]:
        params = params.replace(recurrent_kernel=kernel[:, None])
        norms = norms_of(cell, params, xs)
        bound = diagnostics.elman_bound(params.recurrent_kernel, jnp.tanh)
        assert float(bound.kernel_norm) == pytest.approx(np.linalg.norm(kernel, 2), rel=1e-12)
        assert float(bound.slope) == 1.0
        assert (float(bound.at(1)) < 1) == under_one
        assert not np.asarray(diagnostics.exceeds_bound(norms, bound)).any()
        # Every (t, k) is looked at, and a bound that is too low is seen at once.
        assert np.asarray(diagnostics.exceeds_bound(norms, bound._replace(slope=0.1))).sum() >= 25 * 24 / 2
        measured = diagnostics.measured_bound(cell, params, xs)
        assert float(measured.slope) < 1.0
        assert not np.asarray(diagnostics.exceeds_bound(norms, measured)).any()
        found = diagnostics.decay(jnp.asarray(norms))
        assert set(found.kind()) == {"vanishing"}
        # Geometrically: the logarithm of the mean norm is nearly a straight line of the lag.
        logs = np.log(np.asarray(found.norms))
        lags = np.arange(len(logs))
        for row in logs.T:
            assert np.corrcoef(lags, row)[0, 1] < -0.99
        assert (np.asarray(found.horizon) < 6).all()


@pytest.mark.slow
def test_sigmoid_vanishes_faster_than_tanh_and_rectified_identity_stays(x64):
    xs = 0.1 * inputs()
    rates = {}
    for name, activation in {"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}.items():
        cell = sj.elman(H, activation)
        params = params_of(cell).replace(recurrent_kernel=np.eye(H)[:, None])
        rates[name] = float(diagnostics.decay(jnp.asarray(norms_of(cell, params, xs))).rate.max())
    assert rates["sigmoid"] <= 0.25 + 1e-12
    assert rates["sigmoid"] < rates["tanh"] < 1
    cell = sj.irnn(H, initial_carry="zeros")
    start = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 3))
    stable = diagnostics.decay(jnp.asarray(norms_of(cell, start, 0 * xs, carry=np.ones((2, H)))))
    assert set(stable.kind()) == {"stable"}
    assert np.isinf(stable.horizon).all()
    grown = start.replace(recurrent_kernel=1.5 * start.recurrent_kernel)
    exploding = diagnostics.decay(jnp.asarray(norms_of(cell, grown, 0 * xs, carry=np.ones((2, H)))))
    assert set(exploding.kind()) == {"exploding"}
    np.testing.assert_array_equal(exploding.doubling, [2.0, 2.0])


def test_the_cell_state_of_1997_with_its_gates_shut_keeps_the_gradient_exactly(x64):
    cell = sj.lstm(H, forget_gate=False)
    params = params_of(cell)
    shut = params.replace(bias=params.bias - np.array([[1e4], [0.0], [1e4]]))  # input and output gates
    matrices = np.asarray(diagnostics.state_jacobians(cell, shut, inputs()).matrices)
    np.testing.assert_array_equal(matrices[..., :H, :H], np.broadcast_to(np.eye(H), (T, 2, H, H)))
    assert not matrices[..., H:].any()  # nothing of the hidden vector comes back
    # With the gates at work too, along the memory itself: the constant error carousel.
    along = np.asarray(diagnostics.state_jacobians(cell, params, inputs(), feedback=False).matrices)
    norms = np.asarray(diagnostics.product_norms(along[..., :H, :H]))
    np.testing.assert_array_equal(norms[np.tril_indices(T)], 1.0)


def test_a_modern_memory_keeps_the_product_of_its_forget_gates(x64):
    cell = sj.lstm(H)
    params, xs = params_of(cell), inputs()
    along = diagnostics.state_jacobians(cell, params, xs, feedback=False)
    products = diagnostics.jacobian_products(along.matrices, [(T - 1, k) for k in range(-1, T)])[..., :H, :H]
    # The forget gates by the formula, from the hidden vectors along the trajectory.
    start = np.broadcast_to(params.initial_carry.hidden, (1, 2, H))
    hidden = np.concatenate([start, along.carries.hidden[:-1]])
    read = xs @ params.input_kernel[:, 1] + params.bias[1] + hidden @ params.recurrent_kernel[:, 1]
    forget = 1 / (1 + np.exp(-read))
    wanted = np.concatenate([np.cumprod(forget[::-1], 0)[::-1], np.ones((1, 2, H))])
    np.testing.assert_allclose(products, wanted[..., None] * np.eye(H), atol=1e-14)
    np.testing.assert_allclose(diagnostics.gate_values(cell, params, xs)["forget"], forget, rtol=1e-12)
    kept = diagnostics.retention(cell, params, xs)
    np.testing.assert_allclose(kept.cell, forget, rtol=1e-12)
    assert not np.asarray(kept.hidden).any()
    tau = diagnostics.time_constants(kept).cell
    np.testing.assert_allclose(forget ** np.asarray(tau), np.exp(-1), rtol=1e-10)


@pytest.mark.slow
def test_bounds_of_other_networks(x64):
    """A Jordan network has a second kernel in its slope; a gate along the carry has no such bound."""
    for name, cell in {"jordan": sj.jordan(H, 2), "context": sj.elman(H, context_size=2)}.items():
        params = params_of(cell, 0.8)
        bound = diagnostics.measured_bound(cell, params, inputs())
        norms = norms_of(cell, params, inputs())
        assert not np.asarray(diagnostics.exceeds_bound(norms, bound)).any(), name
        assert np.asarray(norms[-1, -2] > 0.1 * float(bound.at(1))).any(), name
    with pytest.raises(ValueError, match="cell has a gate that reads the carry itself"):
        diagnostics.measured_bound(sj.gru(H), params_of(sj.gru(H)), inputs())
    with pytest.raises(ValueError, match="cell has no gated structure"):
        diagnostics.measured_bound(sj.lru(H), laws.example(sj.lru(H))[0], inputs())
    with pytest.raises(ValueError, match="activation is softmax, whose steepest slope is not known"):
        diagnostics.elman_bound(np.eye(2), jax.nn.softmax)
    with pytest.raises(ValueError, match=r"expected \[H, 1, H\]: a cell with several gates"):
        diagnostics.elman_bound(np.ones((2, 3, 2)))
