"""Chunks that HDF5 is about to decode, looked at first.

HDF5's filter for zstd takes whatever it is given: damaged bytes become whatever was in
memory, without an error. A chunk that becomes too short, by any filter, is read beyond
its end. So such chunks are decoded here before, and the chunks of all filters must be
of a size that can be. Some of HDF5's own filters read parameters that are not there.
"""

from __future__ import annotations

import math
from itertools import product
from typing import Any

import numpy as np

from ..errors import FormatError
from ..problems import pass_on
from .filters import (
    DEFLATE,
    FLETCHER32,
    NAMES,
    SHUFFLE,
    ZSTD,
    available,
    inflate,
    inflate_zstd,
)
from .h5py_errors import RAISED
from .hdf5_filters import NBIT, SCALEOFFSET, SZIP, is_complete, parameters_fit
from .kernels import unshuffle
from .layout import MAX_CHUNK
from .stored_types import LENGTH_AND_NUMBER, in_file

_DAMAGED = "the file is damaged: copy it again"

_OF_HDF5 = {SZIP, NBIT, SCALEOFFSET}
_KNOWN = {SHUFFLE, DEFLATE, FLETCHER32, ZSTD}


def vet(h5ds: Any, where: str, block: slice, window: tuple[slice, ...]) -> None:
    """Refuse a part of a dataset that HDF5 would decode wrongly.

    The caller holds the h5py lock, and turns what h5py raises into its own errors.

    Parameters
    ----------
    h5ds : h5py.Dataset
        Any dataset with at least one axis.
    where : str
        What error messages call it.
    block : slice
        The rows that will be read: from start to stop, not none.
    window : tuple of slice
        Parts of the following axes; missing ones are whole.

    Raises
    ------
    FormatError
        If a chunk is damaged or larger than any measurement has it.
    """
    from h5py import h5d, h5i

    plist = h5ds.id.get_create_plist()
    if plist.get_layout() != h5d.CHUNKED:
        return
    chunk = plist.get_chunk()
    kind = h5ds.id.get_type()
    width, texts = in_file(kind, LENGTH_AND_NUMBER + 8)
    if texts:
        address_bytes, _ = h5i.get_file_id(h5ds.id).get_create_plist().get_sizes()
        width, _ = in_file(kind, LENGTH_AND_NUMBER + address_bytes)
    size = math.prod(chunk) * width
    if size > MAX_CHUNK:
        raise FormatError(
            f"{where}: expected chunks of at most {MAX_CHUNK} bytes, found chunks of "
            f"{size} bytes; the file is damaged or not a measurement"
        )
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    for number, _, values, *_ in filters:
        if not parameters_fit(number, values, kind, chunk):
            raise FormatError(
                f"{where}: expected parameters of HDF5's filter {number} that fit "
                f"type and chunks, found {values}; {_DAMAGED}"
            )
    numbers = {number for number, *_ in filters}
    if ZSTD in numbers and not available(ZSTD):
        return
    checked = {ZSTD, FLETCHER32} | _OF_HDF5
    if not checked & numbers and not (numbers and numbers <= _KNOWN):
        return  # (other filters are left to HDF5, and know how long a chunk is)
    for offset in product(*_spans(h5ds.shape, chunk, (block, *window))):
        try:
            mask, data = h5ds.id.read_direct_chunk(offset)
        except (*RAISED, MemoryError) as exc:  # (HDF5 may make up a missing one's size)
            pass_on(exc)
            continue  # it is not stored, or cannot be read: HDF5 will say
        is_cut = _is_cut(offset, chunk, h5ds.shape)
        if (
            is_cut
            and mask == 0
            and len(data) == size
            and leaves_edges_unfiltered(plist, width)
        ):
            continue  # (only then: asking takes a millisecond)
        wrong = _wrong(data, filters, mask, size, kind)
        if wrong:
            raise FormatError(
                f"{where}, chunk at {offset} ({len(data)} bytes): {wrong}"
            )


