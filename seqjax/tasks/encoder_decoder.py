"""What the shapes with an encoder and a decoder share: loss, prediction, one step, attention weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size, shown
from seqjax.layers.attention import Memory
from seqjax.tasks.averages import averaged_loss, check_target_sequences, checked_weights, valid_targets
from seqjax.tasks.decoder import Decoder, DecoderCarry, DecoderParams, Reader
from seqjax.tasks.head import Head
from seqjax.tasks.task import LossAux, Task
from seqjax.types import Array, Batch, Carry, Key, Params


@struct.dataclass
class EncoderDecoderParams:
    """Parameters of a task with an encoder and a decoder.

    Attributes:
      encoder: params of the layer that reads the inputs.
      bridge: params of the map from what it hands over to the decoder's carry.
      decoder: `DecoderParams`.
      head: params of the head.
    """

    encoder: Params
    bridge: Params
    decoder: DecoderParams
    head: Params


class Encoded(NamedTuple):
    """What an encoder makes of the inputs.

    Attributes:
      network: the carry that the decoder's layer starts from.
      batch_shape: the shape of `*B`.
      memory: what attention may look at, or `None`.
      repeated: `[*B, E]`, what each step reads, or `None`.
    """

    network: Carry
    batch_shape: tuple[int, ...]
    memory: Memory | None
    repeated: Array | None


class Encoder(NamedTuple):
    """The half that reads.

    Attributes:
      init: `(encoder_key, bridge_key, input_size, decoder_params) -> (encoder params, bridge params)`.
      encode: `(params, inputs, lengths, key) -> Encoded`.
      memory_size: `(input_size) -> H`, the features of the memory.
      repeated_size: `(input_size) -> E`, the features that each step reads; 0 for none.
      timeless: whether inputs have no time axis.
    """

    init: Callable[[Key, Key, int, DecoderParams], tuple[Params, Params]]
    encode: Callable[[EncoderDecoderParams, Any, Any, Key | None], Encoded]
    memory_size: Callable[[int], int]
    repeated_size: Callable[[int], int]
    timeless: bool


def encoder_decoder(encoder: Encoder, decoder: Decoder, head: Head) -> Task:
    """A task from the half that reads and the half that writes.

    Args:
      encoder: the half that reads.
      decoder: the half that writes.
      head: what is predicted at each step.

    Returns:
      A `Task` with `EncoderDecoderParams`. Its `loss` takes a further argument, `scheduled_sampling`.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.one_to_many(
      ...     sj.dense(4), sj.gru(4), sj.heads.categorical(9), embedding=sj.embed(9, 3), start=2
      ... )
      >>> type(task.init(jax.random.key(0), 5)).__name__
      'EncoderDecoderParams'
    """

    def init(key: Key, input_size: int) -> EncoderDecoderParams:
        check_key(key)
        check_size("input_size", input_size)
        encoder_key, bridge_key, decoder_key, head_key = jax.random.split(key, 4)
        repeated_size = encoder.repeated_size(input_size)
        written = decoder.init(decoder_key, encoder.memory_size(input_size), repeated_size)
        read, bridge = encoder.init(encoder_key, bridge_key, input_size, written)
        return EncoderDecoderParams(
            encoder=read,
            bridge=bridge,
            decoder=written,
            head=head.init(head_key, decoder.output_size(repeated_size)),
        )

    def begin(
        params: EncoderDecoderParams, inputs: Any, lengths: Any, key: Key | None
    ) -> tuple[DecoderCarry, tuple[int, ...]]:
        network, batch_shape, memory, repeated = encoder.encode(params, inputs, lengths, key)
        return decoder.begin(params.decoder, network, batch_shape, memory, repeated), batch_shape

    def run(
        params: EncoderDecoderParams,
        batch: Batch,
        key: Key | None = None,
        reader: Reader | None = None,
    ) -> tuple[DecoderCarry, Array, Array, Array]:
        """The carry at the start, the network's outputs, the head's features, and which steps are valid."""
        check_target_sequences(batch, timeless=encoder.timeless)
        encoder_key, decoder_key = (None, None) if key is None else jax.random.split(key)
        carry, batch_shape = begin(params, batch.inputs, batch.lengths, encoder_key)
        targets = as_array("batch.targets", batch.targets)
        if targets.shape[1 : 1 + len(batch_shape)] != batch_shape or targets.ndim == 0:
            raise ValueError(
                f"batch.targets has shape {targets.shape}, expected [T', *B, ...] with the batch axes "
                f"{batch_shape} of the inputs: time first."
            )
        valid = valid_targets(batch.target_lengths, targets.shape[0], batch_shape)
        cleared = ops.zero_padding(targets, valid)
        queries, ys = decoder.run(params.decoder, carry, cleared, valid, decoder_key, reader)
        return carry, queries, ys, valid

    def loss(
        params: EncoderDecoderParams,
        batch: Batch,
        *,
        carry: Carry | None = None,
        key: Key | None = None,
        scheduled_sampling: float | Array | None = None,
    ) -> tuple[Array, LossAux]:
        _check_no_carry(carry)
        if key is not None:
            check_key(key)
        reader = None
        if scheduled_sampling is not None:
            reader = _own_samples(head, params.head, _checked_share(scheduled_sampling, key))
        _, _, ys, valid = run(params, batch, key, reader)
        weights = checked_weights(batch.weights, (valid.shape[1:], valid.shape))
        return averaged_loss(head, head.outputs(params.head, ys), batch.targets, valid, weights, None)

    def predict(
        params: EncoderDecoderParams,
        inputs: Any,
        targets: Any,
        *,
        lengths: Any = None,
        target_lengths: Any = None,
    ) -> tuple[None, Any]:
        batch = Batch(inputs, targets, lengths=lengths, target_lengths=target_lengths)
        _, _, ys, _ = run(params, batch)
        return None, head.predict(head.outputs(params.head, ys))

    def step(params: EncoderDecoderParams, carry: Carry, x: Any) -> tuple[Carry, Any]:
        carry, y = decoder.step(params.decoder, carry, x)
        return carry, head.predict(head.outputs(params.head, y))

    def start(
        params: EncoderDecoderParams, inputs: Any, *, lengths: Any = None, carry: Carry | None = None
    ) -> tuple[Carry, Any]:
        _check_no_carry(carry)
        check_target_sequences(Batch(inputs, (), lengths=lengths), timeless=encoder.timeless)
        begun, batch_shape = begin(params, inputs, lengths, None)
        return step(params, begun, decoder.first(batch_shape))

    def weighing(look: Callable[[DecoderParams, DecoderCarry, Array], Array]) -> Callable[..., Array]:
        def attention_weights(
            params: EncoderDecoderParams,
            inputs: Any,
            targets: Any,
            *,
            lengths: Any = None,
            target_lengths: Any = None,
        ) -> Array:
            batch = Batch(inputs, targets, lengths=lengths, target_lengths=target_lengths)
            carry, queries, _, valid = run(params, batch)
            return jnp.where(valid[:, None], look(params.decoder, carry, queries), 0)

        return attention_weights

    return Task(
        init=init,
        initial_carry=_no_initial_carry,
        loss=loss,
        predict=predict,
        step=step,
        network=decoder.layer,
        head=head,
        start=start,
        attention_weights=None if decoder.look is None else weighing(decoder.look),
    )


def _own_samples(head: Head, params: Params, share: Array) -> Reader:
    """Reads a sample of the prediction in some rows, and the true target in the others."""
    sample = head.sample
    if sample is None:
        raise ValueError("head has no sample, but scheduled_sampling reads samples: choose another head.")

    def reader(key: Key, y: Array, target: Array) -> Array:
        coin_key, sample_key = jax.random.split(key)
        prediction = head.predict(head.outputs(params, jax.lax.stop_gradient(y)))
        drawn = sample(sample_key, prediction).astype(target.dtype)
        own = jax.random.bernoulli(coin_key, share, y.shape[:-1])
        return ops.select(own, jax.lax.stop_gradient(drawn), target)

    return reader


def _checked_share(share: Any, key: Key | None) -> Array:
    if key is None:
        raise ValueError(
            "scheduled_sampling is given, but key is None, which is evaluation: pass a key, or leave it out."
        )
    if isinstance(share, bool | str) or jnp.ndim(share):
        raise TypeError(f"scheduled_sampling is {shown(share)}, expected a number from 0 to 1.")
    if not isinstance(share, jax.core.Tracer) and not 0 <= float(share) <= 1:
        raise ValueError(f"scheduled_sampling is {share}, expected a number from 0 to 1.")
    return jnp.asarray(share)


def _check_no_carry(carry: Carry | None) -> None:
    if carry is not None:
        raise ValueError(
            "carry is given, but each sequence of this task starts from its own inputs: leave carry out."
        )


def _no_initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
    raise ValueError(
        "this task has no carry before its inputs: task.start(params, inputs) gives one with a prediction."
    )
