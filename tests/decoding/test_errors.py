"""Mistakes with decoders, attention and decoding are named before anything is compiled."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import attention, decoding, heads, layers, tasks
from tests.decoding.tools import END, INPUTS, LENGTHS, PARAMS, TASK, B, S
from tests.layer_laws import compilations

TARGETS = np.zeros((2, B), int)
EMBED, GRU, HEAD = sj.embed(3, 2), sj.gru(3), heads.categorical(3)
KEY = jax.random.key(0)


def many(encoder=GRU, decoder=GRU, head=HEAD, **options):
    return tasks.many_to_many(encoder, decoder, head, **({"embedding": EMBED, "start": 1} | options))


def loss(batch, **options):
    return lambda: jax.eval_shape(lambda: TASK.loss(PARAMS, batch, **options))


def generate(task=TASK, prompt=INPUTS, num_steps=2, **options):
    return lambda: decoding.generate(task, PARAMS, prompt, num_steps=num_steps, **options)


def beam(**options):
    options = {"width": 2, "num_steps": 2, "end": END} | options
    return lambda: decoding.beam(TASK, PARAMS, INPUTS, **options)


BATCH = sj.Batch(INPUTS, TARGETS)
BIDIRECTIONAL = tasks.synced(layers.bidirectional(GRU), HEAD)
ERRORS = [
    (lambda: many(sj.gru), TypeError, "encoder is a function"),
    (
        lambda: many(decoder=layers.bidirectional(GRU)),
        ValueError,
        "decoder has no step.*Only the encoder may",
    ),
    (lambda: many(head=heads.ctc(3)), TypeError, "head is a SequenceHead, expected a Head.*for synced"),
    (lambda: many(start="begin"), TypeError, "start is 'begin' of type str, expected the token before"),
    (lambda: many(start=-1), ValueError, "start is -1, expected a token"),
    (lambda: many(input_feeding=True), ValueError, "input_feeding is True.*give an attention"),
    (lambda: many(attention=attention.dot), TypeError, "attention is a function, expected an Attention"),
    (lambda: many(bridge="dense"), ValueError, "bridge is 'dense', expected 'affine', 'same' or None"),
    (lambda: many(sj.gru(4), bridge="same").init(KEY, 2), ValueError, r"shapes \[\(4,\)\].*has \[\(3,\)\]"),
    (lambda: many(sj.dense(3)).init(KEY, 2), ValueError, "encoder has no carry.*bridge=None"),
    (lambda: many(embedding=sj.gru(3), target_size=2).init(KEY, 2), ValueError, "embedding has a carry"),
    (lambda: many(sj.gru(4), attention=attention.dot()).init(KEY, 2), ValueError, "query_size is 3 and mem"),
    (lambda: attention.multi_head(3, 8), ValueError, "size is 8, expected a multiple of num_heads=3"),
    (loss(BATCH.replace(resets=np.zeros((S, B), bool))), ValueError, "batch.resets is given"),
    (loss(BATCH.replace(targets=TARGETS.T[:2])), ValueError, r"batch.targets has shape \(2, 2\), expected"),
    (loss(BATCH.replace(targets=None)), ValueError, "batch.targets is None"),
    (loss(BATCH.replace(targets=TARGETS * 1.0)), TypeError, "targets has dtype float.*start=1 is a token"),
    (loss(BATCH.replace(target_lengths=np.full(B, 3))), ValueError, "target_lengths has the value 3 at"),
    (loss(BATCH, carry=()), ValueError, "carry is given"),
    (loss(BATCH, scheduled_sampling=0.5), ValueError, "scheduled_sampling is given, but key is None"),
    (loss(BATCH, scheduled_sampling=2.0, key=KEY), ValueError, "scheduled_sampling is 2.0, expected"),
    (lambda: TASK.initial_carry(PARAMS), ValueError, "no carry before its inputs: task.start"),
    (lambda: TASK.step(PARAMS, jnp.zeros(3), 1), ValueError, "carry is a jax array.*expected DecoderCarry"),
    (generate("model"), TypeError, "task is a str, expected a Task"),
    (generate(BIDIRECTIONAL), ValueError, "task has no step"),
    (generate(tasks.many_to_one(GRU, HEAD)), ValueError, "task has no step"),
    (generate(num_steps=0), ValueError, "num_steps is 0"),
    (generate(key=0), TypeError, "key is a int"),
    (generate(end=1.5), TypeError, "end is 1.5 of type float"),
    (generate(temperature=0.5), ValueError, "temperature is given, but key is None"),
    (generate(key=KEY, temperature=0), ValueError, "temperature is 0, expected a positive number"),
    (generate(key=KEY, top_k=0), ValueError, "top_k is 0, expected a positive integer"),
    (generate(key=KEY, top_p=1.5), ValueError, "top_p is 1.5, expected"),
    (generate(key=KEY, min_p=True), TypeError, "min_p is True of type bool"),
    (generate(prompt=[[1], [2]]), TypeError, "prompt is a list"),
    (generate(lengths=LENGTHS + 1), ValueError, r"lengths has the value 4 at \(0,\), expected 0 to 3"),
    (beam(width=0), ValueError, "width is 0"),
    (beam(end=None), TypeError, "end is None, expected a token"),
    (beam(end=3), ValueError, "end is 3, expected a token from 0 to 2"),
    (beam(num_best=1.0), TypeError, "num_best is 1.0"),
    (beam(length_penalty="long"), TypeError, "length_penalty is 'long'"),
    (lambda: decoding.ctc_beam(np.zeros((2, 3)), width=1, num_best=2), ValueError, "at most the width"),
    (lambda: decoding.ctc_beam(np.zeros((2, 3)), width=1, blank=3), ValueError, "blank is 3, expected one"),
    (lambda: heads.ctc(3, blank=3), ValueError, "blank is 3, expected one of the classes"),
    (lambda: heads.mixture_density(2, 0), ValueError, "components is 0"),
    (lambda: tasks.tied(GRU, len), TypeError, "task is a Cell, expected a Task"),
    (lambda: layers.convolution(2, 4), ValueError, "kernel_size is 4, expected an odd number"),
    (lambda: layers.picture_convolution((4, 4), 2), TypeError, r"picture_shape is \(4, 4\), expected"),
    (
        lambda: layers.picture_convolution((4, 4, 1), 2).init(KEY, 5),
        ValueError,
        "input_size is 5, expected 16",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_and_nothing_is_compiled_for_it():
    with compilations() as compiled, pytest.raises(ValueError, match="temperature is given"):
        generate(temperature=0.5)()
    assert not compiled
