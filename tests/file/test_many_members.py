"""Files with very many names: they cost seconds at the most, and are told."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np
import pytest

from dcread import HDF5Data
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
