"""Learning forward in time against backpropagation through time, exact rules and approximations."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import layers, training
from seqjax.tasks import heads, many_to_one, synced
from seqjax.training import online
from seqjax.training.online.pattern import patterns
from seqjax.training.online.rule import Probe
from seqjax.transforms import cut_feedback
from tests import laws
from tests.layers.tools import draw
from tests.registry import CELLS, KINDS, RELATIVES

ALL = CELLS | RELATIVES
NAMES = ["elman_tanh", *(pytest.param(name, marks=pytest.mark.slow) for name in KINDS)]
T, B, D = 4, 3, 3
GENERATOR = np.random.default_rng(0)
INPUTS, TARGETS = GENERATOR.normal(size=(T, B, D)), GENERATOR.normal(size=(T, B, 1))
WEIGHTS = GENERATOR.uniform(0.5, 1.5, (T, B))
RESETS = np.array([[0, 0, 1, 0], [0, 0, 0, 0], [0, 1, 0, 0]], bool).T
LENGTHS = np.array([4, 2, 4])
RAGGED = sj.Batch(INPUTS, TARGETS, lengths=LENGTHS, resets=RESETS, weights=WEIGHTS)
WHOLE = sj.Batch(INPUTS, TARGETS)


def task_of(network):
    return synced(network, heads.gaussian(1, scale=1.0))


def start(task, seed=0):
    return jax.tree.map(lambda leaf: np.asarray(leaf, float), draw(task, D, seed))


def exact(task, params, batch):
    (loss, aux), gradients = jax.jit(
        jax.value_and_grad(lambda params: task.loss(params, batch), has_aux=True)
    )(params)
    return loss, gradients, aux


def gradient(task, rule, params, batch, **options):
    return jax.jit(lambda params: online.online_gradient(task, rule, params, batch, **options))(params)


@pytest.mark.parametrize("name", NAMES)
def test_real_time_recurrent_learning_is_backpropagation_through_time(name, x64):
    """With padding, resets, weights, and the learned initial carry."""
    task = task_of(ALL[name])
    params = start(task)
    found = gradient(task, online.rtrl(), params, RAGGED)
    loss, wanted, aux = exact(task, params, RAGGED)
    laws.check(found.gradient, wanted, 1e-10)
    assert float(found.loss) == pytest.approx(float(loss), rel=1e-10)
    laws.check(found.aux.metrics, aux.metrics, 1e-10)
    assert float(found.aux.count) == pytest.approx(float(aux.count))
    laws.check(found.carry.network, aux.carry, 1e-10)


@pytest.mark.slow
def test_a_stream_in_pieces_has_the_gradient_of_the_whole(x64):
    """Where truncated backpropagation ends at the edge, and its gradient is another."""
    task = task_of(layers.stack(layers.dense(2), sj.elman(2)))
    params = start(task)
    rule, carry, total = online.rtrl(), None, None
    step = jax.jit(
        lambda params, batch, carry: online.online_gradient(task, rule, params, batch, carry=carry)
    )
    for t in range(T):
        found = step(params, sj.Batch(INPUTS[t : t + 1], TARGETS[t : t + 1]), carry)
        carry = found.carry
        total = found.gradient if total is None else jax.tree.map(jnp.add, total, found.gradient)
    _, wanted, _ = exact(task, params, WHOLE)
    laws.check(jax.tree.map(lambda leaf: leaf / T, total), wanted, 1e-10)


def influence_of(network, rule, x=(D,), dtype=float):
    """What the rule keeps of one row for each array of the params."""
    params = jax.eval_shape(lambda: network.init(jax.random.key(0), D if x else 1))
    machine = online.gradient._Machine(
        layers.as_layer(network), online.gradient.Rows.of(jax.eval_shape(network.initial_carry, params), 0), 0
    )
    plan = rule.plan(Probe(machine.transition, params, machine.rows.size, jax.ShapeDtypeStruct(x, dtype)))
    kept = rule.begin(plan, jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), params), machine.rows.size)
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    return [one.shape[0] for one in kept], sizes, machine.rows.size


@pytest.mark.slow
def test_a_diagonal_recurrence_keeps_as_much_as_its_params(x64):
    """Two numbers for each, the real and the imaginary part, and none for what is read from the carry."""
    counts, _, size = influence_of(sj.lru(4), online.rtrl())
    names = ("log_decay", "log_phase", "log_scale", "input", "output", "skip", "start")
    assert size == 8
    assert dict(zip(names, counts, strict=True)) == {
        "log_decay": 2,
        "log_phase": 2,
        "log_scale": 2,
        "input": 2,
        "output": 0,
        "skip": 0,
        "start": 2,
    }
    assert influence_of(sj.min_gru(4), online.rtrl())[0] == [1, 1, 1]
    # A dense kernel spreads all to all, unless what is fed back is cut; one step is one number a unit.
    assert influence_of(sj.elman(4), online.rtrl())[0] == [4, 4, 4, 4]
    assert influence_of(sj.elman(4), online.snap())[0] == [1, 1, 1, 4]
    assert influence_of(sj.lstm(4), online.snap())[0][:3] == [2, 2, 2]
    assert influence_of(cut_feedback(sj.lstm(4)), online.rtrl())[0][:3] == [2, 2, 2]


@pytest.mark.slow
def test_sparse_rules_are_exact_where_nothing_is_left_out(x64):
    task = task_of(ALL["min_gru"])
    params = start(task)
    laws.check(gradient(task, online.snap(), params, WHOLE).gradient, exact(task, params, WHOLE)[1], 1e-10)
    task = task_of(ALL["elman_tanh"])
    params = start(task)
    laws.check(gradient(task, online.snap(2), params, WHOLE).gradient, exact(task, params, WHOLE)[1], 1e-10)


def test_one_step_of_influence_is_the_recursion_with_its_mask_written_out(x64):
    """Of an Elman network in numpy: each kernel's entry is kept at the unit that it writes to."""
    cell = ALL["elman_tanh"]
    task = task_of(cell)
    params = start(task)
    found = gradient(task, online.snap(), params, sj.Batch(INPUTS[:, :1], TARGETS[:, :1]))
    net, head = params.network, params.head
    h, trace = net.initial_carry, np.zeros((4, 4))  # of the recurrent kernel, at the unit written to
    total = np.zeros((4, 4))
    for t in range(T):
        after = np.tanh(INPUTS[t, 0] @ net.input_kernel[:, 0] + h @ net.recurrent_kernel[:, 0] + net.bias[0])
        slope = 1 - after**2
        error = (after @ head.kernel[:, 0] + head.bias[0] - TARGETS[t, 0]) @ head.kernel[:, 0].T
        direct = np.outer(h, slope)
        total += direct * error  # the last step is exact,
        total += trace * (net.recurrent_kernel[:, 0] @ (slope * error))  # and reaches all units before it
        trace = direct + trace * (np.diag(net.recurrent_kernel[:, 0]) * slope)
        h = after
    np.testing.assert_allclose(found.gradient.network.recurrent_kernel[:, 0], total / T, rtol=1e-10)


