"""A file that is being written: it opens, and `refresh` sees new events."""

from __future__ import annotations

import pathlib
import pickle
import subprocess
import sys

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.errors import ClosedError, FormatError

WRITER = """
import sys, h5py, numpy as np
h5 = h5py.File(sys.argv[1], "w", libver="latest")
h5.attrs["experiment:event count"] = 0
image = h5.create_dataset("events/image", (0, 4, 5), "u1", maxshape=(None, 4, 5),
                          chunks=(3, 4, 5))
deform = h5.create_dataset("events/deform", (0,), "f8", maxshape=(None,), chunks=(3,))
h5.swmr_mode = True
for line in sys.stdin:
    images, scalars = map(int, line.split())
    for dataset, size in ((image, images), (deform, scalars)):
        old = dataset.shape[0]
        dataset.resize(size, axis=0)
        for row in range(old, size):
            dataset[row] = row
        dataset.flush()
    print("done", flush=True)
"""


class Writer:
    def __init__(self, path: pathlib.Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def write(self, images: int, scalars: int) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{images} {scalars}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def close(self) -> None:
        self.process.communicate(timeout=20)


def test_swmr(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "growing.rtdc"
    writer = Writer(path)
    try:
        writer.write(5, 5)
        with HDF5Data(path, pixel_size=0.5) as data:
            assert len(data) == 5
            assert data["deform"].tolist() == [0, 1, 2, 3, 4]
            old = data.image
            # The writer was between two features: only complete events count.
            writer.write(12, 10)
            assert len(data) == 5
            data.refresh()
            assert len(data) == 10
            assert data["deform"].tolist() == list(range(10))
            assert data.image.shape == (10, 4, 5)
            assert data.image[9].max() == 9
            with pytest.raises(ClosedError):
                old[0]
            assert data.pixel_size == 0.5
            assert [p for p in data.problems if p.kind == "feature"] == []
            pickled = pickle.dumps(data)
        writer.write(12, 12)
        with pickle.loads(pickled) as twin:
            assert len(twin) == 12
    finally:
        writer.close()


def test_a_swmr_reader_of_the_caller(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "growing.rtdc"
    writer = Writer(path)
    try:
        writer.write(5, 5)
        with (
            h5py.File(path, "r", swmr=True, libver="latest") as h5,
            HDF5Data(h5) as data,
        ):
            assert data.image[4].max() == 4
            writer.write(10, 10)
            data.refresh()
            assert data.image[9].max() == 9
            assert data["deform"].tolist() == list(range(10))
            # With an open dataset, libhdf5 would hand out wrong values.
            held = h5["events/image"]
            with pytest.raises(FormatError, match="let go of all images"):
                data.refresh()
            assert held.shape[0] == 10
    finally:
        writer.close()


def test_a_file_that_was_written_to(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "later.rtdc"
    with h5py.File(path, "w") as h5:
        h5.create_dataset("events/deform", data=np.arange(4), maxshape=(None,))
    with HDF5Data(path, meta={"a:b": 1}) as data:
        assert len(data) == 4
        data.refresh()
        assert len(data) == 4
        image = data.image
        assert image is None
        replacement = tmp_path / "new.rtdc"
        with h5py.File(replacement, "w") as h5:
            h5["events/deform"] = np.arange(6)
        replacement.replace(path)
        data.refresh()
        assert data["deform"].tolist() == list(range(6))
        assert data.meta == {"a:b": 1}
        assert not data.closed
    with pytest.raises(ClosedError):
        data.refresh()


def test_a_file_of_the_caller(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "mine.rtdc", "w") as h5:
        deform = h5.create_dataset("events/deform", data=np.arange(4), maxshape=(None,))
        with HDF5Data(h5, index_mapping=slice(2, None)) as data:
            assert data["deform"].tolist() == [2, 3]
            deform.resize(6, axis=0)
            deform[4:] = 9
            data.refresh()
            assert data["deform"].tolist() == [2, 3, 9, 9]
            h5["events/area_um"] = np.arange(6)
            data.h5["events/area_ratio"] = np.arange(6)
            data.refresh()
            assert data.keys() == ["area_ratio", "area_um", "deform"]
