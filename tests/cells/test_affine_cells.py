"""Affine cells against their equations in numpy, and what their parameters start as."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

import seqjax as sj
from seqjax.cells.s5 import hippo_legs
from tests import laws


def drawn(cell, key, input_size):
    """The cell's first params, compiled as one program."""
    return jax.device_get(jax.jit(lambda key: cell.init(key, input_size))(key))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def gates(params, x):
    return [x @ params.input_kernel[:, g] + params.bias[g] for g in range(params.bias.shape[0])]


def as_complex(kernel):
    return kernel[:, 0] + 1j * kernel[:, 1]


def lru(params, s, x):
    eigenvalue = np.exp(-np.exp(params.log_decay) + 1j * np.exp(params.log_phase))
    s = eigenvalue * s + np.exp(params.log_scale) * (x @ as_complex(params.input_kernel))
    return s, (s @ as_complex(params.output_kernel)).real + x @ params.skip_kernel


def s5(params, s, x):
    eigenvalue = -np.exp(params.log_decay) + 1j * params.frequency
    sampled = np.exp(eigenvalue * np.exp(params.log_step))
    s = sampled * s + (sampled - 1) / eigenvalue * (x @ as_complex(params.input_kernel))
    return s, 2 * (s @ as_complex(params.output_kernel)).real + x @ params.skip_kernel


def min_gru(params, h, x):
    z, n = gates(params, x)
    h = (1 - sigmoid(z)) * h + sigmoid(z) * n
    return h, h


def min_lstm(params, h, x):
    i, f, n = gates(params, x)
    i, f = sigmoid(i), sigmoid(f)
    h = f / (f + i) * h + i / (f + i) * n
    return h, h


def rg_lru(params, h, x):
    v = x @ params.input_kernel
    r = sigmoid(v @ params.gate_kernel[:, 0] + params.bias[0])
    i = sigmoid(v @ params.gate_kernel[:, 1] + params.bias[1])
    a = sigmoid(params.decay_logit) ** (8 * r)
    h = a * h + np.sqrt(1 - a**2) * (i * v)
    return h, h


def qrnn(params, c, x):
    z, f, o = gates(params, x)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * np.tanh(z)
    return c, sigmoid(o) * c


def sru(params, c, x):
    candidate, f, r, highway = gates(params, x)
    c = sigmoid(f) * c + (1 - sigmoid(f)) * candidate
    return c, sigmoid(r) * np.tanh(c) + (1 - sigmoid(r)) * highway


CASES = {
    lru: sj.lru(4, state_size=2),
    s5: sj.s5(4, state_size=2),
    min_gru: sj.min_gru(4),
    min_lstm: sj.min_lstm(4),
    rg_lru: sj.rg_lru(4),
    qrnn: sj.qrnn(4),
    sru: sj.sru(4),
}


@pytest.mark.parametrize("reference", CASES, ids=lambda function: function.__name__)
def test_unroll_follows_the_equations(reference, x64):
    laws.follows_the_equations(CASES[reference], reference)


def test_the_learned_carry_of_a_complex_state_is_two_real_ones(key):
    cell = sj.lru(4, state_size=2)
    params = drawn(cell, key, 3)
    carry = cell.initial_carry(params, (5,))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.float32)}
    np.testing.assert_array_equal(carry[3], params.initial_carry[0] + 1j * params.initial_carry[1])
    zeros = sj.lru(4, initial_carry="zeros")
    assert not zeros.initial_carry(drawn(zeros, key, 3)).any()


def test_eigenvalues_of_an_lru_start_on_the_ring_that_was_asked_for(key):
    cell = sj.lru(1, state_size=2000, min_radius=0.6, max_radius=0.8, max_phase=0.5)
    params = drawn(cell, key, 1)
    radius, phase = np.exp(-np.exp(params.log_decay)), np.exp(params.log_phase)
    assert 0.6 <= radius.min() < 0.605
    assert 0.795 < radius.max() <= 0.8 + 1e-6
    assert 0 < phase.min() < 0.01
    assert 0.49 < phase.max() <= 0.5 + 1e-6
    # Uniform on the ring: as many eigenvalues on each side of the circle that halves its area.
    assert abs(np.mean(radius**2 < 0.5) - 0.5) < 0.05


