"""The formats that come with dcread pass the suite for formats."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dcread.basins import Basin, Opened
from dcread.basins.file import HDF5FileBasin
from dcread.basins.internal import InternalBasin
from dcread.testing import check_basin

RAMP = np.arange(5) * 1.5
IMAGES = np.arange(60, dtype=np.uint8).reshape(5, 3, 4)
Write = Callable[..., pathlib.Path]


def test_files(write_file: Write) -> None:
    events = {"deform": RAMP, "image": IMAGES, "trace/fl1_raw": IMAGES[:, 0]}
    source = write_file("source.rtdc", events)
    definition = {"type": "file", "format": "hdf5", "paths": [str(source)]}
    check_basin(HDF5FileBasin, definition)


def test_groups_inside(write_file: Write) -> None:
    inside = {"deform": RAMP, "image_bg": IMAGES}
    referrer = write_file("ref.rtdc", {"frame": np.arange(5)}, internal=inside)
    definition = {"type": "internal", "format": "h5dataset", "features": sorted(inside)}
    check_basin(InternalBasin, definition, referrer=referrer)


class Priced:
    """An array that tells nonsense about its costs."""

    shape, dtype = RAMP.shape, RAMP.dtype

    def __getitem__(self, rows: slice) -> Any:
        return RAMP[rows]

    def read_cost(self, rows: Any) -> Any:
        return (1.5, None)


class Picked:
    """Rows by number, changed by a function."""

    shape, dtype = RAMP.shape, RAMP.dtype

    def __init__(self, change: Callable[[Any], Any]) -> None:
        self._change = change

    def __getitem__(self, rows: slice) -> Any:
        return RAMP[rows]

    def read_rows(self, rows: Any) -> Any:
        return self._change(RAMP[rows])


class Lost(Picked):
    """An array that cannot be read."""

    def __getitem__(self, rows: slice) -> Any:
        raise ValueError("no such row")


def _refuse(_: Any) -> Any:
    raise ValueError("it will not go")


def test_features_may_hold_nan(memory_basin: Callable[..., type[Basin]]) -> None:
    holed = np.where(RAMP == 3, np.nan, RAMP)
    definition = {"type": "memory", "format": "memory", "paths": ["x"]}
    check_basin(memory_basin(features={"deform": holed}), definition)


def test_locations_may_be_path_objects(tmp_path: pathlib.Path) -> None:
    class Folder(Basin):
        format, type = "folder", "file"

        def available(self) -> bool:
            return self.context.check_path(self.location).is_dir()

        def open(self) -> Any:
            return {"deform": np.load(f"{self.location}/deform.npy")}

    np.save(tmp_path / "deform.npy", RAMP)
    definition = {"type": "file", "format": "folder", "paths": [tmp_path]}
    check_basin(Folder, definition)


def test_what_is_no_class_does_not_pass() -> None:
    with pytest.raises(AssertionError, match=r"expected a subclass of dcread\.Basin"):
        check_basin(np, {})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attributes", "telling"),
    [
        ({"type": "other"}, "type: the class says 'other'"),
        ({"features": {}}, "it has no features"),
        ({"features": {"deform": RAMP[:1]}}, "at least two events"),
        ({"features": {"deform": Priced()}}, "read_cost should return two counts"),
        (
            {"features": {"deform": Picked(lambda rows: rows[::-1])}},
            "'deform': read_rows.* should return these rows in this order",
        ),
        (
            {"features": {"deform": Picked(_refuse)}},
            "'deform': read_rows.* raised ValueError: it will not go",
        ),
        (
            {"features": {"deform": Lost(_refuse)}},
            r"'deform'\[0:5\] raised .*no such row",
        ),
        (
            {"features": {"deform": [1, 2]}},
            "taking its features raised .*'deform' should be",
        ),
        ({"close": _refuse}, "`close` raised ValueError: it will not go"),
        (
            {"open": lambda _: Opened({"deform": RAMP}, identity=[1])},
            "should return something hashable as identity",
        ),
        ({"open": lambda _: None}, "it could not be opened"),
        ({"format": ""}, "should declare 'format' as text"),
    ],
)
def test_what_does_not_pass(
    attributes: dict[str, Any], telling: str, memory_basin: Callable[..., type[Basin]]
) -> None:
    definition = {"type": "memory", "format": "memory", "paths": ["x"]}
    with pytest.raises(AssertionError, match=telling):
        check_basin(memory_basin(**attributes), definition)
