"""Fixtures that all tests share."""

from __future__ import annotations

import contextlib
import os
import pathlib
from collections.abc import Callable

import pytest
from hypothesis import settings

# How long an example takes says nothing on a busy machine.
settings.register_profile("dcread", deadline=None)
settings.load_profile("dcread")

DATA = pathlib.Path(__file__).parent.parent.parent / "shared" / "data"
if "DCREAD_TEST_DATA" in os.environ:
    DATA = pathlib.Path(os.environ["DCREAD_TEST_DATA"])
FILES = sorted(DATA.glob("*.rtdc"))


def _require_data() -> None:
    if FILES:
        return
    message = f"no real measurements in {DATA}; set DCREAD_TEST_DATA to their folder"
    if os.environ.get("CI") == "true":
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(params=[p.name for p in FILES] or ["(no data)"])
def real_file(request: pytest.FixtureRequest) -> pathlib.Path:
    """Each real measurement in turn; read-only, never to be changed."""
    _require_data()
    return DATA / request.param


@pytest.fixture
def data_dir() -> pathlib.Path:
    """The folder of real measurements."""
    _require_data()
    return DATA


def _open_files() -> set[pathlib.Path]:
    descriptors = pathlib.Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("no /proc here to look at")
    paths = set()
    for descriptor in descriptors.iterdir():
        with contextlib.suppress(OSError):
            paths.add(descriptor.readlink())
    return paths


@pytest.fixture
def open_files() -> Callable[[], set[pathlib.Path]]:
    """A function that returns the paths of all files that this process has open."""
    return _open_files
