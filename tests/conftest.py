"""Fixtures that all tests share."""

from __future__ import annotations

import os
import pathlib

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
