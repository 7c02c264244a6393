"""Beam search against all sequences that there are."""

import dataclasses

import jax
import numpy as np
import pytest

from seqjax import decoding
from tests.decoding.tools import (
    END,
    INPUTS,
    LENGTHS,
    NUM_STEPS,
    PARAMS,
    SEQUENCES,
    SIZES,
    TASK,
    TOKENS,
    B,
    log_probabilities,
)
from tests.layer_laws import compilations

COUNT = len(SEQUENCES)
FULL = 12  # open sequences before the last step, and all of their extensions


def search(width, inputs=INPUTS, lengths=LENGTHS, params=PARAMS, **options):
    options = {"num_steps": NUM_STEPS, "end": END} | options
    return decoding.beam(TASK, params, inputs, lengths=lengths, width=width, **options)


def test_probabilities_of_all_sequences_sum_to_one():
    np.testing.assert_allclose(np.exp(log_probabilities()).sum(0), 1, rtol=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, -2.0])
def test_full_width_is_enumeration(length_penalty):
    beams = search(FULL, num_best=COUNT + 1, length_penalty=length_penalty)
    logs = log_probabilities()
    scores = logs / ((5 + SIZES) / 6)[:, None] ** length_penalty
    for row in range(B):
        order = np.argsort(-scores[:, row])
        np.testing.assert_allclose(beams.scores[:COUNT, row], scores[order, row], rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            beams.log_probabilities[:COUNT, row], logs[order, row], rtol=1e-4, atol=1e-5
        )
        np.testing.assert_array_equal(beams.tokens[:, :COUNT, row], TOKENS[:, order])
        counts = [np.argmax(np.append(TOKENS[:, i], END) == END) for i in order]
        assert beams.lengths[:COUNT, row].tolist() == counts
    # One more was asked for than there are.
    assert not np.isfinite(beams.scores[COUNT]).any()
    assert not np.asarray(beams.lengths[COUNT]).any()


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, -2.0])
def test_the_best_is_found_before_all_are_seen(length_penalty):
    """Stopping early loses nothing: the same best as without a reason to stop."""
    certain = dataclasses.replace(PARAMS.head, bias=PARAMS.head.bias.at[END].add(9.0))
    params = dataclasses.replace(PARAMS, head=certain)
    options = {"length_penalty": length_penalty, "params": params}
    best, thorough = search(FULL, **options), search(FULL, num_best=COUNT + 1, **options)
    assert int(best.num_steps) < int(thorough.num_steps) == NUM_STEPS
    np.testing.assert_allclose(best.scores[0], thorough.scores[0], rtol=1e-6)
    np.testing.assert_array_equal(best.tokens[:, 0], thorough.tokens[:, 0])


def test_width_one_is_greedy():
    greedy = decoding.generate(TASK, PARAMS, INPUTS, lengths=LENGTHS, num_steps=NUM_STEPS, end=END)
    beams = search(1)
    np.testing.assert_array_equal(beams.tokens[:, 0], greedy)
    np.testing.assert_array_equal(beams.lengths[0], decoding.lengths_before(greedy, END))


def test_scores_are_those_of_the_sequences_and_rows_are_searched_alone():
    beams = search(2, num_best=2)
    logs = log_probabilities()
    for row in range(B):
        for place in range(2):
            found = np.asarray(beams.tokens[:, place, row])
            index = (found == TOKENS.T).all(1).argmax()
            assert float(beams.scores[place, row]) == pytest.approx(logs[index, row], rel=1e-4)
    alone = search(2, INPUTS[:, 1], LENGTHS[1], num_best=2)
    np.testing.assert_array_equal(alone.tokens, beams.tokens[..., 1])
    np.testing.assert_allclose(alone.scores, beams.scores[..., 1], rtol=1e-5)


def test_nan_is_an_error():
    params = dataclasses.replace(PARAMS, head=jax.tree.map(lambda leaf: leaf * np.nan, PARAMS.head))
    with pytest.raises(FloatingPointError, match="NaN at step 0 of row"):
        search(2, params=params, num_best=2)


def test_a_second_search_compiles_nothing():
    search(2, num_best=2)
    with compilations() as compiled:
        search(2, np.flip(INPUTS), num_best=2, length_penalty=0.5)
    assert set(compiled) <= {"jit(stage)"}
