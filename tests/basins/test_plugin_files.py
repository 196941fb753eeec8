"""What plugins give stays under the policy and ends with the measurement."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.basins import Basin, BasinManager
from dcread.errors import BasinError, ClosedError, PolicyError

RAMP = np.arange(5) * 1.5
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
MEMORY = {"name": "m", "type": "memory", "format": "memory"}
Write = Callable[..., pathlib.Path]


@pytest.fixture
def measurement(
    manager: BasinManager,
    plugin: Callable[..., Any],
    memory_basin: Callable[..., type[Basin]],
    write_file: Write,
) -> Callable[..., dcread.HDF5Data]:
    """Open a measurement with a basin of a class with the attributes given."""

    def open_(**attributes: Any) -> dcread.HDF5Data:
        manager.register(plugin(memory_basin(**attributes)))
        path = write_file("ref.rtdc", {"frame": np.arange(5)}, [MEMORY])
        return dcread.HDF5Data(path, policy=dcread.Policy(local="beside"))

    return open_


class OwnFile:
    """Methods of a plugin that opens an HDF5 file itself."""

    def __init__(self, path: pathlib.Path, *, as_group: bool) -> None:
        self.path, self.as_group = path, as_group
        self.h5: Any = None

    def methods(self) -> Mapping[str, Any]:
        return {"open": lambda _: self.open(), "close": lambda _: self.h5.close()}

    def open(self) -> Any:
        self.h5 = h5py.File(self.path)
        events = self.h5["events"]
        return events if self.as_group else {name: events[name] for name in events}


@pytest.mark.parametrize("as_group", [True, False], ids=["group", "dictionary"])
def test_policy_applies_to_files_that_a_plugin_opens(
    as_group: bool,
    measurement: Callable[..., dcread.HDF5Data],
    write_file: Write,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "secret.h5"
    with h5py.File(outside, "w") as h5:
        h5["data"] = RAMP
    path = write_file("own.h5", {"deform": RAMP, "trace/fine": IMAGES[:, 0]})
    with h5py.File(path, "a") as h5:
        layout = h5py.VirtualLayout((5,), "f8")
        layout[:] = h5py.VirtualSource(str(outside), "data", (5,))
        h5.create_virtual_dataset("events/area_um", layout)
        h5.create_virtual_dataset("events/trace/evil", layout)
    own = OwnFile(path, as_group=as_group)
    with measurement(**own.methods()) as hd:
        assert hd["deform"].tolist() == RAMP.tolist()
        assert np.array_equal(hd["trace"]["fine"][:], IMAGES[:, 0])
        with pytest.raises(PolicyError, match=r"secret\.h5"):
            hd["area_um"]
        with pytest.raises(PolicyError, match=r"secret\.h5"):
            hd["trace"]["evil"][:]


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
@pytest.mark.parametrize("as_group", [True, False], ids=["group", "dictionary"])
def test_files_that_a_plugin_opens_are_closed(
    as_group: bool, measurement: Callable[..., dcread.HDF5Data], write_file: Write
) -> None:
    path = write_file("own.h5", {"qpi_pha": IMAGES * 1.0, "trace/raw": IMAGES[:, 0]})
    own = OwnFile(path, as_group=as_group)
    hd = measurement(**own.methods())
    view, trace = hd["qpi_pha"], hd["trace"]["raw"]
    assert view[4].tolist() == IMAGES[4].tolist()
    assert trace[4].tolist() == IMAGES[4, 0].tolist()
    hd.close()
    with pytest.raises(ClosedError):
        view[4]
    with pytest.raises(ClosedError):
        trace[4]
    links = (
        os.path.join("/proc/self/fd", name) for name in os.listdir("/proc/self/fd")
    )
    assert str(path) not in {
        os.readlink(link) for link in links if os.path.lexists(link)
    }


def test_arrays_of_a_plugin_end_with_the_measurement(
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    class Slices:
        shape, dtype = IMAGES.shape, IMAGES.dtype

        def __getitem__(self, rows: Any) -> Any:
            return IMAGES[rows]

    hd = measurement(
        features={"image": IMAGES, "qpi_pha": Slices(), "trace": {"raw": IMAGES[:, 0]}}
    )
    views = [hd["image"], hd["qpi_pha"], hd["trace"]["raw"]]
    assert np.array_equal(views[0][:], IMAGES)
    assert np.array_equal(views[1][:], IMAGES)
    assert np.array_equal(views[1][::-2], IMAGES[::-2])
    assert np.array_equal(views[2][1:3, 1:], IMAGES[1:3, 0, 1:])
    hd.close()
    for view in views:
        with pytest.raises(ClosedError):
            view[3]


@pytest.mark.parametrize(
    ("features", "telling"),
    [
        ({"deform": np.array(["a"] * 5, object)}, "should hold numbers"),
        ({"deform": {"a": RAMP}}, "should be a dataset, found a group"),
        ({"image": RAMP}, "should be images"),
        ({"trace": IMAGES[:, 0]}, "should be arrays by name"),
    ],
)
def test_features_of_the_wrong_kind(
    features: Mapping[str, Any],
    telling: str,
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    with measurement(features=features) as hd:
        with pytest.raises(BasinError, match=telling):
            hd[next(iter(features))]
        assert hd.basin_status()[0].available is False
        with pytest.raises(BasinError, match=telling):
            hd.get_basin_data(0)


@pytest.mark.parametrize(
    ("answer", "place", "reason"),
    [
        ("one place", "one place", ""),
        (pathlib.Path("a path"), "a path", ""),
        (None, None, "names no location"),
        (3, None, "locations should return locations as text, got int"),
        ([3], None, "locations should return locations as text, found int among"),
    ],
)
def test_answers_of_locations(
    answer: Any,
    place: str | None,
    reason: str,
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    with measurement(locations=classmethod(lambda *_: answer)) as hd:
        (record,) = hd.basin_status()
        assert record.location == place
        assert record.available is (place is not None)
        assert reason in record.reason
