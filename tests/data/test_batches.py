"""The laws of batches: every example once, few shapes, an order that can be resumed anywhere."""

from __future__ import annotations

import json
from itertools import islice

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqjax.data as sjd

LENGTHS = st.lists(st.integers(0, 9), min_size=1, max_size=25)


def numbered(lengths: list[int]) -> list[list[int]]:
    """Sequences whose every step tells which sequence it is of, from 1 on."""
    return [[number] * length for number, length in enumerate(lengths, 1)]


def make(lengths, **options) -> sjd.Batches:
    """Batches whose label tells which example each row is."""
    return sjd.Batches(numbered(lengths), np.arange(1, len(lengths) + 1), **options)


def same(left, right) -> bool:
    leaves = [jax.tree.leaves(list(batches)) for batches in (left, right)]
    shapes = [[leaf.shape for leaf in some] for some in leaves]
    return shapes[0] == shapes[1] and all(map(np.array_equal, *leaves))


@given(LENGTHS, st.integers(1, 7), st.booleans(), st.integers(0, 3))
def test_every_example_once_an_epoch(lengths, batch_size, shuffle, seed):
    batches = make(lengths, batch_size=batch_size, shuffle=shuffle, seed=seed, epochs=2, padding=-1)
    given_batches = list(batches)
    count = batches.batches_per_epoch
    assert len(given_batches) == 2 * count
    assert count == -(-len(lengths) // batch_size)
    for epoch in (given_batches[:count], given_batches[count:]):
        seen = [int(label) for batch in epoch for label in batch.targets[batch.weights == 1]]
        assert sorted(seen) == list(range(1, len(lengths) + 1))
        assert sum(bool((batch.weights == 0).any()) for batch in epoch) <= 1


@given(LENGTHS, st.integers(1, 7), st.integers(1, 4))
def test_rows_hold_their_sequence_and_padding_weighs_nothing(lengths, batch_size, max_buckets):
    batches = make(lengths, batch_size=batch_size, max_buckets=max_buckets, epochs=1, padding=-1)
    assert batches.buckets == sjd.bucket_lengths(lengths, max_buckets)
    for batch in batches:
        assert batch.inputs.shape[0] in batches.buckets
        assert batch.inputs.shape[1:] == batch.weights.shape == batch.lengths.shape == (batch_size,)
        assert (batch.inputs.dtype, batch.lengths.dtype, batch.weights.dtype) == (
            np.int32,
            np.int32,
            np.float32,
        )
        for row, label in enumerate(batch.targets):
            length = batch.lengths[row]
            assert np.all(batch.inputs[length:, row] == -1)
            if batch.weights[row]:
                assert length == lengths[label - 1]
                assert np.all(batch.inputs[:length, row] == label)
            else:
                assert (batch.weights[row], length, label) == (0, 0, 0)


@settings(max_examples=25)
@given(LENGTHS, st.integers(1, 5), st.booleans(), st.data())
def test_resuming_anywhere_gives_what_would_have_come(lengths, batch_size, shuffle, data):
    options = {"batch_size": batch_size, "shuffle": shuffle, "epochs": 3, "seed": 5}
    whole = list(make(lengths, **options))
    stop = data.draw(st.integers(0, len(whole)))
    first = make(lengths, **options)
    before = list(islice(first, stop))
    state = json.loads(json.dumps(first.state()))
    second = make(lengths, **options)
    next(second)
    second.restore(state)
    assert second.state() == state
    assert same(before + list(second), whole)


def test_resuming_at_every_position_with_own_targets():
    lengths = [3, 1, 4, 1, 5, 9, 2, 6, 0, 5, 3]
    targets = numbered(lengths[::-1])
    options = {"batch_size": 3, "targets_are": "sequences", "epochs": 2}
    whole = list(sjd.Batches(numbered(lengths), targets, **options))
    walking = sjd.Batches(numbered(lengths), targets, **options)
    for position in range(len(whole) + 1):
        resumed = sjd.Batches(numbered(lengths), targets, **options)
        resumed.restore(walking.state())
        assert same(resumed, whole[position:])
        next(walking, None)


def test_a_run_may_be_prolonged():
    short = make([1, 2, 3], batch_size=2, epochs=1)
    whole = list(make([1, 2, 3], batch_size=2, epochs=2))
    list(short)
    longer = make([1, 2, 3], batch_size=2, epochs=2)
    longer.restore(short.state())
    assert same(longer, whole[2:])


@pytest.mark.parametrize("targets_are", ["labels", "steps", "sequences"])
def test_at_most_eight_shapes(targets_are):
    random = np.random.default_rng(0)
    lengths = random.integers(0, 300, 1000)
    others = random.integers(0, 300, 1000)
    targets = {
        "labels": np.zeros(1000, np.int32),
        "steps": [np.zeros(length) for length in lengths],
        "sequences": [np.zeros(length) for length in others],
    }[targets_are]
    batches = sjd.Batches(
        [np.zeros((length, 2), np.float32) for length in lengths],
        targets,
        batch_size=16,
        targets_are=targets_are,
        epochs=3,
    )
    shapes = {tuple((leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(batch)) for batch in batches}
    assert len(shapes) <= 8


def test_a_compiled_function_compiles_once_a_bucket():
    traced = []

    @jax.jit
    def total(batch):
        traced.append(batch.inputs.shape)
        return (batch.inputs.sum(0) * batch.weights).sum()

    batches = make([1, 2, 3, 4, 5, 6, 7, 8, 9], batch_size=2, max_buckets=3, epochs=3)
    for batch in batches:
        total(batch)
    assert len(traced) <= 3


@given(LENGTHS, LENGTHS)
def test_order_depends_on_seed_and_epoch_alone(first, second):
    # Whatever came before: an epoch asked for out of turn is the epoch met in turn.
    batches = make(first, batch_size=2, seed=3, epochs=3)
    later = list(make(first, batch_size=2, seed=3).epoch_batches(2))
    make(second, batch_size=3, seed=3, epochs=1).state()
    assert same(list(batches)[-len(later) :], later)


def test_epochs_and_seeds_differ_and_runs_do_not():
    lengths = list(range(1, 9)) * 5
    batches = make(lengths, batch_size=4, seed=0)
    epochs = [list(batches.epoch_batches(epoch)) for epoch in range(3)]
    assert not same(epochs[0], epochs[1])
    assert not same(epochs[1], epochs[2])
    assert same(epochs[0], make(lengths, batch_size=4, seed=0).epoch_batches(0))
    assert not same(epochs[0], make(lengths, batch_size=4, seed=1).epoch_batches(0))
    assert batches.state()["position"] == 0


def test_without_shuffling_examples_keep_their_order():
    batches = make([2, 1, 2, 1, 2], batch_size=2, shuffle=False, epochs=2)
    labels = [batch.targets.tolist() for batch in batches]
    assert labels == [[2, 4], [1, 3], [5, 0]] * 2


def test_plans_tell_which_example_a_row_is():
    batches = make([5, 3, 8, 3, 1, 0, 7], batch_size=3, seed=2)
    for plan, batch in zip(batches.plans(1), batches.epoch_batches(1), strict=True):
        expected = np.where(plan.rows >= 0, plan.rows + 1, 0)
        assert batch.targets.tolist() == expected.tolist()
        assert batch.inputs.shape[0] == batches.buckets[plan.bucket]


def test_batches_without_end():
    batches = make([1, 2, 3], batch_size=2)
    assert len(list(islice(batches, 100))) == 100
    assert batches.state()["epoch"] == 50
    assert list(make([1], batch_size=1, epochs=0)) == []


def test_target_steps_are_padded_with_their_inputs():
    inputs = [[1, 2], [3, 4, 5], []]
    targets = [[10, 20], [30, 40, 50], []]
    batches = sjd.Batches(
        inputs, targets, batch_size=4, targets_are="steps", shuffle=False, epochs=1, target_padding=-1
    )
    (batch,) = batches
    rows = {tuple(row) for row in batch.targets.T.tolist()}
    assert rows == {(10, 20, -1), (30, 40, 50), (-1, -1, -1)}
    assert np.array_equal(batch.targets, np.where(batch.inputs > 0, batch.inputs * 10, -1))
    assert batch.target_lengths is None
    assert sorted(batch.lengths.tolist()) == [0, 0, 2, 3]


def test_targets_of_their_own_lengths():
    inputs = [[1], [1, 2], [1, 2, 3, 4]]
    targets = [[7, 7, 7, 7, 7], [], [8]]
    batches = sjd.Batches(inputs, targets, batch_size=1, targets_are="sequences", shuffle=False, epochs=1)
    batch, *rest = batches
    assert batch.targets.T.tolist() == [[7, 7, 7, 7, 7]]
    assert batch.target_lengths.tolist() == [5]
    assert [other.target_lengths.tolist() for other in rest] == [[0], [1]]


def test_features_zero_lengths_and_no_targets():
    batches = sjd.Batches([np.ones((2, 3)), np.ones((0, 3))], batch_size=2, epochs=1)
    (batch,) = batches
    assert batch.inputs.shape == (2, 2, 3)
    assert batch.inputs.dtype == np.float64
    assert (batch.targets, batch.target_lengths, batch.resets) == (None, None, None)
    (empty,) = sjd.Batches([[], []], batch_size=2, epochs=1)
    assert empty.inputs.shape == (1, 2)
    assert empty.lengths.tolist() == [0, 0]
    assert empty.weights.tolist() == [1, 1]


def test_label_vectors_and_batches_leave_the_data_alone():
    labels = np.arange(6.0).reshape(3, 2)
    kept = labels.copy()
    batches = sjd.Batches([[1], [1], [1]], labels, batch_size=2, epochs=1, shuffle=False)
    first, second = batches
    assert second.targets.tolist() == [[4, 5], [0, 0]]
    first.targets[:] = 99
    first.inputs[:] = 99
    assert np.array_equal(labels, kept)
    assert next(batches.epoch_batches()).inputs.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"inputs": []}, ValueError, "inputs is empty"),
        ({"inputs": ["ab", "c"]}, TypeError, r"inputs\[0\] has dtype <U2, expected numbers"),
        ({"inputs": [1, 2]}, ValueError, r"inputs\[0\] is 1, expected a sequence"),
        ({"targets": [1]}, ValueError, "targets has 1 entries, but inputs has 2"),
        ({"targets": ["a", "b"]}, TypeError, "targets has dtype"),
        (
            {"targets": [[1], [2]], "targets_are": "steps"},
            ValueError,
            r"targets\[0\] has 1 steps, but inputs\[0\]",
        ),
        (
            {"targets_are": "step"},
            ValueError,
            "targets_are is 'step', expected one of labels, steps, sequences",
        ),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0"),
        ({"batch_size": True}, TypeError, "batch_size is True"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"epochs": -1}, ValueError, "epochs is -1"),
        ({"max_buckets": 0}, ValueError, "max_buckets is 0"),
        ({"padding": 0.5}, ValueError, "padding is 0.5"),
        ({"target_padding": 0.5}, ValueError, "target_padding is 0.5"),
    ],
)
def test_arguments_out_of_range(options, error, match):
    arguments = {"inputs": [[1, 2], [3]], "targets": [0, 1], "batch_size": 2, **options}
    with pytest.raises(error, match=match):
        sjd.Batches(**arguments)


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"epoch": -1}, ValueError, r"state\['epoch'\] is -1"),
        ({"epoch": "0"}, TypeError, r"state\['epoch'\]"),
        ({"position": 2}, ValueError, r"state\['position'\] is 2, but an epoch has 2 batches"),
        ({"position": 0.5}, TypeError, r"state\['position'\]"),
        ({"seed": 1}, ValueError, r"state\['seed'\] is 1, but seed is 0"),
        ({"fingerprint": "x"}, ValueError, "the data or the options differ"),
        ({"fingerprint": None}, ValueError, "the data or the options differ"),
        ({"more": 1}, ValueError, "expected a dictionary of epoch, position, seed, fingerprint"),
    ],
)
def test_states_that_do_not_fit(change, error, match):
    batches = make([1, 2, 3], batch_size=2)
    next(batches)
    before = batches.state()
    with pytest.raises(error, match=match):
        batches.restore({**before, **change})
    assert batches.state() == before
    with pytest.raises(ValueError, match="state is"):
        batches.restore([1, 2])


