"""Features that are not as they should be: told, and the rest is readable."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy
from dcread.errors import (
    ChecksumError,
    DCReadError,
    FeatureNotFoundError,
    FormatError,
    PolicyError,
    ShapeMismatchError,
)

N = 6
COUNT = "experiment:event count"


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    path = tmp_path / "odd.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs[COUNT] = N
        for name in ("deform", "area_um", "pos_x", "time"):
            h5.create_dataset(
                f"events/{name}", data=np.arange(N) / 2, chunks=(N,), fletcher32=True
            )
        h5["events/image"] = np.arange(N * 20, dtype=np.uint8).reshape(N, 4, 5)
    return path


@pytest.fixture
def h5(path: pathlib.Path) -> Iterator[h5py.File]:
    """The file, open for changes; close it before reading."""
    with h5py.File(path, "a") as h5:
        yield h5


def problems(data: HDF5Data) -> list[tuple[str, str]]:
    return [(problem.kind, problem.name) for problem in data.problems]


def rest_is_readable(data: HDF5Data) -> bool:
    return bool(
        len(data) == N
        and (data["deform"] == np.arange(N) / 2).all()
        and data.image[N - 1].max() == N * 20 - 1
    )


@pytest.mark.parametrize("length", [0, N - 1, N + 1, 10 * N])
def test_ragged_features(path: pathlib.Path, h5: h5py.File, length: int) -> None:
    h5["events/bright_avg"] = np.zeros(length)
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert problems(data) == [("feature", "bright_avg")]
        assert "bright_avg" in data
        with pytest.raises(
            ShapeMismatchError, match=f"'bright_avg' has {length} events, expected {N}"
        ):
            data["bright_avg"]


def test_ragged_images(path: pathlib.Path, h5: h5py.File) -> None:
    h5["events/mask"] = np.zeros((N - 2, 4, 5), np.uint8)
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        for ask in (lambda: data.mask, lambda: data["mask"]):
            with pytest.raises(ShapeMismatchError, match=r"odd.rtdc.*'mask'"):
                ask()


@pytest.mark.parametrize(
    "stored",
    [0, N - 1, 10**9, -1, 2.5, "many", np.nan, [1, 2], h5py.Empty("i4"), b"\xff"],
    ids=repr,
)
def test_wrong_event_count(path: pathlib.Path, h5: h5py.File, stored: object) -> None:
    h5.attrs[COUNT] = stored
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert ("length", COUNT) in problems(data)


@pytest.mark.parametrize("stored", [np.uint8(N), float(N), str(N), np.array([N])])
def test_event_count_of_any_type(
    path: pathlib.Path, h5: h5py.File, stored: object
) -> None:
    h5.attrs[COUNT] = stored
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert type(len(data)) is int
        assert problems(data) == []


def test_missing_event_count(path: pathlib.Path, h5: h5py.File) -> None:
    del h5.attrs[COUNT]
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert problems(data) == []


@pytest.mark.parametrize(("stored", "length"), [(5, 5), (7, 7), (9, 5), (None, 5)])
def test_a_tie_is_decided_by_the_count_then_by_the_smaller(
    tmp_path: pathlib.Path, stored: int | None, length: int
) -> None:
    path = tmp_path / "tie.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(5)
        h5["events/area_um"] = np.arange(7)
        if stored is not None:
            h5.attrs[COUNT] = stored
    with HDF5Data(path) as data:
        assert len(data) == length
        lengths = {"deform": 5, "area_um": 7}
        for name, own in lengths.items():
            if own == length:
                assert len(data[name]) == length
            else:
                with pytest.raises(ShapeMismatchError, match=name):
                    data[name]


def test_only_the_count(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "count.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_group("events")
        h5.attrs[COUNT] = 12
    with HDF5Data(path) as data:
        assert len(data) == 12


def test_only_traces(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "traces.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/trace/fl1_raw"] = np.zeros((4, 9), np.int16)
    with HDF5Data(path) as data:
        assert len(data) == 4
        assert data["trace"]["fl1_raw"].shape == (4, 9)


def test_a_trace_of_another_length(path: pathlib.Path, h5: h5py.File) -> None:
    h5["events/trace/fl1_raw"] = np.zeros((N, 9), np.int16)
    h5["events/trace/fl2_raw"] = np.zeros((N + 1, 9), np.int16)
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert data["trace"]["fl1_raw"][:].shape == (N, 9)
        with pytest.raises(ShapeMismatchError, match="fl2_raw"):
            data["trace"]["fl2_raw"]


def test_a_dataset_in_the_place_of_the_traces(
    path: pathlib.Path, h5: h5py.File
) -> None:
    """Who goes through the names of traces would get arrays."""
    h5["events/trace"] = np.zeros((N, 9), np.int16)
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert problems(data) == [("feature", "trace")]
        with pytest.raises(FormatError, match=r"'trace': expected a group with traces"):
            data["trace"]


def test_missing_contours(path: pathlib.Path, h5: h5py.File) -> None:
    for event in range(N - 1):
        h5[f"events/contour/{event}"] = np.full((event + 3, 2), event)
    h5.close()
    with HDF5Data(path) as data:
        contour = data["contour"]
        assert len(contour) == N
        assert contour[N - 2].shape == (N + 1, 2)
        with pytest.raises(FormatError, match="no contour for event 5"):
            contour[N - 1]


def _odd_members(group: h5py.Group) -> None:
    group["single"] = 3.5
    group.create_dataset("words", data=["a"] * N)
    group["nothing"] = h5py.Empty("f8")
    group["named"] = np.dtype("f4")
    group.create_group("userdata")["x"] = np.arange(N)
    group.create_dataset("ragged", (N,), h5py.vlen_dtype("f8"))
    group.create_dataset("refs", (N,), h5py.ref_dtype)


def test_odd_members(path: pathlib.Path, h5: h5py.File) -> None:
    _odd_members(h5["events"])
    h5.close()
    odd = ["named", "nothing", "ragged", "refs", "single", "userdata", "words"]
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert sorted(problems(data)) == [("feature", name) for name in odd]
        assert set(data.keys()) == {"area_um", "deform", "image", "pos_x", "time", *odd}
        for name in odd:
            with pytest.raises(FormatError, match=f"odd.rtdc.*'{name}'"):
                data[name]


def test_a_committed_type_is_no_harm(path: pathlib.Path, h5: h5py.File) -> None:
    h5["types/number"] = np.dtype("f4")
    h5["events"].create_dataset("userdef1", (N,), dtype=h5["types/number"])
    h5.close()
    with HDF5Data(path) as data:
        assert data["userdef1"].tolist() == [0] * N
        assert problems(data) == []


def test_a_scalar_as_image(path: pathlib.Path, h5: h5py.File) -> None:
    h5["events/image_bg"] = np.zeros(N)
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        with pytest.raises(ShapeMismatchError, match=r"'image_bg'.*expected images"):
            data["image_bg"]


@pytest.mark.parametrize("dtype", ["S2", "V3", "i4,f4"])
def test_masks_that_are_no_numbers(
    path: pathlib.Path, h5: h5py.File, dtype: str
) -> None:
    h5["events/mask"] = np.zeros((N, 4, 5), dtype)
    del h5["events/image"]
    h5.close()
    with HDF5Data(path) as data:
        with pytest.raises(FormatError, match="expected masks"):
            data["mask"]
        assert "cannot be read" in data._repr_html_()
        assert data["deform"].tolist() == (np.arange(N) / 2).tolist()


def test_dangling_links_count_as_absent(path: pathlib.Path, h5: h5py.File) -> None:
    h5["events/circ"] = h5py.SoftLink("/nowhere")
    h5["events/tilt"] = h5py.SoftLink("/events/tilt")
    h5["events/copy"] = h5py.SoftLink("/events/deform")
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        np.testing.assert_array_equal(data["copy"], data["deform"])
        for name in ("circ", "tilt"):
            assert name not in data
            with pytest.raises(FeatureNotFoundError, match=name):
                data[name]


def test_other_files_are_not_read(path: pathlib.Path, h5: h5py.File) -> None:
    secret = path.parent / "secret.bin"
    secret.write_bytes(np.arange(N, dtype=np.uint8).tobytes())
    with h5py.File(path.parent / "other.h5", "w") as other:
        other["deform"] = np.arange(N)
    events = h5["events"]
    events["linked"] = h5py.ExternalLink("other.h5", "/deform")
    events["indirect"] = h5py.SoftLink("/events/linked")
    events.create_dataset("raw", (N,), "u1", external=[(os.fspath(secret), 0, N)])
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        for name in ("linked", "indirect", "raw"):
            assert name in data
            with pytest.raises(PolicyError, match="links=True"):
                data[name]
    with HDF5Data(path, policy=Policy(links=True)) as data:
        for name in ("linked", "indirect", "raw"):
            np.testing.assert_array_equal(data[name], np.arange(N))
        assert problems(data) == []


def test_claims_that_no_file_can_hold(path: pathlib.Path, h5: h5py.File) -> None:
    claims = {"userdef0": (2**40,), "userdef1": (N, 2**40), "userdef2": (2**62, 2)}
    for name, shape in claims.items():
        h5.create_dataset(f"events/{name}", shape, "f8", chunks=(1,) * len(shape))
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert sorted(problems(data)) == [("feature", name) for name in claims]
        for name in claims:
            why = "has .* events" if name == "userdef2" else "more than the file can"
            with pytest.raises((FormatError, ShapeMismatchError), match=name) as info:
                data[name]
            assert re.search(why, str(info.value))


@pytest.mark.parametrize("count", [2**28, 2**47, 2**62, 2**64 - 1])
def test_a_claimed_count_takes_no_memory(tmp_path: pathlib.Path, count: int) -> None:
    path = tmp_path / "count.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_group("events")
        h5.attrs[COUNT] = np.uint64(count)
    with HDF5Data(path) as data:
        assert len(data) == (count if count < 2**48 else 0)
    if count < 2**48:
        for mapping in (slice(None), slice(None, None, -1), count - 1):
            with pytest.raises(FormatError, match=r"count\.rtdc.*no memory"):
                HDF5Data(path, index_mapping=mapping)
        with HDF5Data(path, index_mapping=slice(count - 3, None)) as data:
            assert data.mapping_indices().tolist() == [*range(count - 3, count)]


def test_damaged_values(path: pathlib.Path) -> None:
    with h5py.File(path) as h5:
        offset = h5["events/pos_x"].id.get_chunk_info(0).byte_offset
    with open(path, "r+b") as file:
        file.seek(offset + 9)
        file.write(b"\x55")
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        for _ in range(2):
            with pytest.raises(ChecksumError, match=r"odd.rtdc.*pos_x") as caught:
                data["pos_x"]
        assert isinstance(caught.value, DCReadError)


def test_damaged_basins_logs_and_attributes(path: pathlib.Path, h5: h5py.File) -> None:
    h5["basins/broken"] = np.array([b'{"name": '])
    h5["logs/broken"] = np.arange(4)
    h5["tables"] = np.arange(4)
    h5.attrs["setup:medium"] = np.bytes_(b"\xff")
    h5.close()
    with HDF5Data(path) as data:
        assert rest_is_readable(data)
        assert data.basins == []
        assert sorted(problems(data)) == [
            ("attribute", "setup:medium"),
            ("basin", "broken"),
            ("log", "broken"),
            ("table", "/tables"),
        ]
