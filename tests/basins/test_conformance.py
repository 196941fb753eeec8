"""The formats that come with dcread pass the suite for formats."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dcread.basins import Basin
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


@pytest.mark.parametrize(
    ("attributes", "telling"),
    [
        ({"type": "other"}, "type: the class says 'other'"),
        ({"features": {}}, "it has no features"),
        ({"features": {"deform": RAMP[:1]}}, "at least two events"),
        ({"features": {"deform": Priced()}}, "read_cost should return two counts"),
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
