"""The kernel that times a read gives the bytes that ``os.pread`` gives."""

from __future__ import annotations

import errno
import os
import pathlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread_ext.timed_read import HAS_PREAD, timed_read

pytestmark = pytest.mark.skipif(not HAS_PREAD, reason="no pread here")


@pytest.fixture(scope="module")
def fd(tmp_path_factory: pytest.TempPathFactory) -> int:
    path = pathlib.Path(tmp_path_factory.mktemp("timed") / "bytes")
    path.write_bytes(os.urandom(10_000))
    return os.open(path, os.O_RDONLY)


@given(offset=st.integers(0, 12_000), size=st.integers(0, 12_000))
def test_bytes(fd: int, offset: int, size: int) -> None:
    out = bytearray(size)
    count, taken = timed_read(fd, out, offset)
    expected = os.pread(fd, size, offset)
    assert count == len(expected)
    assert out == expected.ljust(size, b"\0")
    assert taken >= 0


def test_an_error_is_a_negative_number() -> None:
    assert timed_read(-1, bytearray(5), 0)[0] == -errno.EBADF


def test_only_what_can_be_written_is_taken(fd: int) -> None:
    with pytest.raises((BufferError, ValueError, TypeError)):
        timed_read(fd, b"12345", 0)  # type: ignore[arg-type]
