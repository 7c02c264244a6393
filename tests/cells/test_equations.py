"""Each cell against its equations, written once more in numpy from the papers' symbols."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from tests import laws


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def normalise(x):
    return (x - x.mean()) / np.sqrt(x.var() + 1e-5)


def parts(params, x, h):
    """The gates' inputs, one array `[H]` a gate."""
    return list(
        np.einsum("d,dgh->gh", x, params.input_kernel)
        + np.einsum("k,kgh->gh", h, params.recurrent_kernel)
        + params.bias
    )


def elman_sigmoid(params, h, x):
    (a,) = parts(params, x, h)
    h = sigmoid(a)
    return h, h


def elman_context(params, carry, x):
    (a,) = parts(params, x, carry.context)
    units = np.tanh(a)
    return carry.replace(hidden=units[:4], context=units[4:]), units


def jordan(params, y, x):
    (a,) = parts(params, x, y)
    y = np.tanh(np.tanh(a) @ params.output_kernel + params.output_bias)
    return y, y


def lstm_1997(params, carry, x):
    i, g, o = parts(params, x, carry.hidden)
    c = carry.cell + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return carry.replace(cell=c, hidden=h), h


def lstm_coupled(params, carry, x):
    i, g, o = parts(params, x, carry.hidden)
    c = (1 - sigmoid(i)) * carry.cell + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(c)
    return carry.replace(cell=c, hidden=h), h


def lstm_peepholes(params, carry, x):
    i, f, g, o = parts(params, x, carry.hidden)
    p = params.peephole
    c = sigmoid(f + p["forget"] * carry.cell) * carry.cell
    c = c + sigmoid(i + p["input"] * carry.cell) * np.tanh(g)
    h = sigmoid(o + p["output"] * c) * np.tanh(c)
    return carry.replace(cell=c, hidden=h), h


def lstm_norm(params, carry, x):
    x_part = normalise(np.einsum("d,dgh->gh", x, params.input_kernel)) * params.norm.input_scale
    h_part = normalise(np.einsum("k,kgh->gh", carry.hidden, params.recurrent_kernel))
    i, f, g, o = x_part + h_part * params.norm.recurrent_scale + params.bias
    c = sigmoid(f) * carry.cell + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(normalise(c) * params.norm.cell_scale + params.norm.cell_bias)
    return carry.replace(cell=c, hidden=h), h


def gru_reset_before(params, h, x):
    w, u, b = params.input_kernel, params.recurrent_kernel, params.bias
    r = sigmoid(x @ w[:, 0] + h @ u[:, 0] + b[0])
    z = sigmoid(x @ w[:, 1] + h @ u[:, 1] + b[1])
    n = np.tanh(x @ w[:, 2] + (r * h) @ u[:, 2] + b[2])
    h = z * h + (1 - z) * n
    return h, h


def gru_reset_after(params, h, x):
    w, u, b = params.input_kernel, params.recurrent_kernel, params.bias
    r = sigmoid(x @ w[:, 0] + h @ u[:, 0] + b[0])
    z = sigmoid(x @ w[:, 1] + h @ u[:, 1] + b[1])
    n = np.tanh(x @ w[:, 2] + b[2] + r * (h @ u[:, 2] + params.candidate_bias))
    h = z * h + (1 - z) * n
    return h, h


def minimal_gated_unit(params, h, x):
    w, u, b = params.input_kernel, params.recurrent_kernel, params.bias
    f = sigmoid(x @ w[:, 0] + h @ u[:, 0] + b[0])
    n = np.tanh(x @ w[:, 1] + (f * h) @ u[:, 1] + b[1])
    h = (1 - f) * h + f * n
    return h, h


def slstm(params, carry, x, forget_gate=sigmoid):
    """With the weights as they are: eqs. 8-14, without the stabilizer of eqs. 15-17."""
    n = np.exp(carry.log_normalizer)
    c = carry.cell * n
    heads = carry.hidden.reshape(params.recurrent_kernel.shape[:2])
    recurrent = np.concatenate(
        [np.einsum("k,kgh->gh", h, u) for h, u in zip(heads, params.recurrent_kernel, strict=True)], axis=1
    )
    i, f, z, o = np.einsum("d,dgh->gh", x, params.input_kernel) + recurrent + params.bias
    c = forget_gate(f) * c + np.exp(i) * np.tanh(z)
    n = forget_gate(f) * n + np.exp(i)
    h = sigmoid(o) * c / n
    return carry.replace(cell=c / n, log_normalizer=np.log(n), hidden=h), h


def slstm_exponential(params, carry, x):
    return slstm(params, carry, x, forget_gate=np.exp)


CASES = {
    elman_sigmoid: sj.elman(4, jax.nn.sigmoid),
    elman_context: sj.elman(4, context_size=2),
    jordan: sj.jordan(4, 2),
    lstm_1997: sj.lstm(4, forget_gate=False),
    lstm_coupled: sj.lstm(4, coupled=True),
    lstm_peepholes: sj.lstm(4, peepholes=True),
    lstm_norm: sj.lstm(4, layer_norm=True),
    gru_reset_before: sj.gru(4, reset_after=False),
    gru_reset_after: sj.gru(4),
    minimal_gated_unit: sj.minimal_gated_unit(4),
    slstm: sj.slstm(4, num_heads=2),
    slstm_exponential: sj.slstm(4, num_heads=2, exponential_forget=True),
}


