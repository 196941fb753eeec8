"""Random datasets: any type, layout, pipeline and state that HDF5 can store."""

from __future__ import annotations

import itertools
import math
import pathlib
import random
from typing import Any

import h5py
import numpy as np

from ..engine.conftest import (
    FLETCHER32,
    LZF,
    PIPELINES,
    ZSTD,
    creation_plist,
    encode,
)

INTEGERS = tuple(f"{o}{k}{w}" for o in "<>" for k in "iu" for w in (1, 2, 4, 8))
FLOATS = ("<f2", ">f2", "<f4", ">f4", "<f8", ">f8")
NUMBERS = INTEGERS + FLOATS
FILTERS = tuple(sorted({number for filters in PIPELINES for number in filters}))
LIBVERS = ("earliest", ("v108", "v110"), "latest")


def some_dtype(rng: random.Random) -> np.dtype[Any]:
    """Return a type that can be a feature's: mostly numbers."""
    kind = rng.random()
    if kind < 0.35:
        return np.dtype("u1")
    if kind < 0.85:
        return np.dtype(rng.choice(NUMBERS))
    if kind < 0.92:
        return np.dtype(bool)
    if kind < 0.96:
        return h5py.enum_dtype({"none": 0, "one": 1}, rng.choice(("u1", "<i4", ">i2")))
    return np.dtype(f"S{rng.randint(1, 7)}")


