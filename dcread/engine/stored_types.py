"""Types of elements as they are in a file: there, text is a length and a place."""

from __future__ import annotations

import math
from typing import Any

from h5py import h5t

from ..errors import FormatError

LENGTH_AND_NUMBER = 8
"""Bytes of a value of variable length beside the address of a heap."""


def in_file(kind: Any, element: int) -> tuple[int, list[tuple[int, int]]]:
    """Return how large a type is in the file, and where it has a variable length.

    HDF5 tells sizes and offsets as they are in memory, where text is a pointer.

    Parameters
    ----------
    kind : h5py.h5t.TypeID
        Of a dataset.
    element : int
        Bytes of what stands in the place of a value of variable length.

    Returns
    -------
    int
        Its bytes.
    list of (int, int)
        Places of such values in it, and bytes of their items.
    """
    size = int(kind.get_size())
    if isinstance(kind, h5t.TypeStringID) and kind.is_variable_str():
        return element, [(0, 1)]
    if isinstance(kind, h5t.TypeVlenID):
        item, inner = in_file(kind.get_super(), element)
        if inner:
            raise FormatError(
                "expected text and numbers, found lists of lists; read it with h5py if "
                "it is wanted"
            )
        return element, [(0, item)]
    if isinstance(kind, h5t.TypeArrayID):
        count = math.prod(kind.get_array_dims())
        item, inner = in_file(kind.get_super(), element)
        places = range(0, count * item, item) if inner else ()
        return count * item, [(at + start, n) for at in places for start, n in inner]
    if not isinstance(kind, h5t.TypeCompoundID):
        return size, []
    found: list[tuple[int, int]] = []
    shift = 0
    for index in sorted(range(kind.get_nmembers()), key=kind.get_member_offset):
        member = kind.get_member_type(index)
        width, inner = in_file(member, element)
        start = int(kind.get_member_offset(index)) + shift
        found += [(start + place, item) for place, item in inner]
        shift += width - int(member.get_size())
    return size + shift, found
