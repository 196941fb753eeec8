"""What the machine can do at the most: decoders and copies, on all cores.

A limit is measured in the same run as what is held against it: the stored bytes
lie in memory already, each thread decodes into memory of its own that it uses
again and again, nothing is checked, gathered or handed out.
"""

from __future__ import annotations

import ctypes
import os
import pathlib
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import h5py
import numpy as np

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
Decoder = Callable[..., int]
"""``decode(source, target, size)``: the decoded length, 0 for a failure."""


def on_all_cores(work: Callable[[int], None]) -> None:
    """Call ``work(number)`` in one thread a core and wait for all."""
    threads = [
        threading.Thread(target=work, args=(number,)) for number in range(1, CORES)
    ]
    for thread in threads:
        thread.start()
    work(0)
    for thread in threads:
        thread.join()


def _plugin_library() -> ctypes.CDLL:
    """Return the zstd that hdf5plugin brings along (it exports libzstd's names)."""
    import hdf5plugin

    path = hdf5plugin.get_config().registered_filters["zstd"]
    return ctypes.CDLL(str(pathlib.Path(path)))


def zstd_decoder() -> Decoder:
    """Return ``decode(source, target, size)`` of libzstd, one context a call site."""
    library = _plugin_library()
    library.ZSTD_createDCtx.restype = ctypes.c_void_p
    call = library.ZSTD_decompressDCtx
    call.restype = ctypes.c_size_t
    call.argtypes = [
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_char_p,
        ctypes.c_size_t,
    ]
    local = threading.local()

    def decode(source: Any, target: Any, size: int, stored: int | None = None) -> int:
        if not hasattr(local, "context"):
            local.context = library.ZSTD_createDCtx()
        stored = len(source) if stored is None else stored
        return int(call(local.context, target, size, source, stored))

    return decode


def gzip_decoder() -> Decoder:
    """Return the same of the libdeflate that the package ``deflate`` brings along."""
    import deflate

    module = sys.modules[deflate.zlib_decompress.__module__]
    library = ctypes.CDLL(str(module.__file__))
    library.libdeflate_alloc_decompressor.restype = ctypes.c_void_p
    call = library.libdeflate_zlib_decompress
    call.restype = ctypes.c_int
    call.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_size_t,
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_void_p,
    ]
    local = threading.local()

    def decode(source: bytes, target: ctypes.Array, size: int) -> int:
        if not hasattr(local, "state"):
            local.state = library.libdeflate_alloc_decompressor()
        return (
            size
            if call(local.state, source, len(source), target, size, None) == 0
            else 0
        )

    return decode


def stored_chunks(
    paths: Iterable[pathlib.Path], feature: str, rows: Iterable[int] | None = None
) -> tuple[list[bytes], int]:
    """Return stored chunks without their checksums, and one chunk's decoded size."""
    chunks: list[bytes] = []
    size = 0
    for path in paths:
        with h5py.File(path) as h5:
            stored = h5["events"][feature]
            size = max(size, int(np.prod(stored.chunks)) * stored.dtype.itemsize)
            tail = 4 if stored.fletcher32 else 0
            starts = range(0, stored.shape[0], stored.chunks[0])
            if rows is not None:
                starts = sorted({row // stored.chunks[0] for row in rows})
                starts = [start * stored.chunks[0] for start in starts]
            for start in starts:
                data = stored.id.read_direct_chunk((start, 0, 0))[1]
                chunks.append(data[: len(data) - tail])
    return chunks, size


def decode_all(
    chunks: list[bytes],
    size: int,
    decoder: Decoder,
    cores: int = CORES,
    image_bytes: int = 0,
) -> Callable[[], None]:
    """Return a call that decodes all chunks, each core its run of them.

    With `image_bytes`, each image of a chunk is copied to memory of its own.
    """
    targets = [ctypes.create_string_buffer(size) for _ in range(cores)]
    bounds = np.linspace(0, len(chunks), cores + 1).astype(int)

    def work(number: int) -> None:
        if number < cores:
            decoded = np.frombuffer(targets[number], np.uint8)
            for chunk in chunks[bounds[number] : bounds[number + 1]]:
                if decoder(chunk, targets[number], size) == 0:
                    raise RuntimeError("a stored chunk did not decode")
                if image_bytes:
                    for start in range(0, size, image_bytes):
                        decoded[start : start + image_bytes].copy()

    if cores == 1:
        return lambda: work(0)
    return lambda: on_all_cores(work)


def read_and_decode(
    paths: Iterable[pathlib.Path], feature: str, decoder: Decoder
) -> Callable[[], None]:
    """Return a call that reads all chunks and decodes them, each core its run.

    Each chunk gets memory of its own, as in an output, which is used again after as
    many chunks as are handed out together. Nothing is checked, nothing is opened.
    """
    places: list[tuple[pathlib.Path, int, int]] = []
    size = 0
    for path in paths:
        with h5py.File(path) as h5:
            stored = h5["events"][feature]
            size = max(size, int(np.prod(stored.chunks)) * stored.dtype.itemsize)
            infos: list[h5py.h5d.StoreInfo] = []
            stored.id.chunk_iter(infos.append)
            tail = 4 if stored.fletcher32 else 0
            places += sorted((path, i.byte_offset, i.size - tail) for i in infos)
    together = 31
    rings = [np.empty(together * size, np.uint8) for _ in range(CORES)]
    buffers = [np.empty(2 * size, np.uint8) for _ in range(CORES)]
    bounds = np.linspace(0, len(places), CORES + 1).astype(int)
    files = {path: path.open("rb", buffering=0) for path, _, _ in places}

    def work(number: int) -> None:
        first, buffer = rings[number].ctypes.data, buffers[number]
        source = ctypes.cast(buffer.ctypes.data, ctypes.c_char_p)
        run = places[bounds[number] : bounds[number + 1]]
        for turn, (path, offset, stored) in enumerate(run):
            os.preadv(files[path].fileno(), [buffer[:stored]], offset)
            target = ctypes.c_void_p(first + turn % together * size)
            if decoder(source, target, size, stored) == 0:
                raise RuntimeError("a stored chunk did not decode")

    return lambda: on_all_cores(work)


def copy_all(source: np.ndarray, rows: int) -> Callable[[], None]:
    """Return a call that copies an array, `rows` at a time, each core its part."""
    targets = [np.empty_like(source[:rows]) for _ in range(CORES)]
    bounds = np.linspace(0, len(source), CORES + 1).astype(int)

    def work(number: int) -> None:
        for start in range(bounds[number], bounds[number + 1], rows):
            part = source[start : min(start + rows, bounds[number + 1])]
            np.copyto(targets[number][: len(part)], part)

    return lambda: on_all_cores(work)


def read_all(path: pathlib.Path, offset: int, size: int) -> Callable[[], None]:
    """Return a call that reads a part of a file, each core its part of it."""
    step = 1 << 20
    targets = [np.empty(31 * step, np.uint8) for _ in range(CORES)]
    bounds = np.linspace(offset, offset + size, CORES + 1).astype(int)

    def work(number: int) -> None:
        with path.open("rb", buffering=0) as file:
            for place in range(bounds[number], bounds[number + 1], step):
                first = (place - bounds[number]) % (31 * step)
                count = min(step, bounds[number + 1] - place)
                target = targets[number][first : first + count]
                os.preadv(file.fileno(), [target], place)

    return lambda: on_all_cores(work)
