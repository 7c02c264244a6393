"""What tasks share: batches that are looked at, masks and weights made one, and weighted means."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from seqjax import ops
from seqjax.tasks.head import Head
from seqjax.tasks.task import LossAux
from seqjax.types import Array, Batch, Carry, PyTree
from seqjax.unroll import checked_lengths


def check_batch(batch: Any) -> None:
    """Refuses what is not a batch with targets, each of which belongs to a step or a sequence of inputs.

    Args:
      batch: the argument of that name.

    Raises:
      TypeError: if it is not a `Batch`.
      ValueError: if it has no targets, or targets with lengths of their own.

    Example:
      >>> check_batch((1, 2))
      Traceback (most recent call last):
      TypeError: batch is a tuple, expected seqjax.Batch(inputs=..., targets=...).
    """
    _check_targets(batch)
    if batch.target_lengths is not None:
        raise ValueError(
            "batch.target_lengths is given, but the targets of this task have no time of their own: "
            "put the valid steps in batch.lengths, and leave target_lengths out."
        )


def check_target_sequences(batch: Any, *, timeless: bool = False) -> None:
    """Refuses what is not a batch whose targets are sequences of their own.

    Args:
      batch: the argument of that name.
      timeless: whether the inputs have no time axis, and so no lengths.

    Raises:
      TypeError: if it is not a `Batch`.
      ValueError: if it has no targets, `resets`, or lengths of inputs that have no time.

    Example:
      >>> check_target_sequences(Batch([1], [2], resets=[True]))
      Traceback (most recent call last):
      ValueError: batch.resets is given, but each row of this task is one sequence: leave resets out.
    """
    _check_targets(batch)
    if batch.resets is not None:
        raise ValueError(
            "batch.resets is given, but each row of this task is one sequence: leave resets out."
        )
    if timeless:
        check_timeless(batch)


def check_timeless(batch: Batch) -> None:
    """Refuses lengths and resets of inputs that have no time.

    Args:
      batch: a batch.

    Raises:
      ValueError: if one of them is given.

    Example:
      >>> check_timeless(Batch([1], [2], lengths=[1]))
      Traceback (most recent call last):
      ValueError: batch.lengths is given, but inputs of this task have no time axis, [*B, D]: leave it out.
    """
    for name in ("lengths", "resets"):
        if getattr(batch, name) is not None:
            raise ValueError(
                f"batch.{name} is given, but inputs of this task have no time axis, [*B, D]: leave it out."
            )


def _check_targets(batch: Any) -> None:
    if not isinstance(batch, Batch):
        raise TypeError(f"batch is a {type(batch).__name__}, expected seqjax.Batch(inputs=..., targets=...).")
    if batch.targets is None:
        raise ValueError("batch.targets is None, expected what the task predicts: Batch(inputs, targets).")


def check_head(head: Any) -> None:
    """Refuses what is not a head.

    Args:
      head: the argument of that name.

    Raises:
      TypeError: if it is not a `Head`.

    Example:
      >>> check_head("softmax")
      Traceback (most recent call last):
      TypeError: head is a str, expected a Head such as seqjax.heads.categorical(10).
    """
    if not isinstance(head, Head):
        hint = " Call the factory: categorical(10), not categorical." if callable(head) else ""
        if hasattr(head, "own_time"):
            hint = " A head of whole sequences is for synced."
        raise TypeError(
            f"head is a {type(head).__name__}, expected a Head such as seqjax.heads.categorical(10).{hint}"
        )


def valid_steps(lengths: Any, num_steps: int, batch_shape: tuple[int, ...]) -> Array:
    """Which steps lie before the length, all of them where there are no lengths.

    Args:
      lengths: `[*B]` integers, or `None`.
      num_steps: `T`.
      batch_shape: the shape of `*B`.

    Returns:
      `[T, *B]` booleans.

    Raises:
      TypeError: if `lengths` are not integers.
      ValueError: if their shape or a value does not fit.

    Example:
      >>> valid_steps([1, 2], 2, (2,)).astype(int).tolist()
      [[1, 1], [0, 1]]
    """
    if lengths is None:
        return jnp.ones((num_steps, *batch_shape), bool)
    return ops.length_mask(checked_lengths(lengths, num_steps, batch_shape), num_steps)


def valid_targets(target_lengths: Any, num_steps: int, batch_shape: tuple[int, ...]) -> Array:
    """Which targets lie before their length, all of them where there are no lengths.

    Args:
      target_lengths: `[*B]` integers, or `None`.
      num_steps: `T'`.
      batch_shape: the shape of `*B`.

    Returns:
      `[T', *B]` booleans.

    Raises:
      TypeError: if they are not integers.
      ValueError: if their shape or a value does not fit.

    Example:
      >>> valid_targets([1, 3], 2, (2,))
      Traceback (most recent call last):
      ValueError: target_lengths has the value 3 at (1,), expected 0 to 2, the number of steps. Cut or pad ...
    """
    try:
        return valid_steps(target_lengths, num_steps, batch_shape)
    except (TypeError, ValueError) as error:
        raise type(error)(f"target_{error}".replace("xs", "targets")) from None


def checked_weights(weights: Any, shapes: tuple[tuple[int, ...], ...]) -> Array:
    """Weights as an array of floats, after a look at their shape and, where they are concrete, their values.

    Args:
      weights: the `weights` of a batch, or `None` for ones.
      shapes: the shapes they may have.

    Returns:
      `weights` as a floating jax array.

    Raises:
      ValueError: if the shape is none of `shapes`, or a concrete weight is negative or not finite.

    Example:
      >>> checked_weights([1, -1], ((2,),))
      Traceback (most recent call last):
      ValueError: batch.weights has the value -1.0 at (1,), expected finite numbers that are not negative.
    """
    if weights is None:
        return jnp.ones((), ops.default_dtype())
    weights = jnp.asarray(weights)
    if not jnp.issubdtype(weights.dtype, jnp.floating):
        weights = weights.astype(ops.default_dtype())
    if weights.shape not in shapes:
        expected = " or ".join(map(str, shapes))
        raise ValueError(f"batch.weights has shape {weights.shape}, expected {expected} for this task.")
    if not isinstance(weights, jax.core.Tracer):
        values = np.asarray(weights)
        for where in np.argwhere(~(np.isfinite(values) & (values >= 0)))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"batch.weights has the value {values[place]} at {place}, expected finite numbers that are "
                f"not negative."
            )
    return weights


def averaged_loss(
    head: Head, outputs: PyTree, targets: PyTree, valid: Array, weights: Array, carry: Carry
) -> tuple[Array, LossAux]:
    """The weighted mean of a head's loss and metrics over the positions that count.

    Equation: `loss = sum_p w_p loss_p / sum_p w_p` over the valid positions `p`, or zero where all those
    weights are zero. Because it is a mean over what counts, padding changes neither its scale nor its
    gradient's. A position that is invalid or has weight zero adds nothing to either, whatever its target is.

    Args:
      head: the head.
      outputs: what `head.outputs` gave, for positions `[*P]`; finite at invalid positions.
      targets: a pytree of arrays `[*P, ...]`.
      valid: `[*P]` booleans.
      weights: floats that broadcast against `[*P]`.
      carry: the carry after the batch.

    Returns:
      The loss and a `LossAux`.

    Raises:
      ValueError: if targets do not begin with the axes `*P`, or the head refuses them.

    Example:
      >>> from seqjax.tasks import heads
      >>> valid, logits = jnp.array([True, False]), jnp.zeros((2, 4))
      >>> loss, aux = averaged_loss(heads.categorical(4), logits, jnp.array([1, 99]), valid, jnp.ones(()), ())
      >>> float(jnp.exp(loss).round(4)), float(aux.count)
      (4.0, 1.0)
    """
    weights = jnp.where(valid, weights, 0)
    targets = jax.tree.map(jnp.asarray, targets)
    for leaf in jax.tree.leaves(targets):
        if leaf.shape[: weights.ndim] != weights.shape:
            raise ValueError(
                f"batch.targets has shape {leaf.shape}, expected it to begin with {weights.shape}: one "
                f"target for each output of this task."
            )
    # Cleared, so that the head need not know of padding: nothing that stands there is out of range or NaN.
    targets = ops.zero_padding(targets, weights != 0)
    losses = head.loss(outputs, targets)
    metrics = head.metrics(jax.lax.stop_gradient(outputs), targets)
    weights = weights.astype(losses.dtype)
    averages = {name: _mean(values, weights) for name, values in metrics.items()}
    aux = LossAux(metrics=averages, count=jnp.sum(weights), carry=carry, derived=head.derived)
    return _mean(losses, weights), aux


def _mean(values: Array, weights: Array) -> Array:
    total = jnp.sum(weights)
    weighted = jnp.where(weights != 0, values, 0) * weights
    return jnp.sum(weighted) / jnp.where(total > 0, total, 1)
