"""Filter ids become the steps by which chunks are decoded.

Only filters that are safe to run without the HDF5 library are known here: none,
deflate, shuffle, fletcher32, lzf and zstd, in any order. Everything else is h5py's.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..sync.locks import PatientLock

# Not within a read: an interrupt in the midst of importing a module leaves the lock of
# that module taken, for which the other threads would wait.
deflate: Any = None
with contextlib.suppress(ImportError):
    import deflate

DEFLATE, SHUFFLE, FLETCHER32, LZF, ZSTD = 1, 2, 3, 32000, 32015
NAMES = {
    DEFLATE: "gzip",
    SHUFFLE: "shuffle",
    FLETCHER32: "fletcher32",
    LZF: "lzf",
    ZSTD: "zstd",
}

_BRINGERS = {
    4: ("szip", "HDF5 itself, if it was built with it"),
    307: ("bzip2", "hdf5plugin"),
    32000: ("lzf", "h5py"),
    32001: ("blosc", "hdf5plugin"),
    32004: ("lz4", "hdf5plugin"),
    32008: ("bitshuffle", "hdf5plugin"),
    32013: ("zfp", "hdf5plugin"),
    32015: ("zstd", "hdf5plugin"),
    32017: ("sz", "hdf5plugin"),
    32018: ("fcidecomp", "hdf5plugin"),
    32020: ("vbz", "vbz-h5py-plugin"),
    32024: ("sz3", "hdf5plugin"),
    32026: ("blosc2", "hdf5plugin"),
}
"""Names of filters, and the packages that bring them."""

# Most bytes that one stored byte can become, by the formats themselves: a deflate
# symbol of 258 bytes takes 2 bits; an lzf match of 264 bytes takes 3 bytes; a zstd
# block of 128 KiB takes 4 bytes (3 of header and 1 that is repeated).
_EXPANSION = {DEFLATE: 1032, LZF: 88, ZSTD: 32768}

# zstd calls these deprecated, but has kept them in all versions since 1.0: nothing
# else decodes a frame by its blocks straight into the output.
_ZSTD_STEPS = (
    "ZSTD_getFrameContentSize",
    "ZSTD_decompressBegin",
    "ZSTD_nextSrcSizeToDecompress",
    "ZSTD_decompressContinue",
)

DEFLATE_BEHIND = 2**16 + 2**9
"""Bytes behind the wanted ones that a deflate stream is decoded for.

libdeflate fills an output that is too small up to the last symbol that fits: a block
that is stored as it is has 65,535 bytes at the most, a match 258."""

_TOO_SMALL = 3
"""What libdeflate returns for such an output."""

_lock = PatientLock()
_ready: dict[int, bool] = {}
_stepwise = False
_libraries: dict[int, Any] = {}
_BYTES = [ctypes.c_void_p, ctypes.c_size_t]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How the stored bytes of a chunk become its values.

    Attributes
    ----------
    steps : ndarray of int64, shape (N, 3)
        Filter id, bit in the filter mask, element width; in undoing order.
    checksum_bits : int
        Bits of the filter mask that belong to fletcher32.
    overhead : int
        Most bytes that checksums add to a stored chunk.
    expansion : int
        Most bytes that one stored byte can become.
    filtered : bool
        Whether there is any filter at all.
    """

    steps: NDArray[np.int64]
    checksum_bits: int
    overhead: int
    expansion: int
    filtered: bool

    @property
    def stops_early(self) -> bool:
        """Whether the first rows of a chunk cost less than the whole chunk.

        Compressed bytes must be vouched for by a checksum: a decoder that ends early
        does not see damage behind.
        """
        numbers = self.steps[:, 0].tolist()
        if not numbers:
            return True
        return numbers[-1:] == [ZSTD] and FLETCHER32 in numbers and _stepwise


@functools.lru_cache(maxsize=32)
def pipeline_of(
    filters: tuple[tuple[int, tuple[int, ...]], ...], width: int
) -> Pipeline:
    """Return the pipeline of filters given in the order in which they were applied.

    Parameters
    ----------
    filters : tuple of (int, tuple of int)
        Filter id and its parameters.
    width : int
        Bytes of an element.

    Raises
    ------
    NotImplementedError
        With the reason why h5py has to decode this.
    """
    steps = []
    checksum_bits = overhead = 0
    expansion = 1
    for bit, (number, values) in enumerate(filters):
        if number not in NAMES:
            raise NotImplementedError(f"filter {number} is left to h5py")
        if number == FLETCHER32:
            checksum_bits |= 1 << bit
            overhead += 4
        if number in _EXPANSION:
            if expansion > 1:
                raise NotImplementedError("two compressions in one pipeline")
            if not available(number):
                raise NotImplementedError(f"no own decoder for {NAMES[number]} here")
            expansion = _EXPANSION[number]
        element = values[0] if number == SHUFFLE and values else width
        if element < 1:
            raise NotImplementedError("a shuffle without an element width")
        steps.append((number, bit, element))
    table = np.array(steps[::-1], np.int64).reshape(-1, 3)
    table.flags.writeable = False
    return Pipeline(table, checksum_bits, overhead, expansion, bool(steps))


def bringer_of(number: int) -> str:
    """Return the name of a filter and the package that brings it, as far as known."""
    if number not in _BRINGERS:
        return "no package with it is known: ask who wrote the file"
    name, package = _BRINGERS[number]
    return f"{name}, brought by {package}"


