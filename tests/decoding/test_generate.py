"""Generation: greedy, sampled, streamed; each row for itself, and the same again from the same key."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import decoding, heads
from tests.decoding.tools import (
    END,
    INPUTS,
    LENGTHS,
    NUM_STEPS,
    PARAMS,
    TASK,
    TOKENS,
    B,
    log_probabilities,
)
from tests.layer_laws import compilations
from tests.layers.tools import draw

MODEL = sj.tasks.synced(sj.stack(sj.embed(9, 3), sj.gru(4)), heads.categorical(9))
MODEL_PARAMS = jax.tree.map(lambda leaf: 3 * leaf, draw(MODEL, 1))
PROMPT, PROMPT_LENGTHS = np.random.default_rng(0).integers(0, 9, (3, 2)), np.array([3, 2])


def generate(inputs=INPUTS, lengths=LENGTHS, num_steps=NUM_STEPS, params=PARAMS, **options):
    return decoding.generate(
        TASK, params, inputs, lengths=lengths, num_steps=num_steps, **({"end": END} | options)
    )


def write(prompt=PROMPT, num_steps=4, **options):
    return np.asarray(decoding.generate(MODEL, MODEL_PARAMS, prompt, num_steps=num_steps, **options))


def test_greedy_takes_the_most_probable_token_at_each_step():
    tokens = np.asarray(generate())
    _, prediction = jax.jit(TASK.predict)(PARAMS, INPUTS, tokens, lengths=LENGTHS)
    counts = decoding.lengths_before(tokens, END)
    for row, count in enumerate(counts):
        upto = min(int(count) + 1, NUM_STEPS)
        np.testing.assert_array_equal(prediction.labels[:upto, row], tokens[:upto, row])
        assert (tokens[upto:, row] == END).all()


def test_samples_have_the_probabilities_of_the_sequences(key):
    """Many draws of each source, counted, against all sequences: a chi-square test of fixed draws."""
    draws = 2000
    params = dataclasses.replace(PARAMS, head=jax.tree.map(lambda leaf: 0.15 * leaf, PARAMS.head))
    expected = draws * np.exp(log_probabilities(params))
    tokens = np.asarray(generate(INPUTS.repeat(draws, 1), LENGTHS.repeat(draws), key=key, params=params))
    for row in range(B):
        chosen = tokens[:, row * draws : (row + 1) * draws]
        counts = (chosen.T[:, None] == TOKENS.T).all(-1).sum(0)
        assert counts.sum() == draws
        distance = ((counts - expected[:, row]) ** 2 / expected[:, row]).sum()
        assert distance < 36.1  # exceeded by one in a thousand, with 14 degrees of freedom


def test_a_key_decides_and_rows_and_steps_do_not_matter(key):
    tokens = write(lengths=PROMPT_LENGTHS, key=key)
    np.testing.assert_array_equal(write(lengths=PROMPT_LENGTHS, key=key), tokens)
    assert not np.array_equal(write(lengths=PROMPT_LENGTHS, key=jax.random.key(1)), tokens)
    # A prompt without batch axes is the first row; the second, shorter prompt is what it is without padding.
    np.testing.assert_array_equal(write(PROMPT[:, 0], key=key), tokens[:, 0])
    greedy = write(lengths=PROMPT_LENGTHS)
    np.testing.assert_array_equal(write(PROMPT[:2, 1]), greedy[:, 1])
    # And a prompt in two pieces, the carry handed on, is the whole.
    carry, _ = jax.jit(MODEL.start)(MODEL_PARAMS, PROMPT[:1, 0])
    np.testing.assert_array_equal(write(PROMPT[1:, 0], carry=carry), greedy[:, 0])


def test_streaming_is_generating(key):
    options = {"key": key, "temperature": 0.9, "top_k": 5, "top_p": 0.95, "min_p": 0.01}
    whole = write(lengths=PROMPT_LENGTHS, num_steps=6, end=4, **options)
    pieces = list(
        decoding.stream(MODEL, MODEL_PARAMS, PROMPT, lengths=PROMPT_LENGTHS, num_steps=6, end=4, **options)
    )
    np.testing.assert_array_equal(np.stack(pieces), whole[: len(pieces)])
    assert len(pieces) == min(6, int(decoding.lengths_before(whole, 4).max()) + 1)
    endless = decoding.stream(MODEL, MODEL_PARAMS, PROMPT, lengths=PROMPT_LENGTHS, end=4, **options)
    np.testing.assert_array_equal(next(endless), whole[0])
    certain = decoding.stream(
        MODEL, MODEL_PARAMS, PROMPT, lengths=PROMPT_LENGTHS, end=4, **(options | {"top_k": 1})
    )
    np.testing.assert_array_equal(next(certain), write(lengths=PROMPT_LENGTHS)[0])
    with pytest.raises(FloatingPointError, match="outside the vocabulary"):
        next(decoding.stream(MODEL, MODEL_PARAMS, PROMPT + 9, lengths=PROMPT_LENGTHS, end=4, **options))


def cut_by_hand(logits, temperature=1.0, top_k=None, top_p=None, min_p=None):
    """The probabilities of one row, token by token from the most probable down."""
    p = np.exp(logits / temperature) / np.exp(logits / temperature).sum()
    order, stays = np.argsort(-p), set(range(len(p)))
    if top_k is not None:
        stays &= set(order[:top_k].tolist())
    if top_p is not None:
        kept, total = set(), 0.0
        scale = sum(p[i] for i in stays)
        for i in order:
            if i in stays and total < top_p:
                kept.add(int(i))
                total += p[i] / scale
        stays = kept
    if min_p is not None:
        stays = {i for i in stays if p[i] >= min_p * p.max()}
    p = np.array([value if i in stays else 0 for i, value in enumerate(p)])
    return p / p.sum()


CUTS = [
    {"temperature": 0.5},
    {"top_k": 1},
    {"top_k": 99},
    {"top_p": 1e-6},
    {"top_p": 0.6},
    {"top_p": 1.0},
    {"min_p": 0.3},
    {"min_p": 0.0},
    {"min_p": 1.0},
    {"temperature": 2.0, "top_k": 5, "top_p": 0.7, "min_p": 0.4},
]


def test_cuts_by_hand():
    logits = np.random.default_rng(1).normal(size=(4, 7)).astype(np.float32)

    @jax.jit
    def every():
        return [jax.nn.softmax(decoding.truncated(logits, decoding.truncation(**cuts))) for cuts in CUTS]

    for cuts, got in zip(CUTS, every(), strict=True):
        wanted = np.stack([cut_by_hand(row.astype(float), **cuts) for row in logits])
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-7, err_msg=str(cuts))


def test_nan_is_an_error_or_no_token():
    params = dataclasses.replace(PARAMS, head=jax.tree.map(lambda leaf: leaf * np.nan, PARAMS.head))
    for key in (None, jax.random.key(0)):
        with pytest.raises(FloatingPointError, match=r"NaN at step 0 of row \(0,\)"):
            generate(params=params, key=key)
    assert (np.asarray(jax.jit(lambda params: generate(params=params))(params)) == -1).all()
    with pytest.raises(FloatingPointError, match=r"row \(1,\).*prompt of that row is empty"):
        write(lengths=np.array([2, 0]))


def test_a_second_call_compiles_nothing(key):
    write(lengths=PROMPT_LENGTHS, key=key)
    with compilations() as compiled:
        write(np.flip(PROMPT), lengths=PROMPT_LENGTHS - 1, key=jax.random.key(7))
    assert set(compiled) <= {"jit(stage)"}


def test_numbers_are_generated_too(key):
    prompt = np.ones((3, 4, 2), np.float32)
    for head in (heads.bernoulli(2), heads.gaussian(2), heads.mixture_density(2, 3)):
        task = sj.tasks.synced(sj.gru(3), head)
        params = draw(task, 2)
        write = functools.partial(decoding.generate, task, num_steps=2, key=key)
        drawn = jax.eval_shape(write, params, prompt)
        assert (drawn.shape, drawn.dtype) == ((2, 4, 2), jnp.float32)
    likely = decoding.generate(task, params, prompt, num_steps=2)
    carry, first = jax.jit(task.start)(params, prompt)
    np.testing.assert_allclose(likely[0], head.sample(None, first), rtol=1e-5)
    second = jax.jit(task.step)(params, carry, likely[0])[1]
    np.testing.assert_allclose(likely[1], head.sample(None, second), rtol=1e-5)


def test_samples_of_heads(key):
    """Means and spreads of many draws of each head."""
    many = 20000
    wide = jax.tree.map(
        lambda leaf: jnp.broadcast_to(leaf, (many, *leaf.shape)),
        heads.MixtureDensityPrediction(
            log_weights=jnp.log(jnp.array([0.25, 0.75])),
            mean=jnp.array([[-4.0, 0.0], [4.0, 1.0]]),
            scale=jnp.array([[0.5, 1.0], [0.5, 1.0]]),
        ),
    )
    drawn = np.asarray(heads.mixture_density(2, 2).sample(key, wide))
    assert np.mean(drawn[:, 0] > 0) == pytest.approx(0.75, abs=0.01)
    assert drawn[drawn[:, 0] > 0].mean(0) == pytest.approx([4, 1], abs=0.04)
    assert drawn[drawn[:, 0] > 0].std(0) == pytest.approx([0.5, 1], abs=0.03)
    assert heads.mixture_density(2, 2).sample(None, wide)[0].tolist() == [4, 1]
    logits = jnp.broadcast_to(jnp.array([0.0, jnp.nan, -1.0]), (many, 3))
    head = heads.bernoulli(3)
    drawn = np.asarray(head.sample(key, head.predict(logits)))
    assert np.nanmean(drawn[:, ::2], 0) == pytest.approx([0.5, 1 / (1 + np.e)], abs=0.01)
    assert np.isnan(drawn[:, 1]).all()
