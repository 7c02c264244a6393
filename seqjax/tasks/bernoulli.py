"""Features that are each true or false."""

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
class BernoulliPrediction:
    """A probability for each feature at each position.

    Attributes:
      logits: `[..., M]`, the log-odds of true.
      probabilities: `[..., M]`, of true.
      labels: `[..., M]` booleans, whether true is the more probable.
    """

    logits: Array
    probabilities: Array
    labels: Array


def bernoulli(
    features: int,
    *,
    class_weights: Sequence[float] | Sequence[Sequence[float]] | np.ndarray | None = None,
    label_smoothing: float = 0.0,
) -> Head:
    """`M` features that are true or false, independent of each other given the network.

    Equations, in nats: `z = ys W + b`, `p = sigmoid(z)`, and for the targets `t`
    `loss = -sum_m w_m1 t'_m log p_m + w_m0 (1 - t'_m) log(1 - p_m)`,
    `t' = (1 - label_smoothing) t + label_smoothing / 2`. Both logarithms are computed from `z`, so that none
    overflows.

    Metrics: `accuracy`, the fraction of features on the right side of one half, and `cross_entropy`, the loss
    without weights or smoothing.

    Args:
      features: `M`.
      class_weights: the weights `(w_0, w_1)` of false and of true, `[2]` for all features or `[M, 2]` for
        each; `None` for ones. A positive weight of `w`, as other libraries call it, is `(1, w)`.
      label_smoothing: the probability spread evenly over true and false.

    Returns:
      A `Head` with `HeadParams`. Outputs are logits `[..., M]`, targets booleans or numbers from 0 to 1
      `[..., M]`, predictions a `BernoulliPrediction`, samples ones and zeros.

    Raises:
      ValueError: if an argument is out of range. `loss` raises it for a target outside 0 to 1 whose value is
        known; where it is not (under `jit`), the loss at that position is NaN, and so is its gradient.
      TypeError: if a size is not an integer.

    Example:
      >>> head = bernoulli(2)
      >>> loss = head.loss(jnp.array([0.0, 1000.0]), jnp.array([True, True]))
      >>> float(jnp.exp(-loss))
      0.5
    """
    check_size("features", features)
    check_rate("label_smoothing", label_smoothing)
    smoothing = float(label_smoothing)
    weights = checked_class_weights(class_weights, ((2,), (features, 2)))
    init, outputs = projection(features)

    def cross_entropy(logits: Array, true: Array, false: Array) -> Array:
        return -jnp.sum(true * jax.nn.log_sigmoid(logits) + false * jax.nn.log_sigmoid(-logits), axis=-1)

    def loss(logits: Array, targets: Any) -> Array:
        targets = (1 - smoothing) * _probabilities(targets, logits) + smoothing / 2
        true, false = targets, 1 - targets
        if weights is not None:
            true = true * jnp.asarray(weights[..., 1], logits.dtype)
            false = false * jnp.asarray(weights[..., 0], logits.dtype)
        return cross_entropy(logits, true, false)

    def metrics(logits: Array, targets: Any) -> dict[str, Array]:
        targets = _probabilities(targets, logits)
        correct = (logits > 0) == (targets > 0.5)
        return {
            "accuracy": jnp.mean(correct.astype(logits.dtype), axis=-1),
            "cross_entropy": cross_entropy(logits, targets, 1 - targets),
        }

    def predict(logits: Array) -> BernoulliPrediction:
        return BernoulliPrediction(logits=logits, probabilities=jax.nn.sigmoid(logits), labels=logits > 0)

    return Head(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=predict,
        metrics=metrics,
        derived=lambda averages: {},
        sample=_sample,
    )


def _sample(key: Key | None, prediction: BernoulliPrediction) -> Array:
    """Ones and zeros, drawn or the more probable; NaN where a probability is."""
    drawn = prediction.labels if key is None else jax.random.bernoulli(key, prediction.probabilities)
    logits = prediction.logits
    return jnp.where(jnp.isnan(logits), jnp.nan, drawn).astype(logits.dtype)


def _probabilities(targets: Any, logits: Array) -> Array:
    """Targets as numbers from 0 to 1, NaN where they are not."""
    targets = jnp.asarray(targets)
    check_targets(targets, logits.shape, "one value from 0 to 1 for each feature")
    known = (targets >= 0) & (targets <= 1)
    scored = nan_unless(known, targets, "values from 0 to 1", logits.dtype)
    return targets.astype(logits.dtype) * scored
