"""Tags that are chosen together."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from flax import struct

from seqjax import ops
from seqjax.layers import CRFParams
from seqjax.layers import crf as crf_layer
from seqjax.tasks.head import HeadParams, projection
from seqjax.tasks.sequence_head import SequenceHead
from seqjax.types import Array, Key


@struct.dataclass
class CRFHeadParams:
    """Parameters of a CRF head.

    Attributes:
      projection: `HeadParams`, from features to a score for each tag.
      tags: `CRFParams`, what tags are worth beside each other.
    """

    projection: HeadParams
    tags: CRFParams


@struct.dataclass
class CRFOutputs:
    """What decides the distribution over sequences of tags.

    Attributes:
      scores: `[T, *B, K]`, of each tag at each step.
      tags: `CRFParams`.
    """

    scores: Array
    tags: CRFParams


@struct.dataclass
class CRFPrediction:
    """The most probable sequence of tags.

    Attributes:
      labels: `[T, *B]` int32, -1 past the length.
      log_probability: `[*B]`, of that sequence.
      probabilities: `[T, *B, K]`, the marginal probability of each tag at each step; zero past the length.
    """

    labels: Array
    log_probability: Array
    probabilities: Array


def crf(num_tags: int) -> SequenceHead:
    """One of `K` tags a step, all of a sequence chosen together (Lafferty et al., 2001; Huang et al., 2015).

    Equation: `loss = -log p(tags | scores)` with `scores = ys W + b` and `p` of `seqjax.layers.crf`. As that
    of any synced task, the loss is nats a step, and each step counts.

    Metrics: `accuracy`, of the tags of the most probable sequence.

    Args:
      num_tags: `K`.

    Returns:
      A `SequenceHead` with `CRFHeadParams`, for `synced`. Targets are integer tags `[T, *B]` from 0 to
      `K - 1`, predictions a `CRFPrediction`.

    Raises:
      TypeError: if `num_tags` is not an integer. `loss` raises it if targets are not integers.
      ValueError: if `num_tags` is not positive. `loss` raises it for a tag out of range whose value is known;
        where it is not (under `jit`), the loss is NaN, and so is its gradient.

    Example:
      >>> import seqjax as sj
      >>> task = sj.tasks.synced(sj.bidirectional(sj.gru(4)), crf(3))
      >>> params = task.init(jax.random.key(0), 2)
      >>> _, prediction = task.predict(params, jnp.ones((5, 2, 2)), lengths=jnp.array([5, 3]))
      >>> prediction.labels[3:, 1].tolist()
      [-1, -1]
    """
    field = crf_layer(num_tags)
    init_scores, scores_of = projection(num_tags)

    def init(key: Key, input_size: int) -> CRFHeadParams:
        projection_key, tags_key = jax.random.split(key)
        return CRFHeadParams(projection=init_scores(projection_key, input_size), tags=field.init(tags_key))

    def outputs(params: CRFHeadParams, ys: Array) -> CRFOutputs:
        return CRFOutputs(scores=scores_of(params.projection, ys), tags=params.tags)

    def loss(outputs: CRFOutputs, lengths: Array, targets: Array, target_lengths: Array) -> Array:
        return -field.log_likelihood(outputs.tags, outputs.scores, targets, lengths=lengths)

    def predict(outputs: CRFOutputs, lengths: Array) -> CRFPrediction:
        labels, log_probability = field.decode(outputs.tags, outputs.scores, lengths=lengths)
        marginals = field.marginals(outputs.tags, outputs.scores, lengths=lengths)
        return CRFPrediction(labels=labels, log_probability=log_probability, probabilities=marginals)

    def metrics(
        outputs: CRFOutputs, lengths: Array, targets: Array, target_lengths: Array
    ) -> dict[str, Array]:
        labels, _ = field.decode(outputs.tags, outputs.scores, lengths=lengths)
        valid = ops.length_mask(lengths, len(targets))
        correct = jnp.sum((labels == targets) & valid, axis=0)
        return {"accuracy": correct.astype(outputs.scores.dtype)}

    return SequenceHead(
        init=init,
        outputs=outputs,
        loss=loss,
        predict=predict,
        metrics=metrics,
        positions=lambda lengths, target_lengths: lengths,
        derived=lambda averages: {},
        own_time=False,
    )
