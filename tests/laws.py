"""What every cell and every backend must satisfy, as functions of a cell.

`test_laws.py` runs them over the registry. Each law says in its name what it holds; `check` compares pytrees.
"""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
from jax.test_util import check_grads

import seqjax as sj
from seqjax.backends import associative, chunkwise, fused, newton

NUM_STEPS, BATCH, INPUT_SIZE = 6, 3, 3
LENGTHS = np.array([6, 0, 4])
RESETS = np.array([[1, 0, 0, 0, 1, 0], [0, 0, 1, 0, 0, 1], [0, 0, 1, 0, 1, 0]], bool).T

METHODS = {
    "fused": "fused",
    "fused_whole": functools.partial(fused, chunk_size=None),
    "fused_remainder": functools.partial(fused, chunk_size=4),
    # On a CPU, where tests run, "associative" itself is "scan".
    "associative": functools.partial(associative, method="sequential"),
    "chunkwise": functools.partial(chunkwise, chunk_size=4),
    "checkpointed": "checkpointed",
    "newton": "newton",
    "newton_diagonal": functools.partial(newton, jacobian="diagonal"),
    "newton_damped": functools.partial(newton, damping=1.0),
    "newton_diagonal_damped": functools.partial(newton, jacobian="diagonal", damping=1.0),
}
"""By name; one that begins with a structure's backend runs cells of that structure only."""


def check(got, wanted, tolerance=1e-5):
    """Equal up to `tolerance` of the largest value of each leaf, or of one where all are smaller."""

    def compare(got, wanted):
        assert got.shape == wanted.shape
        scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
        np.testing.assert_allclose(got / scale, wanted / scale, rtol=0.0, atol=tolerance)

    chex.assert_trees_all_equal_structs(got, wanted)
    jax.tree.map(compare, jax.device_get(got), jax.device_get(wanted))


def unroll(*args, **options):
    """The result on the host, where slicing compiles nothing."""
    return jax.device_get(sj.unroll(*args, **options))


def example(cell, num_steps=NUM_STEPS, batch_shape=(BATCH,)):
    """Random params, inputs and a carry that is not the initial one, all made without compiling anything."""
    generator = np.random.default_rng(1)
    dtype = jnp.result_type(float)

    def draw(scale, shapes):
        def one(leaf):
            x = scale * generator.normal(size=leaf.shape)
            if not np.issubdtype(leaf.dtype, np.complexfloating):
                return x.astype(dtype)
            return (x + 1j * scale * generator.normal(size=leaf.shape)).astype(jnp.result_type(dtype, 1j))

        return jax.tree.map(one, shapes)

    shapes = jax.eval_shape(lambda key: cell.init(key, INPUT_SIZE), jax.random.key(0))
    params = draw(0.5, shapes)
    carry = draw(0.5, jax.eval_shape(lambda params: cell.initial_carry(params, batch_shape), shapes))
    return params, draw(1.0, np.empty((num_steps, *batch_shape, INPUT_SIZE))), carry


def reduced(carry_and_ys):
    """A number that every element of the result moves differently."""
    waves = [jnp.sin(leaf + i) for i, leaf in enumerate(jax.tree.leaves(carry_and_ys))]
    return sum(jnp.sum(jnp.real(wave) + jnp.imag(wave)) for wave in waves)


def unroll_is_repeated_step(cell):
    params, xs, carry = example(cell)
    wanted_carry, wanted = carry, []
    step = jax.jit(cell.step)
    for x in xs:
        wanted_carry, y = step(params, wanted_carry, x)
        wanted.append(np.asarray(y))
    check(unroll(cell, params, xs, carry=carry), (wanted_carry, np.stack(wanted)))


def no_carry_is_the_initial_carry(cell):
    params, xs, _ = example(cell)
    start = cell.initial_carry(params, (BATCH,))
    check(unroll(cell, params, xs), unroll(cell, params, xs, carry=start))


def backends_are_scan(cell, methods, tolerance, lengths=None, resets=None, reverse=False):
    """Values and the gradients with respect to params, inputs and the carry, of each method."""
    params, xs, carry = example(cell)

    def run(method):
        def loss(params, xs, carry):
            result = sj.unroll(
                cell, params, xs, carry=carry, lengths=lengths, resets=resets, reverse=reverse, method=method
            )
            return reduced(result), result

        return jax.jit(jax.value_and_grad(loss, (0, 1, 2), has_aux=True))(params, xs, carry)

    reference = run("scan")
    for method in methods:
        check(run(method), reference, tolerance)


