"""Every mistake is named: the argument, what was expected, what came, the mend."""

import jax
import jax.numpy as jnp
import pytest

import seqjax as sj
from seqjax import layers
from seqjax.cells import LSTMCarry
from tests.layers.tools import draw

FACTORIES = [
    (lambda: layers.dropout(1.5), ValueError, "rate is 1.5, expected a number from 0 up to but not incl"),
    (lambda: layers.dropout(1), ValueError, "rate is 1, expected"),
    (lambda: layers.dropout(float("nan")), ValueError, "rate is nan, expected"),
    (lambda: layers.dropout("half"), TypeError, "rate is 'half' of type str, expected a number"),
    (lambda: layers.dropout(True), TypeError, "rate is True of type bool"),
    (lambda: layers.recurrent(sj.gru(2), zoneout=-0.1), ValueError, "zoneout is -0.1, expected"),
    (lambda: layers.recurrent(sj.gru(2), zoneout=()), TypeError, r"zoneout is \(\), expected a rate"),
    (
        lambda: layers.recurrent(sj.lstm(2), zoneout=LSTMCarry(cell=0.1, hidden=2)),
        ValueError,
        "zoneout.hidden is 2, expected",
    ),
    (lambda: layers.recurrent(sj.gru(2), recurrent_dropout=2), ValueError, "recurrent_dropout is 2, exp"),
    (lambda: layers.recurrent(sj.gru), TypeError, r"cell is a function.*gru\(\.\.\.\), not gru"),
    (lambda: layers.recurrent(layers.dense(2)), TypeError, "cell is a Layer.*runs over time already"),
    (
        lambda: layers.recurrent(sj.gru(2)._replace(structure=None), zoneout=0.1),
        ValueError,
        "cell has no structure",
    ),
    (
        lambda: layers.recurrent(sj.gru(2)._replace(structure=None), recurrent_dropout=0.1),
        ValueError,
        "cell has no gated structure",
    ),
    (lambda: layers.stack(), ValueError, "layers is empty, expected at least one"),
    (lambda: layers.stack(sj.gru(2), sj.lstm), TypeError, r"layers\[1\] is a function.*lstm\(\.\.\.\)"),
    (lambda: layers.stack([sj.gru(2)]), TypeError, r"layers\[0\] is a list.*stack\(first, second"),
    (lambda: layers.stack(3), TypeError, r"layers\[0\] is a int, expected a Layer or a Cell\."),
    (lambda: layers.bidirectional(sj.gru), TypeError, "forward is a function, expected a Layer or a Cell"),
    (lambda: layers.bidirectional(sj.gru(2), 3), TypeError, "backward is a int, expected a Layer or"),
    (lambda: layers.bidirectional(sj.gru(2), merge="mul"), ValueError, "merge is 'mul', expected 'concat'"),
    (lambda: layers.residual(None), TypeError, "layer is a NoneType, expected a Layer or a Cell"),
    (lambda: layers.streaming_step(4), TypeError, "layer is a int"),
    (lambda: layers.dense(0), ValueError, "features is 0, expected a positive integer"),
    (lambda: layers.dense(2.0), TypeError, r"features is 2\.0 of type float"),
    (lambda: layers.dense(2, "tanh"), TypeError, "activation is 'tanh', expected an elementwise function"),
    (lambda: layers.embed(0, 2), ValueError, "vocabulary_size is 0"),
    (lambda: layers.embed(2, 0), ValueError, "features is 0"),
    (lambda: layers.summary(3, ()), TypeError, "layer is a int"),
]
KEY = jax.random.key(0)
EMBED = layers.embed(5, 2)
INITS = [
    (layers.residual(sj.gru(2)), 3, ValueError, "layer has output size 2 for input size 3"),
    (layers.embed(5, 2), 3, ValueError, "input_size is 3, expected 1: embed reads one integer token"),
    (layers.stack(sj.gru(2), layers.embed(5, 2)), 3, ValueError, "input_size is 2, expected 1"),
    (
        layers.bidirectional(sj.gru(2), sj.gru(3), merge="sum"),
        3,
        ValueError,
        "output sizes 2 and 3, but merge='sum' needs",
    ),
    (layers.dense(2), 0, ValueError, "input_size is 0, expected a positive integer"),
    (layers.dropout(0.1), 2.5, TypeError, "input_size is 2.5 of type float"),
]
RUNS = [
    (layers.dense(2), {"xs": jnp.ones((4, 2, 3), int)}, TypeError, "xs has dtype int32, expected floating"),
    (layers.dense(2), {"xs": jnp.ones((4, 2, 5))}, ValueError, "xs has feature size 5, but these params"),
    (layers.dense(2), {"xs": jnp.ones(4)}, ValueError, r"xs has shape \(4,\), expected \[T, \*B, D\]"),
    (layers.dense(2), {"carry": jnp.ones(2)}, ValueError, r"carry is a .*, expected \(\) or None"),
    (layers.dense(2), {"params": ()}, ValueError, "params is a tuple, expected DenseParams: pass params"),
    (layers.dense(2), {"lengths": jnp.array([5, 0])}, ValueError, "lengths has the value 5"),
    (layers.dense(2), {"lengths": jnp.array([5.0, 0])}, TypeError, "lengths has dtype float32"),
    (layers.dense(2), {"resets": jnp.ones((4, 2))}, TypeError, "resets has dtype float32"),
    (layers.dense(2), {"key": 0}, TypeError, "key is a int, expected a typed random key"),
    (layers.layer_norm(), {"xs": jnp.ones((4, 2, 1))}, ValueError, "xs has feature size 1, but these par"),
    (layers.dropout(0.1), {"params": None}, ValueError, r"params is a NoneType, expected \(\)"),
    (EMBED, {"xs": jnp.ones((4, 2))}, TypeError, "xs has dtype float32, expected integer tok"),
    (EMBED, {"xs": jnp.array(1)}, ValueError, r"xs has shape \(\), expected tokens"),
    (EMBED, {"xs": jnp.array([[7]])}, ValueError, r"token 7 at \(0, 0\), expected 0 to 4"),
    (
        EMBED,
        {"params": draw(layers.embed(6, 2), 1), "xs": jnp.array([[1]])},
        ValueError,
        r"params.table has shape \(6, 2\), but this layer's has \(5, 2\)",
    ),
    (
        layers.dense(2),
        {"params": draw(layers.dense(3), 3)},
        ValueError,
        r"params.kernel has shape \(3, 3",
    ),
    (layers.stack(sj.gru(2)), {"carry": jnp.ones((2, 2))}, ValueError, "carry is a .*expected a tuple of 1"),
    (
        layers.stack(sj.gru(2)),
        {"carry": ((), ())},
        ValueError,
        "carry is a tuple of 2, expected a tuple of 1",
    ),
    (layers.stack(sj.gru(2)), {"params": []}, ValueError, "params is a list of 0, expected a tuple of 1"),
    (layers.stack(sj.gru(2)), {"key": jnp.ones(2)}, TypeError, "key is a .*expected a typed random key"),
    (layers.bidirectional(sj.gru(2)), {"carry": ()}, ValueError, "carry is a tuple, expected Bidirectional"),
    (layers.bidirectional(sj.gru(2)), {"params": ()}, ValueError, "params is a tuple, expected Bidirecti"),
    (layers.bidirectional(sj.gru(2)), {"key": 1}, TypeError, "key is a int, expected a typed random key"),
    (layers.bidirectional(sj.gru(2)), {"lengths": [9, 1]}, ValueError, "lengths has the value 9"),
    (layers.recurrent(sj.gru(2)), {"key": 1}, TypeError, "key is a int, expected a typed random key"),
    (layers.recurrent(sj.gru(2), method="fast"), {}, ValueError, "method is 'fast', expected one of"),
    (
        layers.recurrent(sj.lstm(2), zoneout=(0.1, 0.2)),
        {},
        ValueError,
        r"zoneout is \(0.1, 0.2\), expected one rate, .* such as LSTMCarry\(cell=0.1, hidden=0.1\)",
    ),
    (
        layers.recurrent(sj.lstm(2), zoneout=(0.1, 0.2)),
        {"key": KEY},
        ValueError,
        r"zoneout is \(0.1, 0.2\), expected one rate",
    ),
    (layers.recurrent(sj.gru(2), zoneout=0.1), {"params": (), "key": KEY}, ValueError, "params is tuple"),
]


@pytest.mark.parametrize(("make", "error", "message"), FACTORIES, ids=range(len(FACTORIES)))
def test_factories(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(("layer", "size", "error", "message"), INITS, ids=range(len(INITS)))
def test_inits(layer, size, error, message):
    with pytest.raises(error, match=message):
        layer.init(KEY, size)
    with pytest.raises(TypeError, match="key is a int, expected a typed random key"):
        layers.stack(layers.dense(2)).init(0, 3)


@pytest.mark.parametrize(("layer", "changes", "error", "message"), RUNS, ids=range(len(RUNS)))
def test_unrolls(layer, changes, error, message):
    arguments = {"xs": jnp.ones((4, 2, 3))} | changes
    size = 1 if layer is EMBED else 3
    params = arguments.pop("params") if "params" in changes else draw(layer, size)
    with pytest.raises(error, match=message):
        layer.unroll(params, **arguments)
