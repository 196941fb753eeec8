"""How each package opens a measurement and reads its images."""

from __future__ import annotations

import contextlib
import importlib
import pathlib
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .task import Consume, Task

ROWS = 992
"""Images that plain readers take at once: what HDF5Data rounds 1000 to."""


def hdf5data(package: str, path: Any, **kwargs: Any) -> Any:
    """Open a measurement with dcread or dcnum.read."""
    return importlib.import_module(package).HDF5Data(path, **kwargs)


@contextlib.contextmanager
def stack(package: str, path: pathlib.Path) -> Iterator[Any]:
    """Open the image stack with a package that knows files, not measurements."""
    if package == "h5py":
        import h5py
        import hdf5plugin  # noqa: F401

        with h5py.File(path) as h5:
            yield h5["events/image"]
    elif package == "pyfive":
        import pyfive

        with pyfive.File(str(path)) as h5:
            yield h5["events/image"]
    elif package == "virtualizarr":
        yield _virtual(path)
    else:
        raise ValueError(package)


def _virtual(path: pathlib.Path) -> Any:
    import zarr
    from obspec_utils.registry import ObjectStoreRegistry
    from obstore.store import LocalStore
    from virtualizarr.parsers import HDFParser

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that its codecs are not in zarr's norm
        registry = ObjectStoreRegistry({"file://": LocalStore()})
        store = HDFParser(group="events")(url=f"file://{path}", registry=registry)
        return zarr.open_group(store, mode="r")["image"]


def add_scanners(
    task: Task,
    path_of: Callable[[Any], pathlib.Path],
    plain: tuple[str, ...],
    view: str = "image",
) -> None:
    """Let HDF5Data of dcread and dcnum, and plain readers, scan an image stack."""
    for package in ("dcread", "dcnum.read"):

        @task.competitor(package)
        def chunks(data: Any, package: str = package) -> Iterator[Any]:
            with hdf5data(package, path_of(data)) as hd:

                def scan(consume: Consume) -> None:
                    images = getattr(hd, view)
                    for chunk in images.iter_chunks():
                        consume(images.get_chunk(chunk))

                yield scan

    for package in plain:

        @task.competitor(package)
        def rows(data: Any, package: str = package) -> Iterator[Any]:
            with stack(package, path_of(data)) as images:

                def scan(consume: Consume) -> None:
                    for start in range(0, images.shape[0], ROWS):
                        part = images[start : start + ROWS]
                        # pyfive may give a memory map, of which nothing is read yet
                        consume(np.array(part) if package == "pyfive" else part)

                yield scan
