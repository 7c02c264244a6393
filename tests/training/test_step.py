"""A training step against the same written out, truncated backpropagation through time, and donation."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import layers, training
from seqjax.tasks import heads, many_to_one, synced
from tests.layers.tools import close, draw

T, B, D = 4, 2, 2
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(2 * T, B, D)).astype(np.float32)
TARGETS = GENERATOR.normal(size=(2 * T, B, 1)).astype(np.float32)
WHOLE = sj.Batch(INPUTS, TARGETS)
FIRST, SECOND = sj.Batch(INPUTS[:T], TARGETS[:T]), sj.Batch(INPUTS[T:], TARGETS[T:])
TASK = synced(sj.gru(3), heads.gaussian(1, scale=1.0))


def start(task=TASK, optimizer=None, seed=0):
    """A state whose params are drawn without compiling anything."""
    optimizer = optimizer or optax.sgd(0.0)
    params = jax.tree.map(jnp.asarray, draw(task, D, seed))
    return training.TrainingState(
        params=params,
        opt_state=optimizer.init(params),
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed),
    )


def test_a_step_is_a_gradient_and_an_update():
    optimizer = optax.chain(optax.clip_by_global_norm(0.01), optax.adam(0.1))
    state, step = start(optimizer=optimizer), jax.jit(training.make_step(TASK.loss, optimizer))
    params, opt_state = state.params, state.opt_state
    gradient = jax.jit(jax.value_and_grad(TASK.loss, has_aux=True))
    for number in range(2):
        state, metrics = step(state, WHOLE)
        (loss, aux), gradients = gradient(params, WHOLE)
        updates, opt_state = optimizer.update(gradients, opt_state, params)
        params = optax.apply_updates(params, updates)
        close((state.params, state.opt_state), (params, opt_state))
        assert float(metrics["loss"]) == pytest.approx(float(loss), rel=1e-5)
        assert float(metrics["rmse"]) == pytest.approx(float(aux.metrics["squared_error"]) ** 0.5, rel=1e-5)
        squares = sum(float((leaf**2).sum()) for leaf in jax.tree.leaves(gradients))
        assert float(metrics["gradient_norm"]) == pytest.approx(squares**0.5, rel=1e-4)  # before clipping
        assert float(metrics["count"]) == 2 * T * B
        assert int(state.step) == number + 1
        assert state.carry is None


def test_each_step_has_a_key_of_its_own_and_all_follow_from_the_first():
    task = many_to_one(layers.stack(sj.gru(3), layers.dropout(0.5)), heads.gaussian(1))
    optimizer = optax.sgd(0.0)  # the params stay, so that only the noise differs
    step = jax.jit(training.make_step(task.loss, optimizer))
    batch = sj.Batch(INPUTS, TARGETS[0])

    def losses(seed):
        state, found = start(task).replace(key=jax.random.key(seed)), []
        for _ in range(3):
            state, metrics = step(state, batch)
            found.append(float(metrics["loss"]))
        return found

    assert len(set(losses(1))) == 3
    assert losses(1) == losses(1)
    assert losses(1) != losses(2)


def test_a_carry_handed_on_is_the_whole_sequence():
    step = jax.jit(training.make_step(TASK.loss, optax.sgd(0.0), carry_over=True))
    state, first = step(start(), FIRST)
    state, second = step(state, SECOND)
    loss, aux = TASK.loss(state.params, WHOLE)
    assert float(first["loss"] + second["loss"]) / 2 == pytest.approx(float(loss), rel=1e-5)
    close(state.carry, aux.carry)


def test_no_gradient_crosses_the_edge_of_a_chunk():
    optimizer = optax.sgd(1.0)
    state, step = start(), jax.jit(training.make_step(TASK.loss, optimizer, carry_over=True))
    params = state.params
    carry = TASK.loss(params, FIRST)[1].carry
    state, _ = step(state.replace(carry=carry), SECOND)
    taken = jax.tree.map(jnp.subtract, params, state.params)

    def truncated(params):
        return TASK.loss(params, SECOND, carry=carry)[0]

    def full(params):
        return TASK.loss(params, SECOND, carry=TASK.loss(params, FIRST)[1].carry)[0]

    close(taken, jax.jit(jax.grad(truncated))(params))
    whole = jax.jit(jax.grad(full))(params)
    assert np.abs(whole.network.recurrent_kernel - taken.network.recurrent_kernel).max() > 1e-3

    # Nor does a gradient through the training itself: the carry that is handed on is a constant.
    def meta(scale):
        scaled = start().replace(params=jax.tree.map(lambda leaf: scale * leaf, params))
        return step(scaled, FIRST)[0].carry.sum()

    assert float(jax.jit(jax.grad(meta))(1.0)) == 0


def test_the_learned_initial_carry_is_trained_where_it_is_used():
    step = jax.jit(training.make_step(TASK.loss, optax.sgd(1.0), carry_over=True))
    state = start()
    before = state.params.network.initial_carry

    def moved(state, batch):
        after = step(state, batch)[0].params.network.initial_carry
        return bool((after != before).any())

    carry = TASK.initial_carry(state.params, (B,))
    assert moved(state, FIRST)
    assert not moved(state.replace(carry=carry), FIRST)
    resets = np.zeros((T, B), bool)
    resets[0] = True
    assert moved(state.replace(carry=carry), FIRST.replace(resets=resets))


def test_without_carry_over_every_batch_starts_afresh():
    step = jax.jit(training.make_step(TASK.loss, optax.sgd(0.0)))
    state, first = step(start(), FIRST)
    _, again = step(state, FIRST)
    assert float(first["loss"]) == float(again["loss"])


@pytest.mark.parametrize("carry_over", [False, True])
def test_a_second_call_compiles_nothing(carry_over):
    traces = []

    def loss(*args, **options):
        traces.append(None)
        return TASK.loss(*args, **options)

    step = jax.jit(training.make_step(loss, optax.sgd(0.1), carry_over=carry_over), donate_argnums=0)
    state = training.state.copied(start())
    if carry_over:  # the first call without a carry is another computation than those with one
        state = state.replace(carry=training.state.copied(TASK.initial_carry(state.params, (B,))))
    for batch in (FIRST, SECOND, FIRST):
        state, _ = step(state, batch)
    assert len(traces) == 1


def test_a_state_can_be_donated(key):
    # These params hold arrays twice, and this optimizer keeps the params themselves.
    task = synced(sj.lstm(2, peepholes=True, layer_norm=True), heads.gaussian(1))
    optimizer = optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau())
    optimizer = optax.contrib.schedule_free(optimizer, learning_rate=1e-2)
    state = training.init_state(key, task, optimizer, D)
    step = jax.jit(training.make_step(task.loss, optimizer, carry_over=True), donate_argnums=0)
    for batch in (FIRST, SECOND, FIRST):
        given = state
        state, metrics = step(state, batch)
        assert all(leaf.is_deleted() for leaf in jax.tree.leaves(given.params))
    assert np.isfinite(metrics["loss"])


def test_an_optimizer_that_looks_at_the_loss_is_given_it():
    seen = optax.GradientTransformationExtraArgs(
        init=lambda params: jnp.zeros(()), update=lambda updates, state, params, *, value: (updates, value)
    )
    step = jax.jit(training.make_step(TASK.loss, seen))
    state, metrics = step(start(optimizer=seen), FIRST)
    assert float(state.opt_state) == float(metrics["loss"])


def test_the_first_state(key):
    optimizer = optax.adam(0.1)
    state = training.init_state(key, TASK, optimizer, D)
    assert state.step.dtype == jnp.int32
    assert state.carry is None
    jax.tree.map(np.testing.assert_array_equal, state.opt_state, optimizer.init(state.params))
    same = training.init_state(key, TASK, optimizer, D)
    jax.tree.map(np.testing.assert_array_equal, state.params, same.params)
    # The steps' key is not the one that params were drawn with.
    assert (jax.random.key_data(state.key) != jax.random.key_data(key)).any()


ERRORS = [
    (lambda: training.init_state(0, TASK, optax.sgd(1.0), D), "key is a int"),
    (lambda: training.init_state(jax.random.key(0), sj.gru(2), optax.sgd(1.0), D), "task is a Cell"),
    (lambda: training.init_state(jax.random.key(0), TASK, optax.sgd, D), "optimizer is a function"),
    (lambda: training.make_step(TASK, optax.sgd(1.0)), "loss is a Task, expected a function such as task.l"),
    (lambda: training.make_step(TASK.loss, 0.1), "optimizer is a float"),
    (lambda: training.make_evaluation(None), "loss is a NoneType"),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_errors_name_the_argument(call, message):
    with pytest.raises(TypeError, match=message):
        call()