@pytest.mark.parametrize("reference", CASES, ids=lambda function: function.__name__)
def test_unroll_follows_the_equations(reference, x64):
    laws.follows_the_equations(CASES[reference], reference)


def test_lstm_activations_are_the_ones_asked_for(x64):
    """The squashing functions of 1997: candidate in (-2, 2), output in (-1, 1)."""
    cell = sj.lstm(
        4,
        forget_gate=False,
        activation=lambda a: 4 * jax.nn.sigmoid(a) - 2,
        output_activation=lambda c: 2 * jax.nn.sigmoid(c) - 1,
    )
    params, xs, carry = laws.example(cell, batch_shape=())
    i, g, o = parts(params, xs[0], carry.hidden)
    memory = carry.cell + sigmoid(i) * (4 * sigmoid(g) - 2)
    after, y = jax.jit(cell.step)(params, carry, xs[0])
    laws.check((after.cell, y), (memory, sigmoid(o) * (2 * sigmoid(memory) - 1)), 1e-12)


def test_the_two_conventions_of_the_update_gate_are_a_sign_flip(x64):
    cell = sj.gru(4)
    params, xs, carry = laws.example(cell, batch_shape=())
    sign = np.array([1.0, -1.0, 1.0])[:, None]
    flipped = params.replace(
        input_kernel=params.input_kernel * sign,
        recurrent_kernel=params.recurrent_kernel * sign,
        bias=params.bias * sign,
    )
    h = carry
    for x in xs:  # Chung et al. (2014): one minus the update gate keeps the old state
        w, u, b = flipped.input_kernel, flipped.recurrent_kernel, flipped.bias
        r = sigmoid(x @ w[:, 0] + h @ u[:, 0] + b[0])
        z = sigmoid(x @ w[:, 1] + h @ u[:, 1] + b[1])
        n = np.tanh(x @ w[:, 2] + b[2] + r * (h @ u[:, 2] + flipped.candidate_bias))
        h = (1 - z) * h + z * n
    laws.check(sj.unroll(cell, params, xs, carry=carry)[0], h, 1e-12)


def test_constant_error_carousel_keeps_state_and_gradient_for_1000_steps():
    """The 1997 cell with its input gate shut: what was written stays, exactly, and so does its gradient."""
    cell = sj.lstm(4, forget_gate=False)
    params, xs, carry = laws.example(cell, num_steps=1000, batch_shape=())
    bias = params.bias.copy()
    bias[0] = -1e9  # the sigmoid of this is exactly zero
    params = params.replace(bias=bias)

    @jax.jit
    def memory(start):
        last, _ = sj.unroll(cell, params, xs, carry=carry.replace(cell=start))
        return last.cell

    np.testing.assert_array_equal(memory(carry.cell), carry.cell)
    np.testing.assert_array_equal(jax.jacrev(memory)(carry.cell), np.eye(4))


def test_forget_gate_of_zero_bias_forgets_what_the_carousel_keeps():
    """The same with a forget gate: the gradient after many steps is gone, so the law above can fail."""
    cell = sj.lstm(4)
    params, xs, carry = laws.example(cell, num_steps=200, batch_shape=())
    bias = params.bias.copy()
    bias[0] = -1e9
    params = params.replace(bias=bias)
    jacobian = jax.jit(
        jax.jacrev(lambda c: sj.unroll(cell, params, xs, carry=carry.replace(cell=c))[0].cell)
    )(carry.cell)
    assert float(jnp.abs(jacobian).max()) < 1e-6


@pytest.mark.parametrize("initial_carry", ["learned", "zeros"])
def test_exponential_gates_of_any_size_are_finite(initial_carry):
    """The exponential of either gate would be zero or infinite; the output is a mean of candidates."""
    cell = sj.slstm(2, exponential_forget=True, initial_carry=initial_carry)
    params, xs, _ = laws.example(cell, batch_shape=())

    @jax.jit
    @functools.partial(jax.grad, has_aux=True)
    def gradient(params):
        ys = sj.unroll(cell, params, xs)[1]
        return jnp.sum(ys), ys

    for gate in (0, 1):
        for size in (-1e4, 1e4):
            bias = params.bias.copy()
            bias[gate] = size
            grads, ys = gradient(params.replace(bias=bias))
            assert np.abs(ys).max() < 1
            assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(grads))


def test_an_slstm_that_starts_with_nothing_puts_out_its_first_candidate(x64):
    cell = sj.slstm(4, num_heads=2, initial_carry="zeros")
    params, xs, _ = laws.example(cell, batch_shape=())
    _, _, z, o = np.einsum("d,dgh->gh", xs[0], params.input_kernel) + params.bias
    laws.check(
        jax.jit(cell.step)(params, cell.initial_carry(params), xs[0])[1], sigmoid(o) * np.tanh(z), 1e-12
    )
