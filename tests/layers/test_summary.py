"""The table of parameters."""

import textwrap

import jax
import jax.numpy as jnp

import seqjax as sj
from seqjax import layers
from tests.layers.tools import draw


def lines(text):
    return [line.split() for line in text.splitlines()]


def test_the_whole_table(key):
    layer = layers.stack(
        layers.embed(10, 4), layers.dropout(0.5), layers.residual(sj.lstm(4)), layers.dense(300)
    )
    got = layers.summary(layer, jax.eval_shape(lambda key: layer.init(key, 1), key))
    wanted = """
        layer      type         parameter             shape      dtype    count  bytes
        ------------------------------------------------------------------------------
        params[0]  EmbedParams  table                 [10, 4]    float32     40    160
        params[1]               none                                          0      0
        params[2]  LSTMParams   input_kernel          [4, 4, 4]  float32     64    256
                                recurrent_kernel      [4, 4, 4]  float32     64    256
                                bias                  [4, 4]     float32     16     64
                                initial_carry.cell    [4]        float32      4     16
                                initial_carry.hidden  [4]        float32      4     16
        params[3]  DenseParams  kernel                [4, 300]   float32  1,200  4,800
                                bias                  [300]      float32    300  1,200
        ------------------------------------------------------------------------------
        total                                                             1,692  6,768
        carry                                                                 8     32
    """
    assert got == textwrap.dedent(wanted).strip()


def test_paths_read_the_params(key):
    layer = layers.stack(layers.bidirectional(layers.stack(sj.gru(2), layers.dropout(0.1)), sj.elman(2)))
    params = draw(layer, 3)
    table = layers.summary(layer, params)
    paths = [words[0] for words in lines(table) if words[0].startswith("params")]
    assert paths == ["params[0].forward[0]", "params[0].forward[1]", "params[0].backward"]
    named = {words[0]: words[1] for words in lines(table) if len(words) > 1}
    assert named["params[0].forward[0]"] == "GRUParams"
    total = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert ["total", str(total), str(4 * total)] in lines(table)


def test_params_of_any_kind(key):
    cell = sj.lstm(2, peepholes=True)
    table = layers.summary(cell, draw(cell, 3))
    assert "peephole['forget']" in table
    none = layers.dropout(0.5)
    assert ["params", "none", "0", "0"] in lines(layers.summary(none, ()))
    bare = sj.gru(2)._replace(initial_carry=lambda params, batch_shape=(): ())
    assert ["params", "tuple", "[0]", "[2]", "bfloat16", "2", "4"] in lines(
        layers.summary(bare, (jnp.ones(2, jnp.bfloat16), jnp.ones(3)))
    )


def test_a_tuple_with_an_empty_part_and_no_layer_is_of_the_layer_that_holds_it(key):
    # The map from an encoder to a stack of a recurrent layer and dropout.
    task = sj.tasks.many_to_many(
        layers.stack(sj.gru(2), layers.dropout(0.1)),
        layers.stack(sj.gru(3), layers.dropout(0.1)),
        sj.heads.categorical(5),
        embedding=layers.embed(5, 2),
        start=2,
    )
    params = jax.eval_shape(lambda key: task.init(key, 4), key)
    whole = task.network._replace(
        initial_carry=lambda params: task.network.initial_carry(params.decoder.network)
    )
    table = layers.summary(whole, params)
    assert ["params", "EncoderDecoderParams", "bridge[0]", "[2,", "3]", "float32", "6", "24"] in lines(table)
