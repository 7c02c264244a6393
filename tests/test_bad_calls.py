"""Every mistake that a caller can make is named: the argument, what came, what was expected.

One table over the whole public API. A message is one or two sentences without anything of jax's inside, and
by the time it is raised nothing has been compiled.
"""

import functools
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import seqjax as sj
from seqjax import backends, data, layers, tasks, training
from seqjax.cell import restructured
from seqjax.cells import LSTMCarry
from seqjax.data import Batches
from seqjax.tasks import heads
from tests.layer_laws import compilations
from tests.registry import smoother, unstructured

T, B, D, H = 4, 2, 3, 2
VALUE, TYPE = ValueError, TypeError
CONVERSIONS = {"jit(stage)", "jit(convert_element_type)"}  # numpy arrays and lists becoming jax arrays
INSIDES = r"Traced<|Tracer|at 0x|ArrayImpl|ShapeDtypeStruct|PyTreeDef|Pjit|<function|<lambda>|<locals>"


class Bad(NamedTuple):
    """A bad call: what it does, the error it raises, and what the message names."""

    id: str
    call: Callable[[], Any]
    error: type[Exception]
    says: str  # the argument | what came | what was expected


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@functools.cache
def params_of(part, input_size=D):
    """Params of zeros, made without compiling anything."""
    shapes = jax.eval_shape(lambda: part.init(jax.random.key(0), input_size))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


KEY = jax.random.key(0)
OLD_KEY = jax.random.key_data(KEY)
KEYS = jax.random.split(KEY, 3)
GRU, LSTM = sj.gru(H), sj.lstm(H)
PARAMS = params_of(GRU)
NONE, AFFINE = unstructured(H), smoother(D)


def table(*rows):
    return [Bad(*row) for row in rows]


# Arguments that many functions have.

SIZES = {
    "zero": (0, VALUE, "0"),
    "negative": (-1, VALUE, "-1"),
    "float": (2.0, TYPE, "2.0 of type float"),
    "boolean": (True, TYPE, "True of type bool"),
    "string": ("4", TYPE, "'4' of type str"),
    "function": (jnp.tanh, TYPE, "a function"),
    "array": (jnp.asarray(zeros(2)), TYPE, "a jax array float32[2]"),
}
SIZED = {
    "elman": ("hidden_size", sj.elman),
    "elman context": ("context_size", lambda size: sj.elman(2, context_size=size)),
    "elman with context": ("hidden_size", lambda size: sj.elman(size, context_size=2)),
    "irnn": ("hidden_size", sj.irnn),
    "jordan": ("hidden_size", lambda size: sj.jordan(size, 2)),
    "jordan output": ("output_size", lambda size: sj.jordan(2, size)),
    "lstm": ("hidden_size", sj.lstm),
    "lstm projection": ("projection_size", lambda size: sj.lstm(2, projection_size=size)),
    "gru": ("hidden_size", sj.gru),
    "minimal_gated_unit": ("hidden_size", sj.minimal_gated_unit),
    "gated_cell": ("hidden_size", lambda size: sj.gated_cell(size, gates=("a",), gate=min)),
    "gated_cell feedback": (
        "feedback_size",
        lambda size: sj.gated_cell(2, gates=("a",), gate=min, feedback_size=size),
    ),
    "gated_cell output": (
        "output_size",
        lambda size: sj.gated_cell(2, gates=("a",), gate=min, output_size=size),
    ),
    "cell init": ("input_size", lambda size: GRU.init(KEY, size)),
    "fused": (
        "chunk_size",
        lambda size: backends.fused(GRU, PARAMS, zeros(B, H), zeros(T, B, D), chunk_size=size),
    ),
    "checkpointed": (
        "segment_length",
        lambda size: backends.checkpointed(GRU, PARAMS, zeros(B, H), zeros(T, B, D), segment_length=size),
    ),
    "dense": ("features", layers.dense),
    "dense init": ("input_size", lambda size: layers.dense(2).init(KEY, size)),
    "embed vocabulary": ("vocabulary_size", lambda size: layers.embed(size, 2)),
    "embed": ("features", lambda size: layers.embed(2, size)),
    "embed init": ("input_size", lambda size: layers.embed(2, 2).init(KEY, size)),
    "layer_norm init": ("input_size", lambda size: layers.layer_norm().init(KEY, size)),
    "dropout init": ("input_size", lambda size: layers.dropout(0.1).init(KEY, size)),
    "recurrent init": ("input_size", lambda size: layers.recurrent(GRU).init(KEY, size)),
    "stack init": ("input_size", lambda size: layers.stack(GRU, GRU).init(KEY, size)),
    "bidirectional init": ("input_size", lambda size: layers.bidirectional(GRU).init(KEY, size)),
}
ACTIVATED = {
    "elman": ("activation", lambda f: sj.elman(2, f)),
    "jordan": ("activation", lambda f: sj.jordan(2, 2, f)),
    "jordan output": ("output_activation", lambda f: sj.jordan(2, 2, output_activation=f)),
    "lstm": ("activation", lambda f: sj.lstm(2, activation=f)),
    "lstm output": ("output_activation", lambda f: sj.lstm(2, output_activation=f)),
    "lstm gate": ("gate_activation", lambda f: sj.lstm(2, gate_activation=f)),
    "gru": ("activation", lambda f: sj.gru(2, activation=f)),
    "gru gate": ("gate_activation", lambda f: sj.gru(2, gate_activation=f)),
    "minimal_gated_unit": ("activation", lambda f: sj.minimal_gated_unit(2, activation=f)),
    "minimal_gated_unit gate": ("gate_activation", lambda f: sj.minimal_gated_unit(2, gate_activation=f)),
    "dense": ("activation", lambda f: layers.dense(2, f)),
}
STARTED = {
    "elman": ("initial_carry", lambda word: sj.elman(2, initial_carry=word)),
    "elman context": ("initial_carry", lambda word: sj.elman(2, context_size=2, initial_carry=word)),
    "irnn": ("initial_carry", lambda word: sj.irnn(2, initial_carry=word)),
    "jordan": ("initial_carry", lambda word: sj.jordan(2, 2, initial_carry=word)),
    "lstm": ("initial_carry", lambda word: sj.lstm(2, initial_carry=word)),
    "gru": ("initial_carry", lambda word: sj.gru(2, initial_carry=word)),
    "minimal_gated_unit": ("initial_carry", lambda word: sj.minimal_gated_unit(2, initial_carry=word)),
    "gated_cell": (
        "initial_carry",
        lambda word: sj.gated_cell(2, gates=("a",), gate=min, initial_carry=word),
    ),
}
FLAGGED = {
    "lstm": ("forget_gate", lambda flag: sj.lstm(2, forget_gate=flag)),
    "lstm coupled": ("coupled", lambda flag: sj.lstm(2, coupled=flag)),
    "lstm peepholes": ("peepholes", lambda flag: sj.lstm(2, peepholes=flag)),
    "lstm layer_norm": ("layer_norm", lambda flag: sj.lstm(2, layer_norm=flag)),
    "gru": ("reset_after", lambda flag: sj.gru(2, reset_after=flag)),
    "unroll": ("reverse", lambda flag: sj.unroll(GRU, PARAMS, zeros(T, B, D), reverse=flag)),
    "recurrent": ("reverse", lambda flag: layers.recurrent(GRU, reverse=flag)),
    "dense": ("use_bias", lambda flag: layers.dense(2, use_bias=flag)),
    "dropout": ("shared_over_time", lambda flag: layers.dropout(0.1, shared_over_time=flag)),
}
RATED = {
    "dropout": ("rate", layers.dropout),
    "zoneout": ("zoneout", lambda rate: layers.recurrent(GRU, zoneout=rate)),
    "zoneout leaf": (
        "zoneout.hidden",
        lambda rate: layers.recurrent(LSTM, zoneout=LSTMCarry(cell=0.1, hidden=rate)),
    ),
    "recurrent_dropout": ("recurrent_dropout", lambda rate: layers.recurrent(GRU, recurrent_dropout=rate)),
}
KEYED = {
    "cell init": ("key", lambda key: GRU.init(key, D)),
    "dense init": ("key", lambda key: layers.dense(2).init(key, D)),
    "embed init": ("key", lambda key: layers.embed(2, 2).init(key, 1)),
    "layer_norm init": ("key", lambda key: layers.layer_norm().init(key, D)),
    "dropout init": ("key", lambda key: layers.dropout(0.1).init(key, D)),
    "recurrent init": ("key", lambda key: layers.recurrent(GRU).init(key, D)),
    "stack init": ("key", lambda key: layers.stack(GRU).init(key, D)),
    "residual init": ("key", lambda key: layers.residual(sj.gru(D)).init(key, D)),
    "bidirectional init": ("key", lambda key: layers.bidirectional(GRU).init(key, D)),
    "dropout unroll": ("key", lambda key: layers.dropout(0.1).unroll((), zeros(T, B, D), key=key)),
    "recurrent unroll": (
        "key",
        lambda key: layers.recurrent(GRU, zoneout=0.1).unroll(PARAMS, zeros(T, B, D), key=key),
    ),
    "stack unroll": ("key", lambda key: layers.stack(GRU).unroll((PARAMS,), zeros(T, B, D), key=key)),
    "bidirectional unroll": (
        "key",
        lambda key: layers.bidirectional(GRU).unroll(
            params_of(layers.bidirectional(GRU)), zeros(T, B, D), key=key
        ),
    ),
}


