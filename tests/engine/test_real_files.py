"""Every dataset of every real file, byte for byte as h5py reads it."""

from __future__ import annotations

import h5py
import numpy as np

from dcread.engine import open_dataset
from dcread.engine.layout import Layout, LeftToH5py


def datasets(handle):
    names = []

    def visit(name, found):
        if isinstance(found, h5py.Dataset) and found.shape:
            names.append(name)

    handle.h5.visititems(visit)
    return names


def same(ours, theirs):
    if ours.dtype.hasobject:
        return ours.tolist() == theirs.tolist()
    return ours.dtype == theirs.dtype and ours.tobytes() == theirs.tobytes()


def test_all_rows(real_file, opened):
    handle = opened(real_file)
    names = datasets(handle)
    assert names
    for name in names:
        expected = handle.h5[name][()]
        found = open_dataset(handle, name).read(slice(0, len(expected)))
        assert found.shape == expected.shape
        assert same(found, expected), name


def test_some_rows(real_file, opened, threads):
    handle = opened(real_file)
    rng = np.random.default_rng(5)
    for name in datasets(handle):
        expected = handle.h5[name][()]
        reader = open_dataset(handle, name)
        size = len(expected)
        if size == 0:
            continue
        rows = rng.integers(0, size, 2 * size)
        assert same(reader.read(rows), expected[rows]), name
        step = slice(size // 3, size, 3)
        assert same(reader.read(step), expected[step]), name
        if expected.ndim == 3 and not expected.dtype.hasobject:
            window = (slice(3, 17), slice(5, 60))
            part = expected[:, 3:17, 5:60]
            assert same(reader.read(slice(0, size), window=window), part), name
            assert same(reader.read(rows, window=window), part[rows]), name


def test_engine_reads_nearly_all_of_them(real_file, opened):
    handle = opened(real_file)
    left = {}
    for name in datasets(handle):
        layout = open_dataset(handle, name).layout
        if isinstance(layout, LeftToH5py):
            left[name] = str(layout)
        else:
            assert isinstance(layout, Layout)
    assert all("variable length" in reason for reason in left.values()), left
