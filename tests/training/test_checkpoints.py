"""Checkpoints: there and back, whole or refused, and nothing read that should not be."""

import json
import os
import resource
import shutil
import signal
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from seqjax.training import (
    BrokenCheckpoint,
    Checkpoints,
    load_checkpoint,
    newest_checkpoint,
    save_checkpoint,
    save_weights,
)
from seqjax.training.checkpoints import checkpoint_paths, manifest, open_writer


def tree_of(scale=1.0):
    return {
        "kernel": scale * jnp.arange(6.0).reshape(2, 3),
        "half": jnp.ones(3, jnp.bfloat16),
        "nothing": (None, jnp.zeros((0, 2))),
        "count": jnp.array(7, jnp.int32),
        "keys": jax.random.split(jax.random.key(3), 2),
    }


def same(left, right):
    assert jax.tree.structure(left) == jax.tree.structure(right)
    for a, b in zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True):
        assert a.dtype == b.dtype
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            a, b = jax.random.key_data(a), jax.random.key_data(b)
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two checkpoints, not to be written to."""
    folder = tmp_path_factory.mktemp("made")
    for step, scale in ((3, 1.0), (10, 2.0)):
        save_checkpoint(
            folder, tree_of(scale), step=step, weights={"best": {"w": jnp.ones(2)}}, notes={"a": [1]}
        )
    return folder


@pytest.fixture
def folder(made, tmp_path):
    """A copy of them."""
    return shutil.copytree(made, tmp_path / "copy")


def test_a_tree_comes_back_bit_for_bit(made):
    found = load_checkpoint(made, tree_of(0.0))
    same(found.state, tree_of(2.0))
    assert (found.step, found.notes, found.path) == (10, {"a": [1]}, made / "0000000010")
    assert sorted(path.name for path in made.iterdir()) == ["0000000003", "0000000010"]
    like = jax.eval_shape(tree_of)
    same(load_checkpoint(made / "0000000003", like).state, tree_of(1.0))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree | {"more": jnp.ones(2)}, r"lacks the leaf more, float32\[2\]"),
        (
            lambda tree: tree | {"half": jnp.ones(3)},
            r"has bfloat16\[3\] for the leaf half, expected float32\[3\]",
        ),
        (lambda tree: tree | {"kernel": jnp.ones((3, 2))}, r"has float32\[2, 3\] for the leaf kernel"),
        (lambda tree: tree | {"keys": jax.random.key(0)}, r"has key<fry>\[2\] for the leaf keys"),
        (lambda tree: {"kernel": tree["kernel"]}, r"has a leaf count, int32\[\], that is not expected"),
        (lambda tree: tree | {"nothing": [None, tree["nothing"][1]]}, "has the structure .*, expected"),
    ],
)
def test_another_tree_is_refused_in_a_line_that_names_the_leaf(made, change, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoint(made, change(tree_of()))
    assert "\n" not in str(caught.value)


def test_every_bit_counts(folder):
    """Each file in turn, manifest included; all of it is checked before anything is made of it."""
    newest = folder / "0000000010"
    files = [path for path in newest.rglob("*") if path.is_file() and path.stat().st_size]
    generator = np.random.default_rng(0)
    for number in range(120):
        path = files[number % len(files)]
        content = bytearray(path.read_bytes())
        bit = int(generator.integers(8 * len(content)))
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        with pytest.warns(UserWarning, match=r"is used instead"):
            assert newest_checkpoint(folder).name == "0000000003"
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
    assert newest_checkpoint(folder) == newest


def test_the_newest_whole_checkpoint_is_used(folder):
    path = folder / "0000000010" / "best.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.warns(
        UserWarning, match=r"best.safetensors has \d+ bytes, expected .*0000000003 is used instead"
    ):
        found = load_checkpoint(folder, tree_of())
    same(found.state, tree_of(1.0))
    with pytest.raises(BrokenCheckpoint, match=r"has \d+ bytes, expected \d+"):
        load_checkpoint(folder / "0000000010", tree_of())
    (folder / "0000000003" / "manifest.json").unlink()
    with pytest.raises(
        BrokenCheckpoint, match=r"no whole checkpoint: .*best.safetensors has .* no manifest.json"
    ):
        load_checkpoint(folder, tree_of())


def remade(folder, **changes):
    """A manifest that agrees with itself, as one who means harm would write it."""
    document = manifest.read_manifest(folder)
    document |= {name: change(document[name]) for name, change in changes.items()}
    (folder / "manifest.json").write_bytes(manifest._canonical(document))


def link(folder):
    (folder / "best.safetensors").unlink()
    (folder / "best.safetensors").symlink_to("/etc/hostname")


def link_of_a_folder(folder):
    os.rename(folder / "state", folder.parent / "elsewhere")
    (folder / "state").symlink_to(folder.parent / "elsewhere")


def pipe(folder):
    (folder / "best.safetensors").unlink()
    os.mkfifo(folder / "best.safetensors")


def listed(name):
    return lambda folder: remade(folder, files=lambda files: files | {name: {"bytes": 1, "sha256": "0"}})


def leaf(**fields):
    return lambda folder: remade(folder, leaves=lambda leaves: [leaves[0] | fields, *leaves[1:]])


def rewritten(name, content):
    def write(folder):
        (folder / name).write_bytes(content)
        (folder / "manifest.json").unlink()
        manifest.write_manifest(folder, DOCUMENT | {"leaves": LEAVES})

    return write


LEAVES = [
    {"name": "count", "shape": [], "dtype": "int32"},
    {"name": "half", "shape": [3], "dtype": "bfloat16"},
    {"name": "kernel", "shape": [2, 3], "dtype": "float32"},
    {"name": "keys", "shape": [2], "dtype": "key<fry>"},
    {"name": "nothing[1]", "shape": [0, 2], "dtype": "float32"},
]
DOCUMENT = {"step": 10, "versions": {}, "structure": "", "notes": {}}
HARMFUL = {
    "link to a file": (link, "best.safetensors is a link or a device"),
    "link to a folder": (link_of_a_folder, "state is a link or a device"),
    "pipe": (pipe, "is a link or a device"),
    "name with ..": (listed("../../secret"), "lists the file '../../secret', whose name leads outside"),
    "absolute name": (listed("/etc/passwd"), "lists the file '/etc/passwd', whose name leads outside"),
    "drive": (listed("c:secret"), "whose name leads outside"),
    "backslash": (listed("..\\secret"), "whose name leads outside"),
    "missing file": (listed("more"), "more is missing"),
    "file too many": (lambda folder: (folder / "more.pkl").write_bytes(b"\x80\x04."), "not in the manifest"),
    "no digest": (
        lambda folder: remade(folder, files=lambda files: dict.fromkeys(files, 1)),
        "without its length and SHA-256",
    ),
    "huge shape": (
        leaf(shape=[10**12]),
        r"has int32\[1000000000000\] for the leaf count, expected int32\[\]",
    ),
    "object dtype": (leaf(dtype="object"), "has object"),
    "name no string": (leaf(name=["count"]), "describes a leaf as"),
    "leaf twice": (
        lambda folder: remade(folder, leaves=lambda leaves: [*leaves, leaves[0]]),
        "in another order or twice",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "has no manifest.json"),
    "manifest no JSON": (
        lambda folder: (folder / "manifest.json").write_bytes(b"\x80\x04K\x01."),
        "is not JSON",
    ),
    "manifest too deep": (
        lambda folder: (folder / "manifest.json").write_bytes(b"[" * 10**6),
        "manifest.json is not",
    ),
    "manifest of gigabytes": (
        lambda folder: os.truncate(folder / "manifest.json", 2**34),
        "larger than any manifest",
    ),
    "another version": (lambda folder: remade(folder, version=lambda _: 9), "version 9, expected"),
    "field of another type": (lambda folder: remade(folder, notes=lambda _: [1]), "lacks the field notes"),
    "arrays that orbax did not write": (
        rewritten("state/manifest.ocdbt", b"\x80\x04."),
        "cannot be read by orbax",
    ),
    "arrays of another shape": (None, r"state holds float32\(2, 3\) as array 2, expected float32\(10"),
}


# Reads of other arrays that orbax began end after its loop is closed, on threads of their own.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", HARMFUL)
def test_what_could_do_harm_is_refused(folder, name):
    change, message = HARMFUL[name]
    path, like = folder / "0000000010", tree_of()
    if change is None:  # the manifest and the one who asks agree on more than the arrays' own header
        remade(
            path,
            leaves=lambda leaves: [{**a, "shape": [10**12]} if a["name"] == "kernel" else a for a in leaves],
        )
        like |= {"kernel": jax.ShapeDtypeStruct((10**12,), "float32")}
    else:
        change(path)
    with pytest.raises(ValueError, match=message) as caught:
        load_checkpoint(path, like)
    assert "\n" not in str(caught.value)
    if "orbax" in message:
        time.sleep(0.2)


def test_leaves_of_one_name_are_refused(tmp_path):
    with pytest.raises(ValueError, match="two leaves have the same name"):
        save_checkpoint(tmp_path, {"a.b": jnp.ones(1), "a": {"b": jnp.ones(1)}}, step=1)


def test_notes_and_leaves_that_cannot_be_kept(tmp_path):
    with pytest.raises(TypeError, match="the leaf rate is a float, expected an array"):
        save_checkpoint(tmp_path, {"rate": 0.5}, step=1)
    with pytest.raises(ValueError, match=r"weights has the name '../x', expected"):
        save_checkpoint(tmp_path, {"w": jnp.ones(1)}, step=1, weights={"../x": {}})
    with pytest.raises(TypeError, match="not JSON"):
        save_checkpoint(tmp_path, {"w": jnp.ones(1)}, step=1, notes={"a": object()})
    assert list(tmp_path.iterdir()) == []
    notes = {"counts": {10: 1, 9: (2, 3)}}
    save_checkpoint(tmp_path, {"w": jnp.ones(1)}, step=1, notes=notes)
    found = load_checkpoint(tmp_path, {"w": jnp.ones(1)}).notes
    assert found == {"counts": {"10": 1, "9": [2, 3]}}


def test_a_full_disk_leaves_the_old_checkpoint(folder):
    """The system itself refuses to write: no file may grow past 100 bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match=r"step 11 cannot be written to .*free some space.*0000000010"):
            save_checkpoint(folder, tree_of(3.0), step=11)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert sorted(path.name for path in folder.iterdir()) == ["0000000003", "0000000010"]
    same(load_checkpoint(folder, tree_of()).state, tree_of(2.0))


