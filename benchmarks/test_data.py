"""The made images look to a compressor as those of a real measurement do."""

from __future__ import annotations

import os
import pathlib

import h5py
import hdf5plugin  # noqa: F401
import pytest

from .data import describe

ROOT = pathlib.Path(__file__).parent.parent
REAL = pathlib.Path(os.environ.get("DCREAD_TEST_DATA", ROOT.parent / "shared" / "data"))
SAMPLE = REAL / "cytoshot_full-features_2023.rtdc"


def test_images_shrink_as_much_as_real_ones(data):
    if not SAMPLE.exists():
        pytest.skip(f"no real measurement at {SAMPLE}")
    with h5py.File(SAMPLE) as h5:
        real = h5["events/image"]
        ratio = real.nbytes / real.id.get_storage_size()
    assert describe(data)["zstd image"] == pytest.approx(ratio, rel=0.1)
