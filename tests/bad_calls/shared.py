"""Arguments that many functions have: every wrong value given to every one of them."""

import seqjax as sj
from seqjax import backends, layers
from seqjax.cells import LSTMCarry
from tests.bad_calls.values import (
    FLAGS,
    GRU,
    KEY,
    KEYS,
    LSTM,
    MLSTM,
    NO_FUNCTIONS,
    NO_KEYS,
    PARAMS,
    RATES,
    SIZES,
    STARTS,
    VALUE,
    B,
    D,
    H,
    T,
    each,
    params_of,
    zeros,
)

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
    "slstm": ("hidden_size", sj.slstm),
    "mlstm": ("hidden_size", sj.mlstm),
    "mlstm keys": ("key_size", lambda size: sj.mlstm(4, key_size=size)),
    "mamba2": ("hidden_size", sj.mamba2),
    "mamba2 state": ("state_size", lambda size: sj.mamba2(4, state_size=size)),
    "gated_delta_net": ("hidden_size", sj.gated_delta_net),
    "gated_delta_net keys": ("key_size", lambda size: sj.gated_delta_net(4, key_size=size)),
    "chunkwise": (
        "chunk_size",
        lambda size: backends.chunkwise(MLSTM, None, None, zeros(T, B, D), chunk_size=size),
    ),
    "slstm heads": ("num_heads", lambda size: sj.slstm(2, num_heads=size)),
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
    "mlstm": ("initial_carry", lambda word: sj.mlstm(4, initial_carry=word)),
    "slstm": ("initial_carry", lambda word: sj.slstm(2, initial_carry=word)),
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
    "mlstm": ("exponential_forget", lambda flag: sj.mlstm(4, exponential_forget=flag)),
    "slstm": ("exponential_forget", lambda flag: sj.slstm(2, exponential_forget=flag)),
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


COMMON = [
    *each(SIZES, SIZED, "a positive integer"),
    *each(NO_FUNCTIONS, ACTIVATED, "such as jnp.tanh"),
    *each(STARTS, STARTED, "expected 'learned' or 'zeros'"),
    *each(FLAGS, FLAGGED, "True or False"),
    *each(RATES, RATED, "a number from 0 up to"),
    *each(NO_KEYS, KEYED, "jax.random.key"),
    *each({"several": (KEYS, VALUE, "shape (3,)")}, KEYED, "one key"),
]