def each(values, functions, expected):
    """Every value given to every function: one row for each."""
    return [
        Bad(f"{what} {name} {kind}", functools.partial(call, value), error, f"{name} | {came} | {expected}")
        for what, (name, call) in functions.items()
        for kind, (value, error, came) in values.items()
    ]


NO_FUNCTIONS = {"word": ("tanh", TYPE, "'tanh'"), "number": (3, TYPE, "3")}
STARTS = {
    "word": ("random", VALUE, "'random'"),
    "boolean": (True, VALUE, "True"),
    "array": (zeros(H), VALUE, "a numpy array float32[2]"),
}
FLAGS = {"word": ("yes", TYPE, "'yes'"), "number": (1, TYPE, "1"), "none": (None, TYPE, "None")}
RATES = {
    "one": (1, VALUE, "1"),
    "negative": (-0.1, VALUE, "-0.1"),
    "nan": (float("nan"), VALUE, "nan"),
    "word": ("half", TYPE, "'half' of type str"),
    "boolean": (True, TYPE, "True of type bool"),
}
NO_KEYS = {
    "integer": (0, TYPE, "a int"),
    "numpy": (zeros(2, dtype=np.uint32), TYPE, "a numpy array uint32[2]"),
    "old": (OLD_KEY, TYPE, "a jax array uint32[2]"),
}
COMMON = [
    *each(SIZES, SIZED, "a positive integer"),
    *each(NO_FUNCTIONS, ACTIVATED, "such as jnp.tanh"),
    *each(STARTS, STARTED, "expected 'learned' or 'zeros'"),
    *each(FLAGS, FLAGGED, "True or False"),
    *each(RATES, RATED, "a number from 0 up to"),
    *each(NO_KEYS, KEYED, "jax.random.key"),
    *each({"several": (KEYS, VALUE, "shape (3,)")}, KEYED, "one key"),
]


# Cells, transforms and backends.

