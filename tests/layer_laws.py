"""What every layer must satisfy, as functions of a layer.

`test_layer_laws.py` runs them over the registry. The laws share their inputs and the programs that run them:
what compiles anew is a shape, not a law.
"""

import contextlib
import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

from tests.laws import check, reduced
from tests.registry import INPUT_SIZE, VOCABULARY

NUM_STEPS, HALF, BATCH = 4, 2, 3
LENGTHS = np.array([NUM_STEPS, HALF, 0])
RESETS = np.array([[0, 0, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0]], bool).T
ALL, NEVER = np.full(BATCH, NUM_STEPS), np.zeros((NUM_STEPS, BATCH), bool)


class Example(NamedTuple):
    """Params, inputs and a carry that is not the initial one, all made without compiling anything."""

    params: Any
    xs: np.ndarray
    carry: Any


def example(layer, tokens, num_steps=NUM_STEPS, batch_shape=(BATCH,)):
    generator = np.random.default_rng(1)
    dtype = jnp.result_type(float)

    def draw(scale, shapes):
        return jax.tree.map(lambda leaf: (scale * generator.normal(size=leaf.shape)).astype(dtype), shapes)

    shapes = jax.eval_shape(lambda: layer.init(jax.random.key(0), 1 if tokens else INPUT_SIZE))
    params = draw(0.5, shapes)
    carry = draw(0.5, jax.eval_shape(lambda params: layer.initial_carry(params, batch_shape), shapes))
    if tokens:
        xs = generator.integers(0, VOCABULARY, (num_steps, *batch_shape)).astype(np.int32)
    else:
        xs = draw(1.0, np.empty((num_steps, *batch_shape, INPUT_SIZE)))
    return Example(params, xs, carry)


@functools.cache
def compiled_unroll(layer):
    """One function for all laws of a layer, so that laws with equal shapes share what is compiled."""
    return jax.jit(layer.unroll)


def unroll(layer, *args, **options):
    """The result on the host, where slicing compiles nothing."""
    return jax.device_get(compiled_unroll(layer)(*args, **options))


@functools.cache
def compiled_gradient(layer):
    """Loss, result and gradients with lengths and resets, which may say that there are none."""

    def run(params, xs, carry, lengths, resets):
        def loss(params, carry, xs):
            result = layer.unroll(params, xs, carry=carry, lengths=lengths, resets=resets)
            return reduced(result), result

        arguments = (0, 1) if jnp.issubdtype(xs.dtype, jnp.integer) else (0, 1, 2)
        return jax.value_and_grad(loss, arguments, has_aux=True)(params, carry, xs)

    return jax.jit(run)


def gradient(layer, *args):
    return jax.device_get(compiled_gradient(layer)(*args))


def row_of(tree, row):
    return jax.tree.map(lambda leaf: leaf[row], tree)


def start(layer, params):
    return jax.device_get(jax.jit(lambda params: layer.initial_carry(params, (BATCH,)))(params))


def unroll_is_repeated_step(layer, tokens):
    params, xs, carry = example(layer, tokens)
    wanted_carry, wanted = carry, []
    step = jax.jit(layer.step)
    for x in xs:
        wanted_carry, y = step(params, wanted_carry, x)
        wanted.append(np.asarray(y))
    check(unroll(layer, params, xs, carry=carry), (wanted_carry, np.stack(wanted)))


def chunks_are_the_whole(layer, tokens):
    params, xs, carry = example(layer, tokens)
    middle, first = unroll(layer, params, xs[:HALF], carry=carry)
    last, second = unroll(layer, params, xs[HALF:], carry=middle)
    check((last, np.concatenate([first, second])), unroll(layer, params, xs, carry=carry))


def padding_changes_nothing(layer, tokens):
    """Any padding content, NaN or no token at all, in values and gradients; a row is what it is alone."""
    params, xs, carry = example(layer, tokens)
    valid = np.arange(NUM_STEPS)[:, None] < LENGTHS
    (_, (last, ys)), grads = clean = gradient(layer, params, xs, carry, LENGTHS, NEVER)
    chex.assert_tree_all_finite(clean)
    contents = (-1, VOCABULARY, np.iinfo(np.int32).min) if tokens else (np.nan, np.inf, 1e30)
    for content in contents:
        spoilt = np.where(
            valid.reshape(valid.shape + (1,) * (xs.ndim - 2)), xs, np.asarray(content, xs.dtype)
        )
        chex.assert_trees_all_equal(gradient(layer, params, spoilt, carry, LENGTHS, NEVER), clean)
    assert not ys[~valid].any()
    if not tokens:
        assert not grads[2][~valid].any()
    for row, length in enumerate(LENGTHS):
        alone_carry, alone = unroll(layer, params, xs[:length], carry=carry)
        check(row_of(last, row), row_of(alone_carry, row))
        check(ys[:length, row], alone[:, row])


def resets_are_separate_sequences(layer, tokens):
    params, xs, carry = example(layer, tokens)
    initial = start(layer, params)
    # Where a layer runs backwards, a given carry enters at the other end of a row.
    given = initial if layer.step is None else carry
    (_, (last, ys)), _ = gradient(layer, params, xs, given, ALL, RESETS)
    whole_carry, whole = unroll(layer, params, xs, carry=given)
    _, first = unroll(layer, params, xs[:HALF], carry=given)
    _, fresh = unroll(layer, params, xs[:HALF], carry=initial)
    second_carry, second = unroll(layer, params, xs[HALF:], carry=initial)
    check(ys[:, 0], whole[:, 0])
    check(ys[:, 1], np.concatenate([first, second])[:, 1])
    check(ys[:, 2], np.concatenate([fresh, second])[:, 2])
    if layer.step is not None:
        check(row_of(last, 0), row_of(whole_carry, 0))
        check(row_of(last, slice(1, None)), row_of(second_carry, slice(1, None)))


