"""References to the stored chunks of a measurement, for Zarr readers."""

from __future__ import annotations

import base64
import json
import math
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..engine import DatasetReader, RowReader
from ..engine.chunk_index import MISSING
from ..engine.filters import DEFLATE, FLETCHER32, SHUFFLE, ZSTD
from ..engine.h5py_fallback import fill_value
from ..engine.layout import Layout, LeftToH5py
from ..errors import DCReadError, FeatureNotFoundError, FormatError
from ..measurement.data import HDF5Data
from ..measurement.frames import info_of

References: TypeAlias = "dict[str, str | list[str | int]]"

SMALL = 512
"""Bytes of an array that are always copied: a request for them would take longer."""
EVENT = "event"
_CODECS = {
    DEFLATE: "zlib",
    SHUFFLE: "shuffle",
    FLETCHER32: "fletcher32",
    ZSTD: "zstd",
}


class Unreferred(Exception):  # noqa: N818 - a reason, not an error
    """Values that no reference can lead to."""


class Stored(NamedTuple):
    """One array of Zarr: its chunks and how they are decoded."""

    chunk: tuple[int, ...]
    filters: list[dict[str, Any]]
    fill: Any
    chunks: References


def to_references(
    path: str | os.PathLike[str],
    features: Iterable[str] | None = None,
    *,
    inline_limit: int = 2**20,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return references by which Zarr readers open a measurement without dcread.

    The references are those of kerchunk, version 1: a dictionary for ``json.dump`` that
    tells file, offset and length of each stored chunk. Names, dimensions, units and
    labels are those of ``xarray.open_dataset(path, engine="dcread")``; masks are
    integers, as they are stored. The reader compares fletcher32 checksums.

    Parameters
    ----------
    path : path or URL
        The measurement. Features of basins refer to the files of those.
    features : iterable of str, optional
        What to refer to; by default all but contours. One warning tells what had to be
        left out.
    inline_limit : int
        Bytes of an array up to which the values themselves are put into the
        references where no reference can lead to them: index-mapped features, joined
        files, other filters than gzip, shuffle, fletcher32 and zstd.
    options : mapping, optional
        Further arguments of `dcread.HDF5Data`, such as ``policy``.

    Returns
    -------
    dict
        ``{"version": 1, "refs": {...}}``. They hold for the files as they are now.

    Raises
    ------
    DCReadError
        If the file, or one of the `features` asked for, cannot be read.
    ValueError
        If one of the `features` asked for can neither be referred to nor copied.

    Examples
    --------
    >>> references = to_references("demo-output/demo.rtdc", ["deform", "mask"])
    >>> json.loads(references["refs"]["mask/.zarray"])["shape"]
    [3088, 80, 320]
    >>> file, offset, length = references["refs"]["mask/0.0.0"]
    """
    refs: References = {}
    left_out = []
    if isinstance(features, str):
        raise TypeError(f"`features` must be several names; write ['{features}']")
    with HDF5Data(path, **dict(options or {})) as data:
        for name in data.keys() if features is None else features:
            if features is None and name == "contour":
                continue
            try:
                refs.update(_of_feature(data, name, inline_limit))
            except (DCReadError, Unreferred) as exc:
                if features is None:
                    left_out.append(f"'{name}' ({exc})")
                elif isinstance(exc, Unreferred):
                    raise ValueError(
                        f"{data.path}: no reference can lead to '{name}': {exc}"
                    ) from None
                else:
                    raise
        refs[".zgroup"] = json.dumps({"zarr_format": 2})
        refs[".zattrs"] = _as_json(data.meta)
    if left_out:
        warnings.warn(f"left out: {'; '.join(left_out)}", stacklevel=2)
    return {"version": 1, "refs": refs}


def _of_feature(data: HDF5Data, name: str, limit: int) -> References:
    refs: References = {}
    view = data.view(name)
    if isinstance(view, Mapping):
        lengths = {view[member].shape[1] for member in view}
        for member in view:
            sample = "sample" if len(lengths) == 1 else f"sample_{member}"
            reader, label = view[member].reader, f"{info_of(name).label}: {member}"
            refs |= _of_array(
                f"{name}_{member}", name, label, reader, (EVENT, sample), limit
            )
        return refs
    if not hasattr(view, "shape"):
        raise FeatureNotFoundError(
            f"{data.path}: feature '{name}' differs in length from event to event and "
            "is not an array"
        )
    images = getattr(view, "h5ds", None)
    reader = getattr(images, "reader", None) or view.reader
    dims = (EVENT, "y", "x")[: len(reader.shape)]
    dims += tuple(f"{name}_{axis}" for axis in range(3, len(reader.shape)))
    if len(reader.shape) == 2:
        dims = (EVENT, f"{name}_1")
    return _of_array(name, name, info_of(name).label, reader, dims, limit)


def _of_array(  # noqa: PLR0917
    key: str,
    feature: str,
    label: str,
    reader: RowReader,
    dims: tuple[str, ...],
    limit: int,
) -> References:
    if reader.dtype.hasobject or reader.dtype.kind not in "biufc":
        raise Unreferred(f"Zarr has no type like {reader.dtype}")
    size = math.prod(reader.shape) * reader.dtype.itemsize
    try:
        if size <= SMALL:
            raise Unreferred("it is small")
        stored = _referred(reader)
    except Unreferred as reason:
        if size > max(limit, SMALL):
            raise Unreferred(
                f"{reason}, and its {size:,} bytes are more than inline_limit"
            ) from None
        stored = _inline(reader)
    attributes = {"_ARRAY_DIMENSIONS": dims, "long_name": label}
    unit = info_of(feature).unit
    if unit:
        attributes["units"] = unit
    array = {
        "zarr_format": 2,
        "shape": reader.shape,
        "chunks": [max(1, length) for length in stored.chunk],
        "dtype": reader.dtype.str,
        "order": "C",
        "fill_value": stored.fill,
        "filters": stored.filters or None,
        "compressor": None,
    }
    refs: References = {f"{key}/{cell}": ref for cell, ref in stored.chunks.items()}
    refs[f"{key}/.zarray"] = json.dumps(array)
    refs[f"{key}/.zattrs"] = json.dumps(attributes, ensure_ascii=False)
    return refs


def _inline(reader: RowReader) -> Stored:
    """Return all values, as one chunk."""
    chunks: References = {}
    if math.prod(reader.shape):
        values = reader.read(slice(0, reader.shape[0], 1))
        data = base64.b64encode(values.tobytes()).decode()
        chunks[".".join("0" * len(reader.shape))] = f"base64:{data}"
    return Stored(reader.shape, [], None, chunks)


def _referred(reader: RowReader) -> Stored:
    """Return where the chunks of a dataset lie.

    Raises
    ------
    Unreferred
        If a reference would not lead to the values.
    """
    if not isinstance(reader, DatasetReader):
        raise Unreferred("its events are picked out of other data")
    layout = reader.layout
    if isinstance(layout, LeftToH5py):
        raise Unreferred(f"the HDF5 library has to read it ({layout})")
    place = _place_of(reader)
    size = reader.handle.size
    if layout.index is None:
        length = math.prod(layout.shape) * layout.dtype.itemsize
        _check(reader, layout.address, length, size)
        cell = ".".join("0" * len(layout.shape))
        return Stored(layout.shape, [], None, {cell: [place, layout.address, length]})
    filters = _filters(layout)
    try:
        cells, table = layout.index.stored()
    except LeftToH5py as reason:
        raise Unreferred(f"the HDF5 library has to read it ({reason})") from None
    if table[:, 2].any():
        raise Unreferred("some of its chunks were stored without their filters")
    fill = None
    if len(cells) < math.prod(layout.grid):
        missing = int(np.setdiff1d(np.arange(math.prod(layout.grid)), cells)[0])
        offset = layout.index.offset_of(missing)
        fill = _as_number(fill_value(reader.h5ds, reader.where, offset))
    chunks: References = {}
    for cell, (address, length, _) in zip(
        _names(cells, layout.grid), table.tolist(), strict=True
    ):
        if address == MISSING:
            continue
        _check(reader, address, length, size)
        chunks[cell] = [place, address, length]
    return Stored(layout.chunk, filters, fill, chunks)


def _place_of(reader: DatasetReader) -> str:
    """Return the file or URL that has the bytes."""
    handle = reader.handle
    if handle.path is not None:
        return handle.path.as_posix()
    if handle.label.partition("://")[0] in ("http", "https", "s3"):
        return handle.label
    raise Unreferred("it lies in a file object or in memory")


def _check(reader: DatasetReader, address: int, length: int, size: int) -> None:
    if address < 0 or address + length > size:
        raise FormatError(
            f"{reader.where}: expected data within the {size} bytes of the file, found "
            f"{length} bytes at byte {address}; the file is damaged: copy it again"
        )


def _filters(layout: Layout) -> list[dict[str, Any]]:
    """Return the filters as numcodecs names them, in the order of storing."""
    found = []
    for number, _, width in layout.pipeline.steps[::-1].tolist():
        if number not in _CODECS:
            raise Unreferred("Zarr readers have no lzf")
        codec: dict[str, Any] = {"id": _CODECS[number]}
        if number == SHUFFLE:
            codec["elementsize"] = width
        elif number in (DEFLATE, ZSTD):
            codec["level"] = 1
        found.append(codec)
    return found


def _names(cells: NDArray[np.int64], grid: tuple[int, ...]) -> Iterator[str]:
    places = np.stack(np.unravel_index(cells, grid), axis=-1).tolist()
    return (".".join(map(str, place)) for place in places)


def _as_number(value: Any) -> Any:
    """Return a fill value as the metadata of Zarr spell it."""
    plain = np.asarray(value).item()
    if isinstance(plain, complex):
        raise Unreferred("chunks of complex numbers are missing")
    if isinstance(plain, float) and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else f"{'-' if plain < 0 else ''}Infinity"
    return plain


def _as_json(meta: Mapping[str, Any]) -> str:
    """Return metadata as JSON; what it has no number for as text."""
    plain = {}
    for name, value in meta.items():
        item = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
        if isinstance(item, float) and not math.isfinite(item):
            item = str(item)
        plain[name] = item
    return json.dumps(plain, default=str, ensure_ascii=False)