# fmt: off
CELLS = table(
    ("lstm coupled without forget gate", lambda: sj.lstm(2, coupled=True, forget_gate=False),
     VALUE, "coupled | True | forget_gate=False leaves no gate to couple"),
    ("lstm forget_bias word", lambda: sj.lstm(2, forget_bias="one"), TYPE, "forget_bias | 'one' | a number"),
    ("lstm forget_bias none", lambda: sj.lstm(2, forget_bias=None), TYPE, "forget_bias | None | a number"),
    ("gated_cell without gates", lambda: sj.gated_cell(2, gates=(), gate=min),
     VALUE, "gates | empty | at least one gate"),
    ("gated_cell gates one string", lambda: sj.gated_cell(2, gates="update", gate=min),
     TYPE, "gates | 'update' | a tuple of names"),
    ("gated_cell gates a number", lambda: sj.gated_cell(2, gates=2, gate=min),
     TYPE, "gates | 2 | a tuple of names"),
    ("gated_cell gate a word", lambda: sj.gated_cell(2, gates=("a",), gate="sigmoid"),
     TYPE, "gate | 'sigmoid' | a function"),
    *(
        (f"gated_cell {name} no function",
         lambda name=name: sj.gated_cell(2, gates=("a",), **{"gate": min, name: 3}),
         TYPE, f"{name} | 3 | a function")
        for name in ("gate", "zeros", "hidden", "gate_params", "project", "recurrent", "readout", "complete")
    ),
    ("initial_carry batch_shape a number", lambda: GRU.initial_carry(PARAMS, 5),
     TYPE, "batch_shape | 5 | a tuple"),
    ("stack initial_carry batch_shape a number", lambda: layers.stack(GRU).initial_carry((PARAMS,), 5),
     TYPE, "batch_shape | 5 | a tuple"),
    ("step wrong features", lambda: GRU.step(PARAMS, zeros(B, H), zeros(B, 5)),
     VALUE, "xs | feature size 5 | initialised with input_size 3"),
    ("step integer features", lambda: GRU.step(PARAMS, zeros(B, H), zeros(B, D, dtype=int)),
     TYPE, "xs | dtype int | floating features"),
    ("step scalar", lambda: GRU.step(PARAMS, zeros(H), zeros()),
     VALUE, "xs | a scalar | initialised with input_size 3"),
    ("step list", lambda: GRU.step(PARAMS, zeros(H), [1.0, 2.0, 3.0]), TYPE, "xs | a list | an array"),
    ("step carry of another size", lambda: jax.eval_shape(GRU.step, PARAMS, zeros(B, 7), zeros(B, D)),
     VALUE, "carry | feature size 7 | initialised with hidden_size 2"),
    ("step_of nothing", lambda: sj.step_of(None), TYPE, "structure | None | a Gated or an Affine"),
    ("restructured without structure", lambda: restructured(GRU, None),
     TYPE, "structure | None | a Gated or an Affine"),
    *(
        (f"{transform.__name__} of a factory", lambda transform=transform: transform(sj.lstm),
         TYPE, "cell | a function | Call the factory: lstm(...), not lstm")
        for transform in (sj.masked, sj.resettable, sj.zoneout, sj.recurrent_dropout)
    ),
    *(
        (f"{transform.__name__} of a layer", lambda transform=transform: transform(layers.dense(2)),
         TYPE, "cell | a Layer | expected a Cell")
        for transform in (sj.masked, sj.resettable, sj.zoneout, sj.recurrent_dropout)
    ),
    ("zoneout unstructured", lambda: sj.zoneout(NONE), VALUE, "cell | no structure | Gated or Affine"),
    ("recurrent_dropout unstructured", lambda: sj.recurrent_dropout(NONE),
     VALUE, "cell | no gated structure | the recurrent product"),
    ("recurrent_dropout affine", lambda: sj.recurrent_dropout(AFFINE),
     VALUE, "cell | no gated structure | the recurrent product"),
    ("fused unstructured", lambda: backends.fused(NONE, params_of(NONE), zeros(B, H), zeros(T, B, D)),
     VALUE, "cell | no structure | use method='scan'"),
    ("fused affine", lambda: backends.fused(AFFINE, params_of(AFFINE), zeros(B, D), zeros(T, B, D)),
     VALUE, "cell | structure Affine | use method='scan'"),
)
# fmt: on


# Unroll.

