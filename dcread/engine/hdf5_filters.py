"""Parameters of the filters that come with HDF5: szip, nbit and scaleoffset.

HDF5 computes them from type and chunks when a dataset is created, and believes what is
stored when it decodes: forged ones make it read beyond the data, or end the process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from h5py import h5t

SZIP, NBIT, SCALEOFFSET = 4, 5, 6

_ORDERS = {h5t.ORDER_LE: 0, h5t.ORDER_BE: 1}
_ATOMIC, _ARRAY, _COMPOUND, _OTHER = 1, 2, 3, 4
"""Kinds of types in the parameters of nbit."""

_HEAD = 21
"""Bytes before the numbers of scaleoffset: how many bits they have, their least."""
_BLOCKS = 128
_PIXELS = 4096
"""Most blocks, and elements, of a row of szip."""


def parameters_fit(
    number: int, values: Sequence[int], kind: Any, chunk: tuple[int, ...]
) -> bool:
    """Tell whether parameters are those that HDF5 computes; True for other filters.

    Parameters
    ----------
    number : int
        Of the filter.
    values : sequence of int
        What the file stores.
    kind : h5py.h5t.TypeID
        The type of the elements, as it is stored.
    chunk : tuple of int
        The shape of the chunks.
    """
    if number == NBIT:
        return _nbit_fits(values, kind, math.prod(chunk))
    if number == SCALEOFFSET:
        return _scaleoffset_fits(values, kind, math.prod(chunk))
    if number == SZIP:
        return _szip_fits(values, kind, chunk)
    return True


def _nbit_fits(values: Sequence[int], kind: Any, elements: int) -> bool:
    described = list(_described(kind))
    if described[0] == _OTHER:  # of which nothing is said
        described = []
    wanted = [3 + len(described), int(_is_full(kind)), elements, *described]
    return list(values) == wanted


def _described(kind: Any) -> Iterator[int]:
    """Yield how nbit describes a type."""
    if isinstance(kind, (h5t.TypeIntegerID, h5t.TypeFloatID)):
        yield from (_ATOMIC, kind.get_size(), _ORDERS.get(kind.get_order(), -1))
        yield from (kind.get_precision(), kind.get_offset())
    elif isinstance(kind, h5t.TypeArrayID):
        yield from (_ARRAY, kind.get_size())
        yield from _described(kind.get_super())
    elif isinstance(kind, h5t.TypeCompoundID):
        yield from (_COMPOUND, kind.get_size(), kind.get_nmembers())
        for index in range(kind.get_nmembers()):
            yield kind.get_member_offset(index)
            yield from _described(kind.get_member_type(index))
    else:
        yield from (_OTHER, kind.get_size())


def _is_full(kind: Any) -> bool:
    """Tell whether all bits of a type mean something: nbit then stores it as it is."""
    if isinstance(kind, (h5t.TypeIntegerID, h5t.TypeFloatID)):
        return bool(kind.get_precision() == 8 * kind.get_size())
    if isinstance(kind, h5t.TypeArrayID):
        return _is_full(kind.get_super())
    if isinstance(kind, h5t.TypeCompoundID):
        return all(
            _is_full(kind.get_member_type(i)) for i in range(kind.get_nmembers())
        )
    return True


def _scaleoffset_fits(values: Sequence[int], kind: Any, elements: int) -> bool:
    is_float = isinstance(kind, h5t.TypeFloatID)
    if len(values) != 20 or not (is_float or isinstance(kind, h5t.TypeIntegerID)):
        return False
    is_signed = not is_float and kind.get_sign() == h5t.SGN_2
    order = _ORDERS.get(kind.get_order(), -1)
    # (the way and its factor are the writer's choice, the rest is the fill value)
    wanted = [elements, int(is_float), kind.get_size(), int(is_signed), order]
    return list(values[2:7]) == wanted and (values[0] == 2) == (not is_float)


def _szip_fits(values: Sequence[int], kind: Any, chunk: tuple[int, ...]) -> bool:
    if len(values) != 4:
        return False
    # (flags, and elements of a block, are the writer's choice)
    _, block, bits, row = values
    if not 2 <= block <= 32 or block % 2:
        return False
    width, base = 8 * kind.get_size(), kind
    while isinstance(base, h5t.TypeArrayID):
        base = base.get_super()
    if isinstance(base, (h5t.TypeIntegerID, h5t.TypeFloatID)) and not base.get_offset():
        width = base.get_precision()
    width = next((wide for wide in (32, 64) if 24 < width <= wide), width)
    longest = chunk[-1] if chunk[-1] >= block else math.prod(chunk)
    most = block * _BLOCKS
    wanted = most if chunk[-1] > _PIXELS else min(most, longest)
    return (bits, row) == (width, wanted)


def is_complete(number: int, data: bytes, kind: Any, size: int) -> bool:
    """Tell whether a chunk has what a filter of HDF5 reads of it, without counting.

    Of szip only the length is compared that it says to have once decoded.

    Parameters
    ----------
    number : int
        Of one of the three filters.
    data : bytes
        What it gets.
    kind : h5py.h5t.TypeID
        The type of the elements, as it is stored.
    size : int
        Bytes of the chunk once it is decoded.
    """
    width = int(kind.get_size())
    elements = size // width
    if number == SZIP:
        return data[:4] == size.to_bytes(4, "little")
    if number == NBIT:
        if _is_full(kind):
            return len(data) == size
        return 8 * len(data) >= elements * _bits(kind)
    bits = int.from_bytes(data[:4], "little")
    packed = 8 * (len(data) - _HEAD)
    return packed >= elements * bits and bits <= 8 * width


def _bits(kind: Any) -> int:
    """Return how many bits nbit stores of an element."""
    if isinstance(kind, (h5t.TypeIntegerID, h5t.TypeFloatID)):
        return int(kind.get_precision())
    if isinstance(kind, h5t.TypeArrayID):
        return int(math.prod(kind.get_array_dims())) * _bits(kind.get_super())
    if isinstance(kind, h5t.TypeCompoundID):
        members = range(kind.get_nmembers())
        return sum(_bits(kind.get_member_type(index)) for index in members)
    return 8 * int(kind.get_size())
