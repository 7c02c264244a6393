"""Counting where the states are known, against counting in Python."""

import numpy as np
import pytest

from seqjax.statespace import hmm

LENGTHS = np.array([8, 5, 0])
STATES = np.random.default_rng(0).integers(0, 2, (8, 3))
STATES[:2, 0] = [0, 1]
SYMBOLS = np.random.default_rng(1).integers(0, 3, (8, 3))
PADDING = np.arange(8)[:, None] >= LENGTHS
EMISSION = hmm.categorical(2, 3, pseudo_count=0.5)


def test_frequencies(x64):
    observed = np.ones((8, 3), bool)
    observed[2, 0] = False
    initial, transition, symbols = np.zeros(2), np.ones((2, 2)), np.full((2, 3), 0.5)
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            state = STATES[t, b]
            initial[state] += t == 0
            if t:
                transition[STATES[t - 1, b], state] += 1
            if observed[t, b]:
                symbols[state, SYMBOLS[t, b]] += 1
    states, ys = np.where(PADDING, -7, STATES), np.where(PADDING, 99, SYMBOLS)
    start = hmm.CategoricalParams(np.zeros((2, 3)))
    chain, emission = hmm.fit_supervised(
        EMISSION,
        ys,
        states,
        lengths=LENGTHS,
        observed=observed,
        emission_params=start,
        transition_pseudo_count=1.0,
    )
    np.testing.assert_allclose(chain.initial, initial / initial.sum(), rtol=1e-12)
    np.testing.assert_allclose(chain.transition, transition / transition.sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(emission.probabilities, symbols / symbols.sum(1, keepdims=True), rtol=1e-12)


def test_a_state_that_is_never_left_is_named():
    start = hmm.CategoricalParams(np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match="states is never 1 before another step"):
        hmm.fit_supervised(EMISSION, SYMBOLS, np.zeros((8, 3), int), emission_params=start)
