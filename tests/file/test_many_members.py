"""Files with very many names: they cost seconds at the most, and are told."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
from dcread.errors import FormatError
from dcread.file import events, logs


def test_one_dataset_with_many_names(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "MAX_FEATURES", 100)
    monkeypatch.setattr(logs, "MAX_MEMBERS", 200)
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w", libver="latest") as h5:
        h5["events/deform"] = np.arange(5.0)
        h5["one/log"] = [b"line"]
        for number in range(110):
            h5[f"events/name{number:05}"] = h5py.SoftLink("/nowhere")
        for number in range(210):
            h5[f"logs/{number:05}"] = h5["one/log"]
    with HDF5Data(path) as hd:
        assert hd["deform"].tolist() == [0, 1, 2, 3, 4]
        assert len(hd.logs) == 200
        told = {(one.kind, one.name) for one in hd.problems}
        assert {("feature", "(all)"), ("log", "/logs")} <= told


def test_names_of_one_dataset_together_take_no_more_than_the_file_can_hold(
    tmp_path: pathlib.Path,
) -> None:
    events = 50_000_000  # 400 MB of a fill value
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        group = h5.create_group("events")
        sparse = group.create_dataset(
            "userdef0", shape=(events,), dtype="f8", chunks=(10**6,), fillvalue=2
        )
        for name in ("userdef1", "userdef2", "userdef3"):
            group[name] = sparse
    with HDF5Data(path) as hd:
        assert hd["userdef0"][-1] == hd["userdef1"][-1] == 2
        for name in ("userdef2", "userdef3"):
            with pytest.raises(FormatError, match=r"1200000000 bytes, far more than"):
                hd[name]
            assert hd.view(name)[-2:].tolist() == [2, 2]
        hd.refresh()
        assert hd["userdef3"][0] == 2


def test_names_of_one_contour_together_take_no_more_than_the_file_can_hold(
    tmp_path: pathlib.Path,
) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.zeros(4)
        group = h5.create_group("events/contour")
        sparse = group.create_dataset(
            "0", shape=(25_000_000, 2), dtype="i8", chunks=(10**6, 2), fillvalue=2
        )
        for event in (1, 2, 3):
            group[str(event)] = sparse
    with HDF5Data(path) as hd:
        contours = hd["contour"]
        with pytest.raises(FormatError, match="far more than the file can hold"):
            contours[:]
        assert [len(one) for one in contours[2:]] == [25_000_000] * 2
        assert contours[3][-1].tolist() == [2, 2]
