"""The laws of layer_laws.py over every layer of the registry."""

import pytest

from tests import layer_laws as laws
from tests.marks import slow_except
from tests.registry import LAYERS, READS_TOKENS

# Those that are made like another one or of others, and the largest.
SLOW = {
    "ar", "bidirectional_average", "bidirectional_stack", "bidirectional_sum", "lstm", "narx",
    "narx_simulating", "nested", "recurrent_dropout", "residual", "reversed", "tdnn", "unstructured",
    "zoneout_affine",
}  # fmt: skip
NAMES = slow_except(sorted(LAYERS), *sorted(LAYERS.keys() - SLOW))
NOISY = {"zoneout", "zoneout_affine", "recurrent_dropout", "dropout", "dropout_over_time", "nested"}

LAYER_LAWS = [
    laws.output_size_is_true,
    laws.padding_changes_nothing,
    laws.resets_are_separate_sequences,
    laws.batch_axes_are_a_loop_over_rows,
    laws.jit_is_eager,
    laws.vmap_over_params_is_a_loop,
    laws.second_call_compiles_nothing,
    laws.lowers_for_every_platform,
    laws.empty_and_single_inputs_are_defined,
]
STREAMING_LAWS = [laws.unroll_is_repeated_step, laws.chunks_are_the_whole]


@pytest.mark.parametrize("name", NAMES)
def test_layer(name):
    layer = LAYERS[name]
    for law in [*LAYER_LAWS, *(STREAMING_LAWS if layer.step else ())]:
        try:
            law(layer, name in READS_TOKENS)
        except Exception as error:
            error.add_note(f"the law {law.__name__} of layer {name}")
            raise


@pytest.mark.parametrize("name", NAMES)
def test_a_key_decides_the_noise(name):
    noisy = name in NOISY
    assert laws.a_key_decides_the_noise(LAYERS[name], name in READS_TOKENS) == (noisy, noisy)


@pytest.mark.parametrize("name", slow_except(["bidirectional_stack", "nested", "residual"], "residual"))
def test_gradients_are_numerical_gradients(name, x64):
    laws.gradients_are_numerical_gradients(LAYERS[name], name in READS_TOKENS)
