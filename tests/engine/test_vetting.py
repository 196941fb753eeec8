"""Virtual datasets of boxes: their sources are opened by us, never by HDF5."""

from __future__ import annotations

import os

import h5py
import numpy as np
import pytest

from dcread.engine import open_dataset
from dcread.engine.name_resolver import NameResolver
from dcread.errors import (
    FileMissingError,
    FormatError,
    NotAFileError,
    PolicyError,
    ShapeMismatchError,
)

DATA = np.arange(1, 4, dtype="u2")


@pytest.fixture
def source(tools, tmp_path):
    return tools.make_dataset(tmp_path / "s.h5", DATA, (2,))


@pytest.fixture
def with_gaps(tmp_path):
    """Every other row comes from the source: more than the engine describes."""

    def make(file="s.h5", dataset="x", count=3, name="v.h5"):
        layout = h5py.VirtualLayout((5,), "u2")
        layout[0:5:2] = h5py.VirtualSource(str(file), dataset, (count,))[0:3]
        with h5py.File(tmp_path / name, "w", libver="latest") as h5:
            h5.create_virtual_dataset("x", layout)
        return tmp_path / name

    return make


def read(handle):
    return open_dataset(handle, "x").read(slice(0, 5)).tolist()


@pytest.mark.usefixtures("source")
def test_good_source(opened, with_gaps):
    handle = opened(with_gaps())
    assert read(handle) == [1, 0, 2, 0, 3]


def test_missing_source(source, opened, with_gaps):
    path = with_gaps()
    source.unlink()
    with pytest.raises(FileMissingError, match=r"v\.h5: virtual dataset '/x'.*s\.h5"):
        read(opened(path))


@pytest.mark.usefixtures("source")
def test_source_beside_the_file(opened, with_gaps):
    assert read(opened(with_gaps("/gone/elsewhere/s.h5"))) == [1, 0, 2, 0, 3]


def test_fifo_is_not_waited_for(tmp_path, opened, with_gaps):
    os.mkfifo(tmp_path / "s.h5")
    with pytest.raises(NotAFileError, match="a FIFO"):
        read(opened(with_gaps()))


@pytest.mark.usefixtures("source")
def test_policy_is_asked(tmp_path, opened, with_gaps):
    handle = opened(with_gaps())

    asked = []

    class Refusing(NameResolver):
        def open_path(self, path):
            raise PolicyError(f"not {path.name}")

    class Asking(NameResolver):
        def open_path(self, path):
            asked.append(path.name)
            return super().open_path(path)

    handle.names = Refusing()
    with pytest.raises(PolicyError, match=r"not s\.h5"):
        read(handle)
    handle = opened(with_gaps(with_gaps(name="inner.h5"), name="outer.h5"))
    handle.names = Asking()
    read(handle)
    assert asked == ["inner.h5", "s.h5"]


def test_damaged_sources(tools, tmp_path, source, opened, with_gaps):
    with pytest.raises(FormatError, match="expected a dataset 'y'"):
        read(opened(with_gaps(dataset="y")))
    source.write_bytes(b"no HDF5")
    with pytest.raises(FormatError, match=r"s\.h5: expected an HDF5 file"):
        read(opened(with_gaps()))
    source.unlink()
    tools.make_dataset(source, DATA[:2], (2,))
    with pytest.raises(ShapeMismatchError, match=r"at least \(3,\) values"):
        read(opened(with_gaps()))


def test_patterns_are_not_followed(tmp_path, source, opened):
    source.rename(source.with_name("s0.h5"))
    unlimited = h5py.h5s.UNLIMITED
    space = h5py.h5s.create_simple((3,), (unlimited,))
    space.select_hyperslab((0,), (unlimited,), stride=(3,), block=(3,))
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_virtual(space, b"s%b.h5", b"x", h5py.h5s.create_simple((3,)))
    with h5py.File(tmp_path / "v.h5", "w", libver="latest") as h5:
        space.select_all()
        h5py.h5d.create(h5.id, b"x", h5py.h5t.NATIVE_UINT16, space, dcpl=plist)
    with pytest.raises(PolicyError, match=r"s%b\.h5"):
        open_dataset(opened(tmp_path / "v.h5"), "x").read(slice(0, 3))
