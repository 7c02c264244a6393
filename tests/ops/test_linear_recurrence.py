"""Linear recurrences against a loop in numpy, and their gradients against finite differences."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from seqjax import ops
from seqjax.ops.kernels.linear_recurrence import Cut, kernel, kernel_gradient
from seqjax.ops.linear_recurrence import FORMS
from seqjax.ops.recurrence_gradients import sequential_gradient

RNG = np.random.default_rng(0)
STEPS, SHAPE = 7, (3, 5)
PLAIN = [name for name in FORMS if name != "kernel"]
ALIKE = {
    "every axis": (STEPS, 3, 5),
    "constant": (1, 3, 5),
    "scalar": (STEPS, 3, 1),
    "shared by the batch": (STEPS, 1, 5),
    "one number": (1, 1, 1),
}


def draw(*shape, dtype=float):
    x = RNG.uniform(-1, 1, shape)
    return x + 1j * RNG.uniform(-1, 1, shape) if np.issubdtype(dtype, np.complexfloating) else x.astype(dtype)


def loop(a, b, initial, reverse=False, dense=False):
    """The equation, in numpy."""
    a = np.broadcast_to(a, (len(b), *a.shape[1:]))
    h, hs = initial, np.zeros(b.shape, np.result_type(a, b, initial))
    for t in range(len(b))[:: -1 if reverse else 1]:
        h = (np.einsum("...ij,...j->...i", a[t], h) if dense else a[t] * h) + b[t]
        hs[t] = h
    return hs


@functools.partial(jax.jit, static_argnames=("reverse", "dense", "method"))
def value_and_gradients(a, b, initial, weights, **options):
    def loss(a, b, initial):
        hs = ops.linear_recurrence(a, b, initial, **options)
        return jnp.sum(jnp.real(weights * hs)), hs

    return jax.value_and_grad(loss, (0, 1, 2), has_aux=True)(a, b, initial)


def check_against_the_loop(a, b, initial, **options):
    """Values, and gradients along a random direction."""
    weights, steps = draw(*b.shape, dtype=b.dtype), [draw(*x.shape, dtype=x.dtype) for x in (a, b, initial)]
    (_, hs), gradients = value_and_gradients(a, b, initial, weights, **options)
    equation = {name: value for name, value in options.items() if name != "method"}
    np.testing.assert_allclose(hs, loop(a, b, initial, **equation), atol=1e-12)

    def loss(size):
        moved = [x + size * step for x, step in zip((a, b, initial), steps, strict=True)]
        return np.sum(np.real(weights * loop(*moved, **equation)))

    wanted = (loss(1e-6) - loss(-1e-6)) / 2e-6
    # Of a real loss, jax's gradient with respect to a complex number is the conjugate of the steepest ascent.
    got = sum(np.sum(np.real(g * step)) for g, step in zip(gradients, steps, strict=True))
    np.testing.assert_allclose(got, wanted, rtol=1e-6)


@pytest.mark.parametrize("kind", ALIKE)
@pytest.mark.parametrize("reverse", [False, True])
def test_elements(kind, reverse, x64):
    a, b, initial = draw(*ALIKE[kind]), draw(STEPS, *SHAPE), draw(*SHAPE)
    check_against_the_loop(a, b, initial, reverse=reverse, method="auto")


@pytest.mark.parametrize("method", ["associative", "chunked"])
def test_other_forms(method, x64):
    b, initial = draw(STEPS, *SHAPE), draw(*SHAPE)
    check_against_the_loop(draw(*ALIKE["scalar"]), b, initial, method=method)
    check_against_the_loop(draw(*ALIKE["constant"]), b, initial, method=method, reverse=True)


@pytest.mark.parametrize("method", PLAIN)
def test_complex_elements(method, x64):
    shape = (STEPS, *SHAPE)
    a, b, initial = draw(*shape, dtype=complex), draw(*shape, dtype=complex), draw(*SHAPE, dtype=complex)
    check_against_the_loop(a, b, initial, method=method)


@pytest.mark.parametrize("method", PLAIN)
def test_matrices(method, x64):
    b, initial = draw(STEPS, 3, 5), draw(3, 5)
    check_against_the_loop(draw(STEPS, 3, 5, 5), b, initial, dense=True, method=method)
    check_against_the_loop(draw(1, 1, 5, 5), b, initial, dense=True, method=method, reverse=True)


def test_matrices_too_large_for_broadcasting(x64):
    check_against_the_loop(draw(4, 1, 20, 20) / 4, draw(4, 2, 20), draw(2, 20), dense=True)


def test_real_coefficients_of_complex_states_have_real_gradients(x64):
    a, b, initial = draw(STEPS, 4), draw(STEPS, 4, dtype=complex), draw(4)
    (_, hs), gradients = value_and_gradients(a, b, initial, np.ones_like(b))
    np.testing.assert_allclose(hs, loop(a, b, initial), atol=1e-12)
    assert [g.dtype for g in gradients] == [np.float64, np.complex128, np.float64]


@pytest.mark.parametrize("method", ["auto", "associative"])
def test_the_gradient_has_derivatives(method, x64):
    def gradient(a, b, initial):
        weighted = lambda *x: jnp.sum(jnp.sin(ops.linear_recurrence(*x, method=method)))  # noqa: E731
        return jax.grad(weighted, (0, 1, 2))(a, b, initial)

    check_grads(gradient, (draw(3, 2), draw(3, 2), draw(2)), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def test_low_precision_is_summed_in_float32():
    a = np.full((1, 1), 1.0, jnp.bfloat16)
    hs = ops.linear_recurrence(a, np.full((1000, 1), 1.0, jnp.bfloat16), np.zeros(1, jnp.bfloat16))
    assert hs.dtype == jnp.float32
    assert hs[-1] == 1000  # bfloat16 would have stayed at 256


@pytest.mark.parametrize("method", [*PLAIN, "auto"])
def test_no_steps_and_no_rows(method):
    for shape in ((0, 2), (3, 0)):
        hs = ops.linear_recurrence(np.ones(shape), np.ones(shape), np.ones(shape[1:]), method=method)
        assert hs.shape == shape
    gradient = jax.grad(lambda h: jnp.sum(ops.linear_recurrence(jnp.ones((0, 2)), jnp.ones((0, 2)), h)))
    assert not gradient(jnp.ones(2)).any()


def test_vmap_is_a_loop(x64):
    a, b, initial = draw(3, STEPS, 4), draw(3, STEPS, 4), draw(3, 4)
    together = jax.jit(jax.vmap(ops.linear_recurrence))(a, b, initial)
    for i in range(3):
        np.testing.assert_allclose(together[i], loop(a[i], b[i], initial[i]), atol=1e-12)


@pytest.mark.parametrize("method", ["auto", "sequential"])
def test_a_million_steps_keep_nothing_but_coefficients_and_states(method):
    """The compiler's own account of what a gradient needs beside its arguments and its results."""
    sequence = jax.ShapeDtypeStruct((1_000_000, 8), jnp.float32)

    def loss(a, b, initial):
        return jnp.sum(ops.linear_recurrence(a, b, initial, method=method)[-1])

    compiled = (
        jax.jit(jax.grad(loss, (0, 1, 2)))
        .lower(sequence, sequence, jax.ShapeDtypeStruct((8,), jnp.float32))
        .compile()
    )
    one = 4 * 8 * 1_000_000
    assert compiled.memory_analysis().temp_size_in_bytes < 2.2 * one  # the states, and the cotangent of `h`


