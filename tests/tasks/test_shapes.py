"""The shapes with an encoder and a decoder: what is read when, ragged on both sides."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import attention, heads, layers, tasks
from seqjax.tasks.bridge import as_bridge
from tests.layers.tools import close, draw

S, T, B, V, D, H = 4, 3, 3, 5, 2, 3
LENGTHS, TARGET_LENGTHS = np.array([4, 2, 0]), np.array([2, 3, 0])
VALID = np.arange(S)[:, None] < LENGTHS
TARGET_VALID = np.arange(T)[:, None] < TARGET_LENGTHS
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(size=(S, B, D)).astype(np.float32)
TARGETS = RNG.integers(0, V, (T, B))
START = 1
EMBED = sj.embed(V, 2)


def many(encoder=None, decoder=None, **options):
    return tasks.many_to_many(
        sj.gru(H) if encoder is None else encoder,
        sj.gru(H) if decoder is None else decoder,
        heads.categorical(V),
        embedding=EMBED,
        start=START,
        **options,
    )


TASKS = {
    "plain": many(bridge="same"),
    "attention": many(layers.bidirectional(sj.lstm(2)), sj.lstm(H), attention=attention.additive(4)),
    "feeding": many(attention=attention.multi_head(2, 4), input_feeding=True, bridge=None),
}
BATCH = sj.Batch(INPUTS, TARGETS, lengths=LENGTHS, target_lengths=TARGET_LENGTHS)


@functools.cache
def params_of(name):
    return draw(TASKS[name], D)


@functools.cache
def gradient(name):
    return jax.jit(jax.value_and_grad(TASKS[name].loss, has_aux=True))


@functools.cache
def predict(name):
    return jax.jit(TASKS[name].predict)


@functools.cache
def start(name):
    return jax.jit(TASKS[name].start)(params_of(name), INPUTS, lengths=LENGTHS)


def probabilities(name, batch=BATCH):
    options = {"lengths": batch.lengths, "target_lengths": batch.target_lengths}
    return predict(name)(params_of(name), batch.inputs, batch.targets, **options)[1].probabilities


def previous(targets):
    return np.concatenate([np.full_like(targets[:1], START), targets[:-1]])


@pytest.mark.parametrize("name", TASKS)
def test_padding_reaches_neither_value_nor_gradient(name):
    params, run = params_of(name), gradient(name)
    clean = run(params, BATCH)
    assert float(clean[0][1].count) == TARGET_LENGTHS.sum()
    for content, label in ((np.nan, -1), (1e30, V)):
        spoilt = BATCH.replace(
            inputs=np.where(VALID[..., None], INPUTS, np.float32(content)),
            targets=np.where(TARGET_VALID, TARGETS, label),
        )
        jax.tree.map(np.testing.assert_array_equal, run(params, spoilt), clean)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(clean))


@pytest.mark.parametrize("name", TASKS)
def test_rows_do_not_see_each_other(name):
    order = np.array([1, 2, 0])
    moved = jax.tree.map(lambda leaf: leaf.take(order, -1 if leaf.ndim == 1 else 1), BATCH)
    close(probabilities(name, moved), np.asarray(probabilities(name))[:, order])


@pytest.mark.parametrize("name", TASKS)
def test_the_loss_is_the_mean_over_targets(name):
    picked = np.take_along_axis(np.asarray(probabilities(name)), TARGETS[..., None], -1)[..., 0]
    (loss, aux), _ = gradient(name)(params_of(name), BATCH)
    assert float(loss) == pytest.approx(-np.log(picked[TARGET_VALID]).mean(), rel=1e-5)
    assert aux.carry is None


@pytest.mark.parametrize("name", TASKS)
def test_start_and_steps_are_the_prediction(name):
    """All at once, or one by one: the same distributions, from the same carries."""
    task, params = TASKS[name], params_of(name)
    wanted = probabilities(name)
    carry, prediction = start(name)
    step = jax.jit(task.step)
    for t in range(T):
        valid = TARGET_VALID[t]
        close(prediction.probabilities[valid], wanted[t][valid])
        carry, prediction = step(params, carry, TARGETS[t])


@pytest.mark.parametrize("name", ["attention", "feeding"])
def test_attention_weights_are_shares_of_the_valid_steps(name):
    look = jax.jit(TASKS[name].attention_weights)
    weights = look(params_of(name), INPUTS, TARGETS, lengths=LENGTHS, target_lengths=TARGET_LENGTHS)
    assert weights.shape == (T, S, B)
    assert not np.asarray(weights)[:, ~VALID].any()
    expected = np.where(TARGET_VALID & (LENGTHS > 0), 1.0, 0.0)
    close(weights.sum(axis=1), expected)
    assert TASKS["plain"].attention_weights is None


def test_the_same_bridge_is_a_decoder_from_the_encoders_carry():
    params = params_of("plain")
    carry, _ = sj.unroll(sj.gru(H), params.encoder, INPUTS, lengths=LENGTHS)
    vectors = params.decoder.embedding.table[previous(TARGETS)]
    _, ys = sj.unroll(sj.gru(H), params.decoder.network, vectors, carry=carry)
    wanted = jax.nn.softmax(ys @ params.head.kernel + params.head.bias)
    close(np.asarray(probabilities("plain"))[TARGET_VALID], wanted[TARGET_VALID])


def test_the_affine_bridge_adds_to_the_decoders_initial_carry():
    params = params_of("attention")
    assert params.bridge.hidden.shape == (8, H)  # two directions, each a cell and a hidden vector of two
    encoder = layers.bidirectional(sj.lstm(2))
    read, _ = encoder.unroll(params.encoder, INPUTS, lengths=LENGTHS)
    together = np.concatenate(jax.tree.leaves(read), axis=-1)
    carry, _ = start("attention")
    begun = sj.LSTMCarry(
        cell=params.decoder.network.initial_carry.cell + together @ params.bridge.cell,
        hidden=params.decoder.network.initial_carry.hidden + together @ params.bridge.hidden,
    )
    first = np.broadcast_to(params.decoder.embedding.table[START], (B, 2))
    close(carry.network, sj.lstm(H).step(params.decoder.network, begun, first)[0])


def test_the_affine_bridge_maps_real_and_imaginary_parts():
    source = jnp.array([[1 + 2j, 3 - 1j]]), jnp.array([[0.5]])
    initial = jnp.array([[2 - 1j, 0, 1j]]), jnp.array([[1.0, -1.0]])
    bridge = as_bridge("affine")
    params = bridge.init(jax.random.key(0), *jax.tree.map(lambda leaf: leaf[0], (source, initial)))
    together = np.array([1.0, 2, 3, -1, 0.5])
    handed, real = np.einsum("f,fhc->hc", together, params[0]), together @ np.asarray(params[1])
    wanted = np.asarray(initial[0]) + handed[:, 0] + 1j * handed[:, 1], np.asarray(initial[1]) + real
    close(bridge.apply(params, source, initial), wanted)


@pytest.mark.slow
def test_what_the_head_reads_is_luongs_attentional_vector():
    """And with input feeding, the step after reads it beside its target."""
    params = params_of("feeding")
    encoded = sj.unroll(sj.gru(H), params.encoder, INPUTS, lengths=LENGTHS)[1]
    kind = attention.multi_head(2, 4)
    prepared = kind.prepare(params.decoder.attention, attention.Memory(encoded, jnp.asarray(VALID)))
    carry = jnp.broadcast_to(params.decoder.network.initial_carry, (B, H))
    y, wanted = jnp.zeros((B, H)), []
    for token in previous(TARGETS):
        x = jnp.concatenate([params.decoder.embedding.table[token], y], axis=-1)
        carry, h = sj.gru(H).step(params.decoder.network, carry, x)
        context = kind.attend(params.decoder.attention, prepared, h)
        y = jnp.tanh(jnp.concatenate([context, h], axis=-1) @ params.decoder.combination)
        wanted.append(jax.nn.softmax(y @ params.head.kernel + params.head.bias))
    close(np.asarray(probabilities("feeding"))[TARGET_VALID], np.stack(wanted)[TARGET_VALID])


def test_no_scheduled_sampling_is_teacher_forcing(key):
    """One by one and all at once give the same, values and gradients."""
    name = "plain"
    loss = functools.partial(TASKS[name].loss, scheduled_sampling=0.0, key=key)
    got = jax.jit(jax.value_and_grad(loss, has_aux=True))(params_of(name), BATCH)
    close(got, gradient(name)(params_of(name), BATCH))


def test_scheduled_sampling_reads_what_was_predicted(key):
    """With predictions that are all but certain, samples are known: the loss is that of reading them."""
    task = TASKS["plain"]
    params = params_of("plain")
    params = params.replace(head=params.head.replace(kernel=1e4 * params.head.kernel))
    lengths = np.full(B, T)
    batch = sj.Batch(INPUTS, TARGETS, lengths=LENGTHS)
    sampled = sj.decoding.generate(task, params, INPUTS, lengths=LENGTHS, num_steps=T)
    prediction = predict("plain")(params, INPUTS, sampled, lengths=LENGTHS, target_lengths=lengths)[1]
    wanted = np.mean(heads.categorical(V).loss(prediction.logits, TARGETS))
    loss = jax.jit(functools.partial(task.loss, key=key))
    none, half, every = (float(loss(params, batch, scheduled_sampling=share)[0]) for share in (0.0, 0.5, 1.0))
    assert every == pytest.approx(float(wanted), rel=1e-4)
    assert half not in (none, every)


@pytest.mark.parametrize("repeat", [False, True])
def test_one_to_many_is_a_decoder_from_a_code(repeat):
    task = tasks.one_to_many(
        sj.dense(4, jnp.tanh), sj.gru(H), heads.categorical(V), embedding=EMBED, start=START, repeat=repeat
    )
    params, pictures = draw(task, D), INPUTS[0]
    code = np.tanh(pictures @ params.encoder.kernel + params.encoder.bias)
    xs = params.decoder.embedding.table[previous(TARGETS)]
    if repeat:
        xs = np.concatenate([xs, np.broadcast_to(code, (T, *code.shape))], axis=-1)
    carry = params.decoder.network.initial_carry + code @ params.bridge
    _, ys = sj.unroll(sj.gru(H), params.decoder.network, xs, carry=carry)
    wanted = ys @ params.head.kernel + params.head.bias
    options = {"target_lengths": TARGET_LENGTHS}
    _, prediction = jax.jit(task.predict)(params, pictures, TARGETS, **options)
    close(prediction.logits[TARGET_VALID], wanted[TARGET_VALID])
    close(jax.jit(task.start)(params, pictures)[1].logits, wanted[0])


def test_one_to_one_is_a_network_of_one_step():
    task = tasks.one_to_one(sj.dense(3, jnp.tanh), heads.categorical(V))
    params, labels, weights = draw(task, D), TARGETS[0], np.array([1.0, 2.0, 0.0])
    hidden = np.tanh(INPUTS[0] @ params.network.kernel + params.network.bias)
    logits = np.asarray(hidden @ params.head.kernel + params.head.bias)
    losses = np.log(np.exp(logits).sum(-1)) - logits[range(B), labels]
    loss, _ = jax.jit(task.loss)(params, sj.Batch(INPUTS[0], labels, weights=weights))
    assert float(loss) == pytest.approx(float((losses * weights).sum() / 3), rel=1e-5)
    close(jax.jit(task.predict)(params, INPUTS[0])[1].logits, logits)
    assert (task.step, task.start) == (None, None)


def test_targets_that_are_features():
    task = tasks.many_to_many(
        sj.gru(H), sj.gru(H), heads.gaussian(D), embedding=sj.dense(2), start=0.0, target_size=D
    )
    params = draw(task, D)
    loss, aux = jax.jit(task.loss)(params, sj.Batch(INPUTS, INPUTS[:T], target_lengths=TARGET_LENGTHS))
    assert np.isfinite(loss)
    assert sorted(aux.metrics) == ["squared_error"]


def test_tied_embeddings_are_one_table():
    plain = tasks.synced(sj.stack(sj.embed(V, 2), sj.gru(3), sj.dense(2)), heads.categorical(V))
    task = tasks.tied(plain, lambda params: params.network[0].table)
    params = draw(task, 1)
    batch = sj.Batch(TARGETS, TARGETS)
    run = jax.value_and_grad(lambda params: task.loss(params, batch)[0])
    loss, gradient = jax.jit(run)(params)
    untied = params.replace(head=params.head.replace(kernel=params.network[0].table.T))
    run = jax.value_and_grad(lambda params: plain.loss(params, batch)[0])
    wanted, parts = jax.jit(run)(untied)
    assert float(loss) == pytest.approx(float(wanted), rel=1e-6)
    close(gradient.network[0].table, parts.network[0].table + parts.head.kernel.T)
    assert gradient.head.kernel is None
