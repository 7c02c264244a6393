"""What the fused gradient can and cannot do beyond the laws."""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax.backends import fused
from tests import laws
from tests.marks import slow_except

CELL = sj.lstm(2, peepholes=True)


def total(method, xs):
    params, _, _ = laws.example(CELL, num_steps=4, batch_shape=(2,))
    return jnp.sum(jnp.sin(sj.unroll(CELL, params, xs, method=method)[1]))


@pytest.mark.slow
def test_second_derivatives_are_those_of_scan(x64):
    _, xs, _ = laws.example(CELL, num_steps=4, batch_shape=(2,))
    wanted = jax.jit(jax.hessian(functools.partial(total, "scan")))(xs)
    gradient = jax.grad(functools.partial(total, "fused"))
    np.testing.assert_allclose(jax.jit(jax.jacfwd(gradient))(xs), wanted, atol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.jacrev(gradient))(xs), wanted, atol=1e-12)


def test_forward_mode_is_an_error_and_not_a_wrong_number():
    _, xs, _ = laws.example(CELL, num_steps=4, batch_shape=(2,))
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(functools.partial(total, "fused"), (jnp.asarray(xs),), (jnp.ones_like(xs),))


@pytest.mark.parametrize("num_steps", slow_except([1, 7, 8, 9], 9))
def test_any_chunk_size_gives_the_same_gradient(num_steps, x64):
    params, xs, carry = laws.example(CELL, num_steps=num_steps, batch_shape=(2,))

    def gradient(chunk_size):
        method = functools.partial(fused, chunk_size=chunk_size)

        def loss(params):
            return laws.reduced(sj.unroll(CELL, params, xs, carry=carry, method=method))

        return jax.jit(jax.grad(loss))(params)

    whole = gradient(None)
    for chunk_size in (1, 3, 100):
        laws.check(gradient(chunk_size), whole, 1e-12)


@pytest.mark.parametrize("batch_shape", [(), (2, 3)])
@pytest.mark.parametrize("cell", [sj.gru(3), sj.slstm(4, num_heads=2)], ids=["gru", "slstm"])
def test_large_kernels_come_first_and_give_the_same(cell, batch_shape, x64, monkeypatch):
    module = sys.modules["seqjax.backends.fused"]
    params, xs, carry = laws.example(cell, num_steps=4, batch_shape=batch_shape)

    def gradient(method):
        def loss(params, carry):
            return laws.reduced(sj.unroll(cell, params, xs, carry=carry, method=method))

        # A function of its own for each method, so that no compiled one is used again.
        return jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))(params, carry)

    wanted = gradient("scan")
    monkeypatch.setattr(module, "ON_CPU", module.ON_CPU._replace(kernel_first_from=1))
    laws.check(gradient("fused"), wanted, 1e-12)


def test_kernels_of_two_dtypes_are_each_multiplied_in_their_own():
    cell = sj.elman(3)
    params, xs, carry = laws.example(cell)
    params = params.replace(recurrent_kernel=params.recurrent_kernel.astype(jnp.bfloat16))
    found, wanted = (sj.unroll(cell, params, xs, carry=carry, method=way)[1] for way in ("fused", "scan"))
    laws.check(found, wanted, 1e-6)


@pytest.mark.parametrize("make", [sj.lstm, sj.elman])
def test_hidden_vectors_and_inputs_are_one_product_whatever_the_cell_was_wrapped_in(make):
    cell = make(3)
    params, xs, carry = laws.example(cell, num_steps=4, batch_shape=(2,))

    def products(**options):
        def run(params, xs, carry):
            return sj.unroll(
                cell, params, xs, carry=carry, method=functools.partial(fused, chunk_size=16), **options
            )

        return (
            jax.jit(run)
            .trace(params, xs, carry)
            .lower(lowering_platforms=("cpu",))
            .as_text()
            .count("dot_general")
        )

    assert products() == 1
    assert products(lengths=np.array([4, 2])) == 1
    # A reset changes the hidden vector before its product, and only that.
    assert products(resets=np.zeros((4, 2), bool)) == 2