def test_the_fingerprint_is_of_data_and_options():
    def fingerprint(inputs=((1, 2), (3,)), targets=(0, 1), **options):
        return sjd.Batches(inputs, targets, **{"batch_size": 2, **options}).state()["fingerprint"]

    changed = [
        fingerprint(),
        fingerprint(inputs=((1, 2), (4,))),
        fingerprint(inputs=((1,), (2, 3))),
        fingerprint(inputs=((1.0, 2.0), (3.0,))),
        fingerprint(targets=(1, 1)),
        fingerprint(targets=None),
        fingerprint(batch_size=1),
        fingerprint(shuffle=False),
        fingerprint(max_buckets=1),
        fingerprint(padding=9),
        fingerprint(target_padding=9),
    ]
    assert len(set(changed)) == len(changed)
    assert fingerprint() == fingerprint(epochs=3)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 40))
def test_chunks_follow_each_other(batch_size, num_steps, extra):
    stream = np.arange(batch_size * num_steps + 1 + extra)
    parts = list(sjd.chunks(stream, batch_size, num_steps))
    assert all(part.inputs.shape == part.targets.shape == (num_steps, batch_size) for part in parts)
    inputs, targets = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("inputs", "targets")
    )
    assert np.array_equal(targets, inputs + 1)
    # Read row after row, what is used is the stream from its start, and what is not is less than a chunk.
    assert np.array_equal(inputs.T.ravel(), stream[: inputs.size])
    assert len(stream) - 1 - inputs.size < batch_size * num_steps


