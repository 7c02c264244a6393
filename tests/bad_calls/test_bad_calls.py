"""Every mistake that a caller can make is named: the argument, what came, what was expected.

One table over the whole public API. A message is one or two sentences without anything of jax's inside, and
by the time it is raised nothing has been compiled.
"""

import functools
import re

import jax
import numpy as np
import pytest

import seqjax as sj
from tests.bad_calls.cells import CELLS, UNROLLS, unroll_with
from tests.bad_calls.datasets import DATA
from tests.bad_calls.delay_taps import DELAY_TAPS
from tests.bad_calls.dynamical_systems import DYNAMICAL_SYSTEMS
from tests.bad_calls.hidden_markov import HIDDEN_MARKOV
from tests.bad_calls.learning import TASKS
from tests.bad_calls.readers import READERS
from tests.bad_calls.sequence_layers import LAYERS
from tests.bad_calls.shared import COMMON
from tests.bad_calls.values import (
    CONVERSIONS,
    GRU,
    INSIDES,
    PARAMS,
    TYPE,
    VALUE,
    B,
    Bad,
    D,
    T,
    params_of,
    zeros,
)
from tests.layer_laws import compilations
from tests.registry import smoother

STATIC = [
    *COMMON,
    *CELLS,
    *(Bad(name, functools.partial(unroll_with, changes), *row) for name, (changes, *row) in UNROLLS.items()),
    *DATA,
    *READERS,
]
BAD_CALLS = [*STATIC, *LAYERS, *DELAY_TAPS, *TASKS, *HIDDEN_MARKOV, *DYNAMICAL_SYSTEMS]


def check(call, error, says):
    """The call raises the error, whose message says all of it and nothing of jax's inside."""
    with pytest.raises((VALUE, TYPE)) as caught:
        call()
    message = str(caught.value)
    assert caught.type is error, message
    name, came, expected = says.split(" | ")
    assert re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message), message
    assert came in message
    assert expected in message
    assert not re.search(INSIDES, message), message
    assert message.endswith(".")
    assert "\n" not in message
    assert len(re.split(r"(?<=[.]) +(?=[A-Z])", message)) <= 2, message


@pytest.mark.parametrize("bad", STATIC, ids=lambda bad: bad.id)
def test_message_before_anything_is_compiled(bad):
    with compilations() as compiled:
        check(bad.call, bad.error, bad.says)
    assert set(compiled) <= CONVERSIONS


@pytest.mark.parametrize(
    "bad", [*LAYERS, *DELAY_TAPS, *TASKS, *HIDDEN_MARKOV, *DYNAMICAL_SYSTEMS], ids=lambda bad: bad.id
)
def test_message(bad):
    check(bad.call, bad.error, bad.says)


@pytest.mark.parametrize("name", UNROLLS)
def test_message_under_a_trace(name):
    """The same words where arrays have no values, but for lengths, which are known there too."""
    changes, error, says = UNROLLS[name]
    arguments = {"cell": GRU, "params": PARAMS, "xs": zeros(T, B, D)} | changes
    known = {"lengths": arguments.pop("lengths")} if "lengths" in arguments else {}
    leaves, structure = jax.tree.flatten(arguments)
    traced = {place: leaf for place, leaf in enumerate(leaves) if isinstance(leaf, np.ndarray)}

    def call(traced):
        given = [traced.get(place, leaf) for place, leaf in enumerate(leaves)]
        return sj.unroll(**jax.tree.unflatten(structure, given), **known)

    check(lambda: jax.eval_shape(call, traced), error, says)


def test_a_good_call_is_heard_compiling():
    with compilations() as compiled:
        unroll_with({"xs": zeros(T + 1, B, D)})
    assert "jit(_run)" in compiled


def test_complex_params_and_carries_are_no_mistake():
    """Where a cell has them: its carry may then be given as real numbers, which are complex ones too."""
    inner = smoother(D)
    cell = inner._replace(
        init=lambda key, size: jax.tree.map(lambda leaf: leaf.astype(np.complex64), inner.init(key, size)),
        structure=None,
    )
    params = params_of(cell)
    for dtype in (np.complex64, np.float32):
        result = jax.eval_shape(
            lambda carry: sj.unroll(cell, params, zeros(T, B, D), carry=carry), zeros(B, D, dtype=dtype)
        )
        assert {leaf.dtype for leaf in result} == {np.dtype(np.complex64)}
    check(
        lambda: sj.unroll(cell, params, zeros(T, B, D), carry=zeros(B, D, dtype=np.int32)),
        TYPE,
        "carry | int32 | a complex array",
    )


def test_ids_are_names():
    names = [bad.id for bad in BAD_CALLS]
    assert len(set(names)) == len(names)
    assert not [name for name in names if "<" in name or "0x" in name]
