"""One target for one input, without time."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from seqjax.cell import Cell
from seqjax.checks import as_array, check_key, check_size
from seqjax.layers import Layer, as_layer
from seqjax.tasks.averages import averaged_loss, check_batch, check_head, check_timeless, checked_weights
from seqjax.tasks.head import Head
from seqjax.tasks.task import LossAux, Task, TaskParams
from seqjax.types import Array, Batch, Carry, Key, Params, PyTree


def one_to_one(network: Layer | Cell, head: Head) -> Task:
    """One target for one input: classification or regression without time.

    Equation: `ys = network(inputs)` over a single step, and the head reads `ys`. It is what a feed-forward
    network does, and the shape of which the other four are variations.

    Args:
      network: a layer, such as a `stack` of `dense` ones, or a cell, which takes one step from its carry.
      head: what is predicted, from `seqjax.heads`.

    Returns:
      A `Task` with `TaskParams` and neither `step` nor `start`. Its batches have `inputs[*B, D]`, or tokens
      `[*B]`, with `targets[*B, ...]` and `weights[*B]`; predictions begin with the axes `*B`.

    Raises:
      TypeError: if `network` is neither a layer nor a cell, or `head` is no head. `loss` raises it if the
        batch is no `Batch`.
      ValueError: `loss` raises it if a field of the batch does not fit, such as lengths.

    Example:
      >>> import seqjax as sj
      >>> from seqjax.tasks import heads
      >>> task = one_to_one(sj.stack(sj.dense(8, jnp.tanh), sj.dense(8)), heads.categorical(3))
      >>> params = task.init(jax.random.key(0), 2)
      >>> loss, aux = task.loss(params, sj.Batch(jnp.ones((5, 2)), jnp.zeros((5,), int)))
      >>> float(aux.count)
      5.0
    """
    layer = as_layer(network, "network")
    check_head(head)

    def init(key: Key, input_size: int) -> TaskParams:
        check_key(key)
        check_size("input_size", input_size)
        network_key, head_key = jax.random.split(key)
        return TaskParams(
            network=layer.init(network_key, input_size),
            head=head.init(head_key, layer.output_size(input_size)),
        )

    def run(
        params: TaskParams, inputs: Any, carry: Carry | None, key: Key | None
    ) -> tuple[Carry, Array, PyTree]:
        carry, ys = layer.unroll(params.network, one_step(inputs), carry=carry, key=key)
        return carry, ys[0], head.outputs(params.head, ys[0])

    def loss(
        params: TaskParams, batch: Batch, *, carry: Carry | None = None, key: Key | None = None
    ) -> tuple[Array, LossAux]:
        check_batch(batch)
        check_timeless(batch)
        carry, ys, outputs = run(params, batch.inputs, carry, key)
        valid = jnp.ones(ys.shape[:-1], bool)
        weights = checked_weights(batch.weights, (valid.shape,))
        return averaged_loss(head, outputs, batch.targets, valid, weights, carry)

    def predict(params: TaskParams, inputs: Any, *, carry: Carry | None = None) -> tuple[Carry, Any]:
        carry, _, outputs = run(params, inputs, carry, None)
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


def one_step(inputs: Any) -> PyTree:
    """Inputs without time as a sequence of one step.

    Args:
      inputs: a pytree of arrays `[*B, ...]`.

    Returns:
      The same, `[1, *B, ...]`.

    Raises:
      TypeError: if a leaf is no array.

    Example:
      >>> one_step(jnp.ones((5, 2))).shape
      (1, 5, 2)
    """
    return jax.tree.map(lambda leaf: as_array("inputs", leaf)[None], inputs)
