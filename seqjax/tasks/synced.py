"""One target a step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cell import Cell
from seqjax.checks import check_key, check_size
from seqjax.layers import Layer, as_layer
from seqjax.tasks.averages import averaged_loss, check_batch, check_head, checked_weights, valid_steps
from seqjax.tasks.head import Head
from seqjax.tasks.pooling import POOLINGS
from seqjax.tasks.sequence_head import SequenceHead, whole_sequences
from seqjax.tasks.task import LossAux, Task, TaskParams
from seqjax.types import Array, Batch, Carry, Key, Params


def synced(network: Layer | Cell, head: Head | SequenceHead) -> Task:
    """One target a step: labelling, forecasting, language modelling.

    Equations: `carry, ys = network(inputs)`, and at each step `t` the head reads `ys_t` and is compared with
    `targets_t`. The loss is the mean over the steps before `lengths`, weighted by `weights`: with a weight a
    row, each of its steps has that weight, so that rows of many steps count more.

    The loss takes a carry and returns the one after the batch, so that a long sequence can be trained in
    chunks (truncated backpropagation through time). Steps of weight zero are read by the network, and their
    targets are ignored, whatever stands there.

    A head of whole sequences, `heads.crf` or `heads.ctc`, reads all steps of a sequence together. Its task
    refuses resets and weights of steps, and has no `step`. With `heads.ctc`, targets are shorter than inputs
    and have `target_lengths`.

    Args:
      network: a layer, or a cell.
      head: what is predicted, from `seqjax.heads`.

    Returns:
      A `Task` with `TaskParams`. Its batches have `targets[T, *B, ...]` and `weights[*B]` or `[T, *B]`.
      Predictions begin with the axes `[T, *B]`; those past the length are of no step and to be ignored.
      `step` and `start` are `None` where the network has no step; `start` reads inputs and gives the
      prediction at the last of them, NaN where there is none, from which `seqjax.decoding.generate` goes on.

    Raises:
      TypeError: if `network` is neither a layer nor a cell, or `head` is no head. `loss` raises it if the
        batch is no `Batch`.
      ValueError: `loss` raises it if a field of the batch does not fit; the message names it.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> from seqjax.tasks import heads
      >>> task = synced(sj.gru(4), heads.categorical(3))
      >>> params = task.init(jax.random.key(0), 2)
      >>> batch = sj.Batch(inputs=jnp.ones((7, 5, 2)), targets=jnp.zeros((7, 5), int))
      >>> loss, aux = task.loss(params, batch)
      >>> loss.shape, sorted(aux.metrics), float(aux.count)
      ((), ['accuracy', 'cross_entropy'], 35.0)
      >>> carry, prediction = task.predict(params, batch.inputs)
      >>> prediction.probabilities.shape
      (7, 5, 3)
    """
    layer = as_layer(network, "network")
    if isinstance(head, SequenceHead):
        return whole_sequences(layer, head)
    check_head(head)

    def init(key: Key, input_size: int) -> TaskParams:
        check_key(key)
        check_size("input_size", input_size)
        network_key, head_key = jax.random.split(key)
        return TaskParams(
            network=layer.init(network_key, input_size),
            head=head.init(head_key, layer.output_size(input_size)),
        )

    def loss(
        params: TaskParams, batch: Batch, *, carry: Carry | None = None, key: Key | None = None
    ) -> tuple[Array, LossAux]:
        check_batch(batch)
        carry, ys = layer.unroll(
            params.network, batch.inputs, carry=carry, lengths=batch.lengths, resets=batch.resets, key=key
        )
        num_steps, *batch_shape = ys.shape[:-1]
        weights = checked_weights(batch.weights, (tuple(batch_shape), ys.shape[:-1]))
        valid = valid_steps(batch.lengths, num_steps, tuple(batch_shape))
        outputs = head.outputs(params.head, ys)
        return averaged_loss(head, outputs, batch.targets, valid, weights, carry)

    def predict(
        params: TaskParams,
        inputs: Any,
        *,
        lengths: Any = None,
        resets: Any = None,
        carry: Carry | None = None,
    ) -> tuple[Carry, Any]:
        carry, ys = layer.unroll(params.network, inputs, carry=carry, lengths=lengths, resets=resets)
        return carry, head.predict(head.outputs(params.head, ys))

    def start(
        params: TaskParams, inputs: Any, *, lengths: Any = None, carry: Carry | None = None
    ) -> tuple[Carry, Any]:
        carry, ys = layer.unroll(params.network, inputs, carry=carry, lengths=lengths)
        valid = valid_steps(lengths, ys.shape[0], ys.shape[1:-1])
        last = POOLINGS["last"].apply((), ys, valid)
        # After no input there is no prediction, which must not be taken for one.
        last = jnp.where(valid.any(axis=0)[..., None], last, jnp.nan)
        return carry, head.predict(head.outputs(params.head, last))

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
        return layer.initial_carry(params.network, batch_shape)

    return Task(
        init=init,
        initial_carry=initial_carry,
        loss=loss,
        predict=predict,
        step=_streaming(layer, head),
        network=layer,
        head=head,
        start=None if layer.step is None else start,
    )


def _streaming(layer: Layer, head: Head) -> Callable[[Params, Carry, Any], tuple[Carry, Any]] | None:
    advance = layer.step
    if advance is None:
        return None

    def step(params: Params, carry: Carry, x: Any) -> tuple[Carry, Any]:
        carry, y = advance(params.network, carry, x)
        return carry, head.predict(head.outputs(params.head, y))

    return step
