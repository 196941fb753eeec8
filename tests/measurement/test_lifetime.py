"""A measurement that is dropped closes its file, whatever was done with it."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable

import h5py
import hdf5plugin
import numpy as np
import pytest

import dcread
from dcread import HDF5Data


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    images = np.random.default_rng(0).integers(0, 9, (200, 20, 40), np.uint8)
    with h5py.File(tmp_path / "source.rtdc", "w") as h5:
        h5.attrs["experiment:event count"] = 200
        h5["events/area_um"] = np.arange(200.0)
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 200
        h5.attrs["setup:channel width"] = 20.0
        h5["events/deform"] = np.arange(200.0)
        for name in ("image", "image_bg", "mask", "qpi_pha"):
            h5.create_dataset(
                f"events/{name}",
                data=images,
                chunks=(10, 20, 40),
                **hdf5plugin.Zstd(1),
            )
        h5["events/trace/fl1_raw"] = np.zeros((200, 9))
        h5["events/contour/0"] = np.zeros((9, 2))
        h5["logs/one"] = [b"a line"]
        h5["tables/one"] = np.zeros(3, [("a", "f4")])
        definition = (
            '{"name": "b", "type": "file", "format": "hdf5", "features": ["area_um"], '
            '"paths": ["source.rtdc"]}'
        )
        h5["basins/key"] = [definition.encode()]
    return path


def walk(data: HDF5Data) -> None:
    for index in range(60):
        data.image[index]


def chunks(data: HDF5Data) -> None:
    for index in data.image.iter_chunks():
        data.image.get_chunk(index)


def refused(data: HDF5Data) -> None:
    with pytest.raises(dcread.FeatureNotFoundError):
        data["no such feature"]


USES: dict[str, Callable[[HDF5Data], object]] = {
    "nothing": lambda data: None,
    "len": len,
    "keys": lambda data: list(data.keys()),
    "scalar": lambda data: data["deform"],
    "basin feature": lambda data: data["area_um"],
    "image": lambda data: data.image[5],
    "images in order": walk,
    "image chunks": chunks,
    "images": lambda data: (data.image[3:90], data.image[[5, 1]], data.image[::-7]),
    "cache": lambda data: (data.image[5], list(data.image.cache.items())),
    "mask": lambda data: (data.mask[5], data.mask.get_chunk(0)),
    "corrected": lambda data: (data.image_corr[5], data.image_corr[0:9]),
    "corrected chunks": lambda data: [data.image_corr.get_chunk(k) for k in (0, 1, 2)],
    "array": lambda data: np.asarray(data.image),
    "iteration": lambda data: list(data.image),
    "other images": lambda data: data["qpi_pha"][3],
    "trace": lambda data: data["trace"]["fl1_raw"][3],
    "contour": lambda data: data["contour"][0],
    "meta": lambda data: (data.meta, data.meta_nest),
    "logs": lambda data: data.logs,
    "tables": lambda data: data.tables,
    "basins": lambda data: (data.basins, data.basin_status()),
    "basin data": lambda data: data.get_basin_data(0),
    "problems": lambda data: data.problems,
    "identifiers": lambda data: data.get_ppid(),
    "display": lambda data: (repr(data), data._repr_html_(), repr(data.image)),
    "state": lambda data: data.__getstate__(),
    "flicker": dcread.detect_flickering,
    "refresh": lambda data: data.refresh(),
    "h5": lambda data: data.h5["events/deform"][0],
    "refused": refused,
}


@pytest.mark.filterwarnings("ignore:Feature qpi_pha not cached")
@pytest.mark.parametrize("use", USES)
def test_the_last_reference_closes_the_file(path, use, no_collector, open_files):
    data = HDF5Data(path, image_chunk_size=20)
    USES[use](data)
    opened = open_files() & {path, path.with_name("source.rtdc")}
    assert path in opened
    del data
    end = time.monotonic() + 2  # what is being read ahead comes to its end
    while open_files() & opened and time.monotonic() < end:
        time.sleep(0.01)
    assert not open_files() & opened
