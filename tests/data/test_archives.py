"""Archives are fetched once, verified, and every way that can fail says what to do."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import seqjax.data as sjd
from seqjax.data import archives
from seqjax.data.errors import DataError, UnreachableError


def left_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def entry_of(cache: Path) -> Path:
    (entry,) = cache.iterdir()
    return entry


def test_fetch_keeps_the_members_and_nothing_else(shelf, cache, verses, capsys):
    assert sjd.fetch(shelf.archive) == verses
    entry = entry_of(cache)
    assert left_in(entry) == sorted([*verses, "manifest.json"])
    said = capsys.readouterr()
    assert said.out == ""
    assert "fetching verses 1.0, licence: public domain" in said.err


def test_second_use_is_offline_and_silent(shelf, verses, capsys):
    sjd.fetch(shelf.archive)
    capsys.readouterr()
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 1
    assert capsys.readouterr().err == ""


def test_a_cache_can_be_named_and_read_only_once_filled(shelf, tmp_path, verses, monkeypatch):
    sjd.fetch(shelf.archive, cache=tmp_path / "other")
    monkeypatch.setattr(os, "replace", lambda *_: pytest.fail("wrote to a full cache"))
    assert sjd.fetch(shelf.archive, cache=tmp_path / "other") == verses


def test_other_members_are_another_entry(shelf, verses):
    sjd.fetch(shelf.archive)
    fewer = replace(shelf.archive, members=("poems/one.txt",))
    assert sjd.fetch(fewer) == {"poems/one.txt": verses["poems/one.txt"]}
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 2


def test_wrong_hash_is_refused_and_leaves_nothing(shelf, cache):
    shelf.path.write_bytes(shelf.path.read_bytes() + b"\0")
    with pytest.raises(DataError, match=r"has SHA-256 .* expected .* not used"):
        sjd.fetch(shelf.archive)
    assert left_in(cache) == []
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(path.read_bytes().replace(b"r", b"R", 1)),
        lambda path: path.unlink(),
    ],
    ids=["truncated", "emptied", "changed", "removed"],
)
def test_a_damaged_member_is_noticed_and_fetched_again(shelf, cache, verses, capsys, damage):
    sjd.fetch(shelf.archive)
    damage(entry_of(cache) / "poems" / "one.txt")
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 2
    assert "damaged" in capsys.readouterr().err
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 2


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"key": "other", "files": {}}',
        b'{"key": KEY}',
        b'{"key": KEY, "files": {}}',
        b'{"key": KEY, "files": ["a"]}',
        b'{"key": KEY, "files": {"../../secret.txt": "0"}}',
        b'{"key": KEY, "files": {"/etc/passwd": "0"}}',
        b'{"key": KEY, "files": {"manifest.json": "0"}}',
        b'{"key": KEY, "files": {"poems/one.txt": 7}}',
        b'{"key": KEY, "files": {"poems": "0"}}',
    ],
)
def test_a_manifest_that_says_anything_else_counts_as_none(shelf, cache, verses, manifest):
    sjd.fetch(shelf.archive)
    key = json.dumps(shelf.archive.key).encode()
    (entry_of(cache) / "manifest.json").write_bytes(manifest.replace(b"KEY", key))
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 2


@pytest.mark.parametrize("step", range(4))
def test_an_interrupted_store_is_never_read(shelf, cache, verses, monkeypatch, step):
    real, calls = os.replace, []

    def interrupted(source, target):
        if len(calls) == step:
            raise KeyboardInterrupt
        calls.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            sjd.fetch(shelf.archive)
    assert not list(cache.glob(".fetching-*"))
    assert not list(cache.rglob("manifest.json"))
    assert sjd.fetch(shelf.archive) == verses
    assert shelf.count == 2


def test_what_a_killed_process_left_is_swept_when_old(shelf, cache):
    old, young = cache / ".fetching-old", cache / ".fetching-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "half").write_bytes(b"x")
    long_ago = time.time() - 3 * 24 * 3600
    os.utime(old, (long_ago, long_ago))
    sjd.fetch(shelf.archive)
    assert not old.exists()
    assert young.exists()


@pytest.mark.parametrize(
    ("number", "match"),
    [
        (errno.ENOSPC, "is full: free some space"),
        (errno.EDQUOT, "is full: free some space"),
        (errno.EACCES, "mend its permissions, or set the environment variable SEQJAX_CACHE"),
        (errno.EROFS, "cannot be written"),
        (errno.EIO, "cannot be used"),
    ],
)
@pytest.mark.parametrize("where", ["replace", "mkdir", "write"])
def test_a_cache_that_cannot_be_written_is_one_clear_error(shelf, cache, monkeypatch, number, match, where):
    def fail(*_, **__):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if where == "replace":
            patch.setattr(os, "replace", fail)
        elif where == "mkdir":
            patch.setattr(Path, "mkdir", fail)
        else:
            patch.setattr(Path, "write_bytes", fail)
        with pytest.raises(DataError, match=match) as caught:
            sjd.fetch(shelf.archive)
    assert isinstance(caught.value.__cause__, OSError)
    assert str(cache) in str(caught.value)
    assert not cache.exists() or left_in(cache) == []
    sjd.fetch(shelf.archive)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission(shelf, cache):
    cache.mkdir()
    cache.chmod(0o500)
    with pytest.raises(DataError, match="mend its permissions"):
        sjd.fetch(shelf.archive)
    cache.chmod(0o700)


def test_a_file_where_the_cache_belongs(shelf, cache):
    cache.write_text("in the way")
    with pytest.raises(DataError, match="a file where a folder belongs"):
        sjd.fetch(shelf.archive)


def test_offline_with_an_empty_cache(shelf, cache, monkeypatch):
    def unreachable(*_):
        raise UnreachableError("No package index could be reached.")

    monkeypatch.setattr(archives, "download", unreachable)
    with pytest.raises(UnreachableError):
        sjd.fetch(shelf.archive)
    assert list(cache.iterdir()) == []


def test_a_member_that_leads_outside_is_never_written(shelf, cache, make_tar, tmp_path):
    evil = type(shelf)(shelf.path, make_tar({"verses-1.0/../../evil.txt": b"boo"})).archive
    with pytest.raises(DataError, match="leads outside"):
        sjd.fetch(replace(evil, members=("*/*/evil.txt",)))
    assert list(cache.iterdir()) == []
    assert not list(tmp_path.rglob("evil.txt"))


@pytest.mark.parametrize(
    ("field", "value", "match"),
    [
        ("package", "--index-url=x", "package is '--index-url=x'"),
        ("package", "../x", "package is"),
        ("version", "1.0 --pre", "version is"),
        ("version", "", "version is"),
        ("sha256", "ABC", "expected 64 lowercase"),
        ("sha256", "A" * 64, "expected 64 lowercase"),
        ("kind", "egg", "'sdist' or 'wheel'"),
        ("members", (), "one pattern or more"),
        ("members", "poems/*.txt", "expected a tuple"),
        ("python_version", "3 --pre", "python_version is"),
    ],
)
def test_declarations_are_checked(shelf, field, value, match):
    with pytest.raises(ValueError, match=match):
        replace(shelf.archive, **{field: value})


def test_the_cache_folder(tmp_path):
    assert sjd.cache_folder({"SEQJAX_CACHE": str(tmp_path)}) == tmp_path
    assert sjd.cache_folder({"SEQJAX_CACHE": "~/x"}) == Path("~/x").expanduser()
    platform = pytest.importorskip("platformdirs").user_cache_path("seqjax", appauthor=False)
    assert sjd.cache_folder({}) == sjd.cache_folder({"SEQJAX_CACHE": ""}) == platform


def test_the_cache_folder_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "platformdirs", None)
    with pytest.raises(ImportError, match=r"seqjax\[data\]"):
        sjd.cache_folder({})


FETCH_TWICE = """
import shutil, sys, time
import seqjax.data as sjd
from seqjax.data import archives
def slow(archive, folder):
    shutil.copy({path!r}, folder / "x.tar.gz")
    time.sleep(0.2)
    return folder / "x.tar.gz"
archives.download = slow
archive = sjd.Archive("verses", "1.0", {sha256!r}, "none", {members!r})
print("ready", flush=True)
sys.stdin.readline()
for _ in range(3):
    files = sjd.fetch(archive)
    # Spoil what the other process may be reading or writing right now.
    for path in sjd.cache_folder().glob("verses-*/poems/one.txt"):
        path.write_bytes(b"spoiled")
print(sorted(files))
"""


@pytest.mark.slow
def test_two_processes_at_once(shelf, cache, verses):
    root = Path(sjd.__file__).parents[2]
    script = FETCH_TWICE.format(
        path=str(shelf.path), sha256=shelf.archive.sha256, members=shelf.archive.members
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root), "JAX_PLATFORMS": "cpu"},
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    results = [process.communicate("go\n", timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], results
    assert [out for out, _ in results] == [f"{sorted(verses)}\n"] * 2
    assert sjd.fetch(shelf.archive) == verses
    assert not list(cache.glob(".fetching-*"))
