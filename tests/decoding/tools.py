"""A translator small enough to list all that it can write, and that list."""

import itertools

import jax
import numpy as np

import seqjax as sj
from seqjax import attention, heads, layers, tasks
from tests.layers.tools import draw

S, B, V, NUM_STEPS, START, END = 3, 3, 3, 3, 1, 2
LENGTHS = np.array([3, 1, 0])
INPUTS = np.random.default_rng(0).integers(0, V, (S, B))
TASK = tasks.many_to_many(
    layers.stack(sj.embed(V, 2), layers.bidirectional(sj.gru(2))),
    sj.gru(3),
    heads.categorical(V),
    embedding=sj.embed(V, 2),
    start=START,
    attention=attention.additive(2),
    input_feeding=True,
)
# Large enough that sequences differ in probability by more than rounding.
PARAMS = jax.tree.map(lambda leaf: 4 * leaf, draw(TASK, 1))

SEQUENCES = [
    tokens
    for n in range(1, NUM_STEPS + 1)
    for tokens in itertools.product(range(V), repeat=n)
    if END not in tokens[:-1] and (tokens[-1] == END or n == NUM_STEPS)
]
"""All sequences that end with the end token, or have as many tokens as may be."""
SIZES = np.array([len(tokens) for tokens in SEQUENCES])
TOKENS = np.array([(*tokens, *(END,) * (NUM_STEPS - len(tokens))) for tokens in SEQUENCES]).T


def log_probabilities(params=PARAMS):
    """`[sequences, B]` of each, by the prediction that reads the whole of it at once."""
    count = len(SEQUENCES)
    targets = np.tile(TOKENS, (1, B))
    logs = _scores(params, INPUTS.repeat(count, 1), targets, LENGTHS.repeat(count))
    logs = np.take_along_axis(np.asarray(logs), targets[..., None], -1)[..., 0]
    logs = np.where(np.arange(NUM_STEPS)[:, None] < np.tile(SIZES, B), logs, 0)
    return logs.sum(0).reshape(B, count).T


@jax.jit
def _scores(params, inputs, targets, lengths):
    return jax.nn.log_softmax(TASK.predict(params, inputs, targets, lengths=lengths)[1].logits)