def _spans(
    shape: tuple[int, ...], chunk: tuple[int, ...], parts: tuple[slice, ...]
) -> list[range]:
    """Return where the chunks begin that parts of the axes need, axis by axis."""
    whole = (slice(None),) * (len(shape) - len(parts))
    spans = []
    for length, height, part in zip(shape, chunk, (*parts, *whole), strict=True):
        rows = range(length)[part]
        low, high = (
            (min(rows[0], rows[-1]), max(rows[0], rows[-1])) if rows else (0, -1)
        )
        spans.append(range(low - low % height, high + 1, height))
    return spans


def _is_cut(
    offset: tuple[int, ...], chunk: tuple[int, ...], shape: tuple[int, ...]
) -> bool:
    """Tell whether a chunk reaches over the edge of the dataset."""
    ends = zip(offset, chunk, shape, strict=True)
    return any(start + height > length for start, height, length in ends)


def _wrong(  # noqa: PLR0911
    data: bytes, filters: list[Any], mask: int, size: int, kind: Any
) -> str:
    """Return what is wrong with a chunk; nothing for none, or for what HDF5 tells.

    HDF5 takes a chunk that becomes too short, and gives what lay in memory.
    """
    used = [one for bit, one in enumerate(filters) if not mask >> bit & 1]
    if len(data) < 4 and any(number == FLETCHER32 for number, *_ in used):
        return f"expected a checksum of 4 bytes, found less; {_DAMAGED}"  # (HDF5 dies)
    while any(number in {ZSTD, DEFLATE} | _OF_HDF5 for number, *_ in used):
        number, _, values, *_ = used.pop()
        if number == FLETCHER32:
            data = data[:-4]
        elif number == SHUFFLE and values:
            out = np.empty(len(data), np.uint8)
            unshuffle(data, values[0], out)
            data = out.tobytes()
        elif number in {ZSTD, DEFLATE}:
            undo = inflate_zstd if number == ZSTD else inflate
            found = undo(data, MAX_CHUNK + 4 * len(filters))
            if found is None and ZSTD not in {number, *(one[0] for one in used)}:
                return ""
            if found is None:
                name = NAMES[number]
                return f"{name}: expected a complete stream, found none; {_DAMAGED}"
            data = found
        elif all(one[0] != ZSTD for one in used):
            sums = sum(one[0] == FLETCHER32 for one in used)
            wanted = size + 4 * sums
            if number in _OF_HDF5 and not is_complete(number, data, kind, wanted):
                return (
                    f"filter {number}: expected a whole chunk, found less; {_DAMAGED}"
                )
            return ""
        else:
            return (
                f"expected zstd as the last compression, found filter {number} after "
                "it, so damage cannot be detected; write the data with one compression"
            )
    sums = sum(number == FLETCHER32 for number, *_ in used)
    plain = all(number in {SHUFFLE, FLETCHER32} for number, *_ in used)
    if plain and len(data) != size + 4 * sums:
        return f"expected {size} bytes once decoded, found {len(data)}; {_DAMAGED}"
    return ""


def leaves_edges_unfiltered(plist: Any, width: int) -> bool:
    """Tell whether HDF5 stores chunks at the edge without their filters.

    h5py does not show that setting: such a chunk is written, in memory, and looked at.

    Parameters
    ----------
    plist : h5py.h5p.PropDCID
        How a chunked dataset was created.
    width : int
        Bytes of an element.
    """
    import h5py

    zero = np.zeros((), f"V{width}")
    like, chunk = plist.copy(), plist.get_chunk()
    like.set_fill_value(zero)
    like.set_alloc_time(h5py.h5d.ALLOC_TIME_INCR)
    like.set_obj_track_times(False)
    limits = (h5py.h5s.UNLIMITED,) * len(chunk)
    space = h5py.h5s.create_simple(tuple([height + 1 for height in chunk]), limits)
    kind = h5py.h5t.py_create(zero.dtype)
    where = {"driver": "core", "backing_store": False, "libver": "latest"}
    with h5py.File("edge", "w", **where) as h5:
        made = h5py.Dataset(h5py.h5d.create(h5.id, b"x", kind, space, like))
        made[chunk] = zero  # the last element, alone in its chunk
        h5.flush()
        return not any(made.id.read_direct_chunk(chunk)[1])