@pytest.mark.slow
def test_eligibility_propagation_is_backpropagation_without_the_recurrent_kernel(x64):
    """`rtrl` of a cut cell; the gradient of a loop in which the fed back vector is a constant."""
    cell = sj.lstm(3)
    task = task_of(cell)
    params = start(task)
    found = gradient(task_of(cut_feedback(cell)), online.rtrl(), params, WHOLE)

    def error(params):
        carry = cell.initial_carry(params.network, (B,))
        total = 0.0
        for x, target in zip(INPUTS, TARGETS, strict=True):
            # Held fixed, the hidden vector enters as one more input.
            fixed = jax.lax.stop_gradient(carry.hidden)
            carry, y = cell.step(params.network, carry.replace(hidden=fixed), x)
            predicted = task.head.outputs(params.head, y)
            total += jnp.mean(task.head.loss(predicted, target))
        return total / T

    laws.check(found.gradient, jax.jit(jax.grad(error))(params), 1e-10)


def test_unbiased_is_the_mean_over_all_signs(x64, monkeypatch):
    """Of two units over three steps there are 64, whose mean is the exact influence."""
    kernel, bias = GENERATOR.normal(size=(2, 2)), GENERATOR.normal(size=2)
    params, state, rule = {"kernel": kernel, "bias": bias}, GENERATOR.normal(size=2), online.uoro()
    xs = GENERATOR.normal(size=(3, 2))

    def transition(params, state, x):
        return jnp.tanh(state @ params["kernel"] + params["bias"] + x)

    def pulled(signs):
        drawn = iter(signs)
        monkeypatch.setattr(jax.random, "rademacher", lambda key, shape, dtype: next(drawn))
        influence, h = rule.begin(None, params, 2), state
        for x in xs:
            influence = rule.advance(
                None, None, influence, lambda params, h, x=x: transition(params, h, x), params, h
            )
            h = transition(params, h, x)
        return rule.pull(None, influence, np.array([0.3, -0.7]))

    def exact(params):
        h = state
        for x in xs:
            h = transition(params, h, x)
        return h @ np.array([0.3, -0.7])

    every = np.array(list(itertools.product([-1.0, 1.0], repeat=6))).reshape(-1, 3, 2)
    means = [np.mean(leaf, 0) for leaf in jax.jit(jax.vmap(pulled))(every)]
    wanted = [leaf.reshape(-1) for leaf in jax.tree.leaves(jax.grad(exact)(params))]
    laws.check(means, wanted, 1e-12)


