"""Fixtures of the engine's tests: files with any pipeline, layout and mask."""

from __future__ import annotations

import ctypes
import pathlib
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread import engine

DEFLATE, SHUFFLE, FLETCHER32, LZF, ZSTD = 1, 2, 3, 32000, 32015


def creation_plist(
    chunks: tuple[int, ...] | None,
    filters: tuple[int, ...],
    *,
    fill: Any,
    dtype: np.dtype[Any],
) -> h5py.h5p.PropDCID:
    """Return how to create a dataset with filters in exactly this order."""
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    if chunks is not None:
        plist.set_chunk(chunks)
    for number in filters:
        if number == DEFLATE:
            plist.set_deflate(5)
        elif number == SHUFFLE:
            plist.set_shuffle()
        elif number == FLETCHER32:
            plist.set_fletcher32()
        elif number == ZSTD:
            plist.set_filter(ZSTD, h5py.h5z.FLAG_MANDATORY, (3,))
        else:
            plist.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
    if fill is not None:
        plist.set_fill_value(np.array(fill, dtype))
    return plist


def make_dataset(
    path: pathlib.Path,
    data: np.ndarray,
    chunks: tuple[int, ...] | None = None,
    filters: tuple[int, ...] = (),
    *,
    write: bool = True,
    maxshape: tuple[int | None, ...] | None = None,
    fill: Any = None,
    **file_options: Any,
) -> pathlib.Path:
    """Write dataset ``x`` with filters in exactly this order."""
    plist = creation_plist(chunks, filters, fill=fill, dtype=data.dtype)
    with h5py.File(path, "w", **file_options) as h5:
        limits = [
            h5py.h5s.UNLIMITED if n is None else n for n in maxshape or data.shape
        ]
        space = h5py.h5s.create_simple(data.shape, tuple(limits))
        kind = h5py.h5t.py_create(data.dtype, logical=True)
        dsid = h5py.h5d.create(h5.id, b"x", kind, space, plist)
        if write:
            h5py.Dataset(dsid)[...] = data
    return path


def _zstd() -> ctypes.CDLL:
    library = ctypes.CDLL(hdf5plugin.get_config().registered_filters["zstd"])
    library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_compress.argtypes = [
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_int,
    ]
    return library


def zstd_frame(data: bytes) -> bytes:
    """Compress by the library that the plugin brings along."""
    out = ctypes.create_string_buffer(len(data) + len(data) // 8 + 512)
    size = _zstd().ZSTD_compress(out, len(out), data, len(data), 3)
    return out.raw[:size]


def zstd_raw_frame(data: bytes, *, size: int | None = None) -> bytes:
    """Return a frame of one raw block; `size` is what its header tells (or not)."""
    block = (len(data) << 3 | 1).to_bytes(3, "little") + data
    if size is None:
        return b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x58" + block
    return b"\x28\xb5\x2f\xfd" + b"\xa0" + size.to_bytes(4, "little") + block


def shuffled(data: bytes, width: int) -> bytes:
    """Apply HDF5's shuffle filter."""
    count = len(data) // width
    whole = np.frombuffer(data[: count * width], np.uint8).reshape(count, width)
    return whole.T.tobytes() + data[count * width :]


def fletcher32(data: bytes) -> int:
    """Return HDF5's checksum: sums of big-endian words, and of those sums."""
    words = np.frombuffer(data + bytes(len(data) % 2), ">u2").astype(np.uint64)
    weights = np.arange(len(words), 0, -1, dtype=np.uint64)
    first, second = (
        int(total) % 65535 or (65535 if total else 0)
        for total in (words.sum(), (words * weights).sum())
    )
    return second << 16 | first


def checksummed(data: bytes, *, swap: bool = False) -> bytes:
    """Apply HDF5's fletcher32 filter; with `swap` as HDF5 did before 1.6.3."""
    total = fletcher32(data).to_bytes(4, "little")
    return data + (total[1::-1] + total[:1:-1] if swap else total)


def encode(
    data: bytes, filters: tuple[int, ...], width: int, mask: int = 0, swap: bool = False
) -> bytes:
    """Apply filters in order, leaving out those of the mask."""
    for bit, number in enumerate(filters):
        if mask >> bit & 1:
            continue
        if number == DEFLATE:
            data = zlib.compress(data, 5)
        elif number == SHUFFLE:
            data = shuffled(data, width)
        elif number == ZSTD:
            data = zstd_frame(data)
        else:
            assert number == FLETCHER32
            data = checksummed(data, swap=swap)
    return data


def write_chunk(
    path: pathlib.Path, offset: tuple[int, ...], stored: bytes, mask: int = 0
) -> None:
    """Put bytes into the file as the stored chunk of ``x`` at an offset."""
    with h5py.File(path, "r+") as h5:
        h5["x"].id.write_direct_chunk(offset, stored, filter_mask=mask)


@pytest.fixture(scope="session")
def tools() -> SimpleNamespace:
    """The functions above (test folders are not packages)."""
    return SimpleNamespace(
        make_dataset=make_dataset,
        encode=encode,
        write_chunk=write_chunk,
        zstd_frame=zstd_frame,
        zstd_raw_frame=zstd_raw_frame,
        shuffled=shuffled,
        fletcher32=fletcher32,
        checksummed=checksummed,
        PIPELINES=PIPELINES,
    )


PIPELINES: tuple[tuple[int, ...], ...] = (
    (),
    (DEFLATE,),
    (SHUFFLE,),
    (FLETCHER32,),
    (LZF,),
    (ZSTD,),
    (DEFLATE, FLETCHER32),
    (FLETCHER32, DEFLATE),
    (SHUFFLE, DEFLATE, FLETCHER32),
    (SHUFFLE, DEFLATE),
    (FLETCHER32, SHUFFLE, DEFLATE),
    (ZSTD, FLETCHER32),
    (FLETCHER32, ZSTD),
    (SHUFFLE, ZSTD, FLETCHER32),
    (FLETCHER32, SHUFFLE, ZSTD, FLETCHER32),
    (SHUFFLE, LZF, FLETCHER32),
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test that takes a `pipeline` with all of them."""
    if "pipeline" in metafunc.fixturenames:
        metafunc.parametrize("pipeline", PIPELINES, ids=str)


@pytest.fixture
def opened() -> Iterator[Callable[[Any], engine.FileHandle]]:
    """Open files that are closed after the test."""
    handles: list[engine.FileHandle] = []

    def open_one(target: Any) -> engine.FileHandle:
        handles.append(engine.open_file(target))
        return handles[-1]

    yield open_one
    for handle in handles:
        handle.close()


@pytest.fixture
def threads() -> Iterator[None]:
    """Four threads, however many cores there are."""
    engine.set_num_threads(4)
    yield
    engine.set_num_threads(None)
