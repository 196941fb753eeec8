"""Events that a small file only claims cost no command hours."""

from __future__ import annotations

import pathlib
import time

import h5py
import numpy as np
import pytest

import dcread
from dcread.cli import main as cli

Capture = pytest.CaptureFixture[str]

LEFT_OUT = "bytes, far more than the file can hold; it is left out"


def _claim(path: pathlib.Path, events: int, *, stored: tuple[int, ...] = (0,)) -> str:
    """Write images of which hardly any are stored, with an event count."""
    with h5py.File(path, "w") as h5:
        images = h5.create_dataset(
            "events/image", (events, 20, 30), "u1", chunks=(100, 20, 30)
        )
        for row in stored:
            images[row] = 7
        h5.attrs["experiment:event count"] = events
    return str(path)


@pytest.mark.parametrize("events", [2**28, 2**40])
def test_images_that_are_claimed(
    tmp_path: pathlib.Path, capsys: Capture, events: int
) -> None:
    path = _claim(tmp_path / "m.rtdc", events)
    (tmp_path / "out").mkdir()
    commands = [
        ["diff", path, path],
        ["export", path, str(tmp_path / "out" / "images.tif")],
        ["export", path, str(tmp_path / "out" / "images"), "--features", "image"],
        ["salvage", path, str(tmp_path / "out" / "saved.rtdc")],
    ]
    start = time.monotonic()
    for command in commands:
        assert cli.main(command) != 0
        err = capsys.readouterr().err
        assert "far more than the file can hold" in err, command
    assert time.monotonic() - start < 60
    assert not list((tmp_path / "out").iterdir())
    assert cli.main(["preview", path, "--output", str(tmp_path / "p.png")]) == 0


def test_verify_reads_what_is_stored(tmp_path: pathlib.Path, capsys: Capture) -> None:
    path = _claim(tmp_path / "m.rtdc", 2**28, stored=(0, 150, 2**20, 2**28 - 1))
    assert cli.main(["verify", path]) == 0
    with h5py.File(path) as h5:
        chunks = [h5["events/image"].id.get_chunk_info(i) for i in range(4)]
    assert chunks[3].chunk_offset[0] == 2**28 // 100 * 100
    with open(path, "r+b") as stream:  # the last chunk is beyond the end
        stream.truncate(chunks[3].byte_offset + 1)
    assert cli.main(["verify", path]) == 1
    assert "m.rtdc" in capsys.readouterr().err


def test_verify_tells_what_it_does_not_read(
    tmp_path: pathlib.Path, capsys: Capture
) -> None:
    path = _claim(tmp_path / "m.rtdc", 2**40)
    assert cli.main(["verify", path]) == 1
    assert LEFT_OUT in " ".join(capsys.readouterr().out.split())


def test_many_claims_in_one_file(tmp_path: pathlib.Path, capsys: Capture) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(5.0)
        for number in range(4):  # 0.8 GiB each, of which nothing is stored
            h5.create_dataset(f"claims/{number}", (10**8,), "f8")
            layout = h5py.VirtualLayout((10**8,), "f8")
            h5.create_virtual_dataset(f"claims/v{number}", layout)
    assert cli.main(["verify", str(path)]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert out.count(LEFT_OUT) == 3
    assert "/claims/v0" not in out.split("problems")[-1].split(LEFT_OUT)[0]


def test_what_is_compressed_well_is_read(tmp_path: pathlib.Path) -> None:
    """A black background takes nothing, and is data all the same."""
    path, target = str(tmp_path / "m.rtdc"), str(tmp_path / "saved.rtdc")
    with h5py.File(path, "w") as h5:
        h5.create_dataset(
            "events/image_bg",
            data=np.zeros((20_000, 80, 320), "u1"),
            chunks=(1000, 80, 320),
            compression="gzip",
        )
        h5["events/deform"] = np.arange(20_000.0)
    assert cli.main(["verify", path]) == 0
    assert cli.main(["diff", path, path]) == 0
    assert cli.main(["salvage", path, target]) == 0
    with dcread.HDF5Data(target) as hd:
        assert hd.image_bg.shape == (20_000, 80, 320)


def test_shorter_features_of_chosen_events_are_exported(
    tmp_path: pathlib.Path,
) -> None:
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        h5["events/deform"] = np.arange(10.0)
        h5["events/area_um"] = np.arange(10.0)
        h5["events/time"] = np.arange(7.0)
    target = tmp_path / "t.csv"
    words = ["export", str(tmp_path / "m.rtdc"), str(target), "--events", "0:6"]
    assert cli.main(words) == 0
    assert target.read_text().splitlines()[6] == "5,5.0,5.0,5.0"
