"""A measurement that is dropped closes its file, whatever was done with it."""

from __future__ import annotations

import contextlib
import importlib
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


def plotted(data: HDF5Data) -> None:
    pytest.importorskip("matplotlib")
    data.plot_preview()


OPERATIONS: dict[str, Callable[[HDF5Data], object]] = {
    "basin_status": lambda data: data.basin_status(),
    "basins": lambda data: data.basins,
    "closed": lambda data: data.closed,
    "describe": lambda data: data.describe(),
    "explain": lambda data: str(data.explain("area_um")),
    "features_scalar": lambda data: data.features_scalar,
    "features_scalar_frame": lambda data: data.features_scalar_frame,
    "get": lambda data: data.get("area_um"),
    "get_basin_data": lambda data: data.get_basin_data(0),
    "get_image_cache": lambda data: data.get_image_cache("mask")[3],
    "get_ppid": lambda data: data.get_ppid(),
    "handle": lambda data: data.handle.closed,
    "h5": lambda data: data.h5["events/deform"][0],
    "image": lambda data: data.image[5],
    "image_bg": lambda data: data.image_bg[5],
    "image_cache_size": lambda data: data.image_cache_size,
    "image_chunk_size": lambda data: data.image_chunk_size,
    "image_corr": lambda data: (data.image_corr[5], data.image_corr[0:9]),
    "image_num_chunks": lambda data: data.image_num_chunks,
    "items": lambda data: [name for name, _ in data.items()],
    "keys": lambda data: list(data.keys()),
    "local_files": lambda data: data.local_files(),
    "logs": lambda data: data.logs,
    "mapping_indices": lambda data: data.mapping_indices(),
    "mask": lambda data: (data.mask[5], data.mask.get_chunk(0)),
    "md5_5m": lambda data: data.md5_5m,
    "meta": lambda data: data.meta["setup:channel width"],
    "meta_nest": lambda data: data.meta_nest["setup"],
    "pixel_size": lambda data: data.pixel_size,
    "plot_preview": plotted,
    "problems": lambda data: data.problems,
    "raw_length": lambda data: data.raw_length,
    "refresh": lambda data: data.refresh(),
    "tables": lambda data: data.tables,
    "to_arrow": lambda data: data.to_arrow(),
    "to_dataframe": lambda data: data.to_dataframe(),
    "values": lambda data: list(data.values()),
    "view": lambda data: data.view("image")[3],
}
"""One use of each method and property of `HDF5Data`."""

ELSEWHERE = {
    "close",
    "extract_basin_dicts",
    "get_ppid_code",
    "get_ppid_from_ppkw",
    "get_ppid_index_mapping",
    "get_ppkw_from_ppid",
}
"""What closes the file, or asks no measurement."""

USES: dict[str, Callable[[HDF5Data], object]] = {
    **OPERATIONS,
    "nothing": lambda data: None,
    "len": len,
    "in": lambda data: "area_um" in data,
    "iteration over names": list,
    "scalar": lambda data: data["deform"],
    "basin feature": lambda data: data["area_um"],
    "images in order": walk,
    "image chunks": chunks,
    "images": lambda data: (data.image[3:90], data.image[[5, 1]], data.image[::-7]),
    "cache": lambda data: (data.image[5], list(data.image.cache.items())),
    "corrected chunks": lambda data: [data.image_corr.get_chunk(k) for k in (0, 1, 2)],
    "array": lambda data: np.asarray(data.image),
    "iteration over images": lambda data: list(data.image),
    "other images": lambda data: data["qpi_pha"][3],
    "trace": lambda data: data["trace"]["fl1_raw"][3],
    "contour": lambda data: data["contour"][0],
    "mapped": lambda data: dcread.get_mapped_object(data.image, [5, 1])[:],
    "identifier": lambda data: dcread.get_measurement_identifier(data.h5),
    "display": lambda data: (repr(data), data._repr_html_(), repr(data.image)),
    "state": lambda data: data.__getstate__(),
    "flicker": dcread.detect_flickering,
    "flicker report": dcread.flicker_report,
    "refused": refused,
}


def test_the_list_of_operations_is_complete() -> None:
    public = {name for name in dir(HDF5Data) if not name.startswith("_")}
    assert set(OPERATIONS) == public - ELSEWHERE
    assert public >= ELSEWHERE


@pytest.fixture(scope="module", autouse=True)
def _imported() -> None:
    """Import matplotlib, which keeps the frames that it is imported in."""
    with contextlib.suppress(ImportError):
        importlib.import_module("matplotlib.pyplot")


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
