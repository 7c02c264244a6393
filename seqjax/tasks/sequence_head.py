"""A head of whole sequences: a distribution over all targets of a sequence together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from seqjax import ops
from seqjax.checks import as_array, check_key, check_size
from seqjax.layers import Layer
from seqjax.tasks.averages import (
    check_batch,
    check_target_sequences,
    checked_weights,
    valid_steps,
    valid_targets,
)
from seqjax.tasks.task import LossAux, Task, TaskParams
from seqjax.types import Array, Batch, Carry, Key, Params, PyTree


class SequenceHead(NamedTuple):
    """What a task predicts of a whole sequence, whose targets depend on each other.

    Time comes first, batch axes follow. Lengths are always given, `[*B]`; past them, outputs are finite and
    targets zero.

    Attributes:
      init: `(key, input_size) -> params`.
      outputs: `(params, ys[T, *B, H]) -> outputs`.
      loss: `(outputs, lengths, targets[T', *B], target_lengths) -> [*B]`, negative log-likelihoods in nats.
      predict: `(outputs, lengths) -> prediction`, a struct with named fields.
      metrics: `(outputs, lengths, targets, target_lengths) -> {name: [*B]}`, sums over the positions of each
        sequence.
      positions: `(lengths, target_lengths) -> [*B]`, how many positions a sequence has.
      derived: `({name: average}) -> {name: value}`.
      own_time: whether targets have lengths of their own.
    """

    init: Callable[[Key, int], Params]
    outputs: Callable[[Params, Array], PyTree]
    loss: Callable[[PyTree, Array, Array, Array], Array]
    predict: Callable[[PyTree, Array], PyTree]
    metrics: Callable[[PyTree, Array, Array, Array], dict[str, Array]]
    positions: Callable[[Array, Array], Array]
    derived: Callable[[dict[str, Array]], dict[str, Array]]
    own_time: bool


def whole_sequences(layer: Layer, head: SequenceHead) -> Task:
    """A task whose head reads all outputs of a sequence together.

    Equation: `loss = sum_b w_b loss_b / sum_b w_b n_b` over the rows `b`, with the number of positions `n_b`
    that the head counts: nats a position, as those of other heads are.

    Args:
      layer: the network.
      head: the head.

    Returns:
      A `Task` with `TaskParams`, without `step` and `start`.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.gru(4), sj.heads.ctc(5))
      >>> batch = sj.Batch(jnp.ones((7, 2, 3)), jnp.ones((2, 2), int), target_lengths=jnp.array([2, 1]))
      >>> loss, aux = task.loss(task.init(jax.random.key(0), 3), batch)
      >>> float(aux.count)
      2.0
    """

    def init(key: Key, input_size: int) -> TaskParams:
        check_key(key)
        check_size("input_size", input_size)
        network_key, head_key = jax.random.split(key)
        return TaskParams(
            network=layer.init(network_key, input_size),
            head=head.init(head_key, layer.output_size(input_size)),
        )

    def run(
        params: TaskParams, inputs: Any, lengths: Any, carry: Carry | None, key: Key | None
    ) -> tuple[Carry, PyTree, Array]:
        carry, ys = layer.unroll(params.network, inputs, carry=carry, lengths=lengths, key=key)
        valid = valid_steps(lengths, ys.shape[0], ys.shape[1:-1])
        return carry, head.outputs(params.head, ys), valid

    def loss(
        params: TaskParams, batch: Batch, *, carry: Carry | None = None, key: Key | None = None
    ) -> tuple[Array, LossAux]:
        check_target_sequences(batch)
        if not head.own_time:
            check_batch(batch)
        carry, outputs, valid = run(params, batch.inputs, batch.lengths, carry, key)
        batch_shape, lengths = valid.shape[1:], jnp.sum(valid, axis=0, dtype=jnp.int32)
        targets = as_array("batch.targets", batch.targets)
        expected = batch_shape if head.own_time else valid.shape
        if targets.shape[1 if head.own_time else 0 :] != expected:
            shape = f"[T', *B] with the batch axes {expected}" if head.own_time else str(expected)
            raise ValueError(
                f"batch.targets has shape {targets.shape}, expected {shape}, one label a position."
            )
        known = valid_targets(batch.target_lengths, len(targets), batch_shape) if head.own_time else valid
        weights = jnp.broadcast_to(checked_weights(batch.weights, (batch_shape,)), batch_shape)
        counted = (lengths > 0) & (weights > 0)
        known = known & counted
        targets = ops.zero_padding(targets, known)
        target_lengths = jnp.sum(known, axis=0, dtype=jnp.int32)
        losses = head.loss(outputs, lengths, targets, target_lengths)
        sums = head.metrics(jax.lax.stop_gradient(outputs), lengths, targets, target_lengths)
        weights = jnp.where(counted, weights, 0).astype(losses.dtype)
        count = jnp.sum(weights * head.positions(lengths, target_lengths))

        def mean(values: Array) -> Array:
            total = jnp.sum(jnp.where(counted, values, 0) * weights)
            return total / jnp.where(count > 0, count, 1)

        metrics = {name: mean(values) for name, values in sums.items()}
        return mean(losses), LossAux(metrics=metrics, count=count, carry=carry, derived=head.derived)

    def predict(
        params: TaskParams, inputs: Any, *, lengths: Any = None, carry: Carry | None = None
    ) -> tuple[Carry, Any]:
        carry, outputs, valid = run(params, inputs, lengths, carry, None)
        return carry, head.predict(outputs, jnp.sum(valid, axis=0, dtype=jnp.int32))

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
        return layer.initial_carry(params.network, batch_shape)

    return Task(
        init=init,
        initial_carry=initial_carry,
        loss=loss,
        predict=predict,
        step=None,
        network=layer,
        head=head,  # type: ignore[arg-type]
    )
