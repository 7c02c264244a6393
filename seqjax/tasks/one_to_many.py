"""A sequence of targets for one input without time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cell import Cell
from seqjax.checks import check_flag
from seqjax.layers import Layer, as_layer
from seqjax.tasks.averages import check_head
from seqjax.tasks.bridge import as_bridge
from seqjax.tasks.decoder import DecoderParams, make_decoder
from seqjax.tasks.encoder_decoder import Encoded, Encoder, EncoderDecoderParams, encoder_decoder
from seqjax.tasks.head import Head
from seqjax.tasks.one_to_one import one_step
from seqjax.tasks.task import Task
from seqjax.types import Key, Params


def one_to_many(
    encoder: Layer | Cell,
    decoder: Layer | Cell,
    head: Head,
    *,
    embedding: Layer,
    start: float,
    repeat: bool = False,
    target_size: int = 1,
) -> Task:
    """A sequence of targets for one input without time: captions of pictures, generation from a code.

    Equations (after Vinyals et al., 2015): `code = encoder(inputs)` over a single step, the decoder starts
    from its initial carry plus a learned linear map of `code`, and at each step
    `h = decoder(embedding(previous target))`. With `repeat`, the decoder reads `code` beside every target, so
    that it need not remember it. The head reads `h`.

    The loss reads the true targets (teacher forcing), or with `scheduled_sampling=share` samples in that
    share of the rows, as that of `many_to_many` does.

    Args:
      encoder: a layer over `inputs[*B, D]` or tokens `[*B]`, such as a `stack` of convolutions, or a cell.
      decoder: a layer with a step, or a cell.
      head: what is predicted at each step, from `seqjax.heads`.
      embedding: a layer that reads targets and remembers nothing, such as `embed(V, E)`.
      start: what the decoder reads before the first target: a token, such as `Vocabulary.start`, or a float
        that stands for every feature.
      repeat: whether each step reads the encoder's output.
      target_size: the features of a target, 1 for tokens.

    Returns:
      A `Task` with `EncoderDecoderParams`. Its batches have `inputs[*B, D]` without lengths,
      `targets[T', *B, ...]`, `target_lengths[*B]`, and `weights[*B]` or `[T', *B]`. Predictions begin with
      the axes `[T', *B]`; those past the length are of no step and to be ignored.

    Raises:
      TypeError: if a part is of another type. `loss` raises it if the batch is no `Batch`.
      ValueError: if the decoder has no step. `loss` raises it if a field of the batch does not fit.

    Example:
      >>> import seqjax as sj
      >>> task = one_to_many(
      ...     sj.dense(8, jnp.tanh), sj.gru(4), sj.heads.categorical(9), embedding=sj.embed(9, 3), start=2
      ... )
      >>> params = task.init(jax.random.key(0), 5)
      >>> batch = sj.Batch(jnp.ones((7, 5)), jnp.ones((6, 7), int), target_lengths=jnp.full(7, 4))
      >>> loss, aux = task.loss(params, batch)
      >>> float(aux.count)
      28.0
    """
    layer = as_layer(encoder, "encoder")
    check_head(head)
    check_flag("repeat", repeat)
    crossing = as_bridge("affine")
    writer = make_decoder(decoder, embedding=embedding, start=start, target_size=target_size)

    def init(
        encoder_key: Key, bridge_key: Key, input_size: int, written: DecoderParams
    ) -> tuple[Params, Params]:
        code = jax.ShapeDtypeStruct((layer.output_size(input_size),), jnp.float32)
        initial = jax.eval_shape(writer.layer.initial_carry, written.network)
        return layer.init(encoder_key, input_size), crossing.init(bridge_key, code, initial)

    def encode(params: EncoderDecoderParams, inputs: Any, lengths: Any, key: Key | None) -> Encoded:
        _, ys = layer.unroll(params.encoder, one_step(inputs), key=key)
        code = ys[0]
        initial = writer.layer.initial_carry(params.decoder.network, code.shape[:-1])
        network = crossing.apply(params.bridge, code, initial)
        return Encoded(network, code.shape[:-1], None, code if repeat else None)

    reader = Encoder(
        init=init,
        encode=encode,
        memory_size=layer.output_size,
        repeated_size=layer.output_size if repeat else lambda input_size: 0,
        timeless=True,
    )
    return encoder_decoder(reader, writer, head)
