"""The loss and the metrics of a whole dataset, batch by batch."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable

import jax

from seqjax.tasks import LossAux
from seqjax.training.step import Loss
from seqjax.types import Array, Batch, Carry, Params


def make_evaluation(
    loss: Loss, *, carry_over: bool = False
) -> Callable[[Params, Batch | Iterable[Batch]], dict[str, Array]]:
    """Averages over all that some batches hold, as if they were one.

    Equation: `average = sum_i count_i average_i / sum_i count_i` over the batches `i`; what is derived from
    averages, such as a perplexity, is computed from those. Evaluation has no key, so that nothing is dropped.

    Args:
      loss: `(params, batch, *, carry=None, key=None) -> (loss, LossAux)`, such as `task.loss`.
      carry_over: whether each batch starts from the carry after the batch before; the first starts from the
        initial carry.

    Returns:
      `(params, batches) -> metrics`, for one batch or any number of them. Metrics are scalars on the device:
      `loss`, those of the loss, and `count`. Averages over nothing (`count` 0) are NaN. The loss is compiled
      once for each shape of a batch; the function itself may be transformed, by `vmap` over the params of an
      ensemble for one.

    Raises:
      TypeError: if `loss` cannot be called.
      ValueError: the function raises it if there are no batches.

    Example:
      >>> import seqjax as sj, jax.numpy as jnp
      >>> from seqjax.tasks import heads, synced
      >>> task = synced(sj.gru(4), heads.categorical(3))
      >>> evaluate = make_evaluation(task.loss)
      >>> batch = sj.Batch(jnp.ones((7, 5, 2)), jnp.zeros((7, 5), int))
      >>> metrics = evaluate(task.init(jax.random.key(0), 2), [batch, batch])
      >>> float(metrics["count"])
      70.0
    """
    if not callable(loss):
        raise TypeError(f"loss is a {type(loss).__name__}, expected a function such as task.loss.")

    @jax.jit
    def sums(params: Params, batch: Batch, carry: Carry | None) -> tuple[dict[str, Array], LossAux]:
        value, aux = loss(params, batch, carry=carry)
        return {name: aux.count * x for name, x in {"loss": value, **aux.metrics}.items()}, aux

    def evaluate(params: Params, batches: Batch | Iterable[Batch]) -> dict[str, Array]:
        totals, carry = None, None
        for batch in [batches] if isinstance(batches, Batch) else batches:
            weighted, aux = sums(params, batch, carry if carry_over else None)
            carry, part = aux.carry, (weighted, aux.count)
            totals = part if totals is None else jax.tree.map(operator.add, totals, part)
        if totals is None:
            raise ValueError(
                "batches is empty, expected at least one: an iterator can be passed over only once, a list "
                "as often as one likes."
            )
        weighted, count = totals
        averages = {name: total / count for name, total in weighted.items()}
        return averages | aux.derived(averages) | {"count": count}

    return evaluate
