"""Does a basin belong to this measurement? Both rules, and what is let pass."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

from dcread.errors import BasinIdentifierMismatchError

Write = Callable[..., pathlib.Path]
Open = Callable[..., Any]
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def pair(write_file: Write, file_basin: Make) -> Callable[..., pathlib.Path]:
    """Write a basin and a referrer with the identifiers that are wanted."""

    def write(
        expected: str | None,
        found: str | None,
        referrer: str | None,
        *,
        mapped: bool = False,
        listed: bool = True,
    ) -> pathlib.Path:
        source = write_file("src.rtdc", {"deform": np.ones(5)}, identifier=found)
        basin = file_basin(
            source,
            identifier=expected,
            mapping="basinmap0" if mapped else None,
            features=["deform"] if listed else None,
        )
        events = {"basinmap0": np.arange(5)} if mapped else {}
        return write_file("ref.rtdc", events, [basin], identifier=referrer)

    return write


@pytest.mark.parametrize(
    ("expected", "found", "referrer", "mapped", "remark"),
    [
        (None, "A", "A", False, ""),
        ("A", "A", "A", False, ""),
        (None, "A", "A", True, ""),
        (None, "A", "A_dcn-1", True, ""),
        ("A", "A", "A_dcn-1", True, ""),
        # Accepted, but worth knowing.
        (None, "A", "Ab", True, "begins that of the file"),
        ("A", "A", "A_dcn-1", False, "the basin has no map"),
        (None, None, "A", False, "the basin has no measurement identifier"),
        (None, "A", None, False, "the file has no measurement identifier"),
        (None, None, None, True, "the basin has no measurement identifier"),
        ("A", "A", None, False, "the file has no measurement identifier"),
    ],
)
def test_accepted(  # noqa: PLR0917
    expected: str | None,
    found: str | None,
    referrer: str | None,
    mapped: bool,
    remark: str,
    pair: Callable[..., pathlib.Path],
    open_basins: Open,
) -> None:
    opened = open_basins(pair(expected, found, referrer, mapped=mapped))
    assert opened.values("deform").tolist() == [1] * 5
    record = opened.status("raw data")
    assert record.available is True
    assert remark in record.reason
    assert bool(record.reason) == bool(remark)


REFUSED = [
    ("A", "B", "B", False),
    ("A", None, None, False),
    ("A", "B", None, True),
    (None, "B", "A", False),
    (None, "A", "A_dcn-1", False),
    (None, "A_dcn-1", "A", True),
    (None, "B", "A", True),
]


@pytest.mark.parametrize(("expected", "found", "referrer", "mapped"), REFUSED)
@pytest.mark.parametrize("listed", [True, False])
def test_refused(  # noqa: PLR0917
    expected: str | None,
    found: str | None,
    referrer: str | None,
    mapped: bool,
    listed: bool,
    pair: Callable[..., pathlib.Path],
    open_basins: Open,
) -> None:
    path = pair(expected, found, referrer, mapped=mapped, listed=listed)
    opened = open_basins(path)
    for _ in range(2):
        with pytest.raises(
            BasinIdentifierMismatchError, match="does not match"
        ) as caught:
            opened.basins.find("deform")
    assert isinstance(caught.value, Exception)
    text = str(caught.value)
    assert "src.rtdc" in text
    assert f"'{found}'" in text
    # Nothing else suffers.
    assert opened.basins.find("area_um") is None
    assert opened.features() <= {"deform"}
    record = opened.status("raw data")
    assert record.available is False
    assert "does not match" in record.reason
    with pytest.raises(BasinIdentifierMismatchError, match="does not match"):
        opened.get_data(0)


def test_refused_file_leaves_the_next_path_its_chance(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    wrong = write_file("wrong.rtdc", {"deform": np.zeros(5)}, identifier="B")
    right = write_file("right.rtdc", {"deform": np.ones(5)}, identifier="A")
    path = write_file("ref.rtdc", basins=[file_basin(wrong, right, identifier="A")])
    opened = open_basins(path)
    assert opened.values("deform").tolist() == [1] * 5
    assert opened.status("raw data").location == str(right)
    assert "does not match" in opened.status("raw data").reason


def test_refused_basin_leaves_the_next_basin_its_chance(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    wrong = write_file("wrong.rtdc", {"deform": np.zeros(5)}, identifier="B")
    right = write_file("right.rtdc", {"deform": np.ones(5)}, identifier="A")
    basins = [
        file_basin(wrong, name="1", identifier="A"),
        file_basin(right, name="2", identifier="A"),
    ]
    opened = open_basins(write_file("ref.rtdc", basins=basins))
    assert opened.values("deform").tolist() == [1] * 5


def test_identifier_is_computed_from_time_date_and_setup(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    source = write_file("src.rtdc", {"deform": np.ones(5)})
    path = write_file("ref.rtdc", basins=[file_basin(source)])
    for one, time in ((source, b"12:00:00"), (path, "12:00:00")):
        with h5py.File(one, "r+") as h5:
            h5.attrs["experiment:time"] = time
            h5.attrs["experiment:date"] = "2024-01-01"
            h5.attrs["setup:identifier"] = "lab"
    opened = open_basins(path)
    assert opened.values("deform") is not None
    # HDF5 shows an open file as it was when it was opened first.
    opened.basins.close()
    opened.referrer.handle.close()
    with h5py.File(path, "r+") as h5:
        h5.attrs["experiment:time"] = "12:00:01"
    with pytest.raises(BasinIdentifierMismatchError):
        open_basins(path).values("deform")


def test_refused_file_is_named_for_what_only_it_has(
    write_file: Write, open_basins: Open, file_basin: Make
) -> None:
    other = write_file("other.rtdc", {"tilt": [1.5] * 5}, identifier="other")
    right = write_file("right.rtdc", {"deform": [2.5] * 5}, identifier="mine")
    basin = file_basin(other, right)
    opened = open_basins(write_file("ref.rtdc", basins=[basin], identifier="mine"))
    assert opened.values("deform").tolist() == [2.5] * 5
    assert opened.values("tilt") is None
    (reason,) = opened.reasons("tilt")
    assert "other.rtdc' with identifier 'other' does not match" in reason
