"""One target a sequence."""

from __future__ import annotations

from typing import Any

import jax

from seqjax.cell import Cell
from seqjax.checks import check_key, check_size
from seqjax.layers import Layer, as_layer
from seqjax.tasks.averages import averaged_loss, check_batch, check_head, checked_weights, valid_steps
from seqjax.tasks.head import Head
from seqjax.tasks.pooling import Pooling, as_pooling
from seqjax.tasks.task import LossAux, Task, TaskParams
from seqjax.types import Array, Batch, Carry, Key, Params, PyTree


def many_to_one(network: Layer | Cell, head: Head, *, pooling: str | Pooling = "last") -> Task:
    """One target a sequence: classification, regression.

    Equations: `carry, ys = network(inputs)`, `outputs = head(pool(ys))`, where `pool` reads the steps before
    `lengths` and no other:

    | `pooling=` | is |
    | --- | --- |
    | `"last"` | `ys` at the last valid step |
    | `"ends"` | `ys` at the last valid step, then `ys` at the first: twice the features |
    | `"mean"`, `"max"` | over the valid steps, for each feature |
    | `"attention"` | `sum_t a_t ys_t`, `a = softmax_t(ys_t . query / sqrt(H))` with a learned query `[H]` |

    A bidirectional network, or a reversed one, needs `"ends"` where another needs `"last"`: what runs
    backward has read the whole sequence at the first step, and at the last step a single input.

    A sequence of length 0 has no step to predict from. It is pooled to zeros, so that its prediction is
    finite, and it adds nothing to the loss. `resets` return the carry within a row, but pooling reads all
    its valid steps: a row has one target.

    Args:
      network: a layer, or a cell.
      head: what is predicted, from `seqjax.heads`.
      pooling: one of those names, or a `Pooling`.

    Returns:
      A `Task` with `TaskParams` and no `step`. Its batches have `targets[*B, ...]` and `weights[*B]`;
      predictions begin with the axes `*B`.

    Raises:
      TypeError: if `network` is neither a layer nor a cell, or `head` is no head. `loss` raises it if the
        batch is no `Batch`.
      ValueError: if there is no such pooling. `loss` raises it if a field of the batch does not fit.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> from seqjax.tasks import heads
      >>> task = many_to_one(sj.gru(4), heads.gaussian(1), pooling="attention")
      >>> params = task.init(jax.random.key(0), 2)
      >>> batch = sj.Batch(jnp.ones((7, 5, 2)), jnp.zeros((5, 1)), lengths=jnp.array([7, 5, 3, 1, 0]))
      >>> loss, aux = task.loss(params, batch)
      >>> sorted(aux.metrics), float(aux.count)
      (['squared_error'], 4.0)
    """
    layer = as_layer(network, "network")
    check_head(head)
    pool = as_pooling(pooling)

    def init(key: Key, input_size: int) -> TaskParams:
        check_key(key)
        check_size("input_size", input_size)
        network_key, head_key, pooling_key = jax.random.split(key, 3)
        features = layer.output_size(input_size)
        return TaskParams(
            network=layer.init(network_key, input_size),
            head=head.init(head_key, pool.output_size(features)),
            pooling=pool.init(pooling_key, features),
        )

    def run(
        params: TaskParams, inputs: Any, carry: Carry | None, lengths: Any, resets: Any, key: Key | None
    ) -> tuple[Carry, PyTree, Array]:
        """The carry, the outputs of the head, and which steps are valid."""
        carry, ys = layer.unroll(params.network, inputs, carry=carry, lengths=lengths, resets=resets, key=key)
        valid = valid_steps(lengths, ys.shape[0], ys.shape[1:-1])
        return carry, head.outputs(params.head, pool.apply(params.pooling, ys, valid)), valid

    def loss(
        params: TaskParams, batch: Batch, *, carry: Carry | None = None, key: Key | None = None
    ) -> tuple[Array, LossAux]:
        check_batch(batch)
        carry, outputs, valid = run(params, batch.inputs, carry, batch.lengths, batch.resets, key)
        weights = checked_weights(batch.weights, (valid.shape[1:],))
        return averaged_loss(head, outputs, batch.targets, valid.any(axis=0), weights, carry)

    def predict(
        params: TaskParams,
        inputs: Any,
        *,
        lengths: Any = None,
        resets: Any = None,
        carry: Carry | None = None,
    ) -> tuple[Carry, Any]:
        carry, outputs, _ = run(params, inputs, carry, lengths, resets, None)
        return carry, head.predict(outputs)

    def initial_carry(params: Params, batch_shape: tuple[int, ...] = ()) -> Carry:
        return layer.initial_carry(params.network, batch_shape)

    return Task(
        init=init,
        initial_carry=initial_carry,
        loss=loss,
        predict=predict,
        step=None,
        network=layer,
        head=head,
    )