# fmt: off
UNROLLS = [
    ("cell factory", {"cell": sj.lstm}, TYPE, "cell | a function | lstm(...), not lstm"),
    ("cell class", {"cell": sj.Cell}, TYPE, "cell | the class Cell | expected a Cell such as"),
    ("cell layer", {"cell": layers.dense(2)}, TYPE, "cell | a Layer | layer.unroll(params, xs)"),
    ("cell none", {"cell": None}, TYPE, "cell | a NoneType | expected a Cell such as"),
    ("cell word", {"cell": "lstm"}, TYPE, "cell | a str | expected a Cell such as"),
    ("cell tuple", {"cell": (GRU, GRU)}, TYPE, "cell | a tuple | expected a Cell such as"),
    ("method misspelled", {"method": "fuse"}, VALUE, "method | 'fuse' | 'auto', 'scan', 'fused'"),
    ("method none", {"method": None}, VALUE, "method | None | or a backend function"),
    ("method list", {"method": ["scan"]}, VALUE, "method | ['scan'] | or a backend function"),
    ("method fused unstructured", {"cell": NONE, "params": params_of(NONE), "method": "fused"},
     VALUE, "cell | no structure | use method='scan'"),
    ("method fused affine", {"cell": AFFINE, "params": params_of(AFFINE), "method": "fused"},
     VALUE, "cell | structure Affine | use method='scan'"),
    ("method option", {"method": functools.partial(backends.fused, chunk_size=0)},
     VALUE, "chunk_size | 0 | a positive integer"),
    ("xs none", {"xs": None}, VALUE, "xs | None | expected [T, *B, D]"),
    ("xs word", {"xs": "text"}, TYPE, "xs | 'text' | an array"),
    ("xs scalar", {"xs": zeros()}, VALUE, "xs | shape () | expected [T, *B, D]"),
    ("xs without features", {"xs": zeros(T)}, VALUE, "xs | shape (4,) | xs[..., None]"),
    ("xs nested lists", {"xs": [[1.0, 2.0]]}, TYPE, "xs | a list | jnp.asarray(xs)"),
    ("xs integer", {"xs": zeros(T, B, D, dtype=np.int32)}, TYPE, "xs | int32 | embed tokens first"),
    ("xs boolean", {"xs": zeros(T, B, D, dtype=bool)}, TYPE, "xs | bool | floating features"),
    ("xs complex", {"xs": zeros(T, B, D, dtype=np.complex64)}, TYPE, "xs | complex64 | floating features"),
    ("xs feature size", {"xs": zeros(T, B, 7)}, VALUE, "xs | feature size 7 | input_size 3"),
    ("xs no features", {"xs": zeros(T, B, 0)}, VALUE, "xs | feature size 0 | at least one"),
    ("xs sequences of different lengths", {"xs": (zeros(T, D), zeros(T + 1, D))},
     VALUE, "xs[1] | shape (5, 3) | begin with (4,)"),
    ("xs sequences", {"xs": [zeros(T, D), zeros(T, D)]}, TYPE, "xs | a list | data.pad(xs)"),
    ("xs tuple", {"xs": (zeros(T, D), zeros(T, D))}, TYPE, "xs | a tuple | an array"),
    ("lengths float", {"lengths": zeros(B)}, TYPE, "lengths | float32 | integers"),
    ("lengths boolean", {"lengths": zeros(B, dtype=bool)}, TYPE, "lengths | bool | integers"),
    ("lengths words", {"lengths": ["one", "two"]}, TYPE, "lengths | ['one', 'two'] | an array"),
    ("lengths ragged", {"lengths": [[1], [2, 3]]}, TYPE, "lengths | [[1], [2, 3]] | an array"),
    ("lengths scalar", {"lengths": 3}, VALUE, "lengths | shape () | (2,), the batch axes"),
    ("lengths list", {"lengths": [1, 2, 3]}, VALUE, "lengths | shape (3,) | (2,), the batch axes"),
    ("lengths a mask", {"lengths": zeros(T, B, dtype=int)},
     VALUE, "lengths | shape (4, 2) | one length a row"),
    ("lengths over the steps", {"lengths": np.array([1, 9])}, VALUE, "lengths | value 9 at (1,) | 0 to 4"),
    ("lengths negative", {"lengths": np.array([-1, 2])}, VALUE, "lengths | value -1 at (0,) | 0 to 4"),
    ("lengths list negative", {"lengths": [2, -3]}, VALUE, "lengths | value -3 at (1,) | 0 to 4"),
    ("resets integer", {"resets": zeros(T, B, dtype=np.int32)}, TYPE, "resets | int32 | booleans"),
    ("resets float", {"resets": zeros(T, B)}, TYPE, "resets | float32 | resets.astype(bool)"),
    ("resets words", {"resets": "never"}, TYPE, "resets | 'never' | an array"),
    ("resets one a row", {"resets": zeros(B, dtype=bool)}, VALUE, "resets | shape (2,) | (4, 2), the time"),
    ("resets batch first", {"resets": zeros(B, T, dtype=bool)},
     VALUE, "resets | shape (2, 4) | (4, 2), the time"),
    ("carry of another cell", {"carry": LSTMCarry(zeros(B, H), zeros(B, H))},
     VALUE, "carry | LSTMCarry(cell: [2, 2], hidden: [2, 2]) | cell.initial_carry"),
    ("carry of an lstm as a tuple",
     {"cell": LSTM, "params": params_of(LSTM), "carry": (zeros(B, H), zeros(B, H))},
     VALUE, "carry | tuple of 2 | LSTMCarry(cell: [2, 2], hidden: [2, 2])"),
    ("carry wrong batch", {"carry": zeros(5, H)}, VALUE, "carry | shape (5, 2) | (2, 2)"),
    ("carry without batch", {"carry": zeros(H)}, VALUE, "carry | shape (2,) | (2, 2)"),
    ("carry wrong size", {"carry": zeros(B, 7)}, VALUE, "carry | shape (2, 7) | (2, 2)"),
    ("carry integer", {"carry": zeros(B, H, dtype=np.int32)}, TYPE, "carry | int32 | a floating array"),
    ("carry complex", {"carry": zeros(B, H, dtype=np.complex64)},
     TYPE, "carry | complex64 | a floating array"),
    ("carry word", {"carry": "zeros"}, TYPE, "carry | 'zeros' | an array"),
    ("carry part integer",
     {"cell": LSTM, "params": params_of(LSTM), "carry": LSTMCarry(zeros(B, H), zeros(B, H, dtype=np.int32))},
     TYPE, "carry.hidden | int32 | a floating array"),
    ("params none", {"params": None}, VALUE, "params | None | made by this cell's init: GRUParams"),
    ("params tuple", {"params": (PARAMS,)}, VALUE, "params | tuple of 1 | GRUParams"),
    ("params dictionary", {"params": {"kernel": zeros(2)}}, VALUE, "params | dict(kernel: [2]) | GRUParams"),
    ("params of another cell", {"params": params_of(LSTM)}, VALUE, "params | LSTMParams( | GRUParams("),
    ("params of a variant", {"params": params_of(sj.gru(H, reset_after=False))},
     VALUE, "params | candidate_bias: None | candidate_bias: [2]"),
    ("params array", {"params": zeros(T, B, D)}, VALUE, "params | float32[4, 2, 3] | GRUParams("),
    ("params wrong hidden size", {"params": params_of(sj.gru(5))},
     VALUE, "params.input_kernel | shape (3, 3, 5) | (3, 3, 2)"),
    ("params integer", {"params": PARAMS.replace(bias=zeros(3, H, dtype=np.int32))},
     TYPE, "params.bias | int32 | floating"),
    ("params complex", {"params": PARAMS.replace(bias=zeros(3, H, dtype=np.complex64))},
     TYPE, "params.bias | complex64 | floating"),
    ("params word", {"params": PARAMS.replace(bias="zeros")}, TYPE, "params.bias | 'zeros' | an array"),
    ("params missing", {"params": PARAMS.replace(bias=None)}, VALUE, "params | bias: None | bias: [3, 2]"),
]
# fmt: on
UNROLLS = {f"unroll {name}": (changes, *row) for name, changes, *row in UNROLLS}


