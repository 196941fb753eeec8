"""Opening while other files of the process close."""

from __future__ import annotations

import gc
import os
import pathlib
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5f

from dcread import HDF5Data
from dcread.engine import open_file
from dcread.engine.file_handle import count_opened_here
from dcread.errors import FileChangedError, FormatError


def test_a_file_that_closes_while_it_is_looked_at(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / name for name in ("closed.h5", "wanted.h5")]
    for path in paths:
        with h5py.File(path, "w") as h5:
            h5["events/deform"] = [1.0, 2.0]
    closed = h5py.File(paths[0], "r+")
    listed = [closed.id]
    closed.close()
    monkeypatch.setattr(h5f, "get_obj_count", lambda *_: 99)
    monkeypatch.setattr(h5f, "get_obj_ids", lambda *_: listed)
    handle = open_file(paths[1])
    try:
        assert handle.h5["events/deform"][:].tolist() == [1.0, 2.0]
    finally:
        handle.close()


def test_a_writer_beside_files_that_are_read(tmp_path: pathlib.Path) -> None:
    paths = [tmp_path / name for name in ("one.h5", "two.h5", "written.h5")]
    for path in paths:
        with h5py.File(path, "w") as h5:
            h5["events/deform"] = [1.0, 2.0]
    gc.collect()  # files that other tests forgot
    before = count_opened_here()
    handles = [open_file(path) for path in paths[:2]]
    handles[0].close()
    with h5py.File(paths[2], "r+") as h5:
        h5["events/new"] = [3.0]  # only this process can see it: it is not flushed
        handles.append(open_file(paths[2]))
        assert handles[-1].h5["events/new"][:].tolist() == [3.0]
        assert count_opened_here() == before + 2
    for handle in handles:
        handle.close()
    assert count_opened_here() == before


@pytest.mark.parametrize("times", [1, 2, 9])
def test_a_file_that_changes_while_it_is_opened(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    path = tmp_path / "m.h5"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = [1.0, 2.0]
    opened, left = h5f.open, times

    def change_and_open(*args: Any, **options: Any) -> Any:
        nonlocal left
        if left:
            left -= 1
            os.utime(path, ns=(left, left))
        return opened(*args, **options)

    monkeypatch.setattr(h5f, "open", change_and_open)
    before = count_opened_here()
    if times == 9:
        with pytest.raises(
            FileChangedError, match=r"m\.h5 changed while it was opened"
        ):
            HDF5Data(path)
    else:
        with HDF5Data(path) as hd:
            assert hd["deform"].tolist() == [1, 2]
            assert hd.explain("deform").storage.reader == "dcread"
    assert count_opened_here() == before


@pytest.mark.parametrize("dtype", ["f8", ("f8", (2,))], ids=["dcread", "h5py"])
def test_zeros_behind_the_end_of_a_file_that_shrank(
    tmp_path: pathlib.Path, dtype: Any
) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/area_um"] = np.arange(5000.0)
        h5.create_dataset("events/userdef1", (5000,), dtype=dtype)
        h5["events/userdef1"][...] = np.ones((5000, 2)) if dtype != "f8" else 1
    with HDF5Data(path) as hd:
        assert (hd.view("userdef1")[:10] == 1).all()
        os.truncate(path, path.stat().st_size - 4000)
        with pytest.raises((FileChangedError, FormatError), match=r"m\.rtdc"):
            hd.view("userdef1")[4000:]
