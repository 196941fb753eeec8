"""``dcread verify``: every chunk of every dataset is read, and damage is told."""

from __future__ import annotations

import json
import pathlib
import re
import shutil
from collections.abc import Callable

import h5py
import hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np
import pytest

from dcread.cli import main as cli
from dcread.demo import generate
from dcread.survey import every_chunk

Damage = Callable[..., None]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def recording(made: generate.DemoFiles, tmp_path: pathlib.Path) -> pathlib.Path:
    """A recording that may be damaged."""
    return pathlib.Path(shutil.copy(made.recording, tmp_path / "copy.rtdc"))


@pytest.fixture
def events(made: generate.DemoFiles, tmp_path: pathlib.Path) -> pathlib.Path:
    """A measurement with basins that may be damaged."""
    return pathlib.Path(shutil.copy(made.events, tmp_path / "events.rtdc"))


def verify_json(capsys: Capture, *arguments: str) -> dict[str, object]:
    status = cli.main(["verify", "--json", *arguments])
    facts: dict[str, object] = json.loads(capsys.readouterr().out)
    assert facts["ok"] is (status == 0)
    return facts


def test_what_is_whole(made: generate.DemoFiles, capsys: Capture) -> None:
    assert cli.main(["verify", str(made.events)]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{made.events}: no problems in 36 features of ")
    assert out.endswith("logs (2), tables (0)\n")


def test_json_counts_what_was_read(made: generate.DemoFiles, capsys: Capture) -> None:
    facts = verify_json(capsys, str(made.recording))
    sizes = []
    with h5py.File(made.recording) as h5:
        h5.visititems(
            lambda name, item: (
                sizes.append(item.size * item.dtype.itemsize)
                if isinstance(item, h5py.Dataset)
                else None
            )
        )
    assert facts["datasets"] == len(sizes)
    assert facts["bytes"] == sum(sizes)
    assert facts["problems"] == facts["without_checksum"] == []


def test_each_damaged_chunk_is_told(
    recording: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    damage(recording, "events/image", 0, 2)
    assert cli.main(["verify", str(recording)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    for line, chunk in zip(lines, (0, 2), strict=False):
        assert line.startswith(f"{recording}: dataset '/events/image', chunk at ")
        assert "checksum" in line
        assert f"chunk at ({40 * chunk}, 0, 0)" in line
    assert lines[2].startswith(f"{recording}: 2 problems in ")


def test_a_dataset_that_cannot_be_opened(
    recording: pathlib.Path, capsys: Capture
) -> None:
    with h5py.File(recording) as h5:
        header = h5py.h5o.get_info(h5["events/image"].id).addr
    with recording.open("r+b") as stream:
        stream.seek(header)
        stream.write(b"\x77\x77\x77\x77")
    facts = verify_json(capsys, str(recording))
    reasons = {one["name"]: one["reason"] for one in facts["problems"]}
    assert reasons["/events/image"].startswith("Unable to")  # not in quotes


def test_many_damaged_chunks_are_counted(
    recording: pathlib.Path,
    damage: Damage,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(every_chunk, "MOST", 1)
    damage(recording, "events/image", 0, 1, 2)
    facts = verify_json(capsys, str(recording))
    reasons = [problem["reason"] for problem in facts["problems"]]
    assert len(reasons) == 2
    assert reasons[1] == "and 2 further chunks"


@pytest.mark.parametrize(
    "dataset",
    [
        "events/trace/fl1_raw",
        "basin_events/image_bg",
        "logs/dcread-demo",
        "events/deform",
    ],
)
def test_damage_anywhere_is_told_once(
    dataset: str, events: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    damage(events, dataset, 0)
    facts = verify_json(capsys, str(events), "--no-basins")
    names = [problem["name"] for problem in facts["problems"]]
    assert names == [f"/{dataset}"]


def test_a_dataset_that_is_no_feature_is_read(
    recording: pathlib.Path, damage: Damage, capsys: Capture
) -> None:
    with h5py.File(recording, "a") as h5:
        values = np.arange(3000.0)
        h5.create_dataset("calib/table", data=values, chunks=(500,), fletcher32=True)
        h5["calib/again"] = h5["calib"]  # a circle of hard links
        h5["calib/far"] = h5py.ExternalLink("nowhere.h5", "/x")
        h5["calib/note"] = "one text"
    assert verify_json(capsys, str(recording))["ok"]
    damage(recording, "calib/table", 3)
    (problem,) = verify_json(capsys, str(recording))["problems"]
    assert problem["name"] == "/calib/table"


def test_what_has_no_checksum_is_told(recording: pathlib.Path, capsys: Capture) -> None:
    with h5py.File(recording, "a") as h5:
        h5["bare"] = np.arange(10)
        h5.create_dataset("packed", data=np.arange(10), compression="gzip")
    assert verify_json(capsys, str(recording))["without_checksum"] == ["/bare"]
    assert cli.main(["verify", str(recording)]) == 0
    assert "datasets without a checksum: 1 of " in capsys.readouterr().out


def test_a_missing_basin_is_told(
    events: pathlib.Path, made: generate.DemoFiles, capsys: Capture
) -> None:
    away = made.recording.with_suffix(".away")
    made.recording.rename(away)
    try:
        assert cli.main(["verify", str(events)]) == 1
        out = capsys.readouterr().out
        assert cli.main(["verify", "--no-basins", str(events)]) == 0
    finally:
        away.rename(made.recording)
    assert out.startswith("basin 'recording': no file at ")
    assert f"{events}: 1 problem in 35 features" in out


def test_damage_in_a_basin_is_told(
    events: pathlib.Path, made: generate.DemoFiles, damage: Damage, capsys: Capture
) -> None:
    shutil.copy(made.recording, events.parent / made.recording.name)
    away = made.recording.with_suffix(".away")
    made.recording.rename(away)
    try:
        damage(events.parent / made.recording.name, "events/image", 1)
        (problem,) = verify_json(capsys, str(events))["problems"]
    finally:
        away.rename(made.recording)
    assert problem["kind"] == "feature"
    assert problem["name"] == "image"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_measurements(real_file: pathlib.Path, capsys: Capture) -> None:
    before = real_file.stat()
    assert cli.main(["verify", str(real_file)]) == 0
    with h5py.File(real_file, locking=False) as h5:
        number = len(h5["events"])
    out = capsys.readouterr().out
    assert out.startswith(f"{real_file}: no problems in {number} features")
    after = real_file.stat()
    assert (after.st_mtime_ns, after.st_size) == (before.st_mtime_ns, before.st_size)


@pytest.mark.parametrize("signature", [b"SNOD", b"TREE", b"HEAP"])
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_damaged_groups_give_no_traceback(
    signature: bytes, recording: pathlib.Path, capsys: Capture
) -> None:
    path = recording.with_name("old.rtdc")
    with h5py.File(recording) as new, h5py.File(path, "w", libver="earliest") as old:
        for name in ("events", "logs"):
            new.copy(name, old)
        old.attrs.update(new.attrs)
    whole = path.read_bytes()
    places = [match.start() for match in re.finditer(signature, whole)][:4]
    assert places
    for place in places:
        path.write_bytes(whole[:place] + b"xxxx" + whole[place + 4 :])
        assert cli.main(["verify", str(path)]) == 1
        assert cli.main(["info", str(path)]) in (0, 1)
        said = capsys.readouterr()
        assert str(path) in said.out + said.err


@pytest.mark.parametrize("count", [True, False])
@pytest.mark.parametrize("group", [True, False])
def test_a_good_file_with_basins_only_has_no_problem(
    *,
    count: bool,
    group: bool,
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
) -> None:
    path = tmp_path / "basins.rtdc"
    text = {"type": "file", "format": "hdf5", "name": "raw", "mapping": "same"}
    text |= {"paths": [str(made.recording)], "features": None}
    with h5py.File(made.recording) as h5, h5py.File(path, "w") as new:
        new.attrs.update(h5.attrs)
        if not count:
            del new.attrs["experiment:event count"]
        if group:
            new.create_group("events")
        new["basins/x"] = np.array([json.dumps(text).encode()])
    facts = verify_json(capsys, str(path))
    assert facts["problems"] == []
    assert facts["events"] == 120
    assert "image" in facts["features"]
    made_away = made.recording.with_suffix(".away")
    made.recording.rename(made_away)
    try:
        facts = verify_json(capsys, str(path))
        kinds = [problem["kind"] for problem in facts["problems"]]
        assert kinds.count("basin") == 1
    finally:
        made_away.rename(made.recording)


def test_a_feature_of_a_wrong_length_is_told_once(
    tmp_path: pathlib.Path, capsys: Capture
) -> None:
    path = tmp_path / "x.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 5
        h5["events/deform"] = np.arange(5.0)
        h5["events/image"] = np.zeros((5, 4, 4), "u1")
        h5["events/area_um"] = np.arange(4.0)
    (problem,) = verify_json(capsys, str(path))["problems"]
    assert problem["name"] == "area_um"
