"""What a task makes of a batch: which positions count, how much, and what comes out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import layers
from seqjax.layers.pointwise import pointwise
from seqjax.tasks import Task, heads, many_to_one, synced
from tests.layers.tools import draw

T, B, D = 5, 4, 2
LENGTHS = np.array([5, 2, 0, 3])
VALID = np.arange(T)[:, None] < LENGTHS
GENERATOR = np.random.default_rng(0)
INPUTS = GENERATOR.normal(size=(T, B, D)).astype(np.float32)
STEP_LABELS, ROW_LABELS = GENERATOR.integers(0, 3, (T, B)), GENERATOR.integers(0, 3, B)
IDENTITY = pointwise(lambda params, xs: xs, output_size=lambda input_size: input_size)

TASKS = {
    "synced categorical": (synced(sj.gru(2), heads.categorical(3)), STEP_LABELS, 99),
    "synced bernoulli": (synced(sj.lstm(2), heads.bernoulli(2)), np.ones((T, B, 2)), np.nan),
    "synced gaussian": (synced(layers.bidirectional(sj.gru(2)), heads.gaussian(2)), INPUTS, np.nan),
} | {
    f"many to one {pooling}": (
        many_to_one(layers.stack(sj.gru(2), layers.dropout(0.3)), heads.categorical(3), pooling=pooling),
        ROW_LABELS,
        -7,
    )
    for pooling in ("last", "attention")
}


def gradients_of(task):
    return jax.jit(
        jax.value_and_grad(lambda params, batch, key: task.loss(params, batch, key=key), has_aux=True)
    )


def same(got, wanted):
    jax.tree.map(np.testing.assert_array_equal, got, wanted)


def loss_by_hand(head, params, positions):
    """The weighted mean over a list of (features, target, weight)."""
    losses = [
        (weight, float(head.loss(head.outputs(params, features), target)))
        for features, target, weight in positions
    ]
    return sum(w * loss for w, loss in losses) / sum(w for w, _ in losses)


@pytest.mark.parametrize("weighted", ["no", "rows", "steps"])
def test_synced_loss_is_the_weighted_mean_over_valid_steps(weighted):
    head = heads.categorical(3)
    task = synced(IDENTITY, head)
    params = draw(task, D)
    weights = {"no": None, "rows": np.array([1, 0.5, 2, 3]), "steps": np.abs(INPUTS[..., 0])}[weighted]
    full = np.ones((T, B)) if weights is None else np.broadcast_to(weights, (T, B))
    batch = sj.Batch(INPUTS, STEP_LABELS, lengths=LENGTHS, weights=weights)
    loss, aux = jax.jit(task.loss)(params, batch)
    places = [(t, b) for t in range(T) for b in range(B) if t < LENGTHS[b]]
    wanted = loss_by_hand(
        head, params.head, [(INPUTS[place], STEP_LABELS[place], full[place]) for place in places]
    )
    assert float(loss) == pytest.approx(wanted, rel=1e-5)
    assert float(aux.count) == pytest.approx(sum(full[place] for place in places), rel=1e-5)
    hits = [
        full[place] * (np.argmax(head.outputs(params.head, INPUTS[place])) == STEP_LABELS[place])
        for place in places
    ]
    assert float(aux.metrics["accuracy"]) == pytest.approx(float(sum(hits) / aux.count), rel=1e-5)


def test_many_to_one_loss_is_the_weighted_mean_over_sequences():
    head = heads.categorical(3)
    task = many_to_one(IDENTITY, head)
    params, weights = draw(task, D), np.array([1, 2, 9, 4])
    batch = sj.Batch(INPUTS, ROW_LABELS, lengths=LENGTHS, weights=weights)
    loss, aux = task.loss(params, batch)
    rows = [row for row in range(B) if LENGTHS[row]]  # a sequence without steps does not count
    wanted = [(INPUTS[LENGTHS[row] - 1, row], ROW_LABELS[row], weights[row]) for row in rows]
    assert float(loss) == pytest.approx(loss_by_hand(head, params.head, wanted), rel=1e-5)
    assert float(aux.count) == 7


@pytest.mark.parametrize("name", TASKS)
def test_padding_reaches_neither_value_nor_gradient(name, key):
    task, targets, bad_target = TASKS[name]
    params, run = draw(task, D), gradients_of(task)
    batch = sj.Batch(INPUTS, targets, lengths=LENGTHS)
    counted = VALID if name.startswith("synced") else LENGTHS > 0
    counted = counted.reshape(counted.shape + (1,) * (targets.ndim - counted.ndim))
    spoilt = batch.replace(
        inputs=np.where(VALID[..., None], INPUTS, np.nan), targets=np.where(counted, targets, bad_target)
    )
    clean = run(params, batch, key)
    same(run(params, spoilt, key), clean)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))
    if name == "synced categorical":
        task.loss(params, spoilt)  # nor is it an error where values are concrete
    # A batch of nothing but padding has no loss and no gradient.
    nothing = sj.Batch(
        np.full_like(INPUTS, np.nan), np.full_like(targets, bad_target), lengths=np.zeros(B, int)
    )
    (loss, aux), gradients = run(params, nothing, key)
    assert float(loss) == float(aux.count) == 0
    assert all((leaf == 0).all() for leaf in jax.tree.leaves((gradients, aux.metrics)))


def test_more_padding_changes_no_scale():
    task = synced(sj.gru(2), heads.gaussian(2))
    params, run = draw(task, D), gradients_of(task)
    lengths = np.array([3, 2, 0, 3])
    short = run(params, sj.Batch(INPUTS[:3], INPUTS[:3], lengths=lengths), None)
    long = run(params, sj.Batch(INPUTS, INPUTS, lengths=lengths), None)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), short, long)


def test_weight_zero_ignores_the_target_but_not_the_input():
    task = synced(sj.gru(2), heads.gaussian(1))
    params, run = draw(task, D), gradients_of(task)
    targets = INPUTS[..., :1].copy()
    weights = np.ones((T, B), np.float32)
    weights[1, 0] = 0
    batch = sj.Batch(INPUTS, targets, weights=weights)
    clean = run(params, batch, None)
    targets[1, 0] = np.nan
    same(run(params, batch.replace(targets=targets), None), clean)
    inputs = INPUTS.copy()
    inputs[1, 0] += 1
    assert float(run(params, batch.replace(inputs=inputs), None)[0][0]) != float(clean[0][0])


@pytest.mark.parametrize(("num_steps", "batch_shape"), [(0, (2,)), (3, (0,)), (3, ()), (2, (1, 2))])
@pytest.mark.parametrize("name", ["synced", "attention"])
def test_any_number_of_steps_and_batch_axes(name, num_steps, batch_shape):
    if name == "synced":
        task, shape = synced(sj.gru(2), heads.categorical(3)), (num_steps, *batch_shape)
    else:
        task, shape = many_to_one(sj.gru(2), heads.categorical(3), pooling=name), batch_shape
    params = draw(task, D)
    batch = sj.Batch(jnp.ones((num_steps, *batch_shape, D)), jnp.zeros(shape, int))
    loss, aux = jax.jit(task.loss)(params, batch)
    counted = np.prod(shape, dtype=int) if num_steps else 0
    assert float(aux.count) == counted
    assert np.isfinite(loss)
    assert (float(loss) == 0) == (counted == 0)
    carry, prediction = jax.eval_shape(task.predict, params, batch.inputs)
    assert prediction.labels.shape == shape
    assert carry.shape == (*batch_shape, 2)


def test_a_target_out_of_range_is_an_error_or_a_loss_of_nan():
    task = synced(sj.gru(2), heads.categorical(3))
    params, targets = draw(task, D), STEP_LABELS.copy()
    targets[0, 1] = 3
    batch = sj.Batch(INPUTS, targets, lengths=LENGTHS)
    with pytest.raises(ValueError, match=r"targets has the value 3 at \(0, 1\), expected labels from 0 to 2"):
        task.loss(params, batch)
    assert np.isnan(jax.jit(task.loss)(params, batch)[0])


def test_synced_steps_as_it_unrolls(key):
    task = synced(layers.stack(sj.lstm(3), layers.dropout(0.5)), heads.categorical(3))
    params = task.init(key, D)
    wanted_carry, wanted = task.predict(params, INPUTS)
    carry, step = task.initial_carry(params, (B,)), jax.jit(task.step)
    for t in range(T):
        carry, prediction = step(params, carry, INPUTS[t])
        np.testing.assert_allclose(prediction.probabilities, wanted.probabilities[t], rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), carry, wanted_carry)


def test_prediction_of_chunks_is_the_prediction_of_the_whole():
    task = synced(sj.gru(3), heads.gaussian(1))
    params = draw(task, D)
    _, wanted = task.predict(params, INPUTS)
    carry, first = task.predict(params, INPUTS[:2])
    _, second = task.predict(params, INPUTS[2:], carry=carry)
    np.testing.assert_allclose(np.concatenate([first.mean, second.mean]), wanted.mean, rtol=1e-5, atol=1e-6)


def test_prediction_reads_lengths_and_resets():
    task = many_to_one(sj.gru(3), heads.gaussian(1))
    params = draw(task, D)
    resets = np.zeros((T, B), bool)
    resets[2] = True
    _, packed = task.predict(params, INPUTS, resets=resets)
    _, alone = task.predict(params, INPUTS[2:])
    np.testing.assert_allclose(packed.mean, alone.mean, rtol=1e-5, atol=1e-6)
    _, cut = task.predict(params, INPUTS, lengths=np.full(B, 3))
    _, short = task.predict(params, INPUTS[:3])
    np.testing.assert_allclose(cut.mean, short.mean, rtol=1e-5, atol=1e-6)


def test_a_key_means_training():
    task = synced(layers.stack(sj.gru(3), layers.dropout(0.5)), heads.gaussian(1))
    params, batch = draw(task, D), sj.Batch(INPUTS, INPUTS[..., :1])
    loss = jax.jit(lambda key: task.loss(params, batch, key=key)[0])
    noisy = {float(loss(jax.random.key(seed))) for seed in range(2)}
    assert len(noisy) == 2
    assert float(task.loss(params, batch)[0]) not in noisy


def test_tokens_and_a_network_without_a_step():
    task = synced(layers.stack(layers.embed(3, 4), layers.bidirectional(sj.gru(2))), heads.categorical(3))
    assert isinstance(task, Task)
    assert task.step is None
    assert many_to_one(sj.gru(2), heads.categorical(3)).step is None
    loss, _ = task.loss(draw(task, 1), sj.Batch(STEP_LABELS, STEP_LABELS))
    assert np.isfinite(loss)


def test_vmap_over_params():
    task = many_to_one(sj.gru(2), heads.categorical(3), pooling="attention")
    params = jax.tree.map(lambda *leaves: np.stack(leaves), draw(task, D), draw(task, D, seed=1))
    batch = sj.Batch(INPUTS, ROW_LABELS, lengths=LENGTHS)
    losses, aux = jax.jit(jax.vmap(task.loss, in_axes=(0, None)))(params, batch)
    loss = jax.jit(task.loss)
    for member in range(2):
        alone, _ = loss(jax.tree.map(lambda leaf, m=member: leaf[m], params), batch)
        assert float(losses[member]) == pytest.approx(float(alone), rel=1e-5)
    assert aux.count.tolist() == [3, 3]


SYNCED = synced(sj.gru(2), heads.categorical(3))
ONE = many_to_one(sj.gru(2), heads.categorical(3))
GOOD = sj.Batch(INPUTS, STEP_LABELS)
ERRORS = [
    (lambda: synced(sj.gru, heads.categorical(3)), TypeError, "network is a function"),
    (lambda: synced(sj.gru(2), heads.categorical), TypeError, r"head is a function.*categorical\(10\), not"),
    (lambda: many_to_one(sj.gru(2), sj.gru(3)), TypeError, "head is a Cell, expected a Head"),
    (lambda: SYNCED.loss(draw(SYNCED, D), (INPUTS, STEP_LABELS)), TypeError, "batch is a tuple"),
    (lambda: SYNCED.loss(draw(SYNCED, D), sj.Batch(INPUTS)), ValueError, "batch.targets is None"),
    (
        lambda: SYNCED.loss(draw(SYNCED, D), GOOD.replace(target_lengths=LENGTHS)),
        ValueError,
        "batch.target_lengths is given",
    ),
    (
        lambda: SYNCED.loss(draw(SYNCED, D), GOOD.replace(targets=ROW_LABELS)),
        ValueError,
        r"batch.targets has shape \(4,\), expected it to begin with \(5, 4\)",
    ),
    (
        lambda: SYNCED.loss(draw(SYNCED, D), GOOD.replace(weights=np.ones(T))),
        ValueError,
        r"batch.weights has shape \(5,\), expected \(4,\) or \(5, 4\) for this task",
    ),
    (
        lambda: SYNCED.loss(draw(SYNCED, D), GOOD.replace(weights=np.array([1, 1, np.nan, 1]))),
        ValueError,
        r"batch.weights has the value nan at \(2,\)",
    ),
    (
        lambda: SYNCED.loss(draw(SYNCED, D), GOOD.replace(lengths=LENGTHS + 1)),
        ValueError,
        "lengths has the v",
    ),
    (
        lambda: ONE.loss(draw(ONE, D), sj.Batch(INPUTS, ROW_LABELS, weights=np.ones((T, B)))),
        ValueError,
        r"batch.weights has shape \(5, 4\), expected \(4,\) for this task",
    ),
    (lambda: SYNCED.loss(draw(SYNCED, 7), GOOD), ValueError, "xs has feature size 2, but these params"),
    (lambda: SYNCED.init(0, 2), TypeError, "key is a int"),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
