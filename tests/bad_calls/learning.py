"""Heads, tasks and training."""

import jax.numpy as jnp
import numpy as np
import optax

import seqjax as sj
from seqjax import tasks, training
from seqjax.tasks import heads
from tests.bad_calls.values import (
    GRU,
    KEY,
    KEYS,
    NO_KEYS,
    RATES,
    SIZES,
    TYPE,
    VALUE,
    B,
    D,
    H,
    T,
    each,
    params_of,
    table,
    zeros,
)

TASK = tasks.synced(GRU, heads.categorical(2))
LABELLER = tasks.many_to_one(GRU, heads.categorical(2))
LOGITS = zeros(B, 3)
INPUTS, LABELS = zeros(T, B, D), zeros(T, B, dtype=np.int32)
SYNCED = params_of(TASK)
PARTS = params_of(LABELLER)
STATE = training.TrainingState(SYNCED, (), np.int32(0), KEY)


def loss(batch, task=TASK, **options):
    params = SYNCED if task is TASK else PARTS
    return lambda: task.loss(params, batch, **options)


def labelled(inputs=INPUTS, targets=LABELS, **fields):
    return sj.Batch(inputs, targets, **fields)


def fit(batches=(), **options):
    step = training.make_step(TASK.loss, optax.sgd(0.1))
    return lambda: training.fit(STATE, step, batches, **options)


