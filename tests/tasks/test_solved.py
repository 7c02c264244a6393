"""Each shape on a tiny problem of its own, learnt to the last sequence of all there are."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import attention, heads, tasks, training
from tests.layers.tools import draw

pytestmark = pytest.mark.slow
PADDING, END, START, V = 0, 1, 2, 5
SYMBOLS = (3, 4)
WORDS = [word for n in range(4) for word in itertools.product(SYMBOLS, repeat=n)]


def padded(rows):
    """Rows as `[T, B]` with their lengths."""
    tokens = np.full((max(map(len, rows)), len(rows)), PADDING)
    for b, row in enumerate(rows):
        tokens[: len(row), b] = row
    return tokens, np.array([len(row) for row in rows])


def written(inputs, lengths, rows):
    targets, target_lengths = padded([(*row, END) for row in rows])
    return sj.Batch(inputs, targets, lengths=lengths, target_lengths=target_lengths)


def trainer(task, rate=0.03):
    """A function from a batch to trained params, compiled once for all batches of a shape."""
    optimizer = optax.adam(rate)
    step = training.make_step(task.loss, optimizer)

    @functools.partial(jax.jit, static_argnames="steps")
    def run(params, batch, steps):
        state = training.TrainingState(params, optimizer.init(params), jnp.int32(0), jax.random.key(0))
        return jax.lax.scan(lambda state, _: step(state, batch), state, length=steps)[0].params

    return run


def trained(task, batch, input_size, steps):
    return trainer(task)(draw(task, input_size), batch, steps)


def test_many_to_many():
    """Copy a word; write it backward."""
    task = tasks.many_to_many(
        sj.stack(sj.embed(V, 6), sj.gru(12)),
        sj.gru(12),
        heads.categorical(V),
        embedding=sj.embed(V, 6),
        start=START,
        attention=attention.general(),
        input_feeding=True,
    )
    inputs, lengths = padded(WORDS)
    train = trainer(task)
    for answer in (lambda word: word, lambda word: word[::-1]):
        params = train(draw(task, 1), written(inputs, lengths, [answer(word) for word in WORDS]), 150)
        options = {"lengths": lengths, "num_steps": 5, "end": END}
        tokens = sj.decoding.generate(task, params, inputs, **options)
        counts = sj.decoding.lengths_before(tokens, END)
        got = [tuple(np.asarray(tokens[:n, b]).tolist()) for b, n in enumerate(counts)]
        assert got == [answer(word) for word in WORDS]
        beams = sj.decoding.beam(task, params, inputs, width=3, **options)
        np.testing.assert_array_equal(beams.tokens[:, 0], tokens)
        assert float(jnp.exp(beams.scores).min()) > 0.5


def test_one_to_many():
    """Count to a number: as many symbols as the input says."""
    task = tasks.one_to_many(
        sj.dense(6, jnp.tanh),
        sj.gru(8),
        heads.categorical(V),
        embedding=sj.embed(V, 4),
        start=START,
        repeat=True,
    )
    numbers = np.eye(5, dtype=np.float32)
    batch = written(numbers, None, [(3,) * n for n in range(5)])
    params = trained(task, batch, 5, 150)
    tokens = sj.decoding.generate(task, params, numbers, num_steps=7, end=END)
    assert sj.decoding.lengths_before(tokens, END).tolist() == [0, 1, 2, 3, 4]


def test_many_to_one():
    """Name the last symbol, or its absence."""
    inputs, lengths = padded(WORDS[1:])
    labels = np.array([word[-1] for word in WORDS[1:]])
    task = tasks.many_to_one(sj.stack(sj.embed(V, 4), sj.gru(6)), heads.categorical(V))
    params = trained(task, sj.Batch(inputs, labels, lengths=lengths), 1, 60)
    assert task.predict(params, inputs, lengths=lengths)[1].labels.tolist() == labels.tolist()


def test_synced():
    """Repeat the symbol before."""
    inputs = np.array(list(itertools.product(SYMBOLS, repeat=3))).T
    labels = np.concatenate([np.full((1, 8), START), inputs[:-1]])
    task = tasks.synced(sj.stack(sj.embed(V, 4), sj.gru(8)), heads.categorical(V))
    params = trained(task, sj.Batch(inputs, labels), 1, 100)
    np.testing.assert_array_equal(task.predict(params, inputs)[1].labels, labels)


def test_one_to_one():
    """The exclusive or."""
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    labels = np.array([0, 1, 1, 0])
    task = tasks.one_to_one(sj.dense(8, jnp.tanh), heads.categorical(2))
    params = trained(task, sj.Batch(inputs, labels), 2, 100)
    assert task.predict(params, inputs)[1].labels.tolist() == labels.tolist()
