"""``dcread diff``: what differs, and the exit status for scripts."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import subprocess
import sys
from collections.abc import Callable

import h5py
import numpy as np
import pytest

from dcread.cli import main as cli
from dcread.demo import generate

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def pair(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> tuple[pathlib.Path, pathlib.Path]:
    """Two copies of a measurement with basins."""
    one = pathlib.Path(shutil.copy(made.events, tmp_path / "a.rtdc"))
    return one, pathlib.Path(shutil.copy(made.events, tmp_path / "b.rtdc"))


def test_equal(pair: tuple[pathlib.Path, pathlib.Path], capsys: Capture) -> None:
    assert cli.main(["diff", *map(str, pair)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("equal: 118 events, 36 features, ")
    assert cli.main(["diff", "-q", *map(str, pair)]) == 0
    assert capsys.readouterr() == ("", "")


def test_the_same_in_other_chunks_types_and_filters_is_equal(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    other = tmp_path / "other.rtdc"
    with h5py.File(made.recording) as h5, h5py.File(other, "w") as new:
        new.attrs.update(h5.attrs)
        h5.copy("logs", new)
        h5.copy("tables", new)
        for name, values in h5["events"].items():
            kind = np.int32 if name == "image" else values.dtype
            new.create_dataset(
                f"events/{name}", data=values[:].astype(kind), chunks=True
            )
    assert cli.main(["diff", str(made.recording), str(other)]) == 0


def test_each_kind_of_difference_is_told(
    pair: tuple[pathlib.Path, pathlib.Path], capsys: Capture
) -> None:
    with h5py.File(pair[1], "a") as h5:
        h5["events/deform"][[7, 9]] += 1
        h5["events/area_um"][3] = np.nan
        h5["events/mask"][5, 10, 10] ^= 255
        h5["events/trace/fl1_raw"][4, 0] += 1
        del h5["events/temp"]
        h5["events/userdef1"] = np.arange(118.0)
        h5.attrs["experiment:sample"] = "another"
        del h5.attrs["setup:medium"]
        h5["logs/new"] = np.array([b"a line"])
        log = h5["logs/dcread-demo"]
        lines = log[:]
        lines[2] = b"changed"
        log[:] = lines
    assert cli.main(["diff", "--json", *map(str, pair)]) == 1
    facts = json.loads(capsys.readouterr().out)
    assert facts["equal"] is False
    assert facts["problems"] == []
    found = {(one["part"], one["name"]): one for one in facts["differences"]}
    assert {
        key: (one["events"], one["first"], one["only"]) for key, one in found.items()
    } == {
        ("features", "area_um"): (1, 3, ""),
        ("features", "deform"): (2, 7, ""),
        ("features", "mask"): (1, 5, ""),
        ("features", "temp"): (None, None, "first"),
        ("features", "trace/fl1_raw"): (1, 4, ""),
        ("features", "userdef1"): (None, None, "second"),
        ("metadata", "experiment:sample"): (None, None, ""),
        ("metadata", "setup:medium"): (None, None, "first"),
        ("logs", "dcread-demo"): (None, None, ""),
        ("logs", "new"): (None, None, "second"),
    }
    assert "different from line 3 on" in found["logs", "dcread-demo"]["reason"]
    assert cli.main(["diff", *map(str, pair)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert "features only in A: temp" in lines
    assert "features only in B: userdef1" in lines
    assert "feature 'deform': 2 of 118 events differ, the first is 7" in lines
    assert lines[-1].startswith("10 differences in 37 features, ")
    quiet = [
        "diff",
        "-q",
        "--features",
        "temp",
        "--ignore",
        "metadata,logs",
        *map(str, pair),
    ]
    assert cli.main(quiet) == 1
    assert capsys.readouterr().out == "features only in A: temp\n"
    assert (
        cli.main(
            ["diff", "--features", "pos_x", "--ignore=metadata,logs", *map(str, pair)]
        )
        == 0
    )


def test_not_a_number_equals_itself(
    pair: tuple[pathlib.Path, pathlib.Path],
) -> None:
    for path in pair:
        with h5py.File(path, "a") as h5:
            h5["events/deform"][3] = np.nan
            h5.attrs["user:number"] = np.nan
    assert cli.main(["diff", *map(str, pair)]) == 0


def test_another_number_of_events(made: generate.DemoFiles, capsys: Capture) -> None:
    words = ["diff", "--ignore", "metadata,logs,tables", "--features", "image"]
    assert cli.main([*words, str(made.recording), str(made.continuation)]) == 1
    assert "number of events: 120 against 40" in capsys.readouterr().out


def test_what_cannot_be_read_is_trouble(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    damage: Callable[..., None],
    capsys: Capture,
) -> None:
    bad = pathlib.Path(shutil.copy(made.recording, tmp_path / "bad.rtdc"))
    with h5py.File(bad, "a") as h5:
        h5["events/image"][100, 3, 3] ^= 1
    damage(bad, "events/image", 1)
    assert cli.main(["diff", str(made.recording), str(bad)]) == 2
    said = capsys.readouterr()
    assert "feature 'image': 1 of 120 events differ, the first is 100" in said.out
    (line,) = said.err.splitlines()
    assert "checksum" in line
    assert "(40 of 120 events not compared)" in line
    for words in (
        ["diff", str(bad), str(tmp_path / "missing.rtdc")],
        ["diff", str(bad), str(bad), "--features", "nonsense"],
        ["diff", str(bad), str(bad), "--ignore", "nonsense"],
        ["diff", str(bad)],
    ):
        assert cli.main(words) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_measurements_equal_themselves(real_file: pathlib.Path) -> None:
    assert cli.main(["diff", str(real_file), str(real_file)]) == 0


@pytest.mark.skipif(not pathlib.Path("/dev/full").exists(), reason="no full device")
def test_equal_files_that_cannot_be_told_do_not_differ(
    pair: tuple[pathlib.Path, pathlib.Path],
) -> None:
    words = [sys.executable, "-m", "dcread", "diff", *map(str, pair)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, b"No space left" in done.stderr) == (2, True)
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (2, b"")
