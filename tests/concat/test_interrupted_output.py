"""What an interrupt leaves open of a new file does no harm when Python ends."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

LEFT_OPEN = """
import pathlib, sys
import h5py
import numpy as np
from dcread.concat.new_file import new_file

try:
    with new_file(pathlib.Path(sys.argv[1]), overwrite=False) as file:
        h5 = h5py.File(file, "w")
        h5["x"] = np.arange(10_000)  # not written yet
        left = h5.id, h5["x"].id
        raise KeyboardInterrupt
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_new_file_that_is_left_open(
    tmp_path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    result = run_python(LEFT_OPEN, tmp_path / "new.rtdc", timeout=100)
    assert (result.stdout, result.stderr) == ("interrupted\n", "")
    assert result.returncode == 0
    assert not list(tmp_path.iterdir())
