"""Classes told apart, in the order of what was asked."""

import jax
import numpy as np

import seqjax as sj
from seqjax.recipes.scores.classes import classify


def test_classes_come_in_the_order_of_the_sequences_and_do_not_depend_on_those_beside():
    task = sj.tasks.many_to_one(sj.elman(3), sj.heads.categorical(2))
    params = jax.jit(lambda key: task.init(key, 1))(jax.random.key(0))
    sequences = [np.full((t, 1), t / 7, np.float32) for t in (5, 2, 7, 1, 3)]
    for row in (1, 2):
        alone = classify(task, params, [sequences[row]])[0]
        np.testing.assert_allclose(classify(task, params, sequences, size=2)[row], alone, atol=1e-6)