def test_an_lru_gives_a_state_of_noise_the_noises_variance(key):
    cell = sj.lru(1, state_size=64, initial_carry="zeros")
    params = drawn(cell, key, 16)
    xs = jax.random.normal(key, (4000, 16))
    states = jax.jit(
        lambda xs: jax.lax.scan(lambda s, x: (cell.step(params, s, x)[0],) * 2, jnp.zeros(64, complex), xs)[1]
    )
    assert abs(np.mean(np.abs(states(xs)[1000:]) ** 2) - 1) < 0.1


def test_an_s5_cell_starts_as_the_hippo_system_held_between_its_samples(key, x64):
    """Against the real system of twice the size, sampled by a matrix exponential."""
    cell = sj.s5(3, state_size=3, min_step=0.07, max_step=0.07)
    params = drawn(cell, key, 2)
    eigenvalues, vectors = hippo_legs(6)
    matrix = 2 * ((vectors * eigenvalues) @ vectors.conj().T).real
    into = 2 * (vectors @ as_complex(params.input_kernel).T).real
    out = 2 * (vectors.conj() @ as_complex(params.output_kernel)).real.T
    held = scipy.linalg.expm(0.07 * np.block([[matrix, into], [np.zeros((2, 8))]]))
    xs = np.random.default_rng(0).normal(size=(20, 2))
    state, ys = np.zeros(6), []
    for x in xs:
        state = held[:6, :6] @ state + held[:6, 6:] @ x
        ys.append(out @ state + x @ params.skip_kernel)
    start = jnp.zeros(3, complex)
    np.testing.assert_allclose(sj.unroll(cell, params, xs, carry=start)[1], np.stack(ys), atol=1e-12)


def test_hippo_eigenvectors_are_those_of_the_legs_matrix():
    n = np.arange(6)
    root = np.sqrt(2 * n + 1.0)
    legs = -np.tril(np.outer(root, root), -1) - np.diag(n + 1.0)
    normal = legs + np.outer(np.sqrt(n + 0.5), np.sqrt(n + 0.5))
    eigenvalues, vectors = hippo_legs(6)
    np.testing.assert_allclose(normal @ vectors, vectors * eigenvalues, atol=1e-12)
    assert (eigenvalues.imag > 0).all()


def test_decays_of_an_rg_lru_start_between_those_of_the_paper(key):
    params = drawn(sj.rg_lru(500), key, 1)
    decay = sigmoid(np.asarray(params.decay_logit, float)) ** 8
    assert 0.9 - 1e-5 <= decay.min() < 0.902
    assert 0.997 < decay.max() <= 0.999 + 1e-5


@pytest.mark.parametrize("make", [sj.min_lstm, sj.rg_lru])
@pytest.mark.parametrize("size", [-1e4, 1e4])
def test_gates_that_are_shut_or_open_for_good_have_finite_gradients(make, size, key):
    cell = make(2)
    params = drawn(cell, key, 1)
    params = params.replace(bias=jnp.full_like(params.bias, size))
    gradient = jax.jit(jax.grad(lambda params: jnp.sum(sj.unroll(cell, params, jnp.ones((3, 1)))[1])))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(params)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sj.lru(4, min_radius=0.9, max_radius=1.0), "expected 0 <= min < max < 1"),
        (lambda: sj.lru(4, max_phase=0.0), "max_phase is 0.0, expected a positive number"),
        (lambda: sj.s5(4, min_step=0.2), "expected 0 < min <= max"),
        (lambda: sj.s5(0), "hidden_size is 0, expected a positive integer"),
        (lambda: sj.lru(4, state_size=0), "state_size is 0, expected a positive integer"),
        (lambda: sj.rg_lru(4, initial_carry="none"), "expected 'learned' or 'zeros'"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: sj.min_gru(4, activation="tanh"), "activation is 'tanh'"),
        (lambda: sj.lru(4, min_radius="0.9"), "min_radius is '0.9', expected a number"),
        (lambda: sj.affine_cell(4, coefficients=None), "coefficients is None, expected a function"),
    ],
)
def test_types_are_looked_at(make, message):
    with pytest.raises(TypeError, match=message):
        make()