TASK_SIZES = {
    "categorical": ("num_classes", heads.categorical),
    "bernoulli": ("features", heads.bernoulli),
    "gaussian": ("features", heads.gaussian),
    "head init": ("input_size", lambda size: heads.categorical(2).init(KEY, size)),
    "task init": ("input_size", lambda size: TASK.init(KEY, size)),
    "init_state": ("input_size", lambda size: training.init_state(KEY, TASK, optax.sgd(0.1), size)),
}
TASK_KEYS = {
    "head init": ("key", lambda key: heads.gaussian(2).init(key, D)),
    "task init": ("key", lambda key: TASK.init(key, D)),
    "many_to_one init": ("key", lambda key: LABELLER.init(key, D)),
    "init_state": ("key", lambda key: training.init_state(key, TASK, optax.sgd(0.1), D)),
}
SMOOTHINGS = {
    "categorical": ("label_smoothing", lambda rate: heads.categorical(2, label_smoothing=rate)),
    "bernoulli": ("label_smoothing", lambda rate: heads.bernoulli(2, label_smoothing=rate)),
}
# fmt: off
TASKS = table(
    *each(SIZES, TASK_SIZES, "a positive integer"),
    *each(RATES, SMOOTHINGS, "a number from 0 up to"),
    *each(NO_KEYS, TASK_KEYS, "jax.random.key"),
    *each({"several": (KEYS, VALUE, "shape (3,)")}, TASK_KEYS, "one key"),
    ("categorical class_weights", lambda: heads.categorical(2, class_weights=[1, 1, 1]),
     VALUE, "class_weights | shape (3,) | (2,)"),
    ("categorical class_weights negative", lambda: heads.categorical(2, class_weights=[1, -1]),
     VALUE, "class_weights | [1.0, -1.0] | not negative"),
    ("categorical targets float", lambda: heads.categorical(3).loss(LOGITS, zeros(B)),
     TYPE, "targets | float32 | integer labels"),
    ("categorical targets one-hot", lambda: heads.categorical(3).loss(LOGITS, zeros(B, 3, dtype=int)),
     VALUE, "targets | shape (2, 3) | (2,), one label"),
    ("categorical targets range", lambda: heads.categorical(3).loss(LOGITS, np.array([0, 3])),
     VALUE, "targets | value 3 at (1,) | 0 to 2"),
    ("categorical targets negative", lambda: heads.categorical(3).loss(LOGITS, np.array([0, -1])),
     VALUE, "targets | value -1 at (1,) | 0 to 2"),
    ("bernoulli class_weights", lambda: heads.bernoulli(3, class_weights=[1, 2, 3]),
     VALUE, "class_weights | shape (3,) | (2,) or (3, 2)"),
    ("bernoulli targets shape", lambda: heads.bernoulli(3).loss(LOGITS, zeros(B)),
     VALUE, "targets | shape (2,) | (2, 3)"),
    ("bernoulli targets range", lambda: heads.bernoulli(3).loss(LOGITS, LOGITS + 2),
     VALUE, "targets | value 2.0 | from 0 to 1"),
    ("gaussian scale word", lambda: heads.gaussian(2, scale="fixed"), VALUE, "scale | 'fixed' | 'learned'"),
    ("gaussian scale zero", lambda: heads.gaussian(2, scale=0), VALUE, "scale | 0 | positive number"),
    ("gaussian scale none", lambda: heads.gaussian(2, scale=None), TYPE, "scale | None | positive"),
    ("gaussian targets",
     lambda: heads.gaussian(3).loss(heads.GaussianPrediction(LOGITS, LOGITS + 1), LOGITS * np.nan),
     VALUE, "targets | value nan | finite"),
    ("synced network", lambda: tasks.synced(sj.gru, heads.gaussian(1)), TYPE, "network | a function | gru("),
    ("synced head", lambda: tasks.synced(GRU, heads.gaussian), TYPE, "head | a function | expected a Head"),
    ("synced head layer", lambda: tasks.synced(GRU, GRU), TYPE, "head | a Cell | expected a Head"),
    ("many_to_one pooling", lambda: tasks.many_to_one(GRU, heads.gaussian(1), pooling="sum"),
     VALUE, "pooling | 'sum' | 'last', 'ends'"),
    ("many_to_one pooling function", lambda: tasks.many_to_one(GRU, heads.gaussian(1), pooling=jnp.mean),
     TYPE, "pooling | a function | 'last', 'ends'"),
    ("loss tuple", loss((INPUTS, LABELS)), TYPE, "batch | a tuple | seqjax.Batch("),
    ("loss no targets", loss(labelled(targets=None)), VALUE, "batch.targets | None | Batch(inputs, targets)"),
    ("loss target_lengths", loss(labelled(target_lengths=LABELS[0])),
     VALUE, "batch.target_lengths | is given | leave target_lengths out"),
    ("loss targets shape", loss(labelled(targets=LABELS[0])), VALUE, "batch.targets | shape (2,) | (4, 2)"),
    ("loss targets one-hot", loss(labelled(targets=INPUTS)), TYPE, "targets | float32 | integer labels"),
    ("loss weights shape", loss(labelled(weights=zeros(5))), VALUE, "batch.weights | shape (5,) | (2,) or"),
    ("loss weights negative", loss(labelled(weights=zeros(B) - 1)),
     VALUE, "batch.weights | value -1.0 at (0,) | not negative"),
    ("loss lengths", loss(labelled(lengths=[9, 1])), VALUE, "lengths | value 9 | 0 to 4"),
    ("loss resets", loss(labelled(resets=LABELS)), TYPE, "resets | int32 | booleans"),
    ("loss inputs", loss(labelled(inputs=zeros(T, B, 7))), VALUE, "xs | feature size 7 | input_size 3"),
    ("loss carry", loss(labelled(), carry=zeros(5, H)), VALUE, "carry | shape (5, 2) | (2, 2)"),
    ("many_to_one targets", loss(labelled(), LABELLER), VALUE, "targets | shape (4, 2) | (2,)"),
    ("many_to_one weights", loss(labelled(targets=LABELS[0], weights=zeros(T, B)), LABELLER),
     VALUE, "batch.weights | shape (4, 2) | (2,)"),
    ("init_state task", lambda: training.init_state(KEY, GRU, optax.sgd(0.1), D),
     TYPE, "task | a Cell | expected a Task"),
    ("init_state optimizer", lambda: training.init_state(KEY, TASK, optax.adam, D),
     TYPE, "optimizer | a function | optax.adam(1e-3)"),
    ("make_step loss", lambda: training.make_step(TASK, optax.sgd(1)), TYPE, "loss | a Task | task.loss"),
    ("make_step optimizer", lambda: training.make_step(TASK.loss, 0.1),
     TYPE, "optimizer | a float | optax.adam(1e-3)"),
    ("make_evaluation loss", lambda: training.make_evaluation(TASK), TYPE, "loss | a Task | task.loss"),
    ("evaluation of nothing", lambda: training.make_evaluation(TASK.loss)(SYNCED, []),
     VALUE, "batches | empty | at least one"),
    ("fit batches number", fit(3), TYPE, "batches | a int | an iterable of seqjax.Batch"),
    ("fit one batch", fit(labelled()), TYPE, "batches | a Batch | pass [batch]"),
    ("fit iterator", fit(iter([]), epochs=2), VALUE, "batches | an iterator | pass a list"),
    ("fit steps", fit(steps=0), VALUE, "steps | 0 | a positive integer"),
    ("fit epochs", fit(epochs=1.5), TYPE, "epochs | 1.5 | a positive integer"),
    ("fit validate_every", fit(validate_every=0), VALUE, "validate_every | 0 | a positive integer"),
    ("fit log_every", fit(log_every=0), VALUE, "log_every | 0 | a positive integer"),
    ("fit patience", fit(patience=3), VALUE, "patience | validate is None | nothing to wait for"),
    ("make_step carry_over", lambda: training.make_step(len, optax.sgd(1.0), carry_over="yes"),
     TYPE, "carry_over | 'yes' | True or False"),
    ("fit state", lambda: training.fit(SYNCED, len, []),
     TYPE, "state | a TaskParams | as init_state makes it"),
    ("fit validate", fit(validate=3), TYPE, "validate | 3 | a function"),
    ("fit callback", fit(callback=3), TYPE, "callback | 3 | a function"),
    ("class_weights words", lambda: heads.categorical(2, class_weights=["a", "b"]),
     TYPE, "class_weights | ['a', 'b'] | one a class"),
    ("fit patience zero", fit(patience=0, validate=len), VALUE, "patience | 0 | a positive integer"),
    ("fit mode", fit(mode="lowest", validate=len), VALUE, "mode | 'lowest' | 'min' or 'max'"),
)
# fmt: on
