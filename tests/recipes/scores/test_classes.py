"""Classes told apart, in the order of what was asked."""

import jax
import numpy as np
import pytest

import seqjax as sj
from seqjax.recipes.scores.classes import classify, mistakes, shares_right


def test_classes_come_in_the_order_of_the_sequences_and_do_not_depend_on_those_beside():
    task = sj.tasks.many_to_one(sj.elman(3), sj.heads.categorical(2))
    params = jax.jit(lambda key: task.init(key, 1))(jax.random.key(0))
    sequences = [np.full((t, 1), t / 7, np.float32) for t in (5, 2, 7, 1, 3)]
    for row in (1, 2):
        alone = classify(task, params, [sequences[row]])[0]
        np.testing.assert_allclose(classify(task, params, sequences, size=2)[row], alone, atol=1e-6)


def test_an_ensemble_says_what_each_of_its_members_says():
    task = sj.tasks.many_to_one(sj.elman(3), sj.heads.categorical(2))
    params = jax.jit(jax.vmap(lambda key: task.init(key, 1)))(jax.random.split(jax.random.key(0), 2))
    sequences = [np.full((t, 1), t / 7, np.float32) for t in (5, 2, 7)]
    together = classify(task, params, sequences, size=2, ensemble=True)
    for member in range(2):
        alone = classify(task, jax.tree.map(lambda leaf, m=member: leaf[m], params), sequences, size=2)
        np.testing.assert_allclose(together[member], alone, atol=1e-6)


def test_shares_and_mistakes_count_what_is_wrong():
    shares = np.array([[[0.9, 0.1], [0.4, 0.6], [0.2, 0.8]], [[0.3, 0.7], [0.8, 0.2], [0.4, 0.6]]])
    labels = np.array([0, 1, 0])
    right = shares_right(labels, one_for_all=0, members=shares.argmax(axis=-1))
    assert right == {"one_for_all": pytest.approx(2 / 3), "members": pytest.approx(2 / 6)}
    assert mistakes(shares[0], labels) == [2]
    assert mistakes(shares[1], labels) == [1, 0, 2]
