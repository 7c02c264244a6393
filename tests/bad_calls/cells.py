"""Cells, transformations, backends and unroll."""

import functools

import jax
import numpy as np

import seqjax as sj
from seqjax import backends, layers
from seqjax.cell import restructured
from seqjax.cells import LSTMCarry
from tests.bad_calls.values import (
    AFFINE,
    GRU,
    LSTM,
    MLSTM,
    NONE,
    PARAMS,
    TYPE,
    VALUE,
    B,
    D,
    H,
    T,
    params_of,
    table,
    zeros,
)

# fmt: off
CELLS = table(
    ("lstm coupled without forget gate", lambda: sj.lstm(2, coupled=True, forget_gate=False),
     VALUE, "coupled | True | forget_gate=False leaves no gate to couple"),
    ("lstm forget_bias word", lambda: sj.lstm(2, forget_bias="one"), TYPE, "forget_bias | 'one' | a number"),
    ("lstm forget_bias none", lambda: sj.lstm(2, forget_bias=None), TYPE, "forget_bias | None | a number"),
    ("slstm heads that do not divide", lambda: sj.slstm(4, num_heads=3),
     VALUE, "hidden_size | 4 | a multiple of num_heads=3"),
    ("slstm forget_bias word", lambda: sj.slstm(2, forget_bias="one"),
     TYPE, "forget_bias | 'one' | a number"),
    *(
        (f"{cell.__name__} heads that do not divide", lambda cell=cell: cell(6),
         VALUE, "hidden_size | 6 | a multiple of num_heads=4")
        for cell in (sj.mlstm, sj.mamba2, sj.gated_delta_net)
    ),
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
    ("step_of nothing", lambda: sj.step_of(None), TYPE, "structure | None | a Gated, an Affine or"),
    ("restructured without structure", lambda: restructured(GRU, None),
     TYPE, "structure | None | a Gated, an Affine or"),
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
    ("zoneout matrices", lambda: sj.zoneout(MLSTM),
     VALUE, "cell | structure LinearAttention | Gated or Affine"),
    ("chunkwise affine", lambda: backends.chunkwise(AFFINE, None, None, zeros(T, B, D)),
     VALUE, "cell | structure Affine | use method='auto'"),
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