def batch_axes_are_a_loop_over_rows(layer, tokens):
    """Each row from the initial carry, which is also where a call without a carry starts."""
    params, xs, _ = example(layer, tokens)
    initial = start(layer, params)
    last, ys = unroll(layer, params, xs[:, :, None])
    for row in range(BATCH):
        alone = unroll(layer, params, xs[:, row], carry=row_of(initial, row))
        check((row_of(last, (row, 0)), ys[:, row, 0]), alone)


def jit_is_eager(layer, tokens):
    params, xs, carry = example(layer, tokens)
    compiled = unroll(layer, params, xs[:HALF], carry=carry)
    with jax.disable_jit():
        check(layer.unroll(params, xs[:HALF], carry=carry), compiled)


def vmap_over_params_is_a_loop(layer, tokens):
    params, xs, carry = example(layer, tokens)
    members = [params, jax.tree.map(lambda leaf: 0.7 * leaf, params)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    run = jax.jit(jax.vmap(lambda params: layer.unroll(params, xs, carry=carry), axis_size=len(members)))
    together = jax.device_get(run(stacked))
    for i, member in enumerate(members):
        check(row_of(together, i), unroll(layer, member, xs, carry=carry))


def second_call_compiles_nothing(layer, tokens):
    """Outside of any jit, lengths and resets included."""
    params, xs, carry = example(layer, tokens, num_steps=NUM_STEPS + 1)  # a shape that no other law has
    resets = np.concatenate([RESETS, NEVER[:1]])

    def run(params, xs):
        return jax.block_until_ready(layer.unroll(params, xs, carry=carry, lengths=LENGTHS, resets=resets))

    with compilations() as compiled:
        jax.jit(lambda: 0)()
        assert compiled, "the listener heard no compilation: its event has another name in this jax"
        run(params, xs)
        compiled.clear()
        run(jax.tree.map(lambda leaf: leaf * 2, params), np.flip(xs))
        assert not compiled


def lowers_for_every_platform(layer, tokens):
    params, xs, carry = example(layer, tokens)
    traced = compiled_gradient(layer).trace(params, xs, carry, LENGTHS, RESETS)
    for platform in ("cpu", "cuda", "tpu"):
        assert traced.lower(lowering_platforms=(platform,)).as_text()


def empty_and_single_inputs_are_defined(layer, tokens):
    params, xs, carry = example(layer, tokens)
    features = layer.output_size(1 if tokens else INPUT_SIZE)
    last, ys = unroll(layer, params, xs[:0], carry=carry)
    check(last, carry)
    assert ys.shape == (0, BATCH, features)
    none = unroll(layer, params, xs[:, :0], lengths=LENGTHS[:0], resets=RESETS[:, :0])
    assert none[1].shape == (NUM_STEPS, 0, features)
    one, whole = np.ones_like(LENGTHS), unroll(layer, params, xs[:1], carry=carry)
    (_, (last, ys)), _ = gradient(layer, params, xs, carry, one, NEVER)
    check((last, ys[:1]), whole)


def output_size_is_true(layer, tokens):
    params, xs, carry = example(layer, tokens)
    shapes = jax.eval_shape(lambda: layer.unroll(params, xs, carry=carry))
    features = layer.output_size(1 if tokens else INPUT_SIZE)
    assert shapes[1].shape == (NUM_STEPS, BATCH, features)
    chex.assert_trees_all_equal_shapes_and_dtypes(shapes[0], jax.eval_shape(lambda: carry))
    if layer.step is not None:
        y = jax.eval_shape(layer.step, params, carry, xs[0])[1]
        assert (y.shape, y.dtype) == ((BATCH, features), shapes[1].dtype)


def a_key_decides_the_noise(layer, tokens):
    """The same key gives the same result and another key another one, where there is noise at all."""
    params, xs, carry = example(layer, tokens)
    keys = jax.random.split(jax.random.key(0), 2)
    first, again, other = (unroll(layer, params, xs, carry=carry, key=keys[i]) for i in (0, 0, 1))
    chex.assert_trees_all_equal(first, again)
    evaluated = unroll(layer, params, xs, carry=carry)
    chex.assert_trees_all_equal(evaluated, unroll(layer, params, xs, carry=carry))
    return not np.array_equal(first[1], other[1]), not np.array_equal(first[1], evaluated[1])


def gradients_are_numerical_gradients(layer, tokens):
    """In float64, where finite differences mean something."""
    params, xs, carry = example(layer, tokens)

    @jax.jit
    def run(params, carry, xs):
        return reduced(layer.unroll(params, xs, carry=carry, lengths=LENGTHS, resets=RESETS))

    if tokens:
        check_grads(lambda *args: run(*args, xs), (params, carry), 1, ["rev"], 1e-6, 1e-6)
    else:
        check_grads(run, (params, carry, xs), 1, ["rev"], 1e-6, 1e-6)


COMPILATION = "/jax/core/compile/backend_compile_duration"


@contextlib.contextmanager
def compilations():
    """The names of what is compiled meanwhile, as a list that grows."""
    heard = []

    def listen(event, duration, fun_name="", **_):
        if event == COMPILATION:
            heard.append(fun_name)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield heard
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