def test_a_folder_that_cannot_be_written_to(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(
            OSError, match=r"cannot be written to .*file/run \(Not a directory\): give another folder"
        ),
        open_writer(Checkpoints(tmp_path / "file" / "run")),
    ):
        pass


def test_one_training_a_folder(tmp_path):
    with open_writer(Checkpoints(tmp_path)):
        with (
            pytest.raises(OSError, match="is in use by another training"),
            open_writer(Checkpoints(tmp_path)),
        ):
            pass
        (tmp_path / ".unfinished-0000000001").mkdir()
    with open_writer(Checkpoints(tmp_path)):
        assert list(tmp_path.glob(".unfinished*")) == []


def test_the_last_and_the_best_are_kept(tmp_path, monkeypatch):
    def saved(folder, state, *, step, weights, notes):
        path = folder / f"{step:010d}"
        path.mkdir()
        manifest.write_manifest(path, {**DOCUMENT, "step": step, "leaves": [], "notes": notes})
        return path

    monkeypatch.setattr("seqjax.training.checkpoints.writer.save_checkpoint", saved)
    settings = Checkpoints(tmp_path, every=2, seconds=None, keep_last=2, keep_best=1)
    for steps in (range(1, 6), range(6, 9)):  # the second process knows from the manifests
        with open_writer(settings) as writer:
            for step in steps:
                assert writer.due(step) == (step % 2 == 0)
                writer.save({}, step, {}, {}, best=step in (1, 3))
    assert [int(path.name) for path in checkpoint_paths(tmp_path)] == [8, 7, 3]


