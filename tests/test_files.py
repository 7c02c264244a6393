"""A file that cannot be written leaves the one that was there, and nothing beside it."""

import errno
import os

import pytest

from seqjax import files


@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_what_fails_on_the_way_leaves_the_old_file(name, tmp_path, monkeypatch):
    path = tmp_path / "file"
    files.write_whole(path, b"old")

    def full(*arguments):
        assert path.read_bytes() == b"old"
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, name, full)
        with pytest.raises(OSError, match="No space left"):
            files.write_whole(path, b"new")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"old", ["file"])
    files.write_whole(path, b"new")
    assert (path.read_bytes(), os.listdir(tmp_path)) == (b"new", ["file"])
