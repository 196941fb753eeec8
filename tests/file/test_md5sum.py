"""MD5 sums: of files that change, of beginnings, of file objects."""

from __future__ import annotations

import hashlib
import io
import os

import pytest

from dcread import md5sum
from dcread.cache import md5sum as from_cache
from dcread.errors import FileMissingError, NotAFileError

CONTENT = bytes(range(256)) * 600


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(CONTENT)
    return path


def plain(data):
    return hashlib.md5(data).hexdigest()


@pytest.mark.parametrize(
    ("kwargs", "size"),
    [
        ({}, None),
        ({"blocksize": 0}, None),
        ({"blocksize": 0, "count": 3}, None),
        ({"blocksize": 100, "count": 0}, None),
        ({"blocksize": 100, "count": 1}, 100),
        ({"blocksize": 65536, "count": 2}, 131072),
        ({"blocksize": 65536, "count": 80}, None),
        ({"blocksize": 3, "count": 51200}, 153600),
    ],
)
def test_how_much(path, kwargs, size):
    expected = plain(CONTENT[:size])
    assert md5sum(path, **kwargs) == expected
    assert md5sum(str(path), **kwargs) == expected
    assert md5sum(io.BytesIO(CONTENT), **kwargs) == expected
    assert from_cache is md5sum


def test_change_is_noticed(path):
    before = md5sum(path)
    status = path.stat()
    path.write_bytes(CONTENT[::-1])  # the same inode and size
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    assert md5sum(path) == plain(CONTENT[::-1]) != before


def test_replacement_is_noticed(path):
    md5sum(path)
    status = path.stat()
    other = path.with_name("other")
    other.write_bytes(b"x" * len(CONTENT))
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)
    assert md5sum(path) == plain(b"x" * len(CONTENT))


def test_deletion_is_noticed(path):
    md5sum(path)
    path.unlink()
    with pytest.raises(FileMissingError, match=r"file\.bin"):
        md5sum(path)


def test_relative_path_in_another_folder(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first = md5sum("file.bin")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.bin").write_bytes(b"other")
    monkeypatch.chdir(tmp_path / "sub")
    assert md5sum("file.bin") == plain(b"other") != first


def test_folder(tmp_path):
    with pytest.raises(NotAFileError, match="directory"):
        md5sum(tmp_path)


def test_file_object_keeps_its_position(path):
    with path.open("rb") as stream:
        stream.seek(77)
        assert md5sum(stream) == plain(CONTENT)
        assert stream.tell() == 77


@pytest.mark.parametrize("name", ["blocksize", "count"])
def test_negative(path, name):
    with pytest.raises(ValueError, match=f"`{name}` must not be negative"):
        md5sum(path, **{name: -1})


def test_change_within_one_tick_of_the_clock(path):
    for letter in (b"a", b"b", b"c"):
        status = path.stat()
        path.write_bytes(letter * len(CONTENT))
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert md5sum(path) == plain(letter * len(CONTENT))


def test_a_settled_file_is_read_once(path, monkeypatch):
    os.utime(path, (10**9, 10**9))
    opened = []
    monkeypatch.setattr(
        type(path), "open", lambda self, mode: opened.append(self) or io.BytesIO(b"x")
    )
    assert md5sum(path) == md5sum(path) == md5sum(str(path)) == plain(b"x")
    assert opened == [path]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_fifo_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NotAFileError, match=r"pipe: expected a regular file"):
        md5sum(tmp_path / "pipe")


def test_what_cannot_be_opened(path, tmp_path):
    with pytest.raises(FileMissingError, match=r"file\.bin"):
        md5sum(path / "below")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(NotAFileError, match="loop: cannot be opened"):
        md5sum(loop)


@pytest.mark.parametrize("wrong", [None, 5, b"file.bin", ["file.bin"]])
def test_what_is_no_path(wrong):
    with pytest.raises(TypeError, match="must be a path or a binary file object"):
        md5sum(wrong)