def chunks_are_the_whole(cell):
    params, xs, carry = example(cell)
    whole_carry, whole = unroll(cell, params, xs, carry=carry)
    half = NUM_STEPS // 2
    middle, first = unroll(cell, params, xs[:half], carry=carry)
    last, second = unroll(cell, params, xs[half:], carry=middle)
    check((last, np.concatenate([first, second])), (whole_carry, whole))


def padding_changes_nothing(cell):
    """Any padding content, NaN included, in values and gradients; a row is what it is alone."""
    params, xs, carry = example(cell)
    mask = (np.arange(NUM_STEPS)[:, None] < LENGTHS)[..., None]

    @functools.partial(jax.jit, static_argnames="reverse")
    def run(params, xs, reverse):
        def loss(params, xs):
            result = sj.unroll(cell, params, xs, carry=carry, lengths=LENGTHS, reverse=reverse)
            return reduced(result), result

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(params, xs)

    for reverse in (False, True):
        (_, (last, ys)), grads = jax.device_get(run(params, xs, reverse))
        chex.assert_tree_all_finite((last, ys, grads))
        for content in (np.nan, np.inf, 1e30):
            chex.assert_trees_all_equal(
                run(params, np.where(mask, xs, np.asarray(content, xs.dtype)), reverse),
                ((_, (last, ys)), grads),
            )
        assert not np.where(mask, 0.0, ys).any()
        for row, length in enumerate(LENGTHS):
            own = jax.tree.map(lambda leaf, row=row: leaf[row], carry)
            alone_carry, alone = unroll(cell, params, xs[:length, row], carry=own, reverse=reverse)
            check(jax.tree.map(lambda leaf, row=row: leaf[row], last), alone_carry)
            check(ys[:length, row], alone)


def resets_are_separate_sequences(cell, reverse=False):
    params, xs, carry = example(cell)
    last, ys = unroll(cell, params, xs, carry=carry, resets=RESETS, reverse=reverse)
    for row in range(BATCH):
        own = jax.tree.map(lambda leaf, row=row: leaf[row], carry)
        starts = sorted({0, *np.flatnonzero(RESETS[:, row]).tolist()})
        pieces = list(zip(starts, [*starts[1:], NUM_STEPS], strict=True))
        for start, stop in pieces:
            # The given carry reaches only the piece that runs first, and there a reset at step 0 hides it.
            first = stop == NUM_STEPS if reverse else start == 0 and not RESETS[0, row]
            final, alone = unroll(
                cell, params, xs[start:stop, row], carry=own if first else None, reverse=reverse
            )
            check(ys[start:stop, row], alone)
            if (start == 0) if reverse else (stop == NUM_STEPS):
                check(jax.tree.map(lambda leaf, row=row: leaf[row], last), final)


def reverse_is_the_flipped_run(cell):
    params, xs, carry = example(cell)
    last, ys = unroll(cell, params, xs, carry=carry, reverse=True)
    check((last, ys[::-1]), unroll(cell, params, xs[::-1], carry=carry))


def batch_axes_are_a_loop_over_rows(cell):
    params, xs, carry = example(cell, batch_shape=(2, BATCH))
    last, ys = unroll(cell, params, xs, carry=carry)
    for i in range(2):
        for j in range(BATCH):
            own = jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], carry)
            alone = unroll(cell, params, xs[:, i, j], carry=own)
            check((jax.tree.map(lambda leaf, i=i, j=j: leaf[i, j], last), ys[:, i, j]), alone)


def jit_is_eager(cell):
    params, xs, carry = example(cell, num_steps=2)
    compiled = jax.jit(functools.partial(sj.unroll, cell))(params, xs, carry=carry)
    with jax.disable_jit():
        check(sj.unroll(cell, params, xs, carry=carry), compiled)


def vmap_over_params_is_a_loop(cell):
    params, xs, _ = example(cell)
    members = [params, jax.tree.map(lambda leaf: 0.7 * leaf, params)]

    def loss(params):
        return reduced(sj.unroll(cell, params, xs))

    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    together = jax.device_get(jax.jit(jax.vmap(jax.value_and_grad(loss)))(stacked))
    alone = jax.jit(jax.value_and_grad(loss))
    for i, member in enumerate(members):
        check(jax.tree.map(lambda leaf, i=i: leaf[i], together), alone(member))


