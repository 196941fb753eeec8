"""More files than may be open at once are joined and read."""

from __future__ import annotations

import sys

import h5py
import numpy as np
import pytest

# Joins the files and reads the result, with as many descriptors as systems give.
JOIN = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import dcread

hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, hard))
folder, count = sys.argv[1], int(sys.argv[2])
paths = [f"{folder}/{number}.rtdc" for number in range(count)]
numbers = np.repeat(np.arange(count), 4)
out = f"{folder}/joined.rtdc"
for path_out in (out, None):
    with dcread.concatenated_hdf5_data(paths, path_out=path_out) as hd:
        assert np.array_equal(hd["deform"], numbers)
        assert np.array_equal(hd["image"][:][:, 0, 0], numbers % 251)

with dcread.HDF5Data(out) as hd:
    rows = np.random.default_rng(0).permutation(len(hd))
    def read(start):
        part = rows[start::4]
        assert np.array_equal(hd.image[part][:, 0, 0], numbers[part] % 251)
        assert np.array_equal(hd["userdef1"][:], numbers)
        return True
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(read, range(4)))
print("read")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no such limits")
def test_520_files_within_1024_descriptors(tmp_path, run_python):
    for number in range(520):
        with h5py.File(tmp_path / f"{number}.rtdc", "w", libver="latest") as h5:
            h5.attrs["experiment:event count"] = 4
            h5["events/deform"] = np.full(4, float(number))
            h5["events/userdef1"] = np.full(4, float(number))
            h5["events/image"] = np.full((4, 3, 5), number % 251, "u1")
    run = run_python(JOIN, tmp_path, "520", timeout=300)
    assert (run.stdout, run.stderr) == ("read\n", "")
