"""Lyapunov exponents and kernels against systems whose answers are known, gates against formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import diagnostics
from tests.registry import CELLS


def henon(a=1.4, b=0.3):
    """The map of Hénon (1976) as a cell whose carry is its point."""

    def step(params, carry, x):
        u, v = carry
        return (1 - a * u * u + v, b * u), u[..., None]

    return sj.Cell(
        init=lambda key, input_size: {},
        initial_carry=lambda params, batch_shape=(): (jnp.zeros(batch_shape), jnp.zeros(batch_shape)),
        step=step,
        output_size=1,
    )


def test_the_henon_map_is_chaotic_and_contracts_by_its_determinant(x64):
    spectrum = diagnostics.lyapunov_spectrum(henon(), {}, np.zeros((4000, 2, 1)), transient=100)
    np.testing.assert_allclose(spectrum.stretches.sum(-1), np.log(0.3), rtol=1e-10)  # |det J| at each step
    # 0.4192 and -1.6229 are in the textbooks (Sprott, 2003, table 5.1); of 4000 steps two digits can be had.
    np.testing.assert_allclose(spectrum.exponents, [[0.4192, -1.6229]] * 2, atol=0.02)


@pytest.mark.slow
def test_exponents_of_a_linear_network_are_the_logarithms_of_its_eigenvalues(x64):
    cell = sj.elman(3, lambda x: x, initial_carry="zeros")
    kernel = np.array([[0.9, 0.3, -0.2], [0.0, -0.5, 0.4], [0.0, 0.0, 0.2]])
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 1))
    params = params.replace(recurrent_kernel=kernel[:, None])
    spectrum = diagnostics.lyapunov_spectrum(cell, params, np.zeros((300, 1)), transient=100)
    np.testing.assert_allclose(spectrum.exponents, np.log([0.9, 0.5, 0.2]), atol=1e-8)
    first = diagnostics.lyapunov_spectrum(cell, params, np.zeros((300, 1)), transient=100, num_exponents=1)
    np.testing.assert_allclose(first.exponents, np.log([0.9]), atol=1e-8)
    with pytest.raises(ValueError, match="num_exponents is 4, expected at most 3"):
        diagnostics.lyapunov_spectrum(cell, params, np.zeros((300, 1)), num_exponents=4)
    with pytest.raises(ValueError, match="transient is 300, expected an integer from 0 to 299"):
        diagnostics.lyapunov_spectrum(cell, params, np.zeros((300, 1)), transient=300)


def test_kernels_are_measured_gate_by_gate(x64):
    generator = np.random.default_rng(0)
    kernels = generator.normal(size=(5, 3, 5))
    kernels[:, 1] = np.linalg.qr(kernels[:, 1])[0]
    kernels[:, 2] = np.triu(kernels[:, 2], 1)  # nilpotent: no eigenvalue but zero
    radii = diagnostics.spectral_radius(kernels)
    np.testing.assert_allclose(radii[0], np.abs(np.linalg.eigvals(kernels[:, 0])).max(), rtol=1e-10)
    np.testing.assert_allclose(radii[1:], [1, 0], atol=1e-12)
    norms = diagnostics.kernel_norm(kernels)
    np.testing.assert_allclose(norms, [np.linalg.norm(kernels[:, g], 2) for g in range(3)], rtol=1e-12)
    gaps = diagnostics.orthogonality_gap(kernels)
    values = np.linalg.svd(kernels[:, 0], compute_uv=False)
    assert float(gaps[0]) == pytest.approx(np.abs(values - 1).max(), rel=1e-10)
    assert float(gaps[1]) < 1e-14
    # A defective matrix, whose powers grow before they shrink.
    assert float(diagnostics.spectral_radius(np.array([[0.9, 1], [0, 0.9]]))) == pytest.approx(0.9, rel=1e-9)
    with pytest.raises(ValueError, match="expected \\[H, G, H\\] or \\[H, H\\]"):
        diagnostics.spectral_radius(np.ones((2, 3)))


@pytest.mark.slow
def test_what_a_unit_keeps(x64):
    """By a formula for each structure: the update gate of a GRU, the coefficients of an affine cell."""
    xs = np.random.default_rng(0).normal(size=(6, 2, 3))
    cell = CELLS["gru"]
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 3))
    update = diagnostics.gate_values(cell, params, xs)["update"]
    np.testing.assert_allclose(diagnostics.retention(cell, params, xs), update, rtol=1e-12)
    cell = CELLS["lru"]
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 3))
    kept = diagnostics.retention(cell, params, xs)
    np.testing.assert_allclose(
        kept, np.broadcast_to(np.exp(-np.exp(params.log_decay)), (6, 2, 4)), rtol=1e-12
    )
    elman = diagnostics.retention(CELLS["elman_tanh"], CELLS["elman_tanh"].init(jax.random.key(0), 3), xs)
    assert not np.asarray(elman).any()


@pytest.mark.slow
def test_peepholes_are_seen_and_gates_that_are_hidden_refused(x64):
    cell = CELLS["lstm_peepholes"]
    params = jax.tree.map(np.asarray, cell.init(jax.random.key(0), 3))
    params = params.replace(peephole={name: np.full(4, 0.5) for name in params.peephole})
    xs = np.random.default_rng(0).normal(size=(6, 2, 3))
    values = diagnostics.gate_values(cell, params, xs)
    _, after = sj.unroll(cell, params, xs, method=diagnostics.trajectory)[1]
    np.testing.assert_allclose(after.hidden, values["output"] * np.tanh(after.cell), rtol=1e-12)
    share = diagnostics.saturation(values["forget"], low=0.5, high=0.5 + 1e-9)
    np.testing.assert_allclose(share.shut + share.open, np.ones(4))
    hidden = sj.lstm(4, layer_norm=True)
    with pytest.raises(ValueError, match="cell normalises its gates inside"):
        diagnostics.gate_values(hidden, hidden.init(jax.random.key(0), 3), xs)
    with pytest.raises(ValueError, match="gates is None, but params are GatedParams"):
        diagnostics.gate_values(sj.elman(2), sj.elman(2).init(jax.random.key(0), 3), xs)