def second_call_compiles_nothing(cell):
    params, xs, carry = example(cell, num_steps=NUM_STEPS + 1)  # a shape that no other law has
    compiled = []

    def count(event, duration, **_):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(duration)

    def run(params, xs):
        return jax.block_until_ready(sj.unroll(cell, params, xs, carry=carry, lengths=LENGTHS))

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        run(params, xs)
        assert compiled, "the listener heard no compilation: its event has another name in this jax"
        other_params, other_xs = jax.tree.map(lambda leaf: leaf * 2, params), xs + 1
        compiled.clear()
        run(other_params, other_xs)
        assert not compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(count)


def gradients_are_numerical_gradients(cell, method="auto"):
    """In float64, where finite differences mean something."""
    params, xs, carry = example(cell, num_steps=3, batch_shape=(2,))

    @jax.jit
    def run(params, xs, carry):
        return reduced(sj.unroll(cell, params, xs, carry=carry, lengths=np.array([3, 2]), method=method))

    check_grads(run, (params, xs, carry), order=1, modes=["rev"], atol=1e-6, rtol=1e-6)


def lowers_for_every_platform(cell, method="auto"):
    params, xs, _ = example(cell)

    def loss(params, xs):
        return reduced(sj.unroll(cell, params, xs, lengths=LENGTHS, method=method))

    traced = jax.jit(jax.value_and_grad(loss, (0, 1))).trace(params, xs)
    for platform in ("cpu", "cuda", "tpu"):
        assert traced.lower(lowering_platforms=(platform,)).as_text()


def empty_and_single_inputs_are_defined(cell, method="auto"):
    params, xs, carry = example(cell)
    last, ys = unroll(cell, params, xs[:0], carry=carry, method=method)
    check(last, carry)
    assert ys.shape == (0, BATCH, cell.output_size)
    step_carry, y = jax.jit(cell.step)(params, carry, xs[0])
    check(unroll(cell, params, xs[:1], carry=carry, method=method), (step_carry, np.asarray(y)[None]))
    none = sj.unroll(cell, params, xs[:, :0], lengths=np.zeros((0,), int), method=method)
    assert none[1].shape == (NUM_STEPS, 0, cell.output_size)
    empty = jax.jit(
        jax.grad(lambda params, xs: reduced(sj.unroll(cell, params, xs, method=method)[1])),
    )(params, xs[:0])
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(empty))


def half_precision_params_keep_float32_carries(cell):
    params, xs, _ = example(cell)
    low = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), params)  # numpy's: ml_dtypes
    same = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), low)
    carry, ys = unroll(cell, low, xs)
    assert {leaf.dtype for leaf in jax.tree.leaves(ys)} == {jnp.dtype(jnp.float32)}
    assert {jnp.real(leaf).dtype for leaf in jax.tree.leaves(carry)} == {jnp.dtype(jnp.float32)}
    check(ys, unroll(cell, same, xs)[1], tolerance=0.05)
    grads = jax.jit(jax.grad(lambda low: reduced(sj.unroll(cell, low, xs))))(low)
    wanted = jax.jit(jax.grad(lambda same: reduced(sj.unroll(cell, same, xs))))(same)
    for got, want in zip(jax.tree.leaves(grads), jax.tree.leaves(wanted), strict=True):
        assert got.dtype == jnp.bfloat16
        check(np.asarray(got, np.float32), want, tolerance=0.05)


def output_size_is_true(cell):
    params, xs, carry = example(cell)
    shapes = jax.eval_shape(cell.step, params, carry, xs[0])
    assert shapes[1].shape == (BATCH, cell.output_size)
    assert jax.tree.map(lambda leaf: leaf.shape, shapes[0]) == jax.tree.map(lambda leaf: leaf.shape, carry)


def follows_the_equations(cell, reference):
    """One sequence is what a loop over the formulas in numpy gives."""
    params, xs, carry = example(cell, batch_shape=())
    got = sj.unroll(cell, params, xs, carry=carry)
    ys = []
    for x in xs:
        carry, y = reference(params, carry, x)
        ys.append(y)
    check(got, (carry, np.stack(ys)), 1e-12)
