"""What can be had without a memory, by counting."""

import numpy as np
import pytest

from seqjax.recipes.material.memory_problems import PROBLEMS


@pytest.mark.parametrize("name", PROBLEMS)
def test_the_memoryless_loss_is_the_least_without_a_memory(name):
    """The best answer that knows only the last input, or the step and its input, found by counting."""
    problem, length = PROBLEMS[name], 10
    batch = problem.draw(20000, length, seed=0)
    if name == "adding":
        loss = np.var(batch.targets)
    elif name == "temporal_order":
        shares = np.bincount(batch.targets, minlength=4) / len(batch.targets)
        loss = -np.sum(shares * np.log(shares))
    else:
        inputs = np.asarray(batch.inputs, int).reshape(batch.targets.shape)
        losses = []
        for seen, target in zip(inputs, batch.targets, strict=True):
            for value in np.unique(seen):
                shares = np.bincount(target[seen == value]) / len(target)
                given = shares[shares > 0] / np.sum(seen == value) * len(target)
                losses.append(-np.sum(shares[shares > 0] * np.log(given)))
        loss = np.sum(losses) / len(inputs)
    assert problem.memoryless(length) == pytest.approx(loss, rel=0.02)