@pytest.mark.slow
def test_unbiased_in_a_task_by_many_draws(x64):
    """The same through `online_gradient`, whose rows and steps must have signs of their own."""
    task = task_of(ALL["elman_tanh"])
    params = start(task)
    run = jax.jit(
        jax.vmap(lambda key: online.online_gradient(task, online.uoro(), params, WHOLE, key=key).gradient)
    )
    draws = run(jax.random.split(jax.random.key(0), 4000))
    _, wanted, _ = exact(task, params, WHOLE)
    for drawn, leaf in zip(jax.tree.leaves(draws), jax.tree.leaves(wanted), strict=True):
        mean, error = np.mean(drawn, 0), np.std(drawn, 0) / np.sqrt(4000)
        assert (np.abs(mean - leaf) <= 5 * error + 1e-12).all()


@pytest.mark.slow
def test_how_near_approximations_are_is_reported(x64):
    cell = ALL["elman_tanh"]
    task = task_of(cell)
    params = start(task)
    rules = {
        "rtrl": online.rtrl(),
        "snap": online.snap(),
        "uoro": online.uoro(),
        "e-prop": (task_of(cut_feedback(cell)), online.rtrl()),
    }
    found = online.cosines(task, params, WHOLE, rules, jax.random.key(0))
    assert float(found["rtrl"]) == pytest.approx(1, abs=1e-12)
    assert 0.5 < float(found["e-prop"]) < float(found["snap"]) < 1
    assert -1 < float(found["uoro"]) < 1


@pytest.mark.slow
def test_a_step_learns_from_a_stream_of_single_steps():
    """What was said three steps before, which a gradient cut at each step cannot learn to keep as well."""
    generator = np.random.default_rng(0)
    signs = generator.choice([-1.0, 1.0], (303, 16, 1)).astype(np.float32)
    batches = [sj.Batch(signs[t : t + 1], signs[t - 3 : t - 2]) for t in range(3, 303)]
    task, optimizer = task_of(sj.elman(6)), optax.adam(1e-2)
    losses = {}
    state = training.init_state(jax.random.key(0), task, optimizer, input_size=1)
    steps = {
        "rtrl": online.make_step(task, optimizer, online.rtrl()),
        "truncated": training.make_step(task.loss, optimizer, carry_over=True),
    }
    for name, step in steps.items():
        result = training.fit(state, step, batches)
        losses[name] = result.history["loss"][-50:].mean() - 0.5 * np.log(2 * np.pi)
    assert losses["rtrl"] < 0.01 < 0.05 < losses["truncated"]


def test_mistakes_are_named():
    task = task_of(sj.elman(2))
    params, batch = start(task), sj.Batch(np.ones((2, 3, D), np.float32), np.ones((2, 3, 1), np.float32))
    with pytest.raises(TypeError, match="rule is a function, expected a Rule such as"):
        online.online_gradient(task, online.rtrl, params, batch)
    with pytest.raises(TypeError, match="carry is a tuple, expected an OnlineCarry"):
        online.online_gradient(task, online.rtrl(), params, batch, carry=())
    pooled = many_to_one(sj.elman(2), heads.gaussian(1))
    with pytest.raises(ValueError, match=r"task has no step .* expected seqjax.tasks.synced"):
        online.online_gradient(pooled, online.rtrl(), params, batch)
    with pytest.raises(TypeError, match=r"steps is 1.5 of type float, expected a positive integer"):
        online.snap(1.5)


@pytest.mark.slow
def test_tokens_that_a_trial_does_not_see_are_kept_like_those_that_it_sees():
    network = layers.stack(layers.embed(5, 2), sj.elman(3))
    counts, *_ = influence_of(network, online.snap(), (), np.int32)
    assert counts[0] == 3  # each vector reaches every unit through the kernel
    assert counts[1:] == [1, 1, 1, 3]


def test_patterns_of_a_program(x64):
    """Two units that share a parameter are in two groups; what is never reached is in none."""
    shape = jax.ShapeDtypeStruct((4,), float)

    def transition(params, state, x, reset):
        shared = jnp.stack([params[0] * x[0], params[0] * x[1], params[1], params[2]])
        return shared + jnp.roll(state, 1) * jnp.array([0.0, 0.0, 1.0, 0.0])

    probe = Probe(transition, shape, 4, shape)
    (one,) = patterns(probe, 1)
    assert one.groups.tolist() == [[1, 0, 1, 1], [0, 1, 0, 0]]
    assert one.places.tolist() == [[0, 2, 3, 4], [1, 4, 4, 4]]
