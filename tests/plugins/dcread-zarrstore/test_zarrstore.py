"""Zarr stores pass the suite of dcread, and save requests."""

from __future__ import annotations

import pathlib

import numpy as np
import zarr
from dcread_zarrstore import ZarrBasin

from dcread.testing import check_basin


def test_conformance(tmp_path: pathlib.Path) -> None:
    events = zarr.open_group(str(tmp_path / "store"), mode="w").create_group("events")
    events["deform"] = np.arange(50) * 1.5
    events["image"] = np.arange(300, dtype="u1").reshape(50, 2, 3)
    events.create_group("trace")["fl1_raw"] = np.arange(150).reshape(50, 3)
    paths = [str(tmp_path / "store")]
    check_basin(ZarrBasin, {"type": "file", "format": "zarr", "paths": paths})
