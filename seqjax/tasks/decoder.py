"""The half of a task that writes: a network over the targets so far, with or without attention."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.cell import Cell
from seqjax.checks import check_flag, check_size, kind_of, shown
from seqjax.layers import Layer, as_layer
from seqjax.layers.attention import Attention, Memory, PreparedMemory
from seqjax.types import Array, Carry, Key, Params

Reader = Callable[[Key, Array, Array], Array]
"""`(key, y[*B, H], target[*B, ...]) -> x[*B, ...]`, what is read after a step in place of its target."""


@struct.dataclass
class DecoderParams:
    """Parameters of a decoder.

    Attributes:
      embedding: params of the layer that reads targets.
      network: params of the decoder's layer.
      attention: params of the attention; `()` where there is none, or it has no params.
      combination: `[C + H, H]`, from the context and the network's output to the features of the head; `None`
        without attention.
    """

    embedding: Params
    network: Params
    attention: Params
    combination: Array | None


@struct.dataclass
class DecoderCarry:
    """What a decoder hands from step to step.

    Attributes:
      network: the carry of the decoder's layer.
      attended: `[*B, H]`, the attentional vector of the step before, where it is fed back, else `None`.
      repeated: `[*B, E]`, what the encoder made, where each step reads it, else `None`.
      memory: what attention looks at, or `None`.
    """

    network: Carry
    attended: Array | None = None
    repeated: Array | None = None
    memory: PreparedMemory | None = None


class Decoder(NamedTuple):
    """A network over the targets so far.

    Attributes:
      init: `(key, memory_size, repeated_size) -> DecoderParams`.
      begin: `(params, network_carry, batch_shape, memory, repeated) -> DecoderCarry`.
      run: `(params, carry, targets[T', *B, ...], valid[T', *B], key, reader) -> (queries, ys)`, both
        `[T', *B, H]`: the network's outputs and the head's features, where each step reads the target before,
        or what `reader` makes of it.
      step: `(params, carry, x[*B, ...]) -> (carry, y[*B, H])`, in evaluation mode.
      first: `(batch_shape) -> x`, what is read before there is a target.
      look: `(params, carry, queries[T', *B, H]) -> [T', S, *B]`, the weights of attention, or `None`.
      layer: the decoder's layer.
      output_size: `(repeated_size) -> H`, the features of the head.
    """

    init: Callable[[Key, int, int], DecoderParams]
    begin: Callable[..., DecoderCarry]
    run: Callable[..., tuple[Array, Array]]
    step: Callable[[DecoderParams, DecoderCarry, Any], tuple[DecoderCarry, Array]]
    first: Callable[[tuple[int, ...]], Array]
    look: Callable[[DecoderParams, DecoderCarry, Array], Array] | None
    layer: Layer
    output_size: Callable[[int], int]


def make_decoder(
    network: Layer | Cell,
    *,
    embedding: Layer,
    start: float,
    target_size: int = 1,
    attention: Attention | None = None,
    input_feeding: bool = False,
) -> Decoder:
    """A decoder from its parts.

    Equations, at each step: `x = concat(embedding(previous target), fed back or repeated vectors)`,
    `h = network(x)`, and with attention (Luong et al., 2015, eq. 5) `y = tanh(concat(context(h), h) W)`, else
    `y = h`. With input feeding (their sec. 3.3), `y` is read at the next step.

    All steps run at once where nothing that is read depends on the step before: with the true targets, and
    without input feeding. Else they run one by one.

    Args:
      network: a layer with a step, or a cell.
      embedding: a layer that reads targets and remembers nothing.
      start: what is read before the first target: an integer for tokens, a float for features.
      target_size: the features of a target, 1 for tokens.
      attention: how the memory is looked at, or `None`.
      input_feeding: whether the attentional vector is fed back.

    Returns:
      A `Decoder`.

    Raises:
      TypeError: if an argument is of another type.
      ValueError: if `network` or `embedding` has no step, or there is input feeding without attention.

    Example:
      >>> import seqjax as sj
      >>> decoder = make_decoder(sj.gru(4), embedding=sj.embed(9, 3), start=2)
      >>> params = decoder.init(jax.random.key(0), 5, 0)
      >>> carry = decoder.begin(params, decoder.layer.initial_carry(params.network, (7,)), (7,), None, None)
      >>> decoder.step(params, carry, decoder.first((7,)))[1].shape
      (7, 4)
    """
    layer, reading = as_layer(network, "decoder"), as_layer(embedding, "embedding")
    advance, read = _step_of(layer, "decoder"), _step_of(reading, "embedding")
    is_token = _check_start(start)
    check_size("target_size", target_size)
    check_flag("input_feeding", input_feeding)
    if attention is not None and not isinstance(attention, Attention):
        raise TypeError(
            f"attention is {kind_of(attention)}, expected an Attention such as "
            f"seqjax.layers.attention.additive(64), or None."
        )
    if input_feeding and attention is None:
        raise ValueError(
            "input_feeding is True, but there is no attentional vector to feed back: give an attention."
        )

    def first(batch_shape: tuple[int, ...]) -> Array:
        if is_token:
            return jnp.full(batch_shape, start, jnp.int32)
        return jnp.full((*batch_shape, target_size), start, ops.default_dtype())

    def input_size(repeated_size: int) -> int:
        return reading.output_size(target_size) + repeated_size

    def output_size(repeated_size: int) -> int:
        return layer.output_size(input_size(repeated_size))

    def init(key: Key, memory_size: int, repeated_size: int) -> DecoderParams:
        embedding_key, network_key, attention_key, combination_key = jax.random.split(key, 4)
        size = output_size(repeated_size)
        full_size = input_size(repeated_size) + (size if input_feeding else 0)
        if layer.output_size(full_size) != size:
            raise ValueError(
                "decoder has an output size that depends on its input size, but with input_feeding its "
                "output is part of its input: end it with a layer of fixed size, such as dense(64)."
            )
        attended: Params = ()
        combination = None
        if attention is not None:
            attended = attention.init(attention_key, size, memory_size)
            context_size = attention.output_size(memory_size)
            combination = ops.input_kernel(combination_key, context_size + size, 1, size)[:, 0, :]
        params = reading.init(embedding_key, target_size)
        if jax.tree.leaves(jax.eval_shape(reading.initial_carry, params)):
            raise ValueError(
                "embedding has a carry, but reads one target at a time: put recurrent layers in the decoder."
            )
        return DecoderParams(
            embedding=params,
            network=layer.init(network_key, full_size),
            attention=attended,
            combination=combination,
        )

    def begin(
        params: DecoderParams,
        network: Carry,
        batch_shape: tuple[int, ...],
        memory: Memory | None,
        repeated: Array | None,
    ) -> DecoderCarry:
        attended = prepared = None
        if attention is not None and memory is not None:
            prepared = attention.prepare(params.attention, memory)
        if input_feeding:
            kernel = _combination(params)
            dtype = ops.accumulation_dtype(kernel.dtype)
            attended = jnp.zeros((*batch_shape, kernel.shape[-1]), dtype)
        return DecoderCarry(network=network, attended=attended, repeated=repeated, memory=prepared)

    def combine(params: DecoderParams, memory: PreparedMemory | None, queries: Array) -> Array:
        if attention is None or memory is None:
            return queries
        context = attention.attend(params.attention, memory, queries)
        return jnp.tanh(ops.product(jnp.concatenate([context, queries], axis=-1), _combination(params)))

    def step(params: DecoderParams, carry: DecoderCarry, x: Any) -> tuple[DecoderCarry, Array]:
        _check_carry(carry)
        vector = read(params.embedding, reading.initial_carry(params.embedding), x)[1]
        network, query = advance(params.network, carry.network, _beside(vector, carry))
        y = combine(params, carry.memory, query)
        return replace(carry, network=network, attended=y if input_feeding else None), y

    def instant(
        params: DecoderParams, carry: DecoderCarry, x: Array, valid: Array, key: Key | None
    ) -> tuple[DecoderCarry, Array, Array]:
        """One step as a sequence of one, which knows of padding and draws noise."""
        embedding_key, network_key = _split(key)
        lengths = valid.astype(jnp.int32)
        vectors = reading.unroll(params.embedding, x[None], lengths=lengths, key=embedding_key)[1]
        xs = _beside(vectors[0], carry)[None]
        network, queries = layer.unroll(
            params.network, xs, carry=carry.network, lengths=lengths, key=network_key
        )
        y = combine(params, carry.memory, queries[0])
        return replace(carry, network=network, attended=y if input_feeding else None), queries[0], y

    def one_by_one(
        params: DecoderParams,
        carry: DecoderCarry,
        targets: Array,
        valid: Array,
        key: Key | None,
        reader: Reader | None,
    ) -> tuple[Array, Array]:
        # The memory stays outside of the loop, which would keep a copy of it for each step's gradient.
        memory, repeated = carry.memory, carry.repeated

        def body(state: tuple[DecoderCarry, Array], inputs: Any) -> Any:
            (carry, x), (target, valid, key) = state, inputs
            noise_key, reader_key = _split(key)
            whole = replace(carry, memory=memory, repeated=repeated)
            carry, query, y = instant(params, whole, x, valid, noise_key)
            x = target if reader is None else reader(reader_key, y, target)
            return (replace(carry, memory=None, repeated=None), x), (query, y)

        keys = None if key is None else jax.random.split(key, targets.shape[0])
        x = first(valid.shape[1:]).astype(targets.dtype)
        state = replace(carry, memory=None, repeated=None), x
        return jax.lax.scan(body, state, (targets, valid, keys))[1]

    def run(
        params: DecoderParams,
        carry: DecoderCarry,
        targets: Array,
        valid: Array,
        key: Key | None = None,
        reader: Reader | None = None,
    ) -> tuple[Array, Array]:
        _check_kind(targets, start, is_token)
        if input_feeding or reader is not None:
            return one_by_one(params, carry, targets, valid, key, reader)
        embedding_key, network_key = _split(key)
        x = first(valid.shape[1:]).astype(targets.dtype)
        previous = jnp.concatenate([x[None], targets])[: targets.shape[0]]
        lengths = jnp.sum(valid, axis=0, dtype=jnp.int32)
        vectors = reading.unroll(params.embedding, previous, lengths=lengths, key=embedding_key)[1]
        queries = layer.unroll(
            params.network, _beside(vectors, carry), carry=carry.network, lengths=lengths, key=network_key
        )[1]
        return queries, combine(params, carry.memory, queries)

    return Decoder(
        init=init,
        begin=begin,
        run=run,
        step=step,
        first=first,
        look=None if attention is None else _looking(attention),
        layer=layer,
        output_size=output_size,
    )


def _looking(attention: Attention) -> Callable[[DecoderParams, DecoderCarry, Array], Array]:
    def look(params: DecoderParams, carry: DecoderCarry, queries: Array) -> Array:
        return attention.weights(params.attention, cast(PreparedMemory, carry.memory), queries)

    return look


def _beside(vectors: Array, carry: DecoderCarry) -> Array:
    """What the network reads: a target's vector, the vector fed back, and what the encoder made."""
    extra = [part for part in (carry.attended, carry.repeated) if part is not None]
    shaped = [jnp.broadcast_to(part, (*vectors.shape[:-1], part.shape[-1])) for part in extra]
    return jnp.concatenate([vectors, *shaped], axis=-1)


