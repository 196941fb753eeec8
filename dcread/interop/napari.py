"""A reader plugin for napari: images and masks as lazy layers.

The manifest, ``napari.json``, names `get_reader` for files that end in ``.rtdc``.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from ..errors import FeatureNotFoundError
from ..measurement.data import HDF5Data
from ..sync.whole_import import import_whole

if TYPE_CHECKING:
    from ..images.base_cache import BaseImageChunkCache

    Paths: TypeAlias = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
    Layer: TypeAlias = tuple[Any, dict[str, Any], str]

LAYERS = {"image": "image", "image_bg": "image", "mask": "labels"}
"""Features that become layers, and of which kind; those below come first."""


def get_reader(path: Paths) -> Callable[[Paths], list[Layer]] | None:
    """Return a reader for a path; None if it is no measurement (interface of npe2).

    Parameters
    ----------
    path : path or sequence of paths
        What was dropped into napari; a stack of files is refused.

    Examples
    --------
    >>> read = get_reader("demo-output/demo.rtdc")
    >>> [(kind, options["name"]) for _, options, kind in read("demo-output/demo.rtdc")]
    [('image', 'demo: image'), ('image', 'demo: image_bg'), ('labels', 'demo: mask')]
    """
    if not isinstance(path, (str, os.PathLike)):
        return None
    return read if os.fspath(path).endswith(".rtdc") else None


def read(path: Paths) -> list[Layer]:
    """Return image and mask layers, whose first axis are the events.

    Nothing is read but what is looked at. The file is closed when the layers are gone.

    Parameters
    ----------
    path : path
        The measurement.

    Returns
    -------
    list of (dask.array.Array, dict, str)
        The data, the options and the kind of each layer. Background images are not
        visible at first.

    Raises
    ------
    FeatureNotFoundError
        If there are neither images nor masks.
    DCReadError
        If the file cannot be read.
    ImportError
        If dask is not installed.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError("expected one path of a measurement")
    hd = HDF5Data(path)
    pixel = hd.pixel_size
    name = pathlib.PurePath(os.fspath(path)).stem
    layers: list[Layer] = []
    for feature, kind in LAYERS.items():
        images = hd.get_image_cache(feature) if feature in hd else None
        if images is None or not len(images):
            continue
        options: dict[str, Any] = {
            "name": f"{name}: {feature}",
            "metadata": {"path": str(hd.path), "feature": feature},
        }
        if pixel:
            options |= {"scale": (1, pixel, pixel), "units": ("pixel", "µm", "µm")}
        data = _lazy(hd, images)
        if kind == "labels":
            data = data.astype("uint8")
        else:
            options |= {"colormap": "gray", "visible": feature == "image"}
        layers.append((data, options, kind))
    if not layers:
        hd.close()
        raise FeatureNotFoundError(f"{path} has neither images nor masks to look at")
    return layers


class _Images:
    """An image cache that keeps its measurement open."""

    def __init__(self, hd: HDF5Data, images: BaseImageChunkCache) -> None:
        self._hd = hd
        self._images = images
        self.shape = images.shape
        self.ndim = images.ndim
        self.dtype = images.dtype

    def __getitem__(self, index: Any) -> Any:
        return self._images[index]


def _lazy(hd: HDF5Data, images: BaseImageChunkCache) -> Any:
    try:
        da: Any = import_whole("dask.array")
    except ImportError as exc:
        raise ImportError(
            "layers of napari need dask; install it with `pip install 'dask[array]'`"
        ) from exc
    chunks = (images.chunk_size, *images.image_shape)
    return da.from_array(_Images(hd, images), chunks, name=False)
