"""The laws of laws.py over every cell of the registry and every backend that takes it."""

import functools

import pytest

import seqjax as sj
from tests import laws
from tests.marks import slow_except
from tests.registry import CELLS, RELATIVES

# Each structure, and each thing that a gate may do; the laws over the other cells are slow tests.
CORE = ("gru", "lru", "lstm_everything", "unstructured")
NAMES = slow_except(sorted(CELLS), *CORE)


def methods_for(cell):
    """The backends that take a cell, but for Newton's method, whose programs take long to compile."""
    other = {"fused": not isinstance(cell.structure, sj.Gated)}
    other["associative"] = not isinstance(cell.structure, sj.Affine)
    other["chunkwise"] = not isinstance(cell.structure, sj.LinearAttention)
    other["newton"] = True
    return [method for name, method in laws.METHODS.items() if not other.get(name.split("_")[0])]


CELL_LAWS = [
    laws.unroll_is_repeated_step,
    laws.no_carry_is_the_initial_carry,
    laws.chunks_are_the_whole,
    laws.padding_changes_nothing,
    laws.resets_are_separate_sequences,
    functools.partial(laws.resets_are_separate_sequences, reverse=True),
    laws.reverse_is_the_flipped_run,
    laws.batch_axes_are_a_loop_over_rows,
    laws.jit_is_eager,
    laws.vmap_over_params_is_a_loop,
    laws.second_call_compiles_nothing,
    laws.lowers_for_every_platform,
    laws.empty_and_single_inputs_are_defined,
    laws.half_precision_params_keep_float32_carries,
    laws.output_size_is_true,
]


# That of everything at once compiles twice as long as the others.
@pytest.mark.parametrize("name", slow_except(sorted(CELLS), *(set(CORE) - {"lstm_everything"})))
def test_cell(name):
    for law in CELL_LAWS:
        try:
            law(CELLS[name])
        except Exception as error:
            error.add_note(f"the law {law} of cell {name}")
            raise


@pytest.mark.slow
@pytest.mark.parametrize("name", RELATIVES)
def test_relative(name):
    """The laws that speak of what a structure is given; the others hold by the structure."""
    laws.unroll_is_repeated_step(RELATIVES[name])
    laws.half_precision_params_keep_float32_carries(RELATIVES[name])
    laws.output_size_is_true(RELATIVES[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_are_scan_in_double_precision(name, x64):
    laws.backends_are_scan(
        RELATIVES[name],
        methods_for(RELATIVES[name])[:1],
        1e-10,
        lengths=laws.LENGTHS,
        resets=laws.RESETS,
        reverse=True,
    )


@pytest.mark.parametrize("name", slow_except(sorted(CELLS), *(set(CORE) - {"lstm_everything"})))
def test_backends_are_scan_in_double_precision(name, x64):
    cell = CELLS[name]
    laws.backends_are_scan(cell, methods_for(cell), 1e-10, lengths=laws.LENGTHS, resets=laws.RESETS)


# By default one cell of which nothing is known.
@pytest.mark.parametrize("name", slow_except(["lru", "unstructured", "gru", "lstm"], "unstructured"))
def test_newton_is_scan_in_double_precision(name, x64):
    laws.backends_are_scan(CELLS[name], ["newton"], 1e-10, lengths=laws.LENGTHS, resets=laws.RESETS)


@pytest.mark.slow
@pytest.mark.parametrize("method", [name for name in laws.METHODS if name.startswith("newton_")])
@pytest.mark.parametrize("name", ["gru", "lru"])
def test_newton_in_every_form_is_scan_in_double_precision(name, method, x64):
    laws.backends_are_scan(
        CELLS[name], [laws.METHODS[method]], 1e-9, lengths=laws.LENGTHS, resets=laws.RESETS, reverse=True
    )


@pytest.mark.parametrize(
    ("ragged", "reset"),
    slow_except([(False, False), (False, True), (True, False), (True, True)], (True, True)),
)
def test_fused_is_scan_with_every_combination(ragged, reset, x64):
    lengths, resets = laws.LENGTHS if ragged else None, laws.RESETS if reset else None
    for reverse in (False, True):
        laws.backends_are_scan(
            CELLS["lstm_peepholes"], ["fused"], 1e-10, lengths=lengths, resets=resets, reverse=reverse
        )


@pytest.mark.parametrize(
    "name",
    slow_except(
        ["elman_tanh", "lstm", "gru", "lstm_norm", "mlstm", "gated_delta_net"], "lstm", "gated_delta_net"
    ),
)
def test_backends_are_scan_in_single_precision(name):
    cell = (CELLS | RELATIVES)[name]
    laws.backends_are_scan(cell, methods_for(cell)[:1], 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_numerical_gradients(name, x64):
    laws.gradients_are_numerical_gradients(CELLS[name])


@pytest.mark.parametrize(
    "method", slow_except(laws.METHODS, "fused", "associative", "chunkwise", "checkpointed")
)
def test_methods_on_odd_inputs(method):
    name = {"associative": "smoother", "chunkwise": "mamba2"}.get(method, "lstm")
    laws.empty_and_single_inputs_are_defined(CELLS[name], laws.METHODS[method])
    if name == "lstm":  # the laws of the other cells lower these
        laws.lowers_for_every_platform(CELLS["lstm_everything"], laws.METHODS[method])
