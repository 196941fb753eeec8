"""Layouts, pipelines and selections that Hypothesis makes up, against h5py."""

from __future__ import annotations

import pathlib
import tempfile

import h5py
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dcread import engine
from dcread.engine import open_dataset
from dcread.engine.layout import Layout, LeftToH5py

DTYPES = ("u1", "i2", ">u2", "f4", ">f8", "i8", "?", "S3")


def values(shape, dtype, seed):
    rng = np.random.default_rng(seed)
    count = int(np.prod(shape))
    kind = np.dtype(dtype)
    raw = rng.integers(0, 7, count * kind.itemsize).astype(np.uint8)
    if kind.kind == "b":
        raw %= 2
    if kind.kind == "S":
        raw += 65
    return raw.view(kind).reshape(shape)


@st.composite
def cases(draw):
    ndim = draw(st.integers(1, 3))
    shape = tuple(draw(st.integers(1, 12)) for _ in range(ndim))
    chunks = tuple(draw(st.integers(1, n + (i == 0))) for i, n in enumerate(shape))
    if not draw(st.booleans()) or draw(st.integers(0, 5)) == 0:
        chunks = (min(chunks[0], shape[0]), *shape[1:])
    chunks = tuple(min(c, n) for c, n in zip(chunks, shape, strict=True))
    contiguous = draw(st.integers(0, 5)) == 0
    window = None
    if draw(st.booleans()):
        ends = [
            sorted((draw(st.integers(0, n)), draw(st.integers(0, n)))) for n in shape
        ]
        window = tuple(slice(a, b) for a, b in ends[1:])
    if draw(st.booleans()):
        start, stop = sorted(draw(st.integers(0, shape[0])) for _ in range(2))
        rows = slice(start, stop, draw(st.integers(1, 4)))
    else:
        items = draw(st.lists(st.integers(0, shape[0] - 1), max_size=20))
        kind = draw(st.sampled_from(["u1", "u4", "i8", "i4"]))
        rows = np.array(items, kind)
    return (
        shape,
        None if contiguous else chunks,
        draw(st.sampled_from(DTYPES)),
        draw(st.integers(0, 2**16)),
        draw(st.sampled_from([True, True, False])),
        rows,
        window,
    )


@settings(max_examples=150, deadline=None)
@given(case=cases(), choice=st.data(), threads=st.integers(1, 3))
def test_same_as_h5py(tools, case, choice, threads):
    shape, chunks, dtype, seed, complete, rows, window = case
    filters = choice.draw(st.sampled_from(tools.PIPELINES)) if chunks else ()
    data = values(shape, dtype, seed)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.h5"
        tools.make_dataset(path, data, chunks, filters, write=complete)
        if not complete:  # only some rows are stored
            with h5py.File(path, "r+") as h5:
                h5["x"][: shape[0] // 2] = data[: shape[0] // 2]
        with h5py.File(path, "r") as h5:
            full = h5["x"][()]
        expected = full[rows]
        if window is not None:
            expected = expected[(slice(None), *window)]
        handle = engine.open_file(path)
        engine.set_num_threads(threads)
        try:
            reader = open_dataset(handle, "x")
            found = reader.read(rows, window=window)
            assert found.dtype == expected.dtype
            assert found.shape == expected.shape
            assert found.tobytes() == expected.tobytes()
            out = np.full(expected.shape, 1, expected.dtype)
            assert reader.read(rows, out, window) is out
            assert out.tobytes() == expected.tobytes()
            layout = reader.layout
            if isinstance(layout, LeftToH5py):
                assert "edge" in str(layout) or "nothing is stored" in str(layout)
            else:
                assert isinstance(layout, Layout)
        finally:
            engine.set_num_threads(None)
            handle.close()


@settings(max_examples=60, deadline=None)
@given(
    choice=st.data(),
    masks=st.lists(st.integers(0, 15), min_size=6, max_size=6),
    width=st.sampled_from([1, 2, 4, 8]),
    seed=st.integers(0, 99),
)
def test_masks(tools, choice, masks, width, seed):
    """Each chunk leaves out filters of its own (never the checksum)."""
    filters = choice.draw(st.sampled_from(tools.PIPELINES))
    if 32000 in filters:
        filters = tuple(32015 if f == 32000 else f for f in filters)
    dtype = np.dtype(f"u{width}")
    data = values((11, 7), dtype, seed)
    chunk = (4, 4)
    keep = sum(1 << bit for bit, f in enumerate(filters) if f != 3)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "x.h5"
        tools.make_dataset(path, data, chunk, filters, write=False)
        padded = np.zeros((12, 8), dtype)
        padded[:11, :7] = data
        cells = [(i, j) for i in (0, 4, 8) for j in (0, 4)]
        for (i, j), mask in zip(cells, masks, strict=True):
            wanted = mask & keep
            raw = padded[i : i + 4, j : j + 4].tobytes()
            stored = tools.encode(raw, filters, width, wanted)
            tools.write_chunk(path, (i, j), stored, wanted)
        handle = engine.open_file(path)
        try:
            reader = open_dataset(handle, "x")
            assert np.array_equal(reader.read(slice(0, 11)), data)
            rows = np.array([10, 3, 3, 0])
            assert np.array_equal(reader.read(rows), data[rows])
        finally:
            handle.close()