def unroll_with(changes):
    return sj.unroll(**{"cell": GRU, "params": PARAMS, "xs": zeros(T, B, D)} | changes)


# Layers.

BOTH, EMBED, STACK = layers.bidirectional(GRU), layers.embed(5, 2), layers.stack(GRU, GRU)


def unrolled(layer, xs=None, params=None, **options):
    """A call of a layer's `unroll` whose arguments are good unless given."""
    xs = zeros(T, B, D) if xs is None else xs
    params = params_of(layer, 1 if layer is EMBED else D) if params is None else params
    return lambda: layer.unroll(params, xs, **options)


def stepped(layer, carry, x, params=None):
    params = params_of(layer, 1 if layer is EMBED else D) if params is None else params
    return lambda: layers.streaming_step(layer)(params, carry, x)


# fmt: off
LAYERS = table(
    ("stack empty", lambda: layers.stack(), VALUE, "layers | empty | at least one layer"),
    ("stack list", lambda: layers.stack([GRU]), TYPE, "layers[0] | a list | stack(first, second"),
    ("stack factory", lambda: layers.stack(GRU, sj.lstm),
     TYPE, "layers[1] | a function | lstm(...), not lstm"),
    ("stack number", lambda: layers.stack(3), TYPE, "layers[0] | a int | a Layer or a Cell"),
    ("stack params number", unrolled(STACK, params=(PARAMS,)), VALUE, "params | a tuple of 1 | a tuple of 2"),
    ("stack params list", unrolled(STACK, params=[1, 2]), VALUE, "params | a list of 2 | a tuple of 2"),
    ("stack params array", unrolled(STACK, params=KEYS), VALUE, "params | a jax array | a tuple of 2"),
    ("stack carry number", unrolled(STACK, carry=(zeros(B, H),)),
     VALUE, "carry | a tuple of 1 | a tuple of 2"),
    ("stack step carry number", stepped(STACK, (zeros(B, H),) * 3, zeros(B, D)),
     VALUE, "carry | a tuple of 3 | a tuple of 2"),
    ("stack features of the second", unrolled(STACK, params=(PARAMS, PARAMS)),
     VALUE, "xs | feature size 2 | input_size 3"),
    ("stack step of bidirectional", lambda: layers.streaming_step(layers.stack(GRU, BOTH)),
     VALUE, "layer | no step | whole sequences"),
    ("streaming_step of bidirectional", lambda: layers.streaming_step(BOTH),
     VALUE, "layer | no step | whole sequences"),
    ("streaming_step of reversed", lambda: layers.streaming_step(layers.recurrent(GRU, reverse=True)),
     VALUE, "layer | no step | whole sequences"),
    ("streaming_step number", lambda: layers.streaming_step(4), TYPE, "layer | a int | a Layer or a"),
    ("as_layer factory", lambda: layers.as_layer(sj.gru), TYPE, "layer | a function | gru(...)"),
    ("as_layer array", lambda: layers.as_layer(OLD_KEY),
     TYPE, "layer | a jax array uint32[2] | a Layer or a"),
    ("residual none", lambda: layers.residual(None), TYPE, "layer | a NoneType | a Layer or a Cell"),
    ("residual init sizes", lambda: layers.residual(GRU).init(KEY, D),
     VALUE, "layer | output size 2 | choose 3 features"),
    ("residual output_size", lambda: layers.residual(GRU).output_size(D),
     VALUE, "layer | output size 2 | choose 3 features"),
    ("residual unroll sizes", unrolled(layers.residual(GRU), params=PARAMS),
     VALUE, "xs | shape (4, 2, 3) | residual adds both"),
    ("bidirectional factory", lambda: layers.bidirectional(sj.gru), TYPE, "forward | a function | gru("),
    ("bidirectional backward", lambda: layers.bidirectional(GRU, 3),
     TYPE, "backward | a int | a Layer or a Cell"),
    ("bidirectional merge", lambda: layers.bidirectional(GRU, merge="mul"),
     VALUE, "merge | 'mul' | 'concat', 'sum' or 'average'"),
    ("bidirectional merge list", lambda: layers.bidirectional(GRU, merge=["sum"]),
     VALUE, "merge | ['sum'] | 'concat', 'sum' or 'average'"),
    ("bidirectional sizes", lambda: layers.bidirectional(GRU, sj.gru(5), merge="sum").init(KEY, D),
     VALUE, "merge | 2 and 5 | equal ones"),
    ("bidirectional output_size",
     lambda: layers.bidirectional(GRU, sj.gru(5), merge="average").output_size(D),
     VALUE, "merge | 2 and 5 | equal ones"),
    ("bidirectional params", unrolled(BOTH, params=(PARAMS, PARAMS)),
     VALUE, "params | a tuple | BidirectionalParams"),
    ("bidirectional carry", unrolled(BOTH, carry=zeros(B, H)),
     VALUE, "carry | a numpy array | BidirectionalCarry"),
    ("bidirectional lengths", unrolled(BOTH, lengths=[9, 1]), VALUE, "lengths | value 9 at (0,) | 0 to 4"),
    ("bidirectional resets", unrolled(BOTH, resets=zeros(T, B)), TYPE, "resets | float32 | booleans"),
    ("recurrent factory", lambda: layers.recurrent(sj.gru), TYPE, "cell | a function | gru(...), not"),
    ("recurrent layer", lambda: layers.recurrent(layers.dense(2)),
     TYPE, "cell | a Layer | runs over time already"),
    ("recurrent method", unrolled(layers.recurrent(GRU, method="fuse"), params=PARAMS),
     VALUE, "method | 'fuse' | 'auto'"),
    ("recurrent zoneout empty", lambda: layers.recurrent(GRU, zoneout=()), TYPE, "zoneout | () | a rate"),
    ("recurrent zoneout structure",
     unrolled(layers.recurrent(LSTM, zoneout=(0.1, 0.2)), params=params_of(LSTM)),
     VALUE, "zoneout | (0.1, 0.2) | LSTMCarry(cell=0.1, hidden=0.1)"),
    ("recurrent zoneout unstructured", lambda: layers.recurrent(NONE, zoneout=0.1),
     VALUE, "cell | no structure | Gated or Affine"),
    ("recurrent dropout unstructured", lambda: layers.recurrent(NONE, recurrent_dropout=0.1),
     VALUE, "cell | no gated structure | the recurrent product"),
    ("recurrent dropout affine", lambda: layers.recurrent(AFFINE, recurrent_dropout=0.1),
     VALUE, "cell | no gated structure | the recurrent product"),
    ("recurrent noisy params", unrolled(layers.recurrent(GRU, zoneout=0.1), params=(), key=KEY),
     VALUE, "params | tuple of 0 | GRUParams"),
    ("recurrent noisy xs", unrolled(layers.recurrent(GRU, zoneout=0.1), xs=zeros(T), key=KEY),
     VALUE, "xs | shape (4,) | [T, *B, D]"),
    ("dense features of xs", unrolled(layers.dense(2), xs=zeros(T, B, 5)),
     VALUE, "xs | feature size 5 | input_size 3"),
    ("dense integer xs", unrolled(layers.dense(2), xs=zeros(T, B, D, dtype=np.int32)),
     TYPE, "xs | int32 | embed tokens first"),
    ("dense xs rank", unrolled(layers.dense(2), xs=zeros(T)), VALUE, "xs | shape (4,) | [T, *B, D]"),
    ("dense sequences", unrolled(layers.dense(2), xs=[zeros(T, D), zeros(T, D)]),
     TYPE, "xs | a list | seqjax.data.pad(xs)"),
    ("residual sequences", unrolled(layers.residual(layers.dense(D)), xs=[zeros(T, D), zeros(T, D)]),
     TYPE, "xs | a list | seqjax.data.pad(xs)"),
    ("embed sequences", unrolled(EMBED, xs=[[1, 2], [3]]), TYPE, "xs | a list | seqjax.data.pad(xs)"),
    ("dense xs word", unrolled(layers.dense(2), xs="text"), TYPE, "xs | 'text' | an array"),
    ("dense params", unrolled(layers.dense(2), params=()), VALUE, "params | a tuple | DenseParams"),
    ("dense params array", unrolled(layers.dense(2), params=OLD_KEY),
     VALUE, "params | a jax array uint32[2] | DenseParams"),
    ("dense params of another", unrolled(layers.dense(2), params=params_of(layers.dense(5))),
     VALUE, "params.kernel | shape (3, 5) | 2 features"),
    ("dense carry", unrolled(layers.dense(2), carry=zeros(2)), VALUE, "carry | a numpy array | () or None"),
    ("dense carry array", unrolled(layers.dense(2), carry=OLD_KEY),
     VALUE, "carry | a jax array | () or None"),
    ("dense lengths", unrolled(layers.dense(2), lengths=[5, 1]), VALUE, "lengths | value 5 | 0 to 4"),
    ("dense lengths float", unrolled(layers.dense(2), lengths=zeros(B)), TYPE, "lengths | float32 | int"),
    ("dense resets", unrolled(layers.dense(2), resets=zeros(T, dtype=bool)),
     VALUE, "resets | shape (4,) | (4, 2)"),
    ("dense step", stepped(layers.dense(2), (), zeros(B, 5)), VALUE, "xs | feature size 5 | input_size 3"),
    ("layer_norm features", unrolled(layers.layer_norm(), xs=zeros(T, B, 5)),
     VALUE, "xs | feature size 5 | input_size 3"),
    ("dropout params", unrolled(layers.dropout(0.1), params=PARAMS), VALUE, "params | a GRUParams | ()"),
    ("embed input_size", lambda: EMBED.init(KEY, D), VALUE, "input_size | 3 | expected 1"),
    ("embed output_size", lambda: EMBED.output_size(D), VALUE, "input_size | 3 | expected 1"),
    ("embed after features", lambda: layers.stack(GRU, EMBED).init(KEY, D),
     VALUE, "input_size | 2 | expected 1"),
    ("embed float", unrolled(EMBED, xs=zeros(T, B)), TYPE, "xs | float32 | integer tokens"),
    ("embed scalar", unrolled(EMBED, xs=np.array(1)), VALUE, "xs | shape () | time first"),
    ("embed token too large", unrolled(EMBED, xs=np.array([[1, 5]])),
     VALUE, "xs | token 5 at (0, 1) | 0 to 4"),
    ("embed token negative", unrolled(EMBED, xs=np.array([[-1, 2]])),
     VALUE, "xs | token -1 at (0, 0) | 0 to 4"),
    ("embed step token", stepped(EMBED, (), np.array([7, 1])), VALUE, "xs | token 7 at (0,) | 0 to 4"),
    ("embed params of another", unrolled(EMBED, xs=np.array([[1]]), params=params_of(layers.embed(6, 2), 1)),
     VALUE, "params.table | shape (6, 2) | (5, 2)"),
    ("summary number", lambda: layers.summary(3, ()), TYPE, "layer | a int | a Layer or a Cell"),
    ("pointwise word", lambda: layers.pointwise("double", output_size=int),
     TYPE, "apply | 'double' | a function"),
)
# fmt: on