def values(
    rng: random.Random, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> np.ndarray:
    """Return values of all kinds: small, any bytes, or all the same."""
    seeded = np.random.default_rng(rng.getrandbits(64))
    count = math.prod(shape)
    if dtype.kind == "S":
        raw = seeded.integers(65, 70, count * dtype.itemsize, "u1")
        return raw.view(dtype).reshape(shape)
    style = rng.random()
    if dtype.kind == "b" or h5py.check_enum_dtype(dtype):
        numbers = seeded.integers(0, 2, count)
    elif style < 0.3:
        numbers = seeded.integers(0, 7, count)
    elif style < 0.4:
        numbers = np.full(count, rng.randint(0, 100))
    elif dtype.kind == "f":
        numbers = seeded.normal(0, 100, count)
        special = seeded.random(count)
        for place, value in enumerate((np.nan, np.inf, -np.inf, -0.0)):
            numbers[(special > 0.02 * place) & (special < 0.02 * place + 0.01)] = value
    else:
        raw = seeded.integers(0, 256, count * dtype.itemsize, "u1")
        return raw.view(dtype).reshape(shape)
    return numbers.astype(dtype).reshape(shape)


class Layouts:
    """Writes datasets into one open file, each of a random layout.

    Parameters
    ----------
    rng : random.Random
        Decides everything.
    h5 : h5py.File
        Where to write.
    path : pathlib.Path
        Its path; sources of virtual datasets and external files lie beside it.
    external : bool
        Whether external storage may be used.
    odd : bool
        Whether there may be filters in an order, and growth along an axis, that no
        measurement has.
    """

    def __init__(
        self,
        rng: random.Random,
        h5: h5py.File,
        path: pathlib.Path,
        *,
        external: bool = False,
        odd: bool = True,
    ) -> None:
        self.rng = rng
        self.h5 = h5
        self.path = path
        self.external = external
        self.odd = odd
        self.count = 0

    def write(self, name: str, data: np.ndarray) -> str:
        """Write a dataset; return what its layout is."""
        kind = self.rng.random()
        if data.size == 0 and kind < 0.3:
            kind = 0.75
        if kind < 0.65:
            return self.chunked(name, data)
        if kind < 0.78:
            return self.plain(name, data)
        if kind < 0.82 and self.external:
            return self.in_external_files(name, data)
        if kind < 0.95 and len(data):
            return self.virtual(name, data)
        return self.linked(name, data)

    def create(
        self, name: str, data: np.ndarray, plist: Any, limits: Any = None
    ) -> h5py.Dataset:
        """Create a dataset without writing into it."""
        group, _, leaf = name.rpartition("/")
        parent = self.h5.require_group(group or "/")
        limits = tuple(
            h5py.h5s.UNLIMITED if n is None else n for n in limits or data.shape
        )
        space = h5py.h5s.create_simple(data.shape, limits)
        kind = h5py.h5t.py_create(data.dtype, logical=True)
        return h5py.Dataset(
            h5py.h5d.create(parent.id, leaf.encode(), kind, space, plist)
        )

    def fill(self, data: np.ndarray) -> Any:
        """Return a fill value, or None for the default one."""
        if self.rng.random() < 0.6 or data.dtype.kind in "Sb":
            return None
        if data.dtype.kind == "f" and self.rng.random() < 0.5:
            return np.nan
        return self.rng.randint(0, 1 if h5py.check_enum_dtype(data.dtype) else 99)

    def chunked(self, name: str, data: np.ndarray) -> str:
        """Write chunks: whole, partly, with filters left out, or resized."""
        rng = self.rng
        shape = data.shape
        chunks = [rng.randint(1, n + 2 * (i == 0)) for i, n in enumerate(shape or (1,))]
        if rng.random() < 0.7:
            chunks[1:] = shape[1:]
        chunks = tuple(max(1, c) for c in chunks)
        limits = [None if rng.random() < 0.4 else n for n in shape]
        limits = [
            None if c > n else limit
            for limit, n, c in zip(limits, shape, chunks, strict=True)
        ]
        if not self.odd and None in limits:
            limits[0] = None
        filters = pipeline(rng, self.odd)
        plist = creation_plist(chunks, filters, fill=self.fill(data), dtype=data.dtype)
        early = rng.random() < 0.15 and LZF not in filters
        if early:
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        style = rng.choice(("whole", "whole", "some rows", "masks", "grown", "shrunk"))
        if style == "masks" and (early or not data.size):
            style = "whole"  # (HDF5 keeps the masks that such chunks had before)
        if LZF in filters and style != "masks":
            style = "whole"  # (it may fail: HDF5 keeps the mask, but not the bytes)
        start = data
        if style in {"grown", "shrunk"}:
            limits = [None] * len(shape)
            start = np.resize(data, self.other_shape(shape, style))
        h5ds = self.create(name, start, plist, limits)
        if style == "some rows":
            for _ in range(rng.randint(0, 2)):
                first, last = sorted(rng.randint(0, len(data)) for _ in range(2))
                h5ds[first:last] = data[first:last]
        elif style == "masks":
            self.write_masked(h5ds, data, filters)
        elif start.size:
            h5ds[...] = start
        if style in {"grown", "shrunk"}:
            h5ds.resize(shape)
            if rng.random() < 0.5 and data.size:
                h5ds[...] = data
        return f"chunked {chunks} limits {limits} filters {filters} {style}"

    def other_shape(self, shape: tuple[int, ...], style: str) -> tuple[int, ...]:
        """Return a shape before the dataset grew or shrank."""
        if style == "shrunk":
            return tuple(n + self.rng.randint(0, 5) for n in shape)
        return tuple(self.rng.randint(0, n) for n in shape)

    def write_masked(
        self, h5ds: h5py.Dataset, data: np.ndarray, filters: tuple[int, ...]
    ) -> None:
        """Write chunks that leave out filters of their own, never the checksum."""
        chunks = h5ds.chunks
        grid = [range(0, n, c) for n, c in zip(data.shape, chunks, strict=True)]
        keep = sum(1 << bit for bit, f in enumerate(filters) if f != FLETCHER32)
        if LZF in filters:  # can only be left out here
            lzf = sum(1 << bit for bit, f in enumerate(filters) if f == LZF)
        else:
            lzf = 0
        for cell in np.ndindex(*map(len, grid)):
            if self.rng.random() < 0.1:
                continue
            offset = tuple(axis[i] for axis, i in zip(grid, cell, strict=True))
            whole = np.zeros(chunks, data.dtype)
            part = data[
                tuple(slice(o, o + c) for o, c in zip(offset, chunks, strict=True))
            ]
            whole[tuple(map(slice, part.shape))] = part
            mask = self.rng.getrandbits(len(filters)) & keep if filters else 0
            mask |= lzf
            stored = encode(whole.tobytes(), filters, data.dtype.itemsize, mask)
            h5ds.id.write_direct_chunk(offset, stored, filter_mask=mask)

    def plain(self, name: str, data: np.ndarray) -> str:
        """Write a contiguous or compact dataset; or leave it unwritten."""
        compact = self.rng.random() < 0.5 and data.nbytes < 60_000
        plist = creation_plist(None, (), fill=self.fill(data), dtype=data.dtype)
        if compact:
            plist.set_layout(h5py.h5d.COMPACT)
        elif self.rng.random() < 0.3:
            plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        h5ds = self.create(name, data, plist)
        written = self.rng.random() < 0.85
        if written and data.size:
            h5ds[...] = data
        return f"{'compact' if compact else 'contiguous'}, written: {written}"

    def in_external_files(self, name: str, data: np.ndarray) -> str:
        """Write raw bytes into one or two files beside the HDF5 file."""
        cut = self.rng.randint(0, data.nbytes)
        raw = data.tobytes()
        parts = []
        for number, part in enumerate((raw[:cut], raw[cut:])):
            if part:
                path = self.beside(f"external{number}.raw")
                offset = self.rng.choice((0, 7))
                path.write_bytes(b"?" * offset + part)
                parts.append((str(path), offset, len(part)))
        if not parts:
            return self.plain(name, data)
        self.h5.create_dataset(name, data.shape, data.dtype, external=parts)
        return "external"

    def beside(self, name: str) -> pathlib.Path:
        """Return a new path beside the file."""
        self.count += 1
        return self.path.with_name(f"{self.path.stem}-{self.count}-{name}")

    def virtual(self, name: str, data: np.ndarray) -> str:
        """Write sources, here or in other files, and a dataset that joins them."""
        rng = self.rng
        layout = h5py.VirtualLayout(data.shape, data.dtype)
        if rng.random() < 0.4:
            notes = [self.interleaved(layout, data)]
        else:
            notes = []
            bounds = sorted({0, len(data), *(rng.randint(0, len(data)) for _ in "ab")})
            for start, stop in itertools.pairwise(bounds):
                if rng.random() < 0.1:
                    notes.append("gap")
                    continue
                notes.append(self.piece(layout, slice(start, stop), data[start:stop]))
        fill = self.fill(data)
        group, _, leaf = name.rpartition("/")
        parent = self.h5.require_group(group)
        parent.create_virtual_dataset(leaf, layout, fillvalue=fill)
        return f"virtual ({', '.join(notes)})"

    def interleaved(self, layout: Any, data: np.ndarray) -> str:
        """Join two sources row by row, or side by side."""
        axis = self.rng.randrange(data.ndim)
        before = (slice(None),) * axis
        for half in (0, 1):
            where = (*before, slice(half, None, 2))
            if data[where].size:
                self.piece(layout, where, data[where])
        return f"interleaved along axis {axis}"

    def piece(self, layout: Any, where: Any, data: np.ndarray) -> str:
        """Write one source and map it to its place."""
        rng = self.rng
        pad = rng.choice((0, 0, 3))
        step = rng.choice((1, 1, 1, 2))
        kind = data.dtype
        if kind.str in NUMBERS and rng.random() < 0.3:
            kind = np.dtype(rng.choice(NUMBERS))
        full = np.zeros((step * len(data) + 2 * pad, *data.shape[1:]), kind)
        rows = slice(pad, pad + step * len(data), step)
        with np.errstate(all="ignore"):
            full[rows] = data
        name = f"source{self.count}"
        if rng.random() < 0.3:
            self.count += 1
            inner = f"sources/{name}"
            how = self.chunked_or_plain(inner, full)
            source = h5py.VirtualSource(".", inner, full.shape)
        else:
            path = self.beside("source.h5")
            with h5py.File(path, "w", libver=rng.choice(LIBVERS)) as h5:
                other = Layouts(rng, h5, path, odd=self.odd)
                how = other.chunked_or_plain("x", full)
            target = str(path) if rng.random() < 0.5 else path.name
            source = h5py.VirtualSource(target, "x", full.shape)
        layout[where] = source[rows]
        return f"{kind.str} step {step} from {pad} of {how}"

    def chunked_or_plain(self, name: str, data: np.ndarray) -> str:
        """Write a dataset whose data lie in the file itself."""
        write = self.chunked if self.rng.random() < 0.7 else self.plain
        return write(name, data)

    def linked(self, name: str, data: np.ndarray) -> str:
        """Write a dataset elsewhere in the file, and a link to it."""
        target = f"elsewhere/{name.rpartition('/')[2]}-{self.count}"
        self.count += 1
        how = self.chunked_or_plain(target, data)
        hard = self.rng.random() < 0.5
        self.h5[name] = self.h5[target] if hard else h5py.SoftLink(f"/{target}")
        return f"{'hard' if hard else 'soft'} link to {how}"


def pipeline(rng: random.Random, odd: bool) -> tuple[int, ...]:
    """Return filters in any order, those of real files more often."""
    if not odd or rng.random() < 0.6:
        return rng.choice(PIPELINES)
    filters = tuple(rng.sample(FILTERS, rng.randint(1, 4)))
    if ZSTD in filters and LZF in filters[filters.index(ZSTD) :]:
        return filters[::-1]  # (as it was, dcread refuses it)
    return filters
