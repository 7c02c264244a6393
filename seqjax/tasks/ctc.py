"""Targets that come in the order of the inputs, but nobody knows at which steps."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import struct

from seqjax import ops
from seqjax.checks import check_size
from seqjax.tasks.head import projection
from seqjax.tasks.sequence_head import SequenceHead
from seqjax.types import Array


@struct.dataclass
class CTCPrediction:
    """What is read off the most probable path.

    Attributes:
      logits: `[T, *B, K]`, for `seqjax.decoding.ctc_beam`.
      labels: `[T, *B]` int32, the labels of the path without repetitions and blanks, then blanks.
      lengths: `[*B]` int32, how many labels there are.
    """

    logits: Array
    labels: Array
    lengths: Array


def ctc(num_classes: int, *, blank: int = 0) -> SequenceHead:
    """Connectionist temporal classification (Graves et al., 2006): labels no more than there are steps.

    Equations: a path has a class at each step, `p(path) = prod_t softmax(ys_t W + b)[path_t]`; it reads as
    the sequence that is left without repetitions, and then without blanks. `loss = -log sum p(path)` over the
    paths that read as the targets (their eq. 3), by `optax.ctc_loss`. The loss is nats a sequence.

    Predictions read the most probable path, which need not be the most probable sequence:
    `seqjax.decoding.ctc_beam` searches for that.

    Metrics: `exact`, the share of the sequences that are predicted without an error.

    Args:
      num_classes: `K`, the blank included.
      blank: the class that stands for no label.

    Returns:
      A `SequenceHead` with `HeadParams`, for `synced`. Targets are integer labels `[T', *B]` other than the
      blank, with `target_lengths[*B]`; predictions a `CTCPrediction`.

    Raises:
      TypeError: if a size is not an integer. `loss` raises it if targets are not integers.
      ValueError: if a size is out of range. `loss` raises it, where values are known, for a label that is
        blank or none of the classes, and for targets for which there are too few steps; where they are not
        (under `jit`), the loss is NaN, and so is its gradient.

    Example:
      >>> head = ctc(3)
      >>> logits = jnp.log(jnp.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]) + 1e-9)
      >>> loss = head.loss(logits, jnp.array(2), jnp.array([1]), jnp.array(1))  # 1-, -1 or 11
      >>> float(jnp.exp(-loss).round(4))
      0.75
    """
    check_size("num_classes", num_classes)
    if isinstance(blank, bool) or not hasattr(blank, "__index__"):
        raise TypeError(f"blank is {blank!r}, expected one of the {num_classes} classes: an integer.")
    if not 0 <= blank < num_classes:
        raise ValueError(f"blank is {blank}, expected one of the classes, 0 to {num_classes - 1}.")
    init, outputs = projection(num_classes)

    def loss(logits: Array, lengths: Array, targets: Array, target_lengths: Array) -> Array:
        num_steps, *batch_shape, _ = logits.shape
        rows = math.prod(batch_shape)
        labels, scored = _scored(blank, logits, lengths, targets, target_lengths)

        def batch_first(leaf: Array) -> Array:
            return jnp.moveaxis(leaf.reshape(leaf.shape[0], rows, *leaf.shape[1 + len(batch_shape) :]), 1, 0)

        losses = optax.ctc_loss(
            batch_first(logits),
            batch_first(~ops.length_mask(lengths, num_steps)).astype(logits.dtype),
            batch_first(labels),
            batch_first(~ops.length_mask(target_lengths, len(labels))).astype(logits.dtype),
            blank_id=blank,
        )
        return losses.reshape(batch_shape) * scored

    def predict(logits: Array, lengths: Array) -> CTCPrediction:
        path = jnp.argmax(logits, axis=-1).astype(jnp.int32)
        labels, count = collapsed(path, lengths, blank)
        return CTCPrediction(logits=logits, labels=labels, lengths=count)

    def metrics(logits: Array, lengths: Array, targets: Array, target_lengths: Array) -> dict[str, Array]:
        found = predict(logits, lengths)
        shared = min(len(targets), len(found.labels))
        within = ops.length_mask(target_lengths, shared)
        same = ((found.labels[:shared] == targets[:shared]) | ~within).all(axis=0)
        return {"exact": (same & (found.lengths == target_lengths)).astype(logits.dtype)}

    return SequenceHead(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=predict,
        metrics=metrics,
        positions=lambda lengths, target_lengths: (lengths > 0).astype(jnp.int32),
        derived=lambda averages: {},
        own_time=True,
    )


def collapsed(path: Array, lengths: Array, blank: int) -> tuple[Array, Array]:
    """What paths read as: without repetitions, then without blanks.

    Args:
      path: `[T, *B]` integers, a class at each step.
      lengths: `[*B]` integers, the valid steps.
      blank: the class that stands for no label.

    Returns:
      Labels `[T, *B]`, which begin at the first place and are followed by blanks, and how many there are,
      `[*B]`.

    Example:
      >>> collapsed(jnp.array([1, 1, 0, 1, 2]), jnp.array(5), 0)[0].tolist()
      [1, 1, 2, 0, 0]
    """
    before = jnp.concatenate([jnp.full_like(path[:1], blank), path[:-1]])
    stays = (path != blank) & (path != before) & ops.length_mask(lengths, len(path))
    count = jnp.sum(stays, axis=0, dtype=jnp.int32)
    order = jnp.argsort(~stays, axis=0, stable=True)
    labels = jnp.take_along_axis(path, order, axis=0)
    return jnp.where(ops.length_mask(count, len(path)), labels, blank), count


def _scored(
    blank: int, logits: Array, lengths: Array, targets: Array, target_lengths: Array
) -> tuple[Array, Array]:
    """Labels that exist, and a factor that is NaN for a sequence that no path reads as."""
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(f"targets has dtype {targets.dtype}, expected integer labels [T', *B].")
    num_classes = logits.shape[-1]
    within = ops.length_mask(target_lengths, len(targets))
    known = (targets >= 0) & (targets < num_classes) & (targets != blank)
    wrong = within & ~known
    repeats = jnp.sum(within[1:] & (targets[1:] == targets[:-1]), axis=0)
    needed = target_lengths + repeats
    if not isinstance(wrong, jax.core.Tracer):
        for where in np.argwhere(np.asarray(wrong))[:1]:
            place = tuple(int(i) for i in where)
            raise ValueError(
                f"targets has the value {np.asarray(targets)[place]} at {place}, expected labels from 0 to "
                f"{num_classes - 1} other than the blank {blank}."
            )
        for where in np.argwhere(np.asarray(needed > lengths))[:1]:
            row = tuple(int(i) for i in where)
            raise ValueError(
                f"targets of row {row} need {np.asarray(needed)[row]} steps, one a label and one between "
                f"equal labels, but there are {np.asarray(lengths)[row]}: leave it out, or give weight 0."
            )
    impossible = wrong.any(axis=0) | (needed > lengths)
    return jnp.where(within & known, targets, blank), jnp.where(impossible, jnp.nan, 1).astype(logits.dtype)