# The kernel, in interpreted form: what it computes, not how fast.

CUTS = {
    "rows and chunks": Cut(lanes=4, rows=2, steps=2, num_chunks=2),
    "plain": Cut(16, 1, 2, 1),
    "chunks": Cut(16, 1, 2, 2),
    "whole runs": Cut(lanes=4, rows=2, steps=STEPS, num_chunks=1),  # all of a run exists, or nothing of it
}


@pytest.mark.parametrize(
    ("dtype", "kind", "cut", "reverse"),
    [
        (np.float32, "every axis", "rows and chunks", False),
        (np.float32, "shared by the batch", "plain", True),
        (np.float32, "every axis", "whole runs", True),
        (np.complex64, "constant", "chunks", True),
    ],
)
def test_kernel_is_the_loop(dtype, kind, cut, reverse):
    a, b, initial, d = (
        jnp.asarray(draw(*shape, dtype=dtype), dtype)
        for shape in (ALIKE[kind], (STEPS, *SHAPE), SHAPE, (STEPS, *SHAPE))
    )
    options = {"reverse": reverse, "cut": CUTS[cut], "interpret": True}
    hs = loop(*map(np.asarray, (a, b, initial)), reverse)
    np.testing.assert_allclose(kernel(a, b, initial, **options), hs, rtol=1e-5, atol=1e-5)
    gradients = kernel_gradient(a, jnp.asarray(hs), initial, d, **options)
    plain = jax.jit(functools.partial(sequential_gradient, reverse=reverse, dense=False))
    for got, want in zip(gradients, plain(a, hs, initial, d), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_derivatives_of_the_kernel_are_those_of_the_associative_form(x64):
    a, b, initial = draw(4, 2), draw(4, 2), draw(2)
    run = functools.partial(kernel, reverse=False, cut=Cut(2, 1, 2, 1), interpret=True)
    check_grads(run, (a, b, initial), order=1, modes=["fwd", "rev"], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("shape", "launches"), [((2048, 1, 64), 6), ((7, 3, 5), 2)], ids=str)
def test_auto_is_a_kernel_on_cuda_and_a_loop_on_a_cpu(shape, launches):
    """Decided when a program is compiled for a device, on a machine that need not have it."""
    arrays = [jax.ShapeDtypeStruct(size, jnp.float32) for size in (shape, shape, shape[1:])]
    traced = jax.jit(jax.grad(lambda *x: jnp.sum(ops.linear_recurrence(*x)))).trace(*arrays)
    cuda, cpu = (traced.lower(lowering_platforms=(platform,)).as_text() for platform in ("cuda", "cpu"))
    assert cuda.count("custom_call @__gpu$xla.gpu.triton") == launches
    assert "stablehlo.while" not in cuda
    assert "custom_call" not in cpu
    assert cpu.count("stablehlo.while") == 2


def ones(*shape):
    return np.ones(shape)


def test_more_numbers_than_the_kernel_counts_take_another_form():
    huge = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in ((2, 2**30), (2, 2**30), (2**30,))]
    lowered = jax.jit(ops.linear_recurrence).trace(*huge).lower(lowering_platforms=("cuda",))
    assert "custom_call" not in lowered.as_text()
    with pytest.raises(ValueError, match="2147483648 numbers, but this kernel counts in 32 bits"):
        jax.eval_shape(functools.partial(kernel, reverse=False), *huge)