def test_chunks_of_features_and_dtypes():
    (chunk,) = sjd.chunks(np.zeros((5, 3), np.float16), batch_size=2, num_steps=2)
    assert chunk.inputs.shape == (2, 2, 3)
    assert chunk.inputs.dtype == np.float16
    assert next(sjd.chunks([1, 2, 3], 1, 2)).inputs.dtype == np.int32
    assert (chunk.lengths, chunk.weights) == (None, None)


@pytest.mark.parametrize(
    ("tokens", "batch_size", "num_steps", "error", "match"),
    [
        (range(4), 2, 2, ValueError, r"tokens has 4 steps, expected at least .* = 5"),
        ([], 1, 1, ValueError, "tokens has 0 steps"),
        (range(9), 0, 2, ValueError, "batch_size is 0"),
        (range(9), 2, 0, ValueError, "num_steps is 0"),
        (range(9), 2, 1.0, TypeError, "num_steps is 1.0"),
        ("abc", 1, 1, TypeError, "tokens has dtype <U3, expected numbers"),
        (7, 1, 1, ValueError, "tokens has no time axis"),
    ],
)
def test_chunks_of_anything_else(tokens, batch_size, num_steps, error, match):
    # At the call, not when the first chunk is asked for.
    with pytest.raises(error, match=match):
        sjd.chunks(tokens, batch_size, num_steps)