# Data.

WORDS = data.words(["a b", "c"])
EXAMPLES = [[1, 2, 3], [4]]
TEXTS = data.LabelledTexts(["a", "b"], np.array([0, 1]), ("no", "yes"), "", "")


def batches(inputs=EXAMPLES, targets=None, **options):
    return lambda: Batches(inputs, targets, **{"batch_size": 2} | options)


# fmt: off
DATA = table(
    ("words one text", lambda: data.words("a b"), TYPE, "texts | one string | put it in a list"),
    ("words numbers", lambda: data.words(["a", 3]), TYPE, "texts[1] | type int | expected str"),
    ("words min_count", lambda: data.words(["a"], min_count=0), VALUE, "min_count | 0 | at least 1"),
    ("words min_count float", lambda: data.words(["a"], min_count=1.5), TYPE, "min_count | 1.5 | integer"),
    ("words max_size", lambda: data.words(["a"], max_size=3), VALUE, "max_size | 3 | at least 4"),
    ("characters one text", lambda: data.characters("ab"), TYPE, "texts | one string | in a list"),
    ("byte_pairs size", lambda: data.byte_pairs(["ab"], 3), VALUE, "size | 3 | at least 260"),
    ("vocabulary kind", lambda: data.Vocabulary("bytes"), VALUE, "kind | 'bytes' | words, characters"),
    ("vocabulary symbols twice", lambda: data.Vocabulary("words", ("a", "a")),
     VALUE, "symbols | 'a' twice | each symbol once"),
    ("vocabulary encode number", lambda: WORDS.encode(3), TYPE, "text | type int | expected str"),
    ("vocabulary encode list", lambda: WORDS.encode(["a"]), TYPE, "text | type list | one text at a"),
    ("vocabulary decode large", lambda: WORDS.decode([99]), VALUE, "ids[0] | 99 | 0 to 6"),
    ("vocabulary decode float", lambda: WORDS.decode([1.5]), TYPE, "ids[0] | 1.5 | an integer"),
    ("vocabulary decode negative", lambda: WORDS.decode([-1]), VALUE, "ids[0] | -1 | at least 0"),
    ("vocabulary from_json", lambda: data.Vocabulary.from_json("[]"),
     VALUE, "text | type list | expected an object"),
    ("pad words", lambda: data.pad([["a"]]), TYPE, "sequences[0] | dtype <U1 | encode text"),
    ("pad scalars", lambda: data.pad([1, 2]), VALUE, "sequences[0] | 1 | a time axis"),
    ("pad too long", lambda: data.pad(EXAMPLES, 2), VALUE, "sequences[0] | 3 steps | at least 3"),
    ("pad length negative", lambda: data.pad(EXAMPLES, -1), VALUE, "length | -1 | at least 0"),
    ("pad length float", lambda: data.pad(EXAMPLES, 4.0), TYPE, "length | 4.0 | an integer"),
    ("pad value", lambda: data.pad(EXAMPLES, value=float("nan")), VALUE, "value | nan | one number"),
    ("pad features", lambda: data.pad([zeros(2, 3), zeros(2, 4)]), VALUE, "sequences[1] | (2, 4) | (2, 3)"),
    ("pad ragged", lambda: data.pad([[[1], [2, 3]]]), VALUE, "sequences[0] | ragged | the same features"),
    ("bucket_lengths empty", lambda: data.bucket_lengths([]), VALUE, "lengths | shape (0,) | at least one"),
    ("bucket_lengths negative", lambda: data.bucket_lengths([-1]), VALUE, "lengths | -1 | zero or more"),
    ("bucket_lengths float", lambda: data.bucket_lengths([1.0]), TYPE, "lengths | float64 | integers"),
    ("bucket_lengths none", lambda: data.bucket_lengths([1], 0), VALUE, "max_buckets | 0 | at least 1"),
    ("batches empty", batches([]), VALUE, "inputs | empty | at least one sequence"),
    ("batches words", batches([["a"]]), TYPE, "inputs[0] | dtype <U1 | encode text"),
    ("batches batch_size", batches(batch_size=0), VALUE, "batch_size | 0 | at least 1"),
    ("batches batch_size float", batches(batch_size=2.0), TYPE, "batch_size | 2.0 | an integer"),
    ("batches seed", batches(seed=-1), VALUE, "seed | -1 | at least 0"),
    ("batches epochs", batches(epochs=-1), VALUE, "epochs | -1 | at least 0"),
    ("batches max_buckets", batches(max_buckets=0), VALUE, "max_buckets | 0 | at least 1"),
    ("batches padding", batches(padding=0.5), VALUE, "padding | 0.5 | dtype int32"),
    ("batches target_padding", batches(targets=[0, 1], target_padding=0.5),
     VALUE, "target_padding | 0.5 | i"),
    ("batches targets", batches(targets=[1]), VALUE, "targets | 1 entries | one for each"),
    ("batches targets_are", batches(targets_are="label"), VALUE, "targets_are | 'label' | labels, steps"),
    ("batches steps", batches(targets=[[1], [2]], targets_are="steps"),
     VALUE, "targets[0] | 1 steps | targets_are='sequences'"),
    ("batches restore", lambda: batches()().restore({}), VALUE, "state | [] | as state() gives"),
    ("batches restore other data", lambda: batches()().restore(batches([[1], [2]])().state()),
     VALUE, "state['fingerprint'] | but this is | Give the same"),
    ("batches restore other seed", lambda: batches()().restore(batches(seed=3)().state()),
     VALUE, "state['seed'] | 3 | the same seed"),
    ("chunks batch_size", lambda: data.chunks(range(9), 0, 2), VALUE, "batch_size | 0 | at least 1"),
    ("chunks num_steps", lambda: data.chunks(range(9), 2, 0), VALUE, "num_steps | 0 | at least 1"),
    ("chunks num_steps float", lambda: data.chunks(range(9), 2, 2.0), TYPE, "num_steps | 2.0 | an integer"),
    ("chunks too short", lambda: data.chunks(range(4), 2, 2), VALUE, "tokens | 4 steps | fewer rows"),
    ("chunks scalar", lambda: data.chunks(3, 2, 2), VALUE, "tokens | no time axis | [N]"),
    ("chunks text", lambda: data.chunks("abc", 2, 2), TYPE, "tokens | dtype <U3 | encode text"),
    ("split fraction zero", lambda: data.split(TEXTS, 0), VALUE, "fraction | 0 | between 0 and 1"),
    ("split fraction large", lambda: data.split(TEXTS, 20), VALUE, "fraction | 20 | between 0 and 1"),
    ("split fraction nan", lambda: data.split(TEXTS, float("nan")), VALUE, "fraction | nan | between 0"),
    ("split seed", lambda: data.split(TEXTS, 0.5, -1), VALUE, "seed | -1 | at least 0"),
    ("split seed float", lambda: data.split(TEXTS, 0.5, 1.5), TYPE, "seed | 1.5 | an integer"),
    ("split_rows fraction", lambda: data.split_rows([1, 2], 1.0, 0), VALUE, "fraction | 1.0 | between 0"),
)
# fmt: on


