"""Where the structures of an HDF5 file lie, and how to seal them again.

New structures of HDF5 end with a checksum (Jenkins' lookup3) of what stands before.
With a wrong one libhdf5 looks no further; so a mutation is mostly sealed again.
"""

from __future__ import annotations

import pathlib
import struct
from dataclasses import dataclass

import h5py
import numpy as np
from numpy.typing import NDArray

from ..engine.conftest import FLETCHER32, fletcher32

OLD = (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"FSSE")
SEALED = (
    *(b"OHDR", b"OCHK", b"FRHP", b"FHIB", b"BTHD", b"BTIN", b"BTLF", b"SMTB"),
    *(b"EAHD", b"EAIB", b"EASB", b"EADB", b"FAHD", b"FADB", b"\x89HDF\r\n\x1a\n"),
)
_LONGEST = 2048


@dataclass(frozen=True)
class Region:
    """A part of a file that is worth a mutation.

    Attributes
    ----------
    kind : str
        What lies there.
    start, stop : int
        Where.
    seal : {"", "lookup3", "fletcher32"}
        What the checksum is, of which the four bytes at `stop` consist.
    """

    kind: str
    start: int
    stop: int
    seal: str = ""


def find_regions(path: pathlib.Path) -> list[Region]:
    """Return the structures and the chunks of a file."""
    raw = path.read_bytes()
    found = []
    for mark in OLD:
        found += [
            Region(mark.decode(), start, min(start + 400, len(raw)))
            for start in _places(raw, mark)
        ]
    for mark in SEALED:
        for start in _places(raw, mark):
            length = _sealed_length(raw[start : start + 300])
            length = length or _sealed_length(raw[start : start + _LONGEST])
            kind = "superblock" if mark[0] == 0x89 else mark.decode()
            if length:
                found.append(Region(kind, start, start + length, "lookup3"))
            else:
                found.append(Region(kind, start, min(start + 100, len(raw))))
    found += [
        Region("basin definition", start, min(start + 300, len(raw)))
        for start in _places(raw, b'{"') + _places(raw, b'"paths"')
    ]
    with h5py.File(path) as h5:
        base = h5.userblock_size
        found += _objects(h5, raw, base)
    return [region for region in found if region.stop > region.start]


def _objects(h5: h5py.File, raw: bytes, base: int) -> list[Region]:
    found: list[Region] = []

    def look(name: str, item: object) -> None:
        address = h5py.h5o.get_info(item.id).addr + base
        if raw[address : address + 4] != b"OHDR":
            found.append(Region("object header", address, address + 300))
        if not isinstance(item, h5py.Dataset):
            return
        plist = item.id.get_create_plist()
        if plist.get_layout() == h5py.h5d.CONTIGUOUS and item.id.get_offset():
            start = item.id.get_offset()
            found.append(Region("raw data", start, start + item.id.get_storage_size()))
        if item.chunks is None:
            return
        count = plist.get_nfilters()
        sealed = count and plist.get_filter(count - 1)[0] == FLETCHER32
        for number in range(min(item.id.get_num_chunks(), 20)):
            info = item.id.get_chunk_info(number)
            start, stop = info.byte_offset, info.byte_offset + info.size
            found.extend(
                Region("chunk record", max(place - 40, 0), place + 8)
                for place in _places(raw, struct.pack("<Q", start - base))[:2]
            )
            seal = "fletcher32" if sealed and not info.filter_mask else ""
            found.append(Region("chunk", start, stop - 4 if sealed else stop, seal))

    h5.visititems(look)
    return found


def _places(raw: bytes, mark: bytes) -> list[int]:
    found, start = [], raw.find(mark)
    while start >= 0 and len(found) < 200:
        found.append(start)
        start = raw.find(mark, start + 1)
    return found


def _sealed_length(raw: bytes) -> int:
    """Return before how many bytes the right checksum stands; 0 for none."""
    lengths = np.arange(8, len(raw) - 3)
    if not len(lengths):
        return 0
    stored = np.lib.stride_tricks.sliding_window_view(np.frombuffer(raw, "u1"), 4)
    stored = np.ascontiguousarray(stored[lengths]).view("<u4")[:, 0]
    right = np.flatnonzero(stored == lookup3(raw, lengths))
    return int(lengths[right[0]]) if len(right) else 0


def seal(raw: bytearray, region: Region) -> None:
    """Write the right checksum behind a region."""
    part = bytes(raw[region.start : region.stop])
    if region.seal == "lookup3":
        total = int(lookup3(part, np.array([len(part)]))[0])
    elif region.seal == "fletcher32":
        total = fletcher32(part)
    else:
        return
    raw[region.stop : region.stop + 4] = total.to_bytes(4, "little")


def lookup3(raw: bytes, lengths: NDArray[np.int64]) -> NDArray[np.uint32]:
    """Return Jenkins' lookup3 of the beginnings of `raw` that have these lengths."""
    padded = np.frombuffer(raw + bytes(24), "u1")
    a = (0xDEADBEEF + lengths).astype("u4")
    b, c = a.copy(), a.copy()
    mixed = (lengths - 1) // 12
    for block in range(int(mixed.max())):
        on = mixed > block
        words = padded[12 * block : 12 * block + 12].view("<u4")
        a[on], b[on], c[on] = _mix(a[on] + words[0], b[on] + words[1], c[on] + words[2])
    last = np.stack([padded[12 * m : 12 * m + 12] for m in mixed])
    last[np.arange(12) >= (lengths - 12 * mixed)[:, np.newaxis]] = 0
    words = np.ascontiguousarray(last).view("<u4")
    return _final(a + words[:, 0], b + words[:, 1], c + words[:, 2])


def _turn(x: NDArray[np.uint32], bits: int) -> NDArray[np.uint32]:
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def _mix(
    a: NDArray[np.uint32], b: NDArray[np.uint32], c: NDArray[np.uint32]
) -> tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]:
    for bits in ((4, 6, 8), (16, 19, 4)):
        a = (a - c) ^ _turn(c, bits[0])
        c = c + b
        b = (b - a) ^ _turn(a, bits[1])
        a = a + c
        c = (c - b) ^ _turn(b, bits[2])
        b = b + a
    return a, b, c


def _final(
    a: NDArray[np.uint32], b: NDArray[np.uint32], c: NDArray[np.uint32]
) -> NDArray[np.uint32]:
    c = (c ^ b) - _turn(b, 14)
    a = (a ^ c) - _turn(c, 11)
    b = (b ^ a) - _turn(a, 25)
    c = (c ^ b) - _turn(b, 16)
    a = (a ^ c) - _turn(c, 4)
    b = (b ^ a) - _turn(a, 14)
    return (c ^ b) - _turn(b, 24)
