"""The doors to other libraries beside what people use there today; equal answers.

``python -m benchmarks.test_doors`` prints how long each takes, in interleaved rounds.
"""

from __future__ import annotations

import statistics
import warnings
from typing import Any

import numpy as np
import pytest

from .data import open_data
from .readers import stack
from .task import Consume, Task, answer_of, timed, touch

COUNT = 40

TABLE = Task("all scalars as a pandas frame", at_least=1)
DATASET = Task("all images through xarray", at_least=1)
FILTER = Task("dclab: filter, then 40 of the images", at_least=1)
ZARR = Task("40 random images through zarr", at_least=1)
LAYER = Task("40 random images of a lazy layer", at_least=1)
TASKS = [TABLE, DATASET, FILTER, ZARR, LAYER]


def picks(data: Any) -> list[int]:
    return np.random.default_rng(40).integers(0, data.frames, COUNT).tolist()


def names_of(path: Any) -> list[str]:
    import dcread

    with dcread.HDF5Data(path) as hd:
        return hd.features_scalar


def consume_columns(frame: Any, consume: Consume) -> None:
    for name in frame:
        consume(frame[name].to_numpy())


@TABLE.competitor("dcread")
def to_dataframe(data):
    import dcread

    names = names_of(data.zstd)

    def look(consume: Consume) -> None:
        with dcread.HDF5Data(data.zstd) as hd:
            consume_columns(hd.to_dataframe(names), consume)

    yield look


@TABLE.competitor("a loop over dclab")
def dclab_loop(data):
    import dclab
    import pandas as pd

    names = names_of(data.zstd)

    def look(consume: Consume) -> None:
        with dclab.new_dataset(data.zstd) as ds:
            columns = {name: np.asarray(ds[name][:]) for name in names}
            consume_columns(pd.DataFrame(columns), consume)

    yield look


@DATASET.competitor("dcread")
def xarray_dcread(data):
    import xarray

    def look(consume: Consume) -> None:
        with xarray.open_dataset(data.zstd, engine="dcread", features=["image"]) as ds:
            consume(ds["image"].values)

    yield look


@DATASET.competitor("HDF5Data")
def measurement_alone(data):
    import dcread

    def look(consume: Consume) -> None:
        with dcread.HDF5Data(data.zstd) as hd:
            consume(hd.image[:])

    yield look


@DATASET.competitor("h5netcdf")
def xarray_h5netcdf(data):
    import hdf5plugin  # noqa: F401
    import xarray

    def look(consume: Consume) -> None:
        with xarray.open_dataset(
            data.zstd, engine="h5netcdf", group="events", phony_dims="access"
        ) as ds:
            consume(ds["image"].values)

    yield look


@DATASET.competitor("h5py")
def xarray_h5py(data):
    import xarray

    def look(consume: Consume) -> None:
        with stack("h5py", data.zstd) as images:
            consume(xarray.DataArray(images[:], dims=("event", "y", "x")).values)

    yield look


def _filter_and_look(ds: Any, consume: Consume) -> None:
    ds.config["filtering"]["deform min"] = float(np.median(ds["deform"][:]))
    ds.config["filtering"]["deform max"] = 10.0
    ds.apply_filter()
    consume(np.array(ds.filter.all))
    for row in np.flatnonzero(ds.filter.all)[:: max(1, len(ds) // COUNT)]:
        consume(np.asarray(ds["image"][int(row)]))


@FILTER.competitor("dcread")
def dclab_dcread(data):
    from dcread.interop.dclab import RTDC_DCREAD

    def look(consume: Consume) -> None:
        with RTDC_DCREAD(data.zstd) as ds:
            _filter_and_look(ds, consume)

    yield look


@FILTER.competitor("dclab")
def dclab_alone(data):
    import dclab

    def look(consume: Consume) -> None:
        with dclab.new_dataset(data.zstd) as ds:
            _filter_and_look(ds, consume)

    yield look


@ZARR.competitor("dcread")
def zarr_references(data):
    import fsspec
    import zarr

    from dcread.interop import to_references

    rows = picks(data)

    def look(consume: Consume) -> None:
        refs = to_references(data.zstd, ["image"])
        files = fsspec.filesystem(
            "reference", fo=refs, remote_protocol="file", asynchronous=True
        )
        store = zarr.storage.FsspecStore(files, read_only=True)
        images = zarr.open_group(store, mode="r", zarr_format=2)["image"]
        for row in rows:
            consume(images[row])

    yield look


@ZARR.competitor("virtualizarr")
def virtualizarr(data):
    pytest.importorskip("virtualizarr")
    rows = picks(data)

    def look(consume: Consume) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with stack("virtualizarr", data.zstd) as images:
                for row in rows:
                    consume(images[row])

    yield look


@LAYER.competitor("dcread")
def napari_layer(data):
    from dcread.interop.napari import read

    rows = picks(data)

    def look(consume: Consume) -> None:
        images = read(data.zstd)[0][0]
        for row in rows:
            consume(images[row].compute(scheduler="synchronous"))

    yield look


@LAYER.competitor("h5py")
def dask_h5py(data):
    import dask.array as da

    rows = picks(data)

    def look(consume: Consume) -> None:
        with stack("h5py", data.zstd) as dataset:
            images = da.from_array(dataset, dataset.chunks, name=False)
            for row in rows:
                consume(images[row].compute(scheduler="synchronous"))

    yield look


@pytest.mark.parametrize(
    ("task", "name"),
    [(task, name) for task in TASKS for name in task.competitors],
    ids=[f"{task.title}: {name}" for task in TASKS for name in task.competitors],
)
def test_doors(task, name, data, benchmark):
    benchmark.group = task.title
    competitor = task.competitors[name]
    answer = answer_of(competitor, data)
    assert answer.count > 0
    assert answer == answer_of(task.competitors["dcread"], data)
    with competitor(data) as action:
        benchmark.pedantic(lambda: action(touch), rounds=task.rounds)


def main() -> None:
    """Print medians of interleaved rounds, answers being equal."""
    data = open_data()
    print("| task | " + "who | ms | times dcread's |\n|---|---|---|---|")
    for task in TASKS:
        answers = [answer_of(one, data) for one in task.competitors.values()]
        assert all(answer == answers[0] for answer in answers), task.title
        times: dict[str, list[float]] = {name: [] for name in task.competitors}
        for _ in range(task.rounds):
            for name, competitor in task.competitors.items():
                times[name].append(timed(competitor, data)[0])
        for name, found in times.items():
            ratios = [a / b for a, b in zip(found, times["dcread"], strict=True)]
            print(
                f"| {task.title} | {name} | {statistics.median(found) * 1e3:.1f} | "
                f"{statistics.median(ratios):.2f} |"
            )


if __name__ == "__main__":
    main()