# Heads, tasks and training.

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
    ("fit patience zero", fit(patience=0, validate=len), VALUE, "patience | 0 | a positive integer"),
    ("fit mode", fit(mode="lowest", validate=len), VALUE, "mode | 'lowest' | 'min' or 'max'"),
)
# fmt: on

STATIC = [
    *COMMON,
    *CELLS,
    *(Bad(name, functools.partial(unroll_with, changes), *row) for name, (changes, *row) in UNROLLS.items()),
    *DATA,
]
BAD_CALLS = [*STATIC, *LAYERS, *TASKS]


def check(call, error, says):
    """The call raises the error, whose message says all of it and nothing of jax's inside."""
    with pytest.raises((VALUE, TYPE)) as caught:
        call()
    message = str(caught.value)
    assert caught.type is error, message
    name, came, expected = says.split(" | ")
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message), message
    assert came in message
    assert expected in message
    assert not re.search(INSIDES, message), message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(re.split(r"(?<=[.]) +(?=[A-Z])", message)) <= 2, message


@pytest.mark.parametrize("bad", STATIC, ids=lambda bad: bad.id)
def test_message_before_anything_is_compiled(bad):
    with compilations() as compiled:
        check(bad.call, bad.error, bad.says)
    assert set(compiled) <= CONVERSIONS


