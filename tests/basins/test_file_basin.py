"""Looking features up in other files, and what happens when that fails."""

from __future__ import annotations

import os
import pathlib
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import ClosedError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]

RAMP = np.arange(5) * 1.5


def test_feature_of_another_file(
    write_file: Write, open_basins: Open, file_basin: Make
):
    source = write_file("src.rtdc", {"deform": RAMP})
    opened = open_basins(write_file("ref.rtdc", basins=[file_basin(source)]))
    assert opened.features() == {"deform"}
    obj, mapping = opened.basins.find("deform")
    assert mapping is None
    assert np.array_equal(opened.values("deform"), RAMP)
    assert obj.name == "/events/deform"
    assert opened.problems == []


def test_listed_features_are_enforced_and_the_file_stays_closed(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP, "area_um": RAMP})
    basin = file_basin(source, features=["deform"])
    opened = open_basins(write_file("ref.rtdc", basins=[basin]))
    # Not even HDF5: were it opened, its features would not be listed.
    content = source.read_bytes()
    source.write_bytes(b"no HDF5")
    assert opened.features() == {"deform"}
    source.write_bytes(content)
    assert opened.values("area_um") is None
    assert opened.reasons("area_um") == []
    assert np.array_equal(opened.values("deform"), RAMP)


def test_missing_file_is_not_listed_and_named_in_the_reasons(
    write_file: Write, open_basins: Open, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    basins = [
        file_basin("/no/such.rtdc", "other.rtdc", name="one", features=["image"]),
        file_basin("gone.rtdc", name="two"),
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert opened.features() == set()
    assert opened.values("image") is None
    one, two = opened.reasons("image")
    assert one == (
        f"basin 'one': no file at /no/such.rtdc or {tmp_path}/such.rtdc or "
        f"{tmp_path}/other.rtdc"
    )
    assert two == f"basin 'two': no file at {tmp_path}/gone.rtdc"
    assert [problem.name for problem in opened.problems] == ["one", "two"]


def _text(path: pathlib.Path) -> None:
    path.write_text("no HDF5")


def _truncated(path: pathlib.Path) -> None:
    path.write_bytes(path.read_bytes()[:700])


def _no_events(path: pathlib.Path) -> None:
    with h5py.File(path, "w") as h5:
        h5["other"] = 1


def _directory(path: pathlib.Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: pathlib.Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _dangling(path: pathlib.Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def _lacking(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as h5:
        del h5["events/deform"]


def _other_length(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as h5:
        del h5["events/deform"]
        h5["events/deform"] = np.arange(6)


def _scalar(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as h5:
        del h5["events/deform"]
        h5["events/deform"] = 3.0


def _dangling_feature(path: pathlib.Path) -> None:
    with h5py.File(path, "r+") as h5:
        del h5["events/deform"]
        h5["events/deform"] = h5py.SoftLink("/nowhere")


DAMAGE: dict[str, tuple[Callable[[pathlib.Path], None], str]] = {
    "text": (_text, "HDF5"),
    "truncated": (_truncated, "truncated file"),
    "no events": (_no_events, "/events"),
    "directory": (_directory, "a directory"),
    "fifo": (_fifo, "a FIFO"),
    "dangling": (_dangling, "no file at"),
    "lacking": (_lacking, "has no 'deform'"),
    "other length": (_other_length, "5 events of the file, found 6"),
    "scalar": (_scalar, "bad.rtdc"),
    "dangling feature": (_dangling_feature, "bad.rtdc"),
}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX files")
@pytest.mark.parametrize("case", DAMAGE)
@pytest.mark.parametrize("second", ["path", "basin", "nothing"])
def test_next_path_and_next_basin_step_in(
    case: str, second: str, write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    damage, telling = DAMAGE[case]
    bad = write_file("bad.rtdc", {"deform": RAMP - 1})
    damage(bad)
    good = write_file("good.rtdc", {"deform": RAMP})
    if second == "path":
        basins = [file_basin(bad, good, name="a", features=["deform"])]
    else:
        basins = [file_basin(bad, name="a", features=["deform"])]
        if second == "basin":
            basins.append(file_basin(good, name="b", features=["deform"]))
    start = time.monotonic()
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    found = opened.values("deform")
    assert time.monotonic() - start < 5
    if second == "nothing":
        assert found is None
    else:
        assert np.array_equal(found, RAMP)
    if second != "path":
        (reason, *_) = opened.reasons("deform")
        assert telling in reason
        assert "bad.rtdc" in reason
        assert telling in " ".join(item.reason for item in opened.problems)


def test_images_and_traces(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    images = np.arange(5 * 4 * 6, dtype="u1").reshape(5, 4, 6)
    source = write_file("src.rtdc", {"image": images})
    with h5py.File(source, "r+") as h5:
        h5["events/trace/fl1_raw"] = np.arange(50).reshape(5, 10)
        h5["events/trace/fl2_raw"] = np.zeros((5, 10))
        for number in range(5):
            h5[f"events/contour/{number}"] = np.full((number + 2, 2), number)
    opened = open_basins(write_file("ref.rtdc", basins=[file_basin(source)]))
    assert np.array_equal(opened.values("image"), images)
    traces, mapping = opened.basins.find("trace")
    assert mapping is None
    assert list(traces) == ["fl1_raw", "fl2_raw"]
    assert len(traces) == 2
    assert traces["fl1_raw"].shape == (5, 10)
    assert traces["fl1_raw"].read(slice(1, 2, 1)).tolist() == [list(range(10, 20))]
    contours, _ = opened.basins.find("contour")
    assert contours["3"].read(slice(0, 5, 1)).tolist() == [[3, 3]] * 5
    with pytest.raises(KeyError):
        contours["5"]


@pytest.mark.parametrize("kind", ["scalar", "empty", "all too short"])
def test_traces_without_one_that_fits_are_refused(
    kind: str, write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {})
    with h5py.File(source, "r+") as h5:
        trace = h5.create_group("events/trace")
        if kind == "all too short":
            trace["fl1_raw"] = np.zeros((4, 3))
        elif kind == "scalar":
            trace["fl1_raw"] = 2.0
    opened = open_basins(write_file("ref.rtdc", basins=[file_basin(source)]))
    assert opened.basins.find("trace") is None


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("through", ["itself", "a basin"])
def test_bad_traces_and_missing_contours_cost_only_themselves(
    through: str, mapped: bool, write_file: Write, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    with h5py.File(source, "r+") as h5:
        h5["events/trace/fl1_raw"] = np.arange(15).reshape(5, 3)
        h5["events/trace/fl2_raw"] = np.zeros((3, 3))
        h5["events/trace/fl3_raw"] = h5py.ExternalLink("other.h5", "/x")
        for event in (0, 1, 4):
            h5[f"events/contour/{event}"] = np.full((3, 2), event)
    rows = np.array([4, 4, 0, 2, 1]) if mapped else np.arange(5)
    if through == "itself":
        hd = dcread.HDF5Data(source, index_mapping=rows if mapped else None)
    else:
        basin = file_basin(source, mapping="basinmap0" if mapped else "same")
        hd = dcread.HDF5Data(write_file("ref.rtdc", {"basinmap0": rows}, [basin]))
    with hd:
        fine = hd["trace"]["fl1_raw"][:]
        assert np.array_equal(fine, np.arange(15).reshape(5, 3)[rows])
        for name in ("fl2_raw", "fl3_raw"):
            with pytest.raises(dcread.DCReadError, match=name):
                hd["trace"][name][:]
        for event, row in enumerate(rows):
            if row in (0, 1, 4):
                assert (hd["contour"][event] == row).all()
            else:
                with pytest.raises(dcread.DCReadError, match=f"event {row} of the fil"):
                    hd["contour"][event]


def test_names_with_separators_are_no_features(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    names = ["../events/deform", "/events/deform", ".", "", "deform\0"]
    basin = file_basin(source, features=names)
    opened = open_basins(write_file("ref.rtdc", basins=[basin]))
    for name in names:
        assert opened.values(name) is None


def test_thousands_of_missing_files_cost_little(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    referrer = write_file("ref.rtdc")
    definitions = [
        file_basin(f"/nowhere/{number}.rtdc", name=f"n{number}")
        for number in range(3000)
    ]
    opened = open_basins(referrer, definitions=definitions)
    start = time.process_time()
    assert opened.features() == set()
    assert opened.basins.find("image") is None
    reasons = opened.reasons("image")
    assert time.process_time() - start < 5
    assert reasons[-1] == "and 2980 more basins"


def test_closing_ends_everything(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP}, identifier="other")
    basins = [
        file_basin(source, name="refused", identifier="wanted"),
        file_basin(source, name="taken"),
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    obj, _ = opened.basins.find("deform")
    group, _, _ = opened.get_data(1)
    assert group.id.valid
    opened.basins.close()
    opened.basins.close()
    assert not group.id.valid
    with pytest.raises(ClosedError):
        obj.read(slice(0, 1, 1))
    for ask in (
        opened.features,
        opened.all_status,
        lambda: opened.basins.find("deform"),
        lambda: opened.get_data(0),
    ):
        with pytest.raises(ClosedError):
            ask()
    # Nothing of ours keeps the file open, so it can be opened for writing.
    with h5py.File(source, "r+") as h5:
        h5["events/new"] = 1