def available(number: int) -> bool:
    """Tell whether a compression can be undone here without h5py."""
    with _lock:
        if number not in _ready:
            _ready[number] = number == LZF or _LOADERS[number]()
        return _ready[number]


def _load_native(number: int, path: str, names: tuple[str, str, str]) -> bool:
    """Give the kernel the addresses of a library's create, free and decompress."""
    from dcread_ext.decode import set_native

    addresses = _addresses(number, path, names)
    if addresses is None:
        return False
    set_native(number, *addresses)
    return True


def _addresses(number: int, path: str, names: tuple[str, ...]) -> list[int] | None:
    """Return where functions of a library lie, or None if it has not got them all."""
    try:
        library = ctypes.CDLL(path)
        functions = [getattr(library, name) for name in names]
    except (OSError, AttributeError):  # not exported there (Windows)
        return None
    _libraries[number] = library  # an unloaded one would leave dangling addresses
    return [ctypes.cast(one, ctypes.c_void_p).value or 0 for one in functions]


def _load_zstd() -> bool:
    import hdf5plugin

    path = str(hdf5plugin.get_config().registered_filters.get("zstd", "unknown"))
    names = ("ZSTD_createDCtx", "ZSTD_freeDCtx", "ZSTD_decompressDCtx")
    if path == "unknown" or not _load_native(ZSTD, path, names):
        return False
    _load_zstd_steps(path)
    return True


def _load_zstd_steps(path: str) -> None:
    """Let the kernel end a frame early, where the library offers that."""
    from dcread_ext.decode import set_zstd_steps

    global _stepwise  # noqa: PLW0603
    steps = _addresses(ZSTD, path, _ZSTD_STEPS)
    if steps is not None:
        set_zstd_steps(*steps)
        _stepwise = True


def inflate_zstd(data: bytes, most: int) -> bytes | None:
    """Decompress one frame that says itself how long it becomes.

    Parameters
    ----------
    data : bytes
        The frame, of a file that is not trusted.
    most : int
        How long it may become.

    Returns
    -------
    bytes or None
        None if the frame is damaged, or too long. `available` (``ZSTD``) has to be
        asked before.
    """
    library = _libraries[ZSTD]
    size_of, decompress = library.ZSTD_getFrameContentSize, library.ZSTD_decompress
    size_of.restype, size_of.argtypes = ctypes.c_ulonglong, _BYTES
    decompress.restype, decompress.argtypes = ctypes.c_size_t, _BYTES * 2
    size = size_of(data, len(data))
    if size > most:  # (so are the numbers for "unknown" and "no frame")
        return None
    out = ctypes.create_string_buffer(size)
    done = decompress(out, size, data, len(data))
    return out.raw if done == size else None


def _load_deflate() -> bool:
    from dcread_ext.decode import set_deflate_end, set_python

    if deflate is None:
        set_python(DEFLATE, inflate)
        return True
    names = (
        "libdeflate_alloc_decompressor",
        "libdeflate_free_decompressor",
        "libdeflate_zlib_decompress",
    )
    module = sys.modules.get(getattr(deflate.zlib_decompress, "__module__", ""))
    path = getattr(module, "__file__", None)  # of the library, in C
    if path is None or not _load_native(DEFLATE, path, names):
        set_python(DEFLATE, _inflate_by_deflate)
    elif _fills_what_is_too_small(_libraries[DEFLATE]):
        set_deflate_end(DEFLATE_BEHIND)
    return True


def _fills_what_is_too_small(library: Any) -> bool:
    """Tell whether libdeflate decodes the begin of a stream into a small output."""
    create, release, decompress = (
        library.libdeflate_alloc_decompressor,
        library.libdeflate_free_decompressor,
        library.libdeflate_zlib_decompress,
    )
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    create.restype, create.argtypes = pointer, []
    release.restype, release.argtypes = None, [pointer]
    decompress.restype = ctypes.c_int
    decompress.argtypes = [pointer, ctypes.c_char_p, size, pointer, size, pointer]
    context = create()
    if not context:
        return False
    fills = True
    whole = bytes(range(256)) * 8 + bytes(2048)
    for data, room in ((whole, 1024), (whole[::-1], 3000)):
        for level in (1, 9):
            stored = zlib.compress(data, level)
            out = ctypes.create_string_buffer(room)
            found = decompress(context, stored, len(stored), out, room, None)
            done = room - 258
            fills &= found == _TOO_SMALL and out.raw[:done] == data[:done]
    release(context)
    return fills


def inflate(data: bytes | memoryview, size: int) -> bytes | None:
    """Decompress with the standard library, never to more than `size` + 1 bytes.

    None if the stream is damaged, or does not end with the chunk. What is raised here
    is none of that: an interrupt, or the exception of a signal handler.
    """
    stream = zlib.decompressobj()
    try:
        result = stream.decompress(data, size + 1)
    except zlib.error:
        return None
    return result if stream.eof else None


def _inflate_by_deflate(data: memoryview, size: int) -> bytes | None:
    """Decompress as `inflate` does, with libdeflate."""
    try:
        return bytes(deflate.zlib_decompress(data, size))
    except deflate.DeflateError:
        return None


_LOADERS = {DEFLATE: _load_deflate, ZSTD: _load_zstd}