@pytest.mark.parametrize("bad", [*LAYERS, *TASKS], ids=lambda bad: bad.id)
def test_message(bad):
    check(bad.call, bad.error, bad.says)


@pytest.mark.parametrize("name", UNROLLS)
def test_message_under_a_trace(name):
    """The same words where arrays have no values, but for lengths, which are known there too."""
    changes, error, says = UNROLLS[name]
    arguments = {"cell": GRU, "params": PARAMS, "xs": zeros(T, B, D)} | changes
    known = {"lengths": arguments.pop("lengths")} if "lengths" in arguments else {}
    leaves, structure = jax.tree.flatten(arguments)
    traced = {place: leaf for place, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)}

    def call(traced):
        given = [traced.get(place, leaf) for place, leaf in enumerate(leaves)]
        return sj.unroll(**jax.tree.unflatten(structure, given), **known)

    check(lambda: jax.eval_shape(call, traced), error, says)


def test_a_good_call_is_heard_compiling():
    with compilations() as compiled:
        unroll_with({"xs": zeros(T + 1, B, D)})
    assert "jit(_run)" in compiled


def test_complex_params_and_carries_are_no_mistake():
    """Where a cell has them: its carry may then be given as real numbers, which are complex ones too."""
    inner = smoother(D)
    cell = inner._replace(
        init=lambda key, size: jax.tree.map(lambda leaf: leaf.astype(np.complex64), inner.init(key, size)),
        structure=None,
    )
    params = params_of(cell)
    for dtype in (np.complex64, np.float32):
        result = jax.eval_shape(
            lambda carry: sj.unroll(cell, params, zeros(T, B, D), carry=carry), zeros(B, D, dtype=dtype)
        )
        assert {leaf.dtype for leaf in result} == {np.dtype(np.complex64)}
    check(
        lambda: sj.unroll(cell, params, zeros(T, B, D), carry=zeros(B, D, dtype=np.int32)),
        TYPE,
        "carry | int32 | a complex array",
    )


def test_ids_are_names():
    names = [bad.id for bad in BAD_CALLS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "<" in name or "0x" in name]
