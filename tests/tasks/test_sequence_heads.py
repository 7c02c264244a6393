"""Heads of whole sequences against every path there is."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax import decoding, heads, tasks
from seqjax.layers.pointwise import pointwise
from tests.layers.tools import draw

T, B, K = 4, 3, 3
LENGTHS = np.array([4, 3, 0])
VALID = np.arange(T)[:, None] < LENGTHS
RNG = np.random.default_rng(0)
INPUTS = RNG.normal(0, 1.5, (T, B, K)).astype(np.float32)
IDENTITY = pointwise(lambda params, xs: xs, output_size=lambda input_size: input_size)
CTC, CRF = (tasks.synced(IDENTITY, head) for head in (heads.ctc(K), heads.crf(K)))
TARGETS = np.array([[1, 2, 1], [1, 1, 2]])
TARGET_LENGTHS = np.array([2, 1, 0])
TAGS = RNG.integers(0, K, (T, B))


def reads_as(path):
    return tuple(label for label, _ in itertools.groupby(path) if label)


def probabilities(params, row):
    """Of every label sequence, summed over its paths in float64."""
    kernel, bias = np.asarray(params.head.kernel, float), np.asarray(params.head.bias, float)
    logits = INPUTS[: LENGTHS[row], row] @ kernel + bias
    steps = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    total = {}
    for path in itertools.product(range(K), repeat=LENGTHS[row]):
        labels = reads_as(path)
        total[labels] = total.get(labels, 0) + steps[range(len(path)), path].prod()
    return total


def gradient(task):
    return jax.jit(jax.value_and_grad(task.loss, has_aux=True))


def test_ctc_is_the_sum_over_all_paths():
    params = draw(CTC, K)
    batch = sj.Batch(INPUTS, TARGETS, lengths=LENGTHS, target_lengths=TARGET_LENGTHS)
    run = gradient(CTC)
    (loss, aux), grads = clean = run(params, batch)
    wanted = [-np.log(probabilities(params, 0)[1, 1]), -np.log(probabilities(params, 1)[2,])]
    assert float(loss) == pytest.approx(np.mean(wanted), rel=1e-5)
    assert float(aux.count) == 2  # a sequence without steps does not count
    weighted, _ = jax.jit(CTC.loss)(params, batch.replace(weights=np.array([1.0, 3.0, 1.0])))
    assert float(weighted) == pytest.approx((wanted[0] + 3 * wanted[1]) / 4, rel=1e-5)
    spoilt = batch.replace(
        inputs=np.where(VALID[..., None], INPUTS, np.nan),
        targets=np.where(np.arange(2)[:, None] < TARGET_LENGTHS, TARGETS, -1),
    )
    jax.tree.map(np.testing.assert_array_equal, run(params, spoilt), clean)
    # The gradient of one number of the bias, by differences of the enumeration.
    shift = 1e-5
    sums = []
    for sign in (1, -1):
        moved = params.replace(
            head=params.head.replace(bias=np.asarray(params.head.bias) + np.eye(K)[2] * sign * shift)
        )
        sums.append(-np.log(probabilities(moved, 0)[1, 1]) - np.log(probabilities(moved, 1)[2,]))
    assert float(grads.head.bias[2]) == pytest.approx((sums[0] - sums[1]) / (4 * shift), rel=1e-3)


def test_ctc_predicts_what_the_best_path_reads_as():
    params = draw(CTC, K)
    _, prediction = CTC.predict(params, INPUTS, lengths=LENGTHS)
    for row in range(B):
        path = np.asarray(prediction.logits)[: LENGTHS[row], row].argmax(-1)
        count = int(prediction.lengths[row])
        assert tuple(np.asarray(prediction.labels)[:count, row].tolist()) == reads_as(path.tolist())
        assert not np.asarray(prediction.labels)[count:, row].any()


def test_prefix_beam_search_against_all_sequences():
    params = draw(CTC, K)
    logits = INPUTS @ params.head.kernel + params.head.bias
    whole = decoding.ctc_beam(logits, width=40, lengths=LENGTHS, num_best=40)
    narrow = decoding.ctc_beam(logits, width=4, lengths=LENGTHS)
    for row in range(B):
        every = probabilities(params, row)
        order = sorted(every, key=every.get, reverse=True)
        for place, labels in enumerate(order):
            found = np.asarray(whole.tokens)[: whole.lengths[place, row], place, row]
            assert tuple(found.tolist()) == labels
            log_probability = float(whole.log_probabilities[place, row])
            assert log_probability == pytest.approx(np.log(every[labels]), abs=1e-4)
        assert not np.isfinite(whole.log_probabilities[len(order) :, row]).any()
        best = np.asarray(narrow.tokens)[: narrow.lengths[0, row], 0, row]
        assert tuple(best.tolist()) == order[0]
        # What was not kept is missing from the sum.
        assert float(narrow.log_probabilities[0, row]) <= np.log(every[order[0]]) + 1e-5


def test_targets_that_no_path_reads_as():
    params = draw(CTC, K)
    run = jax.jit(CTC.loss)
    lengths = np.array([2, 3, 1])  # a label twice needs a blank between
    batch = sj.Batch(INPUTS, TARGETS, lengths=lengths, target_lengths=TARGET_LENGTHS)
    with pytest.raises(ValueError, match=r"targets of row \(0,\) need 3 steps.*there are 2"):
        CTC.loss(params, batch)
    assert np.isnan(run(params, batch)[0])
    assert np.isfinite(run(params, batch.replace(weights=np.array([0.0, 1.0, 1.0])))[0])
    blank = batch.replace(lengths=LENGTHS, targets=np.where(TARGETS == 2, 0, TARGETS))
    with pytest.raises(ValueError, match=r"value 0 at \(0, 1\), expected labels from 0 to 2 other than"):
        CTC.loss(params, blank)
    assert np.isnan(run(params, blank)[0])


def weights_of_tags(params, row):
    scores = np.asarray(INPUTS[: LENGTHS[row], row] @ params.head.projection.kernel, float)
    scores = scores + np.asarray(params.head.projection.bias)
    tags = params.head.tags
    return {
        path: np.exp(
            tags.start[path[0]]
            + sum(scores[t, tag] for t, tag in enumerate(path))
            + sum(tags.transition[a, b] for a, b in itertools.pairwise(path))
            + tags.end[path[-1]]
        )
        for path in itertools.product(range(K), repeat=LENGTHS[row])
    }


def test_crf_is_the_likelihood_of_all_tags_together():
    params = jax.tree.map(np.asarray, draw(CRF, K))
    run = gradient(CRF)
    batch = sj.Batch(INPUTS, TAGS, lengths=LENGTHS)
    (loss, aux), _ = clean = run(params, batch)
    _, prediction = jax.jit(CRF.predict)(params, INPUTS, lengths=LENGTHS)
    total, correct = 0.0, 0
    for row in range(2):
        weights, tags = weights_of_tags(params, row), tuple(TAGS[: LENGTHS[row], row].tolist())
        total -= np.log(weights[tags] / sum(weights.values()))
        best = max(weights, key=weights.get)
        assert tuple(np.asarray(prediction.labels)[: LENGTHS[row], row].tolist()) == best
        correct += sum(a == b for a, b in zip(best, tags, strict=True))
    assert float(loss) == pytest.approx(total / 7, rel=1e-5)
    assert float(aux.metrics["accuracy"]) == pytest.approx(correct / 7)
    assert (np.asarray(prediction.labels)[~VALID] == -1).all()
    spoilt = batch.replace(
        inputs=np.where(VALID[..., None], INPUTS, np.nan), targets=np.where(VALID, TAGS, -1)
    )
    jax.tree.map(np.testing.assert_array_equal, run(params, spoilt), clean)


def test_mixture_density_by_hand():
    log_weights = jnp.log(jnp.array([0.25, 0.75]))
    outputs = heads.MixtureDensityPrediction(
        log_weights, jnp.array([[0.0, 1.0], [2.0, -1.0]]), jnp.array([[1.0, 2.0], [0.5, 1.0]])
    )
    target = np.array([1.0, 0.5])
    density = [
        np.prod(np.exp(-0.5 * ((target - mean) / scale) ** 2) / (scale * np.sqrt(2 * np.pi)))
        for mean, scale in (([0.0, 1.0], [1.0, 2.0]), ([2.0, -1.0], [0.5, 1.0]))
        for mean, scale in [(np.array(mean), np.array(scale))]
    ]
    head = heads.mixture_density(2, 2)
    assert float(head.loss(outputs, target)) == pytest.approx(
        -np.log(np.dot([0.25, 0.75], density)), rel=1e-5
    )
    error = np.mean((target - [1.5, -0.5]) ** 2)
    assert float(head.metrics(outputs, target)["squared_error"]) == pytest.approx(error, rel=1e-5)