# fmt: off
BAD_CALLS = {
    "a of another length": (ones(4, 2), ones(5, 2), ones(2), {}, "a has shape (4, 2), expected (5, 2)"),
    "a without time": (ones(2), ones(5, 2), ones(2), {}, "a has shape (2,), expected (5, 2)"),
    "a without matrices": (ones(5, 2), ones(5, 2), ones(2), {"dense": True}, "expected (5, 2, 2)"),
    "initial with time": (ones(5, 2), ones(5, 2), ones(1, 2), {}, "initial has shape (1, 2), expected (2,)"),
    "no time": (ones(), ones(), ones(), {}, "time first"),
    "method": (ones(5), ones(5), 0.0, {"method": "scan"}, "method is 'scan', expected one of 'auto'"),
    "matrices": (ones(5, 2, 2), ones(5, 2), ones(2), {"dense": True, "method": "kernel"}, "no matrices"),
}
# fmt: on


@pytest.mark.parametrize("name", BAD_CALLS)
def test_errors_say_what_was_expected(name):
    *arrays, options, message = BAD_CALLS[name]
    with pytest.raises(ValueError, match=re.escape(message)):
        ops.linear_recurrence(*arrays, **options)


def test_integers_are_refused():
    with pytest.raises(TypeError, match="b has dtype int32"):
        ops.linear_recurrence(np.ones(3, np.float32), np.ones(3, np.int32), 0.0)
