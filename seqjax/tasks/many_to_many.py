"""A sequence of targets for a sequence of inputs."""

from __future__ import annotations

from typing import Any

import jax

from seqjax.cell import Cell
from seqjax.layers import Layer, as_layer
from seqjax.layers.attention import Attention, Memory
from seqjax.tasks.averages import check_head, valid_steps
from seqjax.tasks.bridge import as_bridge
from seqjax.tasks.decoder import DecoderParams, make_decoder
from seqjax.tasks.encoder_decoder import Encoded, Encoder, EncoderDecoderParams, encoder_decoder
from seqjax.tasks.head import Head
from seqjax.tasks.task import Task
from seqjax.types import Key, Params


def many_to_many(
    encoder: Layer | Cell,
    decoder: Layer | Cell,
    head: Head,
    *,
    embedding: Layer,
    start: float,
    bridge: str | None = "affine",
    attention: Attention | None = None,
    input_feeding: bool = False,
    target_size: int = 1,
) -> Task:
    """A sequence of targets for a sequence of inputs, each of its own length: translation, transcription.

    Equations (Sutskever et al., 2014; Cho et al., 2014): `carry, memory = encoder(inputs)`, the decoder
    starts from `bridge(carry)`, and at each step `h = decoder(embedding(previous target))`. Without attention
    the head reads `h`. With it (Bahdanau et al., 2015; Luong et al., 2015, eq. 5), it reads
    `y = tanh(concat(context, h) W)`, where the context is the attention's weighted mean of the memory; with
    `input_feeding` (Luong et al., 2015, sec. 3.3), `y` is read beside the next target.

    | `bridge=` | the decoder starts from |
    | --- | --- |
    | `"affine"` | its initial carry plus a learned linear map of the encoder's carry, of any kind |
    | `"same"` | the carry of the encoder, array for array (Sutskever et al., 2014) |
    | `None` | its initial carry: all that it knows of the inputs comes by attention |

    An encoder may be bidirectional, and the decoder not, because it writes its outputs one after the other.

    The loss reads the true targets (teacher forcing). With `scheduled_sampling=share`, a further argument of
    `loss`, each step reads in that share of the rows a sample of what was predicted before (Bengio et al.,
    2015); the share may be traced, such as a schedule of `state.step`. Targets end with an end token, if
    decoding is to stop: `seqjax.decoding.generate` and `beam` write what `predict` reads.

    Args:
      encoder: a layer over `inputs[S, *B, D]` or tokens `[S, *B]`, or a cell.
      decoder: a layer with a step, or a cell.
      head: what is predicted at each step, from `seqjax.heads`.
      embedding: a layer that reads targets and remembers nothing, such as `embed(V, E)`, or `dense(E)` for
        targets that are features.
      start: what the decoder reads before the first target: a token, such as `Vocabulary.start`, or a float
        that stands for every feature.
      bridge: `"affine"`, `"same"` or `None`.
      attention: one of `seqjax.layers.attention`, or `None`.
      input_feeding: whether the attentional vector is read at the next step, which then has to wait for it.
      target_size: the features of a target, 1 for tokens.

    Returns:
      A `Task` with `EncoderDecoderParams`. Its batches have `targets[T', *B, ...]`, `target_lengths[*B]`, and
      `weights[*B]` or `[T', *B]`; a target of weight zero is read all the same. Predictions begin with the
      axes `[T', *B]`; those past the length are of no step and to be ignored.

    Raises:
      TypeError: if a part is of another type. `loss` raises it if the batch is no `Batch`.
      ValueError: if the decoder has no step, there is input feeding without attention, or no such bridge.
        `init` raises it if sizes do not fit, `loss` if a field of the batch does not.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> task = many_to_many(
      ...     sj.stack(sj.embed(9, 3), sj.bidirectional(sj.gru(4))),
      ...     sj.gru(4),
      ...     sj.heads.categorical(9),
      ...     embedding=sj.embed(9, 3),
      ...     start=2,
      ...     attention=sj.attention.additive(4),
      ... )
      >>> params = task.init(jax.random.key(0), 1)
      >>> batch = sj.Batch(
      ...     inputs=jnp.ones((7, 5), int),
      ...     targets=jnp.ones((6, 5), int),
      ...     lengths=jnp.array([7, 5, 3, 2, 1]),
      ...     target_lengths=jnp.array([6, 6, 4, 1, 0]),
      ... )
      >>> loss, aux = task.loss(params, batch)
      >>> float(aux.count)
      17.0
      >>> task.attention_weights(params, batch.inputs, batch.targets).shape
      (6, 7, 5)
    """
    layer = as_layer(encoder, "encoder")
    check_head(head)
    crossing = as_bridge(bridge)
    writer = make_decoder(
        decoder,
        embedding=embedding,
        start=start,
        target_size=target_size,
        attention=attention,
        input_feeding=input_feeding,
    )

    def init(
        encoder_key: Key, bridge_key: Key, input_size: int, written: DecoderParams
    ) -> tuple[Params, Params]:
        params = layer.init(encoder_key, input_size)
        source = jax.eval_shape(layer.initial_carry, params)
        initial = jax.eval_shape(writer.layer.initial_carry, written.network)
        return params, crossing.init(bridge_key, source, initial)

    def encode(params: EncoderDecoderParams, inputs: Any, lengths: Any, key: Key | None) -> Encoded:
        carry, ys = layer.unroll(params.encoder, inputs, lengths=lengths, key=key)
        batch_shape = ys.shape[1:-1]
        initial = writer.layer.initial_carry(params.decoder.network, batch_shape)
        memory = Memory(ys, valid_steps(lengths, ys.shape[0], batch_shape))
        return Encoded(crossing.apply(params.bridge, carry, initial), batch_shape, memory, None)

    reader = Encoder(
        init=init,
        encode=encode,
        memory_size=layer.output_size,
        repeated_size=lambda input_size: 0,
        timeless=False,
    )
    return encoder_decoder(reader, writer, head)
