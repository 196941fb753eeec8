"""Forged mappings of virtual datasets, of which HDF5 dies when it opens one."""

from __future__ import annotations

import json
import pathlib
import struct
import subprocess
import sys

import h5py
import numpy as np
import pytest

from dcread import FormatError, HDF5Data

pytestmark = pytest.mark.filterwarnings("ignore:Feature .* not cached")

VALUES = np.arange(36, dtype="u2").reshape(12, 3)
PLACES = ("events/userdef1", "events/trace/fl1_raw", "logs/a", "tables/a", "basins/a")
NEWEST = h5py.version.hdf5_version_tuple >= (2,)
"""Whether HDF5 writes names that several parts share once."""

READ = """if True:
    import json, sys
    from dcread import DCReadError, HDF5Data
    with HDF5Data(sys.argv[1]) as hd:
        found = [hd["deform"][:].tolist(), len(hd.logs), len(hd.tables), hd.keys()]
        for name in ("userdef1", "userdef2", "trace"):
            try:
                found.append(hd[name]["fl1_raw"] if name == "trace" else hd[name])
            except (DCReadError, KeyError) as exc:
                found.append(type(exc).__name__ + str(exc))
        found.append(str(hd.problems))
        print(json.dumps(found, default=str))
"""


def write(path: pathlib.Path, place: str, libver: str = "v110") -> pathlib.Path:
    """Write a file with a virtual dataset of four parts, in several blocks each."""
    with h5py.File(path, "w", libver=libver) as h5:
        h5["events/deform"] = np.arange(12.0)
        h5["hidden/a"] = VALUES
        layout = h5py.VirtualLayout((12, 3), "u2")
        source = h5py.VirtualSource(".", "hidden/a", (12, 3))
        for start in range(3):
            layout[start:12:4] = source[start:12:4]
        layout[3:12:4, :2] = source[3:12:4, :2]
        h5.create_virtual_dataset(place, layout)
        if place == PLACES[0]:
            h5["events/userdef2"] = h5py.SoftLink("/events/userdef1")
    return path


def object_in_heap(raw: bytes) -> int:
    """Return where the mapping begins."""
    assert raw.count(b"GCOL\1") == 1
    heap = raw.index(b"GCOL\1")
    assert raw[heap + 16] == 1  # the first object
    return heap + 32


