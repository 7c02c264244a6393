"""A task: a network and a head joined into a loss over batches and a prediction for new inputs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from flax import struct

from seqjax.layers import Layer
from seqjax.tasks.head import Head
from seqjax.types import Array, Carry, Key, Params


@struct.dataclass
class TaskParams:
    """Parameters of a task with one network.

    Attributes:
      network: params of the network.
      head: params of the head.
      pooling: params of the pooling; `()` where there is none, or it has no params.
    """

    network: Params
    head: Params
    pooling: Params = ()


def _nothing(averages: dict[str, Array]) -> dict[str, Array]:
    return {}


@struct.dataclass
class LossAux:
    """What a loss tells besides its value.

    Attributes:
      metrics: scalars, each an average with the same weights as the loss.
      count: the sum of the weights of the valid positions: what to weigh the loss and the metrics with when
        they are averaged over batches. Without weights, the number of valid positions.
      carry: the carry after the batch, through which gradients still flow.
      derived: `({name: average}) -> {name: value}`, metrics to compute once all batches are averaged, such as
        the root of a mean squared error. Part of the structure, not an array.
    """

    metrics: dict[str, Array]
    count: Array
    carry: Carry = None
    derived: Callable[[dict[str, Array]], dict[str, Array]] = struct.field(
        pytree_node=False, default=_nothing
    )


class Task(NamedTuple):
    """A problem of one shape: which inputs are turned into which targets.

    The shapes differ in the time axes of `Batch`. One target a sequence (many to one) is `[*B, ...]`, one a
    step (synced) `[T, *B, ...]`, and a sequence of its own (many to many, one to many) `[T', *B, ...]` with
    `target_lengths[*B]`; inputs without time (one to one, one to many) are `[*B, D]`.

    Attributes:
      init: `(key, input_size) -> params`.
      initial_carry: `(params, batch_shape=()) -> carry` of the network.
      loss: `(params, batch, *, carry=None, key=None) -> (loss, LossAux)`, a scalar that is the mean over the
        valid positions, weighted by `batch.weights`. `key=None` means evaluation.
      predict: `(params, inputs, *, lengths=None, resets=None, carry=None) -> (carry, prediction)`. Where
        targets have a time of their own, `(params, inputs, targets, *, lengths=None, target_lengths=None)`:
        what is predicted of each target from those before it.
      step: `(params, carry, x[*B, D]) -> (carry, prediction)`, one instant, for streaming and decoding;
        `None` where there is no prediction a step, or the network has no step.
      network: the layer; the decoder's where there are an encoder and a decoder.
      head: the head.
      start: `(params, inputs, *, lengths=None, carry=None) -> (carry, prediction)`, what `step` goes on from:
        the carry after the inputs, and the prediction of the first target that follows them. `None` where
        `step` is. `seqjax.decoding` needs no more than `start` and `step`.
      attention_weights: `(params, inputs, targets, *, lengths=None, target_lengths=None) -> [T', S, *B]`,
        where each target looks at the encoded inputs, for pictures; `None` without attention.
    """

    init: Callable[[Key, int], Params]
    initial_carry: Callable[..., Carry]
    loss: Callable[..., tuple[Array, LossAux]]
    predict: Callable[..., tuple[Carry, Any]]
    step: Callable[[Params, Carry, Any], tuple[Carry, Any]] | None
    network: Layer
    head: Head
    start: Callable[..., tuple[Carry, Any]] | None = None
    attention_weights: Callable[..., Array] | None = None
