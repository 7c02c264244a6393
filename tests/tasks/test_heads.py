"""Heads against closed forms worked out by hand, in numpy, and by scipy's densities."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.scipy import stats
from jax.test_util import check_grads

from seqjax.tasks import heads

LOGITS = np.array([[2.0, 0.0, -1.0], [0.5, 0.5, 3.0]], np.float32)
TARGETS = np.array([0, 1])


def probabilities(logits):
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    return exponentials / exponentials.sum(-1, keepdims=True)


def test_categorical_is_the_negative_log_probability_in_nats():
    head = heads.categorical(3)
    wanted = -np.log(probabilities(LOGITS)[[0, 1], TARGETS])
    np.testing.assert_allclose(head.loss(LOGITS, TARGETS), wanted, rtol=1e-6)
    metrics = head.metrics(LOGITS, TARGETS)
    assert metrics["accuracy"].tolist() == [1, 0]
    np.testing.assert_allclose(metrics["cross_entropy"], wanted, rtol=1e-6)
    assert float(head.derived({"cross_entropy": jnp.log(7.0)})["perplexity"]) == pytest.approx(7)


def test_categorical_predicts_probabilities():
    prediction = heads.categorical(3).predict(LOGITS)
    np.testing.assert_allclose(prediction.probabilities, probabilities(LOGITS), rtol=1e-6)
    assert prediction.labels.tolist() == [0, 2]
    assert prediction.labels.dtype == jnp.int32


def test_class_weights_and_label_smoothing_by_hand():
    # Two classes with p = (0.9, 0.1), label 1, weights (1, 3), smoothing 0.2: q = (0.1, 0.9).
    logits = jnp.log(jnp.array([0.9, 0.1]))
    head = heads.categorical(2, class_weights=[1, 3], label_smoothing=0.2)
    wanted = -(1 * 0.1 * np.log(0.9) + 3 * 0.9 * np.log(0.1))
    assert float(head.loss(logits, 1)) == pytest.approx(wanted, rel=1e-6)
    # The metric stays comparable: it knows neither weights nor smoothing.
    assert float(head.metrics(logits, 1)["cross_entropy"]) == pytest.approx(-np.log(0.1), rel=1e-6)


def test_bernoulli_by_hand():
    # p = (0.8, 0.3), targets (1, 0).
    logits = jnp.log(jnp.array([0.8 / 0.2, 0.3 / 0.7]))
    targets = np.array([True, False])
    loss = heads.bernoulli(2).loss(logits, targets)
    assert float(loss) == pytest.approx(-np.log(0.8) - np.log(0.7), rel=1e-6)
    weighted = heads.bernoulli(2, class_weights=[[1, 2], [5, 7]], label_smoothing=0.5)
    wanted = -(2 * 0.75 * np.log(0.8) + 1 * 0.25 * np.log(0.2))
    wanted -= 7 * 0.25 * np.log(0.3) + 5 * 0.75 * np.log(0.7)
    assert float(weighted.loss(logits, targets)) == pytest.approx(wanted, rel=1e-6)
    one_for_all = heads.bernoulli(2, class_weights=(1, 4)).loss(logits, targets)
    assert float(one_for_all) == pytest.approx(-4 * np.log(0.8) - np.log(0.7), rel=1e-6)
    metrics = heads.bernoulli(2).metrics(logits, np.array([1.0, 1.0]))
    assert float(metrics["accuracy"]) == 0.5
    prediction = heads.bernoulli(2).predict(logits)
    np.testing.assert_allclose(prediction.probabilities, [0.8, 0.3], rtol=1e-6)
    assert prediction.labels.tolist() == [True, False]


def test_bernoulli_never_overflows():
    head = heads.bernoulli(1)
    for logit in (-1e4, 1e4):
        value, gradient = jax.value_and_grad(head.loss)(jnp.array([logit]), jnp.array([1.0]))
        assert float(value) == max(-logit, 0)
        assert np.isfinite(gradient).all()


@pytest.mark.parametrize("scale", ["predicted", "learned", 0.5])
def test_gaussian_is_the_normal_density(scale, key):
    head = heads.gaussian(2, scale=scale)
    params = head.init(key, 3)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.arange(leaf.size).reshape(leaf.shape), params)
    ys, targets = jax.random.normal(key, (5, 3)), jax.random.normal(jax.random.key(1), (5, 2))
    outputs = head.outputs(params, ys)
    wanted = -stats.norm.logpdf(targets, outputs.mean, outputs.scale).sum(-1)
    np.testing.assert_allclose(head.loss(outputs, targets), wanted, rtol=1e-5)
    np.testing.assert_allclose(
        head.metrics(outputs, targets)["squared_error"], ((targets - outputs.mean) ** 2).mean(-1), rtol=1e-6
    )
    assert float(head.derived({"squared_error": jnp.array(4.0)})["rmse"]) == 2
    np.testing.assert_allclose(outputs.mean, ys @ params.kernel[:, 0] + params.bias[0], rtol=1e-4, atol=1e-6)
    if scale == "predicted":
        wanted_scale = np.exp(ys @ params.kernel[:, 1] + params.bias[1])
    else:
        wanted_scale = np.exp(params.log_scale) if scale == "learned" else scale
    np.testing.assert_allclose(outputs.scale, np.broadcast_to(wanted_scale, (5, 2)), rtol=1e-4)
    assert head.predict(outputs) is outputs


def test_gaussian_by_hand():
    outputs = heads.GaussianPrediction(mean=jnp.zeros(1), scale=jnp.full(1, 2.0))
    loss = heads.gaussian(1).loss(outputs, jnp.array([4.0]))
    assert float(loss) == pytest.approx(2 + np.log(2) + 0.5 * np.log(2 * np.pi), rel=1e-6)


@pytest.mark.parametrize("scale", ["predicted", "learned"])
def test_a_scale_starts_at_one(scale, key):
    head = heads.gaussian(2, scale=scale)
    outputs = head.outputs(head.init(key, 3), jax.random.normal(key, (3,)))
    np.testing.assert_allclose(outputs.scale, 1, atol=2e-6)


def test_gradients_of_losses(key):
    with jax.enable_x64(True):
        logits = jax.random.normal(key, (4, 3), jnp.float64)
        head = heads.categorical(3, class_weights=[1, 2, 3], label_smoothing=0.1)
        check_grads(jax.jit(lambda logits: head.loss(logits, jnp.array([0, 1, 2, 0]))), (logits,), 1)
        head = heads.bernoulli(3, class_weights=(1, 2), label_smoothing=0.1)
        check_grads(jax.jit(lambda logits: head.loss(logits, jnp.sin(logits) ** 2)), (logits,), 1)
        head = heads.gaussian(3)
        params = head.init(key, 3)
        check_grads(jax.jit(lambda params: head.loss(head.outputs(params, logits), logits)), (params,), 1)


BAD_TARGETS = [
    (heads.categorical(3), np.array([0, 3]), "value 3 at .1,., expected labels from 0 to 2"),
    (heads.categorical(3), np.array([-1, 0]), "value -1 at .0,."),
    (heads.bernoulli(1), np.array([[0.5], [1.5]]), r"value 1.5 at \(1, 0\), expected values from 0 to 1"),
    (heads.bernoulli(1), np.array([[0.5], [np.nan]]), "value nan"),
    (heads.gaussian(1), np.array([[0.5], [np.inf]]), "value inf at .1, 0., expected finite"),
]


@pytest.mark.parametrize(("head", "targets", "message"), BAD_TARGETS)
def test_targets_out_of_range_are_never_scored(head, targets, message, key):
    params, ys = head.init(key, 2), jnp.ones((2, 2))

    def total(params, targets):
        losses = head.loss(head.outputs(params, ys), targets)
        return losses.sum(), losses

    with pytest.raises(ValueError, match=message):
        total(params, targets)
    with pytest.raises(ValueError, match=message):
        head.metrics(head.outputs(params, ys), targets)
    gradient, losses = jax.jit(jax.grad(total, has_aux=True))(params, targets)
    assert np.isnan(losses).sum() == 1
    assert np.isnan(gradient.bias).any()


def test_narrow_and_unsigned_labels_are_compared_with_the_number_of_classes():
    logits = jnp.zeros((1, 300))
    for dtype in (np.uint8, np.int8, np.uint32):
        assert float(heads.categorical(300).loss(logits, np.array([7], dtype))[0]) == pytest.approx(
            np.log(300)
        )


def test_half_precision_params_are_scored_in_single(key):
    for head in (
        heads.categorical(3),
        heads.gaussian(3),
        heads.gaussian(3, scale="learned"),
    ):
        params = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), head.init(key, 2))
        outputs = jax.eval_shape(head.outputs, params, jnp.ones((4, 2), jnp.bfloat16))
        assert {leaf.dtype for leaf in jax.tree.leaves(outputs)} == {jnp.dtype(jnp.float32)}


ERRORS = [
    (lambda: heads.categorical(0), ValueError, "num_classes is 0"),
    (lambda: heads.categorical(2.5), TypeError, "num_classes is 2.5"),
    (lambda: heads.categorical(3, class_weights=[1, 2]), ValueError, r"class_weights has shape \(2,\), exp"),
    (lambda: heads.categorical(2, class_weights=[1, -2]), ValueError, "class_weights is .1.0, -2.0."),
    (lambda: heads.categorical(2, label_smoothing=1), ValueError, "label_smoothing is 1, expected"),
    (lambda: heads.bernoulli(2, class_weights=[1, 2, 3]), ValueError, r"expected \(2,\) or \(2, 2\)"),
    (lambda: heads.bernoulli(2, label_smoothing="some"), TypeError, "label_smoothing is 'some'"),
    (lambda: heads.gaussian(0), ValueError, "features is 0"),
    (
        lambda: heads.gaussian(1, scale="fixed"),
        ValueError,
        "scale is 'fixed', expected 'predicted', 'learned'",
    ),
    (lambda: heads.gaussian(1, scale=0), ValueError, "scale is 0, expected"),
    (lambda: heads.gaussian(1, scale=float("inf")), ValueError, "scale is inf, expected"),
    (lambda: heads.gaussian(1, scale=None), TypeError, "scale is None of type NoneType"),
    (lambda: heads.categorical(3).init(0, 2), TypeError, "key is a int"),
    (lambda: heads.gaussian(3).init(jax.random.key(0), 0), ValueError, "input_size is 0"),
    (lambda: heads.categorical(3).loss(LOGITS, np.eye(3)[:2]), TypeError, r"targets.argmax\(-1\)"),
    (
        lambda: heads.categorical(3).loss(LOGITS, TARGETS[:, None]),
        ValueError,
        r"targets has shape \(2, 1\), expected \(2,\), one label for each output: targets\[..., 0\]",
    ),
    (lambda: heads.bernoulli(1).loss(np.ones((2, 1)), np.ones(2)), ValueError, r"targets\[..., None\]"),
    (
        lambda: heads.gaussian(1).loss(
            heads.GaussianPrediction(jnp.zeros((2, 1)), jnp.ones((2, 1))), np.ones((2, 1), complex)
        ),
        TypeError,
        "targets has dtype complex",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), ERRORS)
def test_errors_name_the_argument(call, error, message):
    with pytest.raises(error, match=message):
        call()
