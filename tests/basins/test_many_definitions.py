"""Very many definitions, and very long ones, cost little."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

import dcread

from .conftest import RAMP

Write = Callable[..., pathlib.Path]
Make = Callable[..., dict[str, Any]]


def test_two_thousand_definitions_cost_what_reading_them_costs(
    write_file: Write, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    basins = [
        file_basin(f"gone{number}.rtdc", name=f"n{number:05}", features=["image"])
        for number in range(2000)
    ]
    source = write_file("src.rtdc", {"deform": RAMP})
    path = write_file("ref.rtdc", {"area_um": RAMP}, [*basins, file_basin(source)])

    def plainly() -> float:
        start = time.process_time()
        with h5py.File(path) as h5:
            found = [
                json.loads("\n".join(line.decode() for line in h5["basins"][key][:]))
                for key in h5["basins"]
            ]
        assert len(found) == 2001
        return time.process_time() - start

    def by_dcread() -> float:
        start = time.process_time()
        with dcread.HDF5Data(path) as hd:
            assert hd["deform"].tolist() == RAMP.tolist()
            assert len(hd.basins) == 2001
        return time.process_time() - start

    pairs = [(by_dcread(), plainly()) for _ in range(3)]
    assert min(ours / theirs for ours, theirs in pairs) < 2


def test_very_many_paths_are_refused_before_they_are_looked_at(
    write_file: Write, file_basin: Make, tmp_path: pathlib.Path
) -> None:
    source = write_file("src.rtdc", {"deform": RAMP})
    path = write_file("ref.rtdc", {"area_um": RAMP}, [file_basin(source, name="a")])
    paths = [f"p{number}" for number in range(90_000)]
    with h5py.File(path, "a") as h5:
        for number in range(20):
            text = json.dumps(file_basin(*paths, name=f"many{number:02}"))
            h5[f"basins/many{number:02}"] = np.array([text.encode()])
    start = time.process_time()
    with dcread.HDF5Data(path) as hd:
        assert hd["deform"].tolist() == RAMP.tolist()
        status = {one.name: one for one in hd.basin_status()}
        assert status["a"].available is True
        refused = [one for one in status.values() if "may list 100000" in one.reason]
        tried = [one for one in status.values() if "more places" in one.reason]
        assert len(refused) + len(tried) >= 17
        assert len(refused) >= 16
        assert hd["area_um"].tolist() == RAMP.tolist()
    assert time.process_time() - start < 5  # (about 1 s, where it was 43 s)
