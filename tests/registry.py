"""Everything the laws run over. A new cell or layer is one line here and inherits every law.

The laws of cells are in laws.py, those of layers in layer_laws.py.
"""

import jax
import jax.numpy as jnp

import seqjax as sj
from seqjax import layers, memoryless
from seqjax.cells import LSTMCarry

CELLS = {
    "elman_tanh": sj.elman(4),
    "elman_context": sj.elman(4, context_size=2),
    "elman_zeros": sj.elman(4, initial_carry="zeros"),
    "irnn": sj.irnn(4),
    "jordan": sj.jordan(4, 2),
    "lstm": sj.lstm(4),
    "lstm_peepholes": sj.lstm(4, peepholes=True),
    "lstm_everything": sj.lstm(
        4, peepholes=True, projection_size=2, layer_norm=True, output_activation=jax.nn.softplus
    ),
    "gru": sj.gru(4),
    "gru_reset_before": sj.gru(4, reset_after=False),
    "minimal_gated_unit": sj.minimal_gated_unit(4),
    "lru": sj.lru(4),
    "mamba2": sj.mamba2(4, num_heads=2, state_size=3),
}
RELATIVES = {
    "elman_sigmoid": sj.elman(4, jax.nn.sigmoid),
    "elman_relu": sj.elman(4, jax.nn.relu),
    "lstm_1997": sj.lstm(4, forget_gate=False),
    "lstm_coupled": sj.lstm(4, coupled=True),
    "lstm_projection": sj.lstm(4, projection_size=2),
    "lstm_norm": sj.lstm(4, layer_norm=True),
    "s5": sj.s5(4, state_size=2),
    "min_gru": sj.min_gru(4),
    "min_lstm": sj.min_lstm(4),
    "rg_lru": sj.rg_lru(4),
    "qrnn": sj.qrnn(4),
    "sru": sj.sru(4),
    "slstm": sj.slstm(4, num_heads=2),
    "mlstm": sj.mlstm(4, num_heads=2, key_size=3),
    "gated_delta_net": sj.gated_delta_net(4, num_heads=2, key_size=3),
}
"""Cells that differ from a cell above in what they give to their structure alone."""

INPUT_SIZE = 3

KINDS = ("gru", "lru", "mamba2", "unstructured")
"""One cell of each structure, for laws that take long: complex carries, matrices, nothing but a step."""


def update_gate_rnn(hidden_size):
    """The worked example of the documentation, which must obey the laws like any other cell."""

    def gate(_, x_part, h_part, h):
        update, candidate = jnp.moveaxis(x_part + h_part, -2, 0)
        update = jax.nn.sigmoid(update)
        return update * h + (1 - update) * jnp.tanh(candidate)

    return sj.gated_cell(hidden_size, gates=("update", "candidate"), gate=gate)


def smoother(input_size):
    """An affine cell, `carry' = decay * carry + (1 - decay) * x`, with a learned decay and start."""

    def init(key, size):
        return {"logit": jnp.zeros((size,)), "initial_carry": jax.random.normal(key, (size,))}

    def coefficients(params, x):
        decay = jax.nn.sigmoid(params["logit"]) * jnp.ones_like(x)
        return decay, (1 - decay) * x

    structure = sj.Affine(coefficients, lambda params, carry, x: carry)
    return sj.Cell(
        init=init,
        initial_carry=lambda params, batch_shape=(): jnp.broadcast_to(
            params["initial_carry"], (*batch_shape, input_size)
        ),
        step=sj.step_of(structure),
        output_size=input_size,
        structure=structure,
    )


def unstructured(hidden_size):
    """A cell of which nothing is known but its step."""
    cell = sj.elman(hidden_size)
    return cell._replace(structure=None)


RELATIVES["update_gate_rnn"] = update_gate_rnn(4)
CELLS["smoother"] = smoother(INPUT_SIZE)
CELLS["unstructured"] = unstructured(4)


VOCABULARY = 5
READS_TOKENS = {"embed", "nested"}
"""The layers that read tokens `[T, *B]`; the others read features `[T, *B, INPUT_SIZE]`."""

LAYERS = {
    "lstm": layers.recurrent(sj.lstm(2)),
    "gru": layers.recurrent(sj.gru(2)),
    "unstructured": layers.recurrent(unstructured(2)),
    "reversed": layers.recurrent(sj.gru(2), reverse=True),
    "zoneout": layers.recurrent(sj.lstm(2), zoneout=LSTMCarry(cell=0.5, hidden=0.1)),
    "zoneout_affine": layers.recurrent(smoother(INPUT_SIZE), zoneout=0.5),
    "recurrent_dropout": layers.recurrent(sj.gru(8), recurrent_dropout=0.5),
    "stack": layers.stack(sj.lstm(2), sj.gru(2)),
    "bidirectional": layers.bidirectional(sj.gru(2)),
    "bidirectional_sum": layers.bidirectional(sj.gru(2), sj.elman(2), merge="sum"),
    "bidirectional_average": layers.bidirectional(sj.elman(2), merge="average"),
    "bidirectional_stack": layers.bidirectional(layers.stack(sj.gru(2), layers.dense(3)), sj.lstm(2)),
    "residual": layers.residual(sj.gru(INPUT_SIZE)),
    "dense": layers.dense(2, jnp.tanh),
    "layer_norm": layers.layer_norm(),
    "convolution": layers.convolution(2, 5, jnp.tanh),
    "picture_convolution": layers.picture_convolution((1, 3, 1), 2, stride=2),
    "embed": layers.embed(VOCABULARY, 2),
    "delay_line": layers.delay_line(3, dilation=2),
    "tdnn": memoryless.tdnn(2, (3,), 2, dilation=2),
    "ar": memoryless.ar.layer(2, 2),
    "narx": memoryless.narx(2, 3, (3,), 2),
    "narx_simulating": memoryless.narx(2, 2, (3,), 2, feedback="own"),
    "dropout": layers.dropout(0.5),
    "dropout_over_time": layers.dropout(0.5, shared_over_time=True),
    "nested": layers.stack(
        layers.embed(VOCABULARY, 3),
        layers.dropout(0.5),
        layers.residual(layers.stack(layers.layer_norm(), layers.bidirectional(sj.gru(3), merge="sum"))),
        layers.recurrent(sj.lstm(2), zoneout=0.5, recurrent_dropout=0.5),
        layers.dense(2),
    ),
}
