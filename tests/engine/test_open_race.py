"""Opening while other files of the process close."""

from __future__ import annotations

import gc
import pathlib

import h5py
import pytest
from h5py import h5f

from dcread.engine import open_file
from dcread.engine.file_handle import count_opened_here


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
