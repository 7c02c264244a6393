"""Weights in safetensors files: there and back, and what is refused."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import seqjax as sj
from seqjax.training import load_weights, named_arrays, save_weights


@pytest.fixture
def params():
    network = sj.stack(sj.dense(3), sj.bidirectional(sj.lstm(2)))
    return jax.jit(network.init, static_argnums=1)(jax.random.key(0), 4)


def test_weights_come_back_with_their_structure_and_names(params, tmp_path):
    save_weights(tmp_path / "weights.safetensors", params)
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), params)
    loaded = load_weights(tmp_path / "weights.safetensors", like)
    assert jax.tree.structure(loaded) == jax.tree.structure(params)
    jax.tree.map(np.testing.assert_array_equal, loaded, params)
    assert "[1].forward.initial_carry.cell" in named_arrays(params)


def test_half_precision_comes_back(tmp_path):
    half = {"kernel": jnp.arange(3, dtype=jnp.bfloat16)}
    save_weights(tmp_path / "w", half)
    assert load_weights(tmp_path / "w", half)["kernel"].dtype == jnp.bfloat16


@pytest.mark.parametrize(
    ("change", "fragment"),
    [
        (lambda tree: tree | {"extra": jnp.ones(1)}, "lacks the leaf extra"),
        (lambda tree: {}, "the leaf kernel"),
        (lambda tree: {"kernel": jnp.ones((3, 2))}, r"kernel is float32\[2, 3\], expected float32\[3, 2\]"),
        (lambda tree: {"kernel": jnp.ones((2, 3), jnp.bfloat16)}, "expected bfloat16"),
    ],
)
def test_another_models_weights_are_refused(change, fragment, tmp_path):
    tree = {"kernel": jnp.ones((2, 3))}
    save_weights(tmp_path / "w", tree)
    with pytest.raises(ValueError, match=fragment):
        load_weights(tmp_path / "w", change(tree))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04\x95pickle",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"{]",
        (lambda header: struct.pack("<Q", len(header)) + header)(
            json.dumps({"kernel": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4]}}).encode()
        )
        + b"\0\0\0\0",
    ],
    ids=["empty", "pickle", "huge header", "no JSON", "huge shape"],
)
def test_what_is_no_safetensors_file_is_refused(content, tmp_path):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(ValueError, match="not a whole safetensors file"):
        load_weights(tmp_path / "w", {"kernel": jnp.ones(1)})


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    save_weights(tmp_path / "w", {"kernel": jnp.ones(2)})
    monkeypatch.setattr(
        "os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OSError, match="No space"):
        save_weights(tmp_path / "w", {"kernel": jnp.zeros(2)})
    assert [path.name for path in tmp_path.iterdir()] == ["w"]
    assert load_weights(tmp_path / "w", {"kernel": jnp.ones(2)})["kernel"].sum() == 2
