"""What a chain of potentials means, the long way: every path is written down, and its weight."""

import itertools

import numpy as np


def all_paths(num_states, num_steps):
    """`[K^T, T]`; of two paths, the one that is lower where they last differ comes first."""
    paths = np.array(list(itertools.product(range(num_states), repeat=num_steps)), int)
    return paths.reshape(num_states**num_steps, num_steps)[:, ::-1]


def path_weights(initial, transition, scores):
    """The logarithms of all paths' weights, one sequence, `transition` one matrix or one a step."""
    num_steps, num_states = scores.shape
    paths = all_paths(num_states, num_steps)
    weights = initial[paths[:, 0]] + scores[0, paths[:, 0]]
    for t in range(1, num_steps):
        matrix = transition if transition.ndim == 2 else transition[t - 1]
        weights = weights + matrix[paths[:, t - 1], paths[:, t]] + scores[t, paths[:, t]]
    return paths, weights


def shares(weights):
    """The weights as parts of their sum, and its logarithm."""
    largest = weights.max()
    if np.isneginf(largest):
        return np.zeros_like(weights), largest
    parts = np.exp(weights - largest)
    return parts / parts.sum(), largest + np.log(parts.sum())


def enumerate_paths(initial, transition, scores):
    """All that inference says of one sequence of at least one step, in numpy: a dict of arrays."""
    num_steps, num_states = scores.shape
    one_hot = np.eye(num_states)
    filtered, predicted = [], [np.exp(initial)]
    for t in range(num_steps):
        paths, weights = path_weights(initial, transition, scores[: t + 1])
        share, total = shares(weights)
        filtered.append(share @ one_hot[paths[:, -1]])
        matrix = transition if transition.ndim == 2 else transition[t]
        predicted.append(filtered[-1] @ np.exp(matrix))
    states = one_hot[paths]
    return {
        "log_normalizer": total,
        "filtered": np.stack(filtered),
        "predicted": np.stack(predicted[:-1]),
        "smoothed": np.einsum("p,ptk->tk", share, states),
        "pairwise": np.einsum("p,pti,ptj->tij", share, states[:, :-1], states[:, 1:]),
        "carry": predicted[-1],
        "path": paths[np.argmax(weights)],
        "log_probability": weights.max(),
        "paths": paths,
        "shares": share,
    }
