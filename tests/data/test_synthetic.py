"""Generated tasks are what their papers say, checked by plain Python over every row."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqjax.data import synthetic

SEEDS = st.integers(0, 2**40)


@given(st.integers(2, 30), SEEDS)
def test_adding_problem(num_steps, seed):
    batch = synthetic.adding_problem(8, num_steps, seed=seed)
    values, marks = np.moveaxis(batch.inputs, -1, 0)
    assert batch.inputs.dtype == batch.targets.dtype == np.float32
    assert ((values >= 0) & (values < 1)).all()
    half = num_steps // 2
    for row in range(8):
        first, second = np.flatnonzero(marks[:, row])
        assert first < half <= second
        assert marks[[first, second], row].tolist() == [1, 1]
        assert batch.targets[row, 0] == pytest.approx(values[first, row] + values[second, row])


def test_to_answer_one_has_the_known_error():
    targets = synthetic.adding_problem(20_000, 4, seed=0).targets
    assert np.mean((targets - 1) ** 2) == pytest.approx(1 / 6, rel=0.03)


@given(st.integers(10, 120), SEEDS)
def test_temporal_order(num_steps, seed):
    batch = synthetic.temporal_order(8, num_steps, seed=seed)
    tenth = num_steps // 10
    for tokens, target in zip(batch.inputs.T.tolist(), batch.targets.tolist(), strict=True):
        assert (tokens[0], tokens[-1]) == (6, 7)
        places = [place for place, token in enumerate(tokens) if token in (4, 5)]
        assert len(places) == 2
        assert tenth <= places[0] < 2 * tenth
        assert 5 * tenth <= places[1] < 6 * tenth
        assert "XY"[tokens[places[0]] - 4] + "XY"[tokens[places[1]] - 4] == ("XX", "XY", "YX", "YY")[target]
        assert set(tokens[1:-1]) <= set(range(6))


@given(st.integers(1, 20), st.integers(1, 12), SEEDS)
def test_copying_memory(delay, num_symbols, seed):
    batch = synthetic.copying_memory(4, delay, seed=seed, num_symbols=num_symbols)
    for read, written in zip(batch.inputs.T.tolist(), batch.targets.T.tolist(), strict=True):
        symbols = read[:num_symbols]
        assert set(symbols) <= set(range(8))
        assert read == [*symbols, *[8] * (delay - 1), 9, *[8] * num_symbols]
        assert written == [*[8] * (delay + num_symbols), *symbols]


@given(st.integers(1, 40), SEEDS)
def test_parity(num_steps, seed):
    batch = synthetic.parity(4, num_steps, seed=seed)
    for row in range(4):
        bits = batch.inputs[:, row, 0].astype(int).tolist()
        assert set(bits) <= {0, 1}
        assert batch.targets[:, row].tolist() == [sum(bits[: step + 1]) % 2 for step in range(num_steps)]


@given(st.integers(1, 30), st.integers(1, 3), st.sampled_from([0, 0.3, 1]), SEEDS)
def test_flip_flop(num_steps, num_bits, rate, seed):
    batch = synthetic.flip_flop(3, num_steps, seed=seed, num_bits=num_bits, rate=rate)
    assert batch.inputs.shape == batch.targets.shape == (num_steps, 3, num_bits)
    assert (batch.inputs[0] != 0).all()
    for told, held in zip(
        batch.inputs.reshape(num_steps, -1).T, batch.targets.reshape(num_steps, -1).T, strict=True
    ):
        state = None
        for pulse, target in zip(told.tolist(), held.tolist(), strict=True):
            state = {1: 1, -1: 0, 0: state}[pulse]
            assert target == state
    if rate in (0, 1):
        assert (batch.inputs[1:] != 0).all() == (batch.inputs[1:] != 0).any() or num_steps == 1


def test_switches_are_set_as_often_as_asked():
    batch = synthetic.flip_flop(100, 200, seed=0, rate=0.1)
    assert (batch.inputs[1:] != 0).mean() == pytest.approx(0.1, abs=0.01)
    assert batch.targets.mean() == pytest.approx(0.5, abs=0.03)


@given(st.integers(2, 24), st.integers(1, 3), st.sampled_from([None, 1, 3]), SEEDS)
def test_dyck(num_steps, num_kinds, max_depth, seed):
    batch = synthetic.dyck(6, num_steps, seed=seed, num_kinds=num_kinds, max_depth=max_depth)
    limit = num_steps if max_depth is None else max_depth
    for row, length in enumerate(batch.lengths.tolist()):
        assert 2 <= length <= num_steps
        assert length % 2 == 0
        stack = []
        for token, target in zip(
            batch.inputs[:length, row].tolist(), batch.targets[:length, row].astype(int).tolist(), strict=True
        ):
            if token < num_kinds:
                stack.append(token)
            else:
                assert stack.pop() == token - num_kinds
            assert len(stack) <= limit
            follow = set(range(num_kinds)) if len(stack) < limit else set()
            follow |= {num_kinds + stack[-1]} if stack else {2 * num_kinds}
            assert {place for place, may in enumerate(target) if may} == follow
        assert not stack
        assert not batch.inputs[length:, row].any()
        assert not batch.targets[length:, row].any()


def test_words_have_all_even_lengths_alike():
    lengths = synthetic.dyck(3000, 6, seed=0).lengths
    assert np.bincount(lengths)[[2, 4, 6]].min() > 900


@given(st.integers(1, 18), SEEDS)
def test_integer_addition(num_digits, seed):
    batch = synthetic.integer_addition(8, num_digits, seed=seed)
    assert batch.inputs.shape == (2 * num_digits + 1, 8)
    assert batch.targets.shape == (num_digits + 2, 8)
    ended = synthetic.ADDITION.end
    for row in range(8):
        question = synthetic.ADDITION.decode(batch.inputs[: batch.lengths[row], row].tolist())
        *answer, end = batch.targets[: batch.target_lengths[row], row].tolist()
        first, second = question.split("+")
        assert 1 <= len(first) <= num_digits
        assert 1 <= len(second) <= num_digits
        assert str(int(first)) == first
        assert synthetic.ADDITION.decode(answer) == str(int(first) + int(second))
        assert end == ended
        assert not batch.inputs[batch.lengths[row] :, row].any()
        assert not batch.targets[batch.target_lengths[row] :, row].any()


DRAWS = {
    "adding_problem": lambda seed: synthetic.adding_problem(4, 8, seed=seed),
    "temporal_order": lambda seed: synthetic.temporal_order(4, 10, seed=seed),
    "copying_memory": lambda seed: synthetic.copying_memory(4, 3, seed=seed),
    "parity": lambda seed: synthetic.parity(4, 8, seed=seed),
    "flip_flop": lambda seed: synthetic.flip_flop(4, 8, seed=seed),
    "dyck": lambda seed: synthetic.dyck(4, 8, seed=seed),
    "integer_addition": lambda seed: synthetic.integer_addition(4, 5, seed=seed),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_seed_gives_one_batch(name):
    draw = DRAWS[name]
    np.testing.assert_array_equal(draw(3).inputs, draw(3).inputs)
    np.testing.assert_array_equal(draw((3, 1)).targets, draw([3, 1]).targets)
    assert not np.array_equal(draw(3).inputs, draw((3, 1)).inputs)
    assert not np.array_equal(draw(3).inputs, draw(4).inputs)
