"""szip, nbit and scaleoffset: what HDF5 takes for granted when it decodes them."""

from __future__ import annotations

import itertools
import pathlib
import struct
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5d, h5p, h5s, h5t, h5z

from dcread import DCReadError, FormatError, HDF5Data
from dcread.engine.hdf5_filters import (
    NBIT,
    SCALEOFFSET,
    SZIP,
    is_complete,
    parameters_fit,
)

RECORD = np.dtype([("a", "<i2"), ("b", "S4"), ("c", ">f8", (2,))])
TYPES = [
    *("<i1", ">i2", "<u2", "<i4", ">u8", "<f2", "<f4", ">f8", "S5", "?", "V7"),
    *(("<i4", (3,)), ("S3", (2,)), RECORD, [("x", RECORD), ("y", "?")]),
]
CHUNKS = [(32,), (5,), (7, 3, 40), (2, 5000), (1,), (1, 4096), (3, 1, 4097)]


def narrow(kind: Any, bits: int, first: int = 0) -> Any:
    """Return an integer type of which not all bits mean something."""
    made = kind.copy()
    made.set_precision(bits)
    made.set_offset(first)
    return made


def kinds() -> list[Any]:
    found = [h5t.py_create(np.dtype(one), logical=True) for one in TYPES]
    found += [narrow(h5t.STD_U16LE, 12), narrow(h5t.STD_I32BE, 17, 3)]
    return [*found, narrow(h5t.STD_I8LE, 6)]


def plist_for(number: int, kind: Any, chunk: tuple[int, ...]) -> Any:
    plist = h5p.create(h5p.DATASET_CREATE)
    plist.set_chunk(chunk)
    if number == NBIT:
        plist.set_filter(NBIT, 0, ())  # HDF5 adds the parameters
    elif number == SZIP:
        plist.set_szip(h5z.SZIP_NN_OPTION_MASK, 8)
    elif isinstance(kind, h5t.TypeFloatID):
        plist.set_scaleoffset(h5z.SO_FLOAT_DSCALE, 2)
    else:
        plist.set_scaleoffset(h5z.SO_INT, 0)
    return plist


@pytest.mark.parametrize("number", [SZIP, NBIT, SCALEOFFSET])
def test_parameters_are_those_that_hdf5_computes(number: int) -> None:
    made = 0
    with h5py.File("x", "w", driver="core", backing_store=False) as h5:
        for kind, chunk in itertools.product(kinds(), CHUNKS):
            space, name = h5s.create_simple(chunk), str(made).encode()
            try:
                plist = plist_for(number, kind, chunk)
                dsid = h5d.create(h5.id, name, kind, space, plist)
            except (RuntimeError, ValueError):
                continue  # it is not for this type, or was not built in
            made += 1
            _, _, values, _ = dsid.get_create_plist().get_filter(0)
            if len(values) > 2:  # (else it was left out)
                assert parameters_fit(number, values, dsid.get_type(), chunk)
                for place in (2, len(values) - 1 if number != SCALEOFFSET else 4):
                    forged = [v + (i == place) for i, v in enumerate(values)]
                    assert not parameters_fit(number, forged, dsid.get_type(), chunk)
    assert made > 20 or number == SZIP


def write(path: pathlib.Path, number: int, kind: Any = h5t.STD_I32LE) -> Any:
    """Write a feature by a filter; return its parameters, and where its chunk lies."""
    with h5py.File(path, "w", libver="earliest") as h5:
        events = h5.create_group("events")
        space, plist = h5s.create_simple((96,)), plist_for(number, kind, (96,))
        h5ds = h5py.Dataset(h5d.create(events.id, b"deform", kind, space, plist))
        h5ds[:] = np.arange(96)
        _, _, values, _ = h5ds.id.get_create_plist().get_filter(0)
        return values, h5ds.id.get_chunk_info(0)


READ = """
import sys, dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    try:
        print(hd["deform"].tolist() == list(range(96)))
    except dcread.DCReadError as error:
        print(error)
"""


@pytest.mark.parametrize(
    ("number", "place", "value"),
    [
        (SZIP, 1, 0),
        (SZIP, 3, 0),
        (SZIP, 2, 2**31),
        (SCALEOFFSET, 2, 2**20),
        (SCALEOFFSET, 2, 4),
        (SCALEOFFSET, 4, 8),
        (NBIT, 1, 0),
        (NBIT, 2, 2**20),
        (NBIT, 6, 2**20),
        (NBIT, 3, 3),
    ],
)
def test_forged_parameters(
    tmp_path: pathlib.Path,
    run_python: Callable[..., Any],
    number: int,
    place: int,
    value: int,
) -> None:
    """In a process of its own, since HDF5 dies of some of them."""
    path = tmp_path / "a.rtdc"
    try:
        values, _ = write(path, number)
    except (RuntimeError, ValueError):
        pytest.skip("HDF5 was built without this filter")
    form = f"<{len(values)}I"
    raw, stored = bytearray(path.read_bytes()), struct.pack(form, *values)
    assert raw.count(stored) == 1
    forged = [value if i == place else v for i, v in enumerate(values)]
    struct.pack_into(form, raw, raw.index(stored), *forged)
    path.write_bytes(raw)
    told = run_python(READ, path).stdout
    assert f"expected parameters of HDF5's filter {number} that fit" in told


@pytest.mark.parametrize("length", [0, 1, 4, 20, 21, 30, -2])
@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (NBIT, h5t.STD_I32LE),
        (NBIT, narrow(h5t.STD_I16LE, 11)),
        (SCALEOFFSET, h5t.STD_I32LE),
        (SCALEOFFSET, h5t.IEEE_F32LE),
    ],
)
def test_chunks_that_are_too_short(
    tmp_path: pathlib.Path, number: int, kind: Any, length: int
) -> None:
    """HDF5 reads what lies in memory behind them."""
    path = tmp_path / "a.rtdc"
    _, info = write(path, number, kind)
    with HDF5Data(path) as hd:
        assert hd["deform"].tolist() == list(range(96))
    raw = bytearray(path.read_bytes())
    key = struct.pack("<IIQ", info.size, 0, 0)
    assert raw.count(key) == 1
    struct.pack_into("<I", raw, raw.index(key), length % info.size)
    path.write_bytes(raw)
    with HDF5Data(path) as hd, pytest.raises(DCReadError):
        hd["deform"]


def test_a_length_of_szip_that_is_another(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.rtdc"
    try:
        _, info = write(path, SZIP)
    except (RuntimeError, ValueError):
        pytest.skip("HDF5 was built without szip")
    for length in (1, 96, 2**32 - 1):
        raw = bytearray(path.read_bytes())
        struct.pack_into("<I", raw, info.byte_offset, length)
        path.write_bytes(raw)
        with HDF5Data(path) as hd, pytest.raises(FormatError, match="a whole chunk"):
            hd["deform"]


def test_bits_that_do_not_fit_the_type() -> None:
    head = struct.pack("<IB8sQ", 33, 8, b"", 0)
    assert not is_complete(SCALEOFFSET, head + bytes(1000), h5t.STD_I32LE, 128)
