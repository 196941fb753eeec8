"""Index maps: read, checked and applied together with the user's own."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import BasinError, ChecksumError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

SOURCE = np.arange(100) * 0.5
MAP = np.array([7, 3, 3, 99, 0])


@pytest.fixture
def mapped(write_file: Write, file_basin: Make) -> Callable[..., pathlib.Path]:
    """Write a referrer with 5 events and a mapped basin with 100."""

    def write(basinmap: Any, **more: Any) -> pathlib.Path:
        source = write_file("src.rtdc", {"deform": SOURCE}, count=100)
        basin = file_basin(source, mapping="basinmap0", features=["deform"], **more)
        return write_file("ref.rtdc", {"basinmap0": basinmap}, [basin])

    return write


INTEGERS = ["u1", "i1", "<u2", ">u2", "i4", ">i8", "u8"]


@pytest.mark.parametrize("dtype", [*INTEGERS, "<f4", ">f8"])
def test_whole_numbers_of_any_type_map(
    dtype: str, mapped: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    opened = open_basins(mapped(MAP.astype(dtype)))
    obj, mapping = opened.basins.find("deform")
    assert obj.shape == (100,)
    assert mapping.tolist() == MAP.tolist()
    assert mapping.dtype == np.int64
    assert not mapping.flags.writeable
    assert np.array_equal(opened.values("deform"), SOURCE[MAP])
    assert opened.values("deform").max() == 49.5


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i8", "f4"])
def test_narrow_maps_lead_into_chunks_of_more_rows_than_they_count(
    dtype: str, write_file: Write, file_basin: Make
) -> None:
    images = np.random.default_rng(0).integers(0, 255, (600, 8, 12), np.uint8)
    source = write_file("src.rtdc", {"deform": np.arange(600.0)}, count=600)
    with h5py.File(source, "a") as h5:
        h5.create_dataset("events/image", data=images, chunks=(300, 8, 12))
    rows = np.array([100, 3, 120, 7])
    basin = file_basin(source, mapping="basinmap0", features=["deform", "image"])
    path = write_file("ref.rtdc", {"basinmap0": rows.astype(dtype)}, [basin])
    with dcread.HDF5Data(path) as hd:
        assert hd["deform"].tolist() == rows.tolist()
        assert np.array_equal(hd["image"][:], images[rows])
        assert np.array_equal(hd["image"][2], images[120])


@pytest.mark.parametrize(
    "index_mapping", [slice(1, 4), slice(None, None, 2), [4, 4, 0], np.array([1])]
)
def test_map_of_the_basin_and_of_the_user_compose(
    index_mapping: Any, mapped: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    path = mapped(MAP)
    opened = open_basins(path, index_mapping=index_mapping)
    expected = MAP[index_mapping]
    assert np.array_equal(opened.values("deform"), SOURCE[expected])
    _, _, mapping = opened.get_data(0)
    assert np.array_equal(mapping, expected)


def test_unmapped_basin_takes_the_users_mapping(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": SOURCE[:5]})
    path = write_file("ref.rtdc", basins=[file_basin(source)])
    opened = open_basins(path, index_mapping=slice(1, 3))
    assert opened.values("deform").tolist() == [0.5, 1.0]
    assert opened.get_data(0)[2] == slice(1, 3)


BAD: dict[str, tuple[Any, str]] = {
    "fraction": (np.array([7, 3, 3.5, 99, 0]), "integers, found 3.5 at event 2"),
    "nan": (np.array([7, np.nan, 3, 99, 0]), "integers, found nan at event 1"),
    "infinite": (np.array([np.inf, 3, 3, 99, 0]), "integers, found inf"),
    "bool": (np.ones(5, bool), "integers"),
    "text": (np.array([b"a"] * 5), "integers"),
    "two axes": (MAP.reshape(5, 1), "one dimension"),
    "no axis": (3, "one dimension"),
    "short": (MAP[:4], "5 events, found 4"),
    "long": (np.arange(6), "5 events, found 6"),
    "negative": (np.array([0, 1, -1, 2, 3]), "from 0 on, found -1"),
    "beyond": (np.array([0, 1, 100, 2, 3]), "row 100, but the basin has 100 rows"),
    "far beyond": (np.array([0, 2**64 - 1, 1, 2, 3], "u8"), "row 18446744073709551615"),
}


@pytest.mark.parametrize("case", BAD)
def test_wrong_map_is_an_error_and_never_wraps(
    case: str, mapped: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    basinmap, telling = BAD[case]
    path = mapped(basinmap)
    opened = open_basins(path)
    assert opened.values("deform") is None
    (reason,) = opened.reasons("deform")
    assert telling in reason
    assert "basinmap0" in reason
    if "beyond" not in case:
        with pytest.raises(BasinError, match="basinmap0"):
            opened.get_data(0)
        if case != "negative":
            # What is known without reading a map of integers.
            assert open_basins(path).features() == set()


def test_missing_map_hides_the_basin(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": SOURCE})
    basins = [file_basin(source, mapping="basinmap1"), file_basin("x", name="null")]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert opened.features() == set()
    assert opened.values("deform") is None
    assert "'basinmap1' is neither" in opened.reasons("deform")[-1]


def test_map_may_come_from_another_basin(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": SOURCE}, count=100)
    maps = write_file("maps.rtdc", {"basinmap0": MAP})
    basins = [
        file_basin(source, name="data", mapping="basinmap0", features=["deform"]),
        file_basin(maps, name="maps", features=["basinmap0"]),
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert "deform" in opened.features()
    assert np.array_equal(opened.values("deform"), SOURCE[MAP])


def test_map_may_itself_be_mapped(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": SOURCE}, count=100)
    maps = write_file("maps.rtdc", {"basinmap0": np.array([10, 20, 30])}, count=3)
    basins = [
        file_basin(source, name="data", mapping="basinmap0", features=["deform"]),
        file_basin(maps, name="maps", mapping="basinmap1", features=["basinmap0"]),
    ]
    rows = np.array([2, 2, 0, 1, 0])
    opened = open_basins(write_file("ref.rtdc", {"basinmap1": rows}, basins))
    expected = SOURCE[np.array([10, 20, 30])[rows]]
    assert np.array_equal(opened.values("deform"), expected)


def test_maps_that_need_each_other_end_in_a_reason(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": SOURCE, "basinmap0": np.arange(100)})
    basins = [
        file_basin(source, name="a", mapping="basinmap0"),
        file_basin(source, name="b", mapping="basinmap1"),
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert opened.values("deform") is None
    assert opened.features() == set()
    assert len(opened.reasons("deform")) == 2


def test_map_larger_than_the_file_is_not_read(
    mapped: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    path = mapped(MAP)
    with h5py.File(path, "r+") as h5:
        del h5["events/basinmap0"]
        h5["events"].create_dataset(
            "basinmap0", shape=(2**40,), dtype="i8", chunks=(2**16,)
        )
    opened = open_basins(path)
    assert opened.values("deform") is None
    assert "found 1099511627776" in opened.reasons("deform")[0]


def test_traces_are_mapped_like_the_rest(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {}, count=100)
    with h5py.File(source, "r+") as h5:
        h5["events/trace/fl1_raw"] = np.arange(1000).reshape(100, 10)
    basin = file_basin(source, mapping="basinmap0")
    opened = open_basins(write_file("ref.rtdc", {"basinmap0": MAP}, [basin]))
    traces, mapping = opened.basins.find("trace")
    assert traces["fl1_raw"].shape == (100, 10)
    assert np.array_equal(mapping, MAP)


def test_listing_features_reads_no_map(
    mapped: Callable[..., pathlib.Path], open_basins: Open
) -> None:
    path = mapped(MAP)
    with h5py.File(path, "r+") as h5:
        del h5["events/basinmap0"]
        h5["events"].create_dataset("basinmap0", data=MAP, chunks=(5,), fletcher32=True)
        place = h5["events/basinmap0"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff")
    opened = open_basins(path)
    assert opened.features() == {"deform"}
    assert opened.values("deform") is None
    (reason,) = opened.reasons("deform")
    assert "basinmap0" in reason
    assert "checksum" in reason.lower()
    with pytest.raises(ChecksumError):
        opened.get_data(0)
