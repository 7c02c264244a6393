"""The check for those who write a cell of their own: good ones pass, and each kind of mistake is named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import diagnostics, layers
from tests.registry import CELLS, KINDS, LAYERS, READS_TOKENS, unstructured


@pytest.mark.slow
def test_a_good_cell_passes_and_says_by_how_much():
    report = diagnostics.check_gradients(sj.elman(2), 2, num_steps=2)
    assert set(report.gradients) == {
        "params.input_kernel",
        "params.recurrent_kernel",
        "params.bias",
        "params.initial_carry",
        "carry",
        "xs",
    }
    assert max(report.gradients.values()) < 1e-8
    assert set(report.methods) == {"fused", "checkpointed"}
    assert max(report.methods.values()) < 1e-12
    assert report.steps < 1e-12
    assert jnp.ones(()).dtype == jnp.float32  # the caller's dtype is as it was


@pytest.mark.slow
@pytest.mark.parametrize("name", KINDS)
def test_cells_of_every_structure_pass(name):
    report = diagnostics.check_gradients(CELLS[name], 3)
    assert report.methods


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bidirectional", "nested"])
def test_layers_pass(name):
    tokens = np.array([[0, 1], [2, 3], [4, 0]]) if name in READS_TOKENS else None
    report = diagnostics.check_gradients(LAYERS[name], 1 if name in READS_TOKENS else 3, xs=tokens)
    assert not report.methods
    assert ("xs" in report.gradients) == (name not in READS_TOKENS)


@pytest.mark.slow
def test_a_promise_that_is_not_kept_is_found():
    """A gate that reads more than the sum of its parts, and says that it does not."""

    def gate(_, x_part, h_part, h):
        return jnp.tanh(x_part[..., 0, :] + 0.5 * h_part[..., 0, :])

    cell = sj.gated_cell(2, gates=("hidden",), gate=gate, additive=True)
    with pytest.raises(ValueError, match="part gives with method 'fused' what differs from 'scan'"):
        diagnostics.check_gradients(cell, 2, num_steps=2)


def test_a_wrong_derivative_is_found_and_named():
    """Of a gradient that is stopped within the step, by the array that it is the gradient of."""
    inner = unstructured(2)

    def step(params, carry, x):
        cut = params.replace(recurrent_kernel=jax.lax.stop_gradient(params.recurrent_kernel))
        return inner.step(cut, carry, x)

    with pytest.raises(ValueError, match=r"with respect to params.recurrent_kernel that differs"):
        diagnostics.check_gradients(inner._replace(step=step), 2, num_steps=2)


def test_an_unroll_that_is_not_its_step_is_found():
    inner = layers.recurrent(unstructured(2))

    def step(params, carry, x):
        carry, y = inner.step(params, carry, x)
        return carry, 2 * y

    with pytest.raises(ValueError, match="part has an unroll that differs from its repeated step"):
        diagnostics.check_gradients(inner._replace(step=step), 2, num_steps=2)
    with pytest.raises(TypeError, match=r"part is a function, expected a Layer or a Cell. Call the factory"):
        diagnostics.check_gradients(sj.elman, 2)
