"""What a bad call is, and values that are wrong wherever they are given."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import seqjax as sj
from tests.registry import smoother, unstructured

T, B, D, H = 4, 2, 3, 2
VALUE, TYPE = ValueError, TypeError
CONVERSIONS = {"jit(stage)", "jit(convert_element_type)"}  # numpy arrays and lists becoming jax arrays
INSIDES = r"Traced<|Tracer|at 0x|ArrayImpl|ShapeDtypeStruct|PyTreeDef|Pjit|<function|<lambda>|<locals>"


class Bad(NamedTuple):
    """A bad call: what it does, the error it raises, and what the message names."""

    id: str
    call: Callable[[], Any]
    error: type[Exception]
    says: str  # the argument | what came | what was expected


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


@functools.cache
def params_of(part, input_size=D):
    """Params of zeros, made without compiling anything."""
    shapes = jax.eval_shape(lambda: part.init(jax.random.key(0), input_size))
    return jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)


KEY = jax.random.key(0)
OLD_KEY = jax.random.key_data(KEY)
KEYS = jax.random.split(KEY, 3)
GRU, LSTM = sj.gru(H), sj.lstm(H)
PARAMS = params_of(GRU)
NONE, AFFINE, MLSTM = unstructured(H), smoother(D), sj.mlstm(H, num_heads=1)


def table(*rows):
    return [Bad(*row) for row in rows]


SIZES = {
    "zero": (0, VALUE, "0"),
    "negative": (-1, VALUE, "-1"),
    "float": (2.0, TYPE, "2.0 of type float"),
    "boolean": (True, TYPE, "True of type bool"),
    "string": ("4", TYPE, "'4' of type str"),
    "function": (jnp.tanh, TYPE, "a function"),
    "array": (jnp.asarray(zeros(2)), TYPE, "a jax array float32[2]"),
}


def each(values, functions, expected):
    """Every value given to every function: one row for each."""
    return [
        Bad(f"{what} {name} {kind}", functools.partial(call, value), error, f"{name} | {came} | {expected}")
        for what, (name, call) in functions.items()
        for kind, (value, error, came) in values.items()
    ]


NO_FUNCTIONS = {"word": ("tanh", TYPE, "'tanh'"), "number": (3, TYPE, "3")}

STARTS = {
    "word": ("random", VALUE, "'random'"),
    "boolean": (True, VALUE, "True"),
    "array": (zeros(H), VALUE, "a numpy array float32[2]"),
}

FLAGS = {"word": ("yes", TYPE, "'yes'"), "number": (1, TYPE, "1"), "none": (None, TYPE, "None")}

RATES = {
    "one": (1, VALUE, "1"),
    "negative": (-0.1, VALUE, "-0.1"),
    "nan": (float("nan"), VALUE, "nan"),
    "word": ("half", TYPE, "'half' of type str"),
    "boolean": (True, TYPE, "True of type bool"),
}

NO_KEYS = {
    "integer": (0, TYPE, "a int"),
    "numpy": (zeros(2, dtype=np.uint32), TYPE, "a numpy array uint32[2]"),
    "old": (OLD_KEY, TYPE, "a jax array uint32[2]"),
}