def _split(key: Key | None) -> Any:
    return (None, None) if key is None else jax.random.split(key)


def _combination(params: DecoderParams) -> Array:
    if params.combination is None:
        raise ValueError(
            "params.combination is None, but this decoder has an attention: pass params made by its init."
        )
    return params.combination


def _step_of(layer: Layer, name: str) -> Callable[[Params, Carry, Any], tuple[Carry, Any]]:
    if layer.step is None:
        raise ValueError(
            f"{name} has no step: it is bidirectional or reversed, or contains a layer that is, but targets "
            f"are written one after the other. Only the encoder may run backward."
        )
    return layer.step


def _check_start(start: Any) -> bool:
    """Whether the start is a token and not a number."""
    if isinstance(start, bool) or not isinstance(start, numbers.Real):
        raise TypeError(
            f"start is {shown(start, typed=True)}, expected the token before the first target, such as "
            f"Vocabulary.start, or a float for targets that are features."
        )
    if isinstance(start, numbers.Integral):
        if start < 0:
            raise ValueError(f"start is {start}, expected a token: an integer of zero or more.")
        return True
    return False


def _check_kind(targets: Array, start: float, is_token: bool) -> None:
    if jnp.issubdtype(targets.dtype, jnp.integer) != is_token:
        kind = "a token" if is_token else "a number"
        raise TypeError(
            f"targets has dtype {targets.dtype}, but start={start} is {kind}: give an integer to start "
            f"tokens with, and a float for features."
        )


def _check_carry(carry: Any) -> None:
    if not isinstance(carry, DecoderCarry):
        raise ValueError(
            f"carry is {kind_of(carry)}, expected DecoderCarry: pass the carry that task.start returned."
        )
