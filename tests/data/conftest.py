"""Archives built here, and a download that copies them: no test needs a network unless marked so."""

from __future__ import annotations

import hashlib
import io
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

import seqjax.data as sjd
from seqjax.data import archives
from seqjax.data.members import read_members


def tar_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zip_bytes(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


@pytest.fixture
def make_tar() -> Callable[[dict[str, bytes]], bytes]:
    return tar_bytes


@pytest.fixture
def make_zip() -> Callable[[dict[str, bytes]], bytes]:
    return zip_bytes


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[[ModuleType, dict[str, bytes]], None]:
    """Has a reader find these files in its archives, by the patterns that it declares."""

    def offer(reader: ModuleType, files: dict[str, bytes]) -> None:
        archive = zip_bytes(files)
        monkeypatch.setattr(reader, "fetch", lambda wanted, **_: read_members(archive, wanted.members))

    return offer


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("SEQJAX_CACHE", str(folder))
    return folder


class Shelf:
    """A package index of one archive: what it serves, and how often it was asked."""

    def __init__(self, path: Path, content: bytes) -> None:
        self.path = path
        self.count = 0
        path.write_bytes(content)
        self.archive = sjd.Archive(
            package="verses",
            version="1.0",
            sha256=hashlib.sha256(content).hexdigest(),
            licence="public domain",
            members=("poems/*.txt", "old.tar.gz!/x/deep.txt"),
        )

    def download(self, archive: sjd.Archive, folder: Path) -> Path:
        self.count += 1
        target = folder / "verses-1.0.tar.gz"
        shutil.copy(self.path, target)
        return target


VERSES = {
    "poems/one.txt": b"The rose is red\n" * 50,
    "poems/two.txt": b"The violet's blue\n",
    "old.tar.gz!/x/deep.txt": b"down here",
}


@pytest.fixture
def verses() -> dict[str, bytes]:
    return VERSES


@pytest.fixture
def shelf(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    content = tar_bytes(
        {
            "verses-1.0/PKG-INFO": b"Metadata-Version: 1.0\nName: verses\nVersion: 1.0\n",
            # Whoever runs this leaves a trace that a test looks for.
            "verses-1.0/setup.py": b"open(__import__('os').environ['TRACE'], 'w').close()\n",
            "verses-1.0/poems/one.txt": VERSES["poems/one.txt"],
            "verses-1.0/poems/two.txt": VERSES["poems/two.txt"],
            "verses-1.0/poems/notes.md": b"not wanted",
            "verses-1.0/old.tar.gz": tar_bytes({"x/deep.txt": b"down here", "x/other.txt": b"no"}),
        }
    )
    index = tmp_path / "index"
    index.mkdir()
    shelf = Shelf(index / "verses-1.0.tar.gz", content)
    monkeypatch.setattr(archives, "download", shelf.download)
    return shelf
