"""The command line: each sub-command, and what it says when things go wrong."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys

import h5py
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    return generate.make_measurement(tmp_path_factory.mktemp("cli"), frames=120)


def test_info(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["info", str(made.events)]) == 0
    out = capsys.readouterr().out
    with h5py.File(made.events) as h5:
        number = len(h5["events/deform"])
    assert out.startswith(f"{made.events}: {number} events\n")
    assert "features from basins\n  image image_bg\n" in out
    assert "imaging:frame rate" in out
    assert "dcread-demo (5 lines)" in out
    assert "problems" not in out


def test_info_json(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["info", "--json", str(made.recording)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["events"] == 120
    assert "image" in facts["features"]
    assert facts["features_from_basins"] == []
    assert facts["metadata"]["imaging:pixel size"] == 0.34
    assert facts["tables"] == ["dcread-demo_monitor"]
    assert facts["problems"] == []


def test_info_tells_problems(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "odd.rtdc"
    path.write_bytes(made.recording.read_bytes())
    with h5py.File(path, "a") as h5:
        h5.attrs["experiment:event count"] = 7
    assert cli.main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "120 events" in out
    assert "problems\n  length" in out


def test_basins(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["basins", str(made.events)]) == 0
    out = capsys.readouterr().out
    assert "basin 'recording': available\n  file (hdf5)" in out
    assert str(made.recording) in out
    assert "basin 'background images': available" in out


def test_basins_tells_what_is_missing(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "alone.rtdc"
    path.write_bytes(made.events.read_bytes())
    made.recording.rename(made.recording.with_suffix(".away"))
    try:
        assert cli.main(["basins", str(path)]) == 0
    finally:
        made.recording.with_suffix(".away").rename(made.recording)
    assert "basin 'recording': not available" in capsys.readouterr().out
    assert cli.main(["basins", str(made.recording)]) == 0
    assert "has no basins" in capsys.readouterr().out


def test_basins_json(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["basins", "--json", str(made.events)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(made.events)
    with dcread.HDF5Data(made.events) as hd:
        for record, status in zip(facts["basins"], hd.basin_status(), strict=True):
            assert record == {
                "name": status.name,
                "type": status.type,
                "format": status.format,
                "location": status.location,
                "available": True,
                "reason": status.reason,
                "features": list(status.features or ()),
            }


def test_flicker_json(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["flicker", "--json", str(made.recording)]) == 0
    facts = json.loads(capsys.readouterr().out)
    with dcread.HDF5Data(made.recording) as hd:
        report = dcread.flicker_report(hd)
    assert facts.pop("path") == str(made.recording)
    assert facts["flickering_frames"] == report.flickering_frames.tolist()
    frames = report.flickering_frames_without_drift.tolist()
    assert facts["flickering_frames_without_drift"] == frames
    for name in set(facts) - {"flickering_frames", "flickering_frames_without_drift"}:
        assert facts[name] == getattr(report, name), name


def test_flicker(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flicker", "--max-frames", "0", str(made.recording)]) == 0
    out = capsys.readouterr().out
    assert "Flicker check of 120 frames" in out
    assert f"{len(made.flickering)} frames off by 2.5" in out
    assert cli.main(["flicker", "--max-frames", "50", str(made.recording)]) == 0
    assert "Flicker check of 50 frames" in capsys.readouterr().out


def test_preview(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    assert cli.main(["preview", str(made.events)]) == 0
    assert cli.main(["preview", str(made.recording), "--output", "raw.png"]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "demo.png"),
        str(tmp_path / "raw.png"),
    ]
    for name in ("demo.png", "raw.png"):
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


def test_concat(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = tmp_path / "joined.rtdc"
    command = ["concat", str(target), str(made.recording), str(made.continuation)]
    assert cli.main(command) == 0
    assert "160 events of 2 files" in capsys.readouterr().out
    with dcread.HDF5Data(target) as hd:
        assert len(hd) == 160
    # a file that is there stays as it is, unless the user says otherwise
    before = target.read_bytes()
    assert cli.main(command) == 1
    assert str(target) in capsys.readouterr().err
    assert target.read_bytes() == before
    assert cli.main([*command, "--overwrite", "--features", "frame", "time"]) == 0
    with dcread.HDF5Data(target) as hd:
        assert "image" not in hd
    capsys.readouterr()
    assert cli.main([*command, "--overwrite", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["path"] == str(target)
    assert facts["events"] == 160
    assert facts["files"] == command[2:]
    assert "image" in facts["features"]


def test_concat_of_what_is_not_there(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    target = str(tmp_path / "joined.rtdc")
    missing = str(tmp_path / "missing.rtdc")
    raw = str(made.recording)
    for command in (
        ["concat", target, raw, missing],
        ["concat", target, raw, raw, "--features", "nonsense"],
        ["concat", raw, raw, raw, "--overwrite"],
    ):
        assert cli.main(command) == 1
        assert capsys.readouterr().err.startswith("dcread: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.filterwarnings("default::UserWarning")
def test_a_warning_does_not_show_code(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["concat", str(tmp_path / "joined.rtdc"), str(made.recording)]
    assert cli.main(command) == 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dcread: warning: Only one file passed")


def test_demo(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("dcread.cli.demo.ENOUGH", 0)  # compare the times of these few
    folder = tmp_path / "out"
    command = ["demo", "--frames", "90", "--seed", "3", "--output", str(folder)]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    for text in ("demo_raw.rtdc", "x, equal", "seam fit", "Flicker check", "picture: "):
        assert text in out
    assert "DIFFERS" not in out
    shown = out.split("picture: ")[1].strip()
    assert pathlib.Path(shown) == folder / "demo.png"
    assert (folder / "demo.png").stat().st_size > 10_000


def test_demo_with_a_file(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    before = made.recording.read_bytes()
    command = ["demo", str(made.recording), "--output", str(tmp_path / "out")]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "120 events" in out
    assert "equal (too few images to compare times)" in out
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["demo_raw.png"]
    assert made.recording.read_bytes() == before


def test_preview_without_matplotlib(
    made: generate.DemoFiles,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["preview", str(made.events)]) == 1
    assert "pip install 'dcread[plot]'" in capsys.readouterr().err


def test_demo_without_matplotlib(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    assert cli.main(["demo", "--frames", "60", "--output", str(tmp_path)]) == 0
    assert "pip install 'dcread[plot]'" in capsys.readouterr().out
    assert not list(tmp_path.glob("*.png"))


@pytest.mark.parametrize(
    "command", ["info", "basins", "flicker", "preview", "verify", "demo"]
)
def test_missing_and_wrong_files(
    command: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "notes.rtdc"
    wrong.write_text("this is no measurement")
    for path in (tmp_path / "missing.rtdc", wrong, tmp_path):
        assert cli.main([command, str(path)]) == 1
        err = capsys.readouterr().err
        assert err.startswith("dcread: ")
        assert path.name in err
        assert "Traceback" not in err


@pytest.mark.parametrize("command", ["preview", "verify", "demo"])
def test_hdf5_that_is_no_measurement(
    command: str,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with h5py.File("other.h5", "w") as h5:
        h5["x"] = [1, 2]
    assert cli.main([command, "other.h5"]) == 1
    said = capsys.readouterr()
    assert "other.h5" in said.out + said.err
    assert "events" in said.out + said.err
    assert [path.name for path in tmp_path.iterdir()] == ["other.h5"]


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["nonsense"])
    assert exit_.value.code == 2
    assert "nonsense" in capsys.readouterr().err


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main(["--version"])
    assert exit_.value.code == 0
    assert capsys.readouterr().out == f"dcread {dcread.__version__}\n"


def test_reader_of_our_output_may_go_away(made: generate.DemoFiles) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dcread.cli.main", "info", str(made.events)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1