def test_what_goes_wrong_while_training_goes_on_is_raised_at_the_next_step(tmp_path, monkeypatch):
    def failing(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seqjax.training.checkpoints.writer.save_checkpoint", failing)
    with pytest.raises(OSError, match="No space left"), open_writer(Checkpoints(tmp_path)) as writer:
        writer.save({}, 1, {}, {}, best=False)


SETTINGS = [
    ("here", TypeError, r"checkpoints is a str, expected training.Checkpoints\(folder\)"),
    (Checkpoints("x", seconds=None), ValueError, "neither every nor seconds"),
    (Checkpoints("x", every=0), ValueError, "checkpoints.every is 0"),
    (Checkpoints("x", seconds=0), ValueError, "checkpoints.seconds is 0"),
    (Checkpoints("x", keep_last=0), ValueError, "checkpoints.keep_last is 0"),
    (Checkpoints("x", keep_best=-1), ValueError, "checkpoints.keep_best is -1"),
]


@pytest.mark.parametrize(("settings", "error", "message"), SETTINGS)
def test_settings_out_of_range(settings, error, message):
    with pytest.raises(error, match=message), open_writer(settings):
        pass


def test_without_orbax_the_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("seqjax.training.checkpoints.arrays.find_spec", lambda name: None)
    with (
        pytest.raises(ImportError, match=r'pip install "seqjax\[checkpoints\]"'),
        open_writer(Checkpoints(tmp_path)),
    ):
        pass


def test_weights_in_a_checkpoint_are_a_file_like_any_other(made):
    content = (made / "0000000010" / "best.safetensors").read_bytes()
    save_weights(made.parent / "w", {"w": jnp.ones(2)})
    assert content == (made.parent / "w").read_bytes()
    versions = json.loads((made / "0000000010" / "manifest.json").read_text())["versions"]
    assert versions["jax"] == jax.__version__
