"""Features of basins that cannot be used: the next basin steps in, none is read."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import BasinError

RAMP = np.arange(5) * 1.5
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]


def odd_members(h5: h5py.File) -> None:
    """Fill ``/events`` with what no feature can be."""
    h5["events/deform/inner"] = RAMP
    h5["events/image"] = RAMP
    h5["events/area_um"] = np.array(["1", "2", "3", "4", "5"], h5py.string_dtype())
    h5["events/trace"] = RAMP
    h5.create_dataset("events/bright_avg", dtype=h5py.Empty("f8"))
    h5["events/tilt"] = 1.5


@pytest.mark.parametrize("listed", [True, False], ids=["listed", "not listed"])
def test_next_basin_steps_in(
    listed: bool, tmp_path: pathlib.Path, write_file: Write, file_basin: Make
) -> None:
    with h5py.File(tmp_path / "odd.rtdc", "w") as h5:
        h5.attrs["experiment:event count"] = 5
        odd_members(h5)
    good = {"deform": RAMP, "image": IMAGES, "area_um": RAMP, "trace/raw": IMAGES[:, 0]}
    good |= {"bright_avg": RAMP, "tilt": RAMP}
    source = write_file("good.rtdc", good)
    names = ["deform", "image", "area_um", "trace", "bright_avg", "tilt"]
    more = {"features": names if listed else None}
    path = write_file(
        "ref.rtdc",
        {"frame": np.arange(5)},
        [
            file_basin(tmp_path / "odd.rtdc", name="a", **more),
            file_basin(source, name="b", **more),
        ],
    )
    with dcread.HDF5Data(path) as hd:
        for name in ("deform", "area_um", "bright_avg", "tilt"):
            assert hd[name].tolist() == RAMP.tolist()
        assert np.array_equal(hd["image"][:], IMAGES)
        assert np.array_equal(hd["trace"]["raw"][:], IMAGES[:, 0])
        odd, fine = hd.basin_status()
        assert odd.available is False
        assert odd.features == ()
        assert "expected a dataset, found a group" in odd.reason
        assert "should be images (events, height, width), found shape (5,)" in (
            odd.reason
        )
        assert fine.available is True
        assert fine.features == tuple(sorted(names))


@pytest.mark.parametrize("place", ["file", "internal", "map", "trace"])
def test_claims_beyond_the_file_take_no_memory(
    place: str,
    tmp_path: pathlib.Path,
    write_file: Write,
    file_basin: Make,
    internal_basin: Make,
) -> None:
    many = 2**40
    huge = {"dtype": "f8", "chunks": (1024,)}
    path = tmp_path / "ref.rtdc"
    source = write_file("source.rtdc", {"deform": RAMP})
    basin = {
        "file": file_basin(source),
        "internal": internal_basin("deform"),
        "map": file_basin(source, mapping="basinmap0"),
        "trace": file_basin(source, features=["trace"]),
    }[place]
    write_file("ref.rtdc", basins=[basin], count=many)
    with h5py.File(path, "a") as ref, h5py.File(source, "a") as src:
        src.attrs["experiment:event count"] = many
        del src["events/deform"]
        if place == "file":
            src.create_dataset("events/deform", (many,), **huge)
        elif place == "internal":
            ref.create_dataset("basin_events/deform", (many,), **huge)
        elif place == "map":
            src["events/deform"] = RAMP
            ref.create_dataset("events/basinmap0", (many,), dtype="u8", chunks=(1024,))
        else:
            src.create_dataset("events/trace/raw", (many,), **huge)
    feature = "trace" if place == "trace" else "deform"
    with dcread.HDF5Data(path) as hd:
        kind = BasinError if place == "map" else KeyError
        with pytest.raises(kind, match=r"claims .* more than the file can hold"):
            hd[feature]
        assert hd.basin_status()[0].available is False


@pytest.mark.parametrize("mapped", [True, False])
def test_basin_without_rows_for_all_events(
    mapped: bool, write_file: Write, file_basin: Make
) -> None:
    source = write_file("short.rtdc", {"deform": RAMP[:3], "tilt": RAMP[:3]}, count=3)
    mapping = {"mapping": "basinmap0"} if mapped else {}
    events = {"basinmap0": np.array([0, 1, 2, 3, 0]), "frame": np.arange(5)}
    path = write_file("ref.rtdc", events, [file_basin(source, **mapping)])
    telling = "leads to row 3" if mapped else "5 events of the file, found 3"
    with dcread.HDF5Data(path) as hd:
        with pytest.raises(BasinError, match=telling):
            hd.get_basin_data(0)
        (record,) = hd.basin_status()
        assert record.available is False
        assert record.features == ()
        assert telling in record.reason
        with pytest.raises(BasinError, match=telling):
            hd["deform"]


def test_reasons_are_told_once(write_file: Write, file_basin: Make) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    basin = file_basin(source, mapping="basinmap0")
    path = write_file("ref.rtdc", {"basinmap0": RAMP}, [basin])
    with dcread.HDF5Data(path) as hd:
        assert "deform" not in hd
        with pytest.raises(BasinError) as caught:
            hd["deform"]
        assert str(caught.value).count("should hold integers") == 1


@pytest.mark.parametrize("trouble", ["missing", "other length", "missing later"])
def test_concatenated_basin_with_other_sources(
    trouble: str, write_file: Write, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    part = write_file("part.rtdc", {"deform": RAMP[:2], "frame": [1, 2]}, count=2)
    rest = write_file("rest.rtdc", {"deform": RAMP[2:], "frame": [1, 2, 3]}, count=3)
    joined = tmp_path / "joined.rtdc"
    dcread.concatenated_hdf5_data([part, rest], path_out=joined).close()
    spare = write_file("spare.rtdc", {"deform": -RAMP})
    path = write_file("ref.rtdc", basins=[file_basin(joined, spare)])
    with dcread.HDF5Data(path) as hd:
        assert hd["deform"].tolist() == RAMP.tolist()
    if trouble == "missing":
        part.unlink()
    elif trouble == "other length":
        write_file("part.rtdc", {"deform": RAMP[:1], "frame": [1]}, count=1)
    with dcread.HDF5Data(path) as hd:
        if trouble == "missing later":
            assert "deform" in hd
            part.unlink()
            with pytest.raises(dcread.DCReadError, match=r"part\.rtdc"):
                hd["deform"]
            return
        assert hd["deform"].tolist() == (-RAMP).tolist()
        assert "part.rtdc" in hd.basin_status()[0].reason


def test_reason_names_the_place_once(
    write_file: Write, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    source = write_file("src.rtdc")
    with h5py.File(source, "a") as h5:
        h5["events/tilt"] = h5py.ExternalLink("other.h5", "/tilt")
    path = write_file("ref.rtdc", basins=[file_basin(source)])
    with dcread.HDF5Data(path) as hd, pytest.raises(KeyError) as caught:
        hd["tilt"]
    assert str(caught.value).count(str(source)) == 1
