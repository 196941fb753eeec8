"""The folders pass the suite of dcread."""

from __future__ import annotations

import pathlib

import numpy as np
from dcread_npyfolder import NpyFolderBasin

from dcread.testing import check_basin


def test_conformance(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "deform.npy", np.arange(5) * 1.5)
    np.save(tmp_path / "image.npy", np.arange(30, dtype="u1").reshape(5, 2, 3))
    definition = {"type": "file", "format": "npyfolder", "paths": [str(tmp_path)]}
    check_basin(NpyFolderBasin, definition)
