"""Members are read by pattern, and what would leave the folder is refused."""

from __future__ import annotations

import io
import stat
import tarfile
import zipfile

import pytest

import seqjax.data as sjd
from seqjax.data.errors import DataError
from seqjax.data.members import is_safe, read_members


@pytest.mark.parametrize("form", ["make_tar", "make_zip"])
def test_patterns_match_within_a_folder_only(form, request):
    make = request.getfixturevalue(form)
    data = make({"a/1.txt": b"1", "a/2.txt": b"2", "a/b/3.txt": b"3", "a/4.csv": b"4"})
    assert read_members(data, ["a/*.txt"]) == {"a/1.txt": b"1", "a/2.txt": b"2"}
    assert read_members(data, ["*/?/*.txt", "a/4.csv"]) == {"a/b/3.txt": b"3", "a/4.csv": b"4"}


def test_strip_leaves_out_the_top_folder(make_tar):
    assert read_members(make_tar({"top-1/a.txt": b"1"}), ["a.txt"], strip=1) == {"a.txt": b"1"}


def test_nested_archives_are_read_at_any_depth(make_tar, make_zip):
    data = make_tar({"mid.zip": make_zip({"in.tar": make_tar({"x.txt": b"x", "y.txt": b"y"})})})
    assert read_members(data, ["mid.zip!/in.tar!/*.txt"]) == {
        "mid.zip!/in.tar!/x.txt": b"x",
        "mid.zip!/in.tar!/y.txt": b"y",
    }


def test_folders_are_not_members():
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        folder = tarfile.TarInfo("a/b")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        tar.addfile(tarfile.TarInfo("a/empty"))
    assert read_members(buffer.getvalue(), ["a/*"]) == {"a/empty": b""}


def test_missing_members_are_named(make_tar):
    with pytest.raises(DataError, match=r"no member 'b\.txt'"):
        read_members(make_tar({"a.txt": b""}), ["a.txt", "b.txt"])
    with pytest.raises(DataError, match=r"no member 'y\.txt'"):
        read_members(make_tar({"a.tar": make_tar({"x.txt": b""})}), ["a.tar!/y.txt"])


@pytest.mark.parametrize(
    ("name", "pattern", "strip"),
    [
        ("../evil.txt", "*/evil.txt", 0),
        ("a/../../evil.txt", "*/*/*/evil.txt", 0),
        ("/etc/evil.txt", "*/etc/evil.txt", 0),
        ("../../evil.txt", "*/evil.txt", 1),
        ("/../evil.txt", "*/evil.txt", 1),
        ("a\\..\\evil.txt", "a*", 0),
        ("c:evil.txt", "*evil.txt", 0),
    ],
)
@pytest.mark.parametrize("form", ["make_tar", "make_zip"])
def test_paths_that_leave_the_folder_are_refused(name, pattern, strip, form, request):
    data = request.getfixturevalue(form)({name: b"boo"})
    with pytest.raises(DataError, match="leads outside"):
        read_members(data, [pattern], strip=strip)


@pytest.mark.parametrize("name", sjd.ARCHIVES)
def test_no_declared_pattern_lets_a_path_leave_its_folder(name, make_zip):
    for pattern in sjd.ARCHIVES[name].members:
        outer = pattern.split("!/")[0].split("/")
        for place, part in enumerate(outer):
            evil = "/".join([*outer[:place], "..", *outer[place + 1 :]])
            expected = "leads outside" if part == "*" else "no member"
            with pytest.raises(DataError, match=expected):
                read_members(make_zip({evil: b"boo"}), [pattern])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_tar_are_refused(kind):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        link = tarfile.TarInfo("a.txt")
        link.type, link.linkname = kind, "/etc/passwd"
        tar.addfile(link)
    with pytest.raises(DataError, match="link or a device"):
        read_members(buffer.getvalue(), ["a.txt"])


def test_links_in_zip_are_refused():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("a.txt")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link or a device"):
        read_members(buffer.getvalue(), ["a.txt"])


def test_dangerous_members_that_are_not_asked_for_do_no_harm(make_tar):
    data = make_tar({"../evil.txt": b"boo", "a.txt": b"fine"})
    assert read_members(data, ["a.txt"]) == {"a.txt": b"fine"}


@pytest.mark.parametrize("cut", [0, 1, 20, 100])
def test_what_is_no_archive_is_an_error(make_tar, cut):
    with pytest.raises(DataError, match="cannot be read"):
        read_members(make_tar({"a.txt": bytes(range(256)) * 50})[:cut], ["a.txt"])
    with pytest.raises(DataError, match="cannot be read"):
        read_members(make_tar({"a.txt": b"text"}), ["a.txt!/b.txt"])


def test_a_damaged_member_is_an_error(make_zip):
    with pytest.raises(DataError, match="cannot be read"):
        read_members(make_zip({"a.txt": b"whole"}).replace(b"whole", b"whale"), ["a.txt"])


def test_is_safe():
    assert all(map(is_safe, ["a", "a/b.txt", "a!/b", ".hidden", "a..b"]))
    assert not any(map(is_safe, ["", "/", "..", ".", "a/", "./a", "a/./b", "a/..", "a\0b"]))
