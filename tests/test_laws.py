"""The laws of laws.py over every cell of the registry and every backend that takes it."""

import functools

import jax
import pytest

import seqjax as sj
from tests import laws
from tests.registry import CELLS, RELATIVES

NAMES = sorted(CELLS)


def methods_for(cell):
    """The backends that take a cell."""
    other = {"fused": not isinstance(cell.structure, sj.Gated)}
    other["associative"] = not isinstance(cell.structure, sj.Affine)
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


@pytest.mark.parametrize("name", NAMES)
def test_cell(name):
    for law in CELL_LAWS:
        try:
            law(CELLS[name])
        except Exception as error:
            error.add_note(f"the law {law} of cell {name}")
            raise


@pytest.mark.parametrize("name", RELATIVES)
def test_relative(name):
    """The laws that speak of coefficients and outputs; the others hold by the structure."""
    laws.unroll_is_repeated_step(RELATIVES[name])
    laws.half_precision_params_keep_float32_carries(RELATIVES[name])
    laws.output_size_is_true(RELATIVES[name])


@pytest.mark.parametrize("name", RELATIVES)
def test_relatives_are_scan_in_double_precision(name, x64):
    laws.backends_are_scan(
        RELATIVES[name],
        [laws.METHODS["associative"]],
        1e-10,
        lengths=laws.LENGTHS,
        resets=laws.RESETS,
        reverse=True,
    )


@pytest.mark.parametrize("name", NAMES)
def test_backends_are_scan_in_double_precision(name, x64):
    cell = CELLS[name]
    laws.backends_are_scan(cell, methods_for(cell), 1e-10, lengths=laws.LENGTHS, resets=laws.RESETS)


@pytest.mark.parametrize("lengths", [None, laws.LENGTHS])
@pytest.mark.parametrize("resets", [None, laws.RESETS])
def test_fused_is_scan_with_every_combination(lengths, resets, x64):
    for reverse in (False, True):
        laws.backends_are_scan(
            CELLS["lstm_peepholes"], ["fused"], 1e-10, lengths=lengths, resets=resets, reverse=reverse
        )


@pytest.mark.parametrize("name", ["elman_tanh", "lstm", "gru", "lstm_norm"])
def test_backends_are_scan_in_single_precision(name):
    laws.backends_are_scan(CELLS[name], ["fused"], 1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_numerical_gradients(name, x64):
    laws.gradients_are_numerical_gradients(CELLS[name])


@pytest.mark.parametrize("method", laws.METHODS)
def test_methods_on_odd_inputs(method):
    affine = method.startswith("associative")
    laws.empty_and_single_inputs_are_defined(CELLS["smoother" if affine else "lstm"], laws.METHODS[method])
    if not affine:  # the laws of each affine cell lower this one
        laws.lowers_for_every_platform(CELLS["lstm_everything"], laws.METHODS[method])


@pytest.fixture(autouse=True, scope="module")
def _free_compiled_programs():
    """A process may hold only so many memory maps, and every program takes some."""
    yield
    jax.clear_caches()
