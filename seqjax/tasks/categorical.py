"""One of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import struct

from seqjax.checks import check_size
from seqjax.layers.noise import check_rate
from seqjax.tasks.head import Head, check_targets, checked_class_weights, nan_unless, projection
from seqjax.types import Array, Key


@struct.dataclass
class CategoricalPrediction:
    """A distribution over classes at each position.

    Attributes:
      logits: `[..., K]`, log-probabilities up to a constant.
      probabilities: `[..., K]`.
      labels: `[...]` int32, the most probable class.
    """

    logits: Array
    probabilities: Array
    labels: Array


def categorical(
    num_classes: int,
    *,
    class_weights: Sequence[float] | np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> Head:
    """One of `K` classes, from a softmax.

    Equations, in nats: `logits = ys W + b`, `log p = log_softmax(logits)`, and for the label `y`
    `loss = -sum_k w_k q_k log p_k`, `q_k = (1 - label_smoothing) [k = y] + label_smoothing / K`
    (label smoothing: Szegedy et al., 2016, sec. 7). Without weights and smoothing, `loss = -log p_y`.

    Class weights scale the loss and its gradient; the mean that a task takes divides by the weights of the
    positions alone, so that a class weighted twice counts as if it came twice, but for the divisor.

    Metrics: `accuracy`, and `cross_entropy`, which is `-log p_y` without weights or smoothing. Derived:
    `perplexity = exp(cross_entropy)`.

    Args:
      num_classes: `K`.
      class_weights: `[K]`, a weight `w_k` for each class; `None` for ones.
      label_smoothing: the probability spread evenly over all classes.

    Returns:
      A `Head` with `HeadParams`. Outputs are logits `[..., K]`, targets integer labels `[...]` from 0 to
      `K - 1`, predictions a `CategoricalPrediction`, samples int32 labels, -1 where probabilities are NaN.

    Raises:
      ValueError: if an argument is out of range. `loss` raises it for a label outside 0 to `K - 1` whose
        value is known; where it is not (under `jit`), the loss there is NaN, and so is its gradient.
      TypeError: if a size is not an integer. `loss` raises it if targets are not integers.

    Example:
      >>> head = categorical(4)
      >>> logits = jnp.log(jnp.array([0.1, 0.2, 0.3, 0.4]))
      >>> round(float(jnp.exp(-head.loss(logits, 2))), 3)
      0.3
      >>> int(head.predict(logits).labels)
      3
    """
    check_size("num_classes", num_classes)
    check_rate("label_smoothing", label_smoothing)
    smoothing = float(label_smoothing)
    weights = checked_class_weights(class_weights, ((num_classes,),))
    init, outputs = projection(num_classes)

    def loss(logits: Array, targets: Any) -> Array:
        index, scored = _labels(targets, logits)
        weighted = jax.nn.log_softmax(logits)
        if weights is not None:
            weighted = weighted * jnp.asarray(weights, logits.dtype)
        log_likelihood = _pick(weighted, index)
        if smoothing > 0:
            log_likelihood = (1 - smoothing) * log_likelihood + smoothing * jnp.mean(weighted, axis=-1)
        return -log_likelihood * scored

    def metrics(logits: Array, targets: Any) -> dict[str, Array]:
        index, scored = _labels(targets, logits)
        correct = jnp.argmax(logits, axis=-1) == index
        cross_entropy = -_pick(jax.nn.log_softmax(logits), index)
        return {
            "accuracy": correct.astype(logits.dtype) * scored,
            "cross_entropy": cross_entropy * scored,
        }

    def predict(logits: Array) -> CategoricalPrediction:
        return CategoricalPrediction(
            logits=logits,
            probabilities=jax.nn.softmax(logits),
            labels=jnp.argmax(logits, axis=-1).astype(jnp.int32),
        )

    def derived(averages: dict[str, Array]) -> dict[str, Array]:
        return {"perplexity": jnp.exp(averages["cross_entropy"])}

    return Head(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=predict,
        metrics=metrics,
        derived=derived,
        sample=_sample,
    )


def _sample(key: Key | None, prediction: CategoricalPrediction) -> Array:
    """A label drawn, or the most probable one; -1, which is none, where probabilities are NaN."""
    logits = prediction.logits
    drawn = prediction.labels if key is None else jax.random.categorical(key, logits)
    known = jnp.isfinite(jax.nn.logsumexp(logits, axis=-1))
    return jnp.where(known, drawn, -1).astype(jnp.int32)


def _labels(targets: Any, logits: Array) -> tuple[Array, Array]:
    """Labels that can index the classes, and a factor that is NaN where a target is no label."""
    targets = jnp.asarray(targets)
    if not jnp.issubdtype(targets.dtype, jnp.integer):
        raise TypeError(
            f"targets has dtype {targets.dtype}, expected integer labels: targets.argmax(-1) for one-hot "
            f"targets, or targets.astype(int)."
        )
    check_targets(targets, logits.shape[:-1], "one label for each output")
    if targets.dtype.itemsize < 4:  # too narrow to be compared with the number of classes
        targets = targets.astype(jnp.int32)
    num_classes = logits.shape[-1]
    known = (targets >= 0) & (targets < num_classes)
    scored = nan_unless(known, targets, f"labels from 0 to {num_classes - 1}", logits.dtype)
    return jnp.where(known, targets, 0), scored


def _pick(values: Array, index: Array) -> Array:
    return jnp.take_along_axis(values, index[..., None], axis=-1)[..., 0]