def forge(raw: bytearray, what: str) -> None:
    """Change a mapping; none of this is beyond a checksum for HDF5."""
    start = object_in_heap(raw)
    (size,) = struct.unpack_from("<Q", raw, start - 8)
    selection = raw.index(b"hidden/a\0", start) + 9
    if what == "too many axes":  # behind kind, version, what is not used, and length
        assert struct.unpack_from("<2I8xI", raw, selection) == (2, 1, 2)
        struct.pack_into("<I", raw, selection + 16, 0x10002)
    elif what == "axes of another dataset":
        struct.pack_into("<I", raw, selection + 16, 3)
    elif what == "many parts":
        struct.pack_into("<Q", raw, start + 1, 2**40)
    elif what == "many blocks":
        struct.pack_into("<I", raw, selection + 20, 2**31)
    elif what == "another version":
        raw[start] = 7
    elif what == "a name without end":
        raw[selection - 1 : start + size] = b"x" * (start + size - selection + 1)
    elif what == "free space that has no length":
        free = start + -(-size // 8) * 8
        assert raw[free : free + 2] == bytes(2)
        struct.pack_into("<Q", raw, free + 8, 0)
    elif what == "an object that is not there":
        struct.pack_into("<H", raw, start - 16, 2)
    elif what == "an object beyond the heap":
        struct.pack_into("<Q", raw, start - 8, 2**20)
    elif what == "no heap":
        raw[start - 32] = 0
    else:
        raise AssertionError(what)


FORGED = (
    *("too many axes", "axes of another dataset", "many parts", "many blocks"),
    *("another version", "a name without end", "free space that has no length"),
    *("an object that is not there", "an object beyond the heap", "no heap"),
)


def read_by_a_child(path: pathlib.Path) -> list[object]:
    done = subprocess.run(
        [sys.executable, "-c", READ, str(path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: list[object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_mapping_is_refused(tmp_path: pathlib.Path, what: str) -> None:
    path = write(tmp_path / "a.rtdc", PLACES[0])
    raw = bytearray(path.read_bytes())
    forge(raw, what)
    path.write_bytes(raw)
    values, _, _, _, first, second, _, problems = read_by_a_child(path)
    assert values == list(range(12))
    for refused in (first, second):
        assert str(refused).startswith("FormatError")
        assert str(refused).count("expected a virtual dataset") == 1
    assert "userdef1" in str(problems)


@pytest.mark.parametrize("place", PLACES)
def test_forged_mappings_are_seen_wherever_they_are(
    tmp_path: pathlib.Path, place: str
) -> None:
    path = write(tmp_path / "a.rtdc", place)
    raw = bytearray(path.read_bytes())
    forge(raw, "too many axes")
    path.write_bytes(raw)
    values, logs, tables, *found, problems = read_by_a_child(path)
    assert values == list(range(12))
    assert not logs
    assert not tables
    assert "expected a virtual dataset" in str(found) + str(problems)


@pytest.mark.skipif(not NEWEST, reason="this HDF5 library does not share names")
@pytest.mark.parametrize("flags", [3, 6])
def test_a_name_is_shared_with_a_part_before_it(
    tmp_path: pathlib.Path, flags: int
) -> None:
    path = write(tmp_path / "a.rtdc", PLACES[0], "latest")
    raw = bytearray(path.read_bytes())
    start = object_in_heap(raw)
    assert raw[start] == 1
    place = raw.index(b"\6" + bytes(8), start)  # in this file, and shares its dataset
    raw[place] = flags
    struct.pack_into("<Q", raw, place + 1, 2**62)
    path.write_bytes(raw)
    *_, first, second, _, _ = read_by_a_child(path)
    assert "expected a virtual dataset" in str(first)
    assert "expected a virtual dataset" in str(second)


@pytest.mark.parametrize("elsewhere", [False, True])
@pytest.mark.parametrize("userblock", [0, 512])
@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_sound_mappings_are_read(
    tmp_path: pathlib.Path, libver: str, userblock: int, elsewhere: bool
) -> None:
    """Of all kinds: whole, of regular and of other blocks, growing, in many parts."""
    path, other = tmp_path / "a.rtdc", tmp_path / "b.h5"
    with h5py.File(other, "w") as h5:
        h5.create_dataset("x", data=VALUES, maxshape=(None, 3), chunks=(4, 3))
    with h5py.File(path, "w", libver=libver, userblock_size=userblock) as h5:
        h5["x"] = VALUES
        source = h5py.VirtualSource(str(other) if elsewhere else ".", "x", (12, 3))
        odd = np.flatnonzero(np.array([1, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1]))
        for name, rows in (("area_um", slice(None)), ("deform", odd), ("time", [])):
            layout = h5py.VirtualLayout((12, 3), "u2")
            if len(range(12)[rows] if isinstance(rows, slice) else rows):
                layout[rows] = source[rows]
            h5.create_virtual_dataset(f"events/{name}", layout)
        layout = h5py.VirtualLayout((12, 3), "u2")
        for row in range(12):
            layout[row] = source[row]
        h5.create_virtual_dataset("events/userdef1", layout)
        growing = h5py.VirtualLayout((12, 3), "u2", maxshape=(None, 3))
        limits = h5py.VirtualSource(source.path, "x", (12, 3), maxshape=(None, 3))
        growing[: h5py.h5s.UNLIMITED] = limits[: h5py.h5s.UNLIMITED]
        h5.create_virtual_dataset("events/userdef2", growing)
    with HDF5Data(path) as hd:
        for name in ("area_um", "userdef1", "userdef2"):
            assert np.array_equal(hd[name][:], VALUES)
        assert np.array_equal(hd["deform"][odd], VALUES[odd])
        assert not hd["time"][:].any()
        assert not hd.problems


def test_a_forged_mapping_of_another_file_is_refused(tmp_path: pathlib.Path) -> None:
    path, other = tmp_path / "a.rtdc", write(tmp_path / "b.rtdc", PLACES[0])
    with h5py.File(path, "w") as h5:
        layout = h5py.VirtualLayout((12, 3), "u2")
        layout[:] = h5py.VirtualSource(str(other), PLACES[0], (12, 3))
        h5.create_virtual_dataset("events/userdef1", layout)
    raw = bytearray(other.read_bytes())
    forge(raw, "axes of another dataset")
    other.write_bytes(raw)
    with (
        HDF5Data(path) as hd,
        pytest.raises(FormatError, match=r"b.rtdc: .*userdef1.*expected a virtual"),
    ):
        hd["userdef1"][:]
