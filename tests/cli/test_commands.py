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


def test_info_is_safe_to_print(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "odd.rtdc"
    path.write_bytes(made.recording.read_bytes())
    with h5py.File(path, "a") as h5:
        h5.attrs["user:note"] = "\x1b[2Jgone"
        h5.attrs["user:number"] = float("nan")
    assert cli.main(["info", str(path)]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\\x1b[2Jgone" in out
    assert cli.main(["info", "--json", str(path)]) == 0
    facts = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert facts["metadata"]["user:note"] == "\x1b[2Jgone"
    assert facts["metadata"]["user:number"] is None


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
                "mapping": status.mapping,
                "basins": [],
            }


def test_flicker_json(
    made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["flicker", "--json", str(made.recording)]) == 0
    facts = json.loads(capsys.readouterr().out)
    with dcread.HDF5Data(made.recording) as hd:
        report = dcread.flicker_report(hd)
    assert facts.pop("path") == str(made.recording)
    assert facts.pop("error") is None
    assert facts.pop("warnings") == []
    assert facts["flickering_frames"] == report.flickering_frames.tolist()
    frames = report.flickering_frames_without_drift.tolist()
    assert facts["flickering_frames_without_drift"] == frames
    for name in set(facts) - {"flickering_frames", "flickering_frames_without_drift"}:
        assert facts[name] == getattr(report, name), name


def test_flicker_tells_which_file_of_images_is_missing(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = generate.make_measurement(tmp_path, frames=40)
    made.recording.unlink()
    assert cli.main(["flicker", str(made.events)]) == 1
    err = capsys.readouterr().err
    assert "no feature 'image' to check" in err
    assert f"no file at {made.recording}" in err


def test_flicker(made: generate.DemoFiles, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["flicker", "--max-frames", "0", str(made.recording)]) == 0
    out = capsys.readouterr().out
    assert "Flicker check of 120 images" in out
    assert f"{len(made.flickering)} images off by 2.5" in out
    assert cli.main(["flicker", "--max-frames", "50", str(made.recording)]) == 0
    assert "Flicker check of 50 images" in capsys.readouterr().out


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
    assert cli.main([*command, "--overwrite", "--features", "frame,time"]) == 0
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
    for command, told in (
        (["concat", target, raw, missing], "no file at"),
        (["concat", target, raw, raw, "--features", "nonsense"], "as --features"),
        (["concat", raw, raw, raw, "--overwrite"], "choose another OUTPUT"),
    ):
        assert cli.main(command) == 1
        error = capsys.readouterr().err
        assert error.startswith("dcread: ")
        assert told in error
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


@pytest.mark.parametrize(
    "command", ["info", "basins", "flicker", "preview", "verify", "demo"]
)
def test_missing_and_wrong_files(
    command: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "notes.rtdc"
    wrong.write_text("this is no measurement")
    empty = tmp_path / "empty"
    empty.mkdir()
    for path in (tmp_path / "missing.rtdc", wrong, empty):
        assert cli.main([command, str(path)]) == 1
        err = capsys.readouterr().err
        assert err.startswith("dcread: ")
        assert path.name in err
        assert "Traceback" not in err


@pytest.mark.parametrize(
    "command", ["info", "basins", "flicker", "preview", "verify", "demo"]
)
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


def test_what_h5py_raises_is_told(
    monkeypatch: pytest.MonkeyPatch,
    made: generate.DemoFiles,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def by_h5py(*args: object, **options: object) -> None:
        with h5py.File("x", "w", driver="core", backing_store=False) as h5:
            h5.id.links.get_info(b"missing")

    def by_us(*args: object, **options: object) -> None:
        raise RuntimeError("a mistake of ours")

    monkeypatch.setattr("dcread.survey.facts.info", by_h5py)
    assert cli.main(["info", str(made.events)]) == 1
    assert capsys.readouterr().err.startswith("dcread: HDF5 says: ")
    monkeypatch.setattr("dcread.survey.facts.info", by_us)
    assert cli.main(["info", str(made.events)]) == 1
    assert "RuntimeError: a mistake of ours" in capsys.readouterr().err
    monkeypatch.setattr("dcread.concat.concatenate.concatenated_hdf5_data", by_us)
    with pytest.raises(RuntimeError, match="of ours"):
        cli.main(["concat", "joined.rtdc", str(made.events)])


@pytest.mark.parametrize(
    ("words", "about"),
    [
        (["nonsense"], "No such command 'nonsense'"),
        (["info"], "Missing argument 'FILE...'"),
        (["info", "x.rtdc", "--resume"], "--resume needs --output"),
        (["info", "x.rtdc", "--output", "x.txt"], "does not end in .csv or .parquet"),
        (["info", "x.rtdc", "--jobs", "0"], "--jobs"),
        (["verify", "x.rtdc", "--timeout", "0"], "--timeout"),
        (["verify", "x.rtdc", "--timeout", "nan"], "--timeout"),
        (["verify", "x.rtdc", "--timeout", "inf"], "--timeout"),
        (["flicker", "x.rtdc", "--threshold", "nan"], "--threshold"),
        (["flicker", "x.rtdc", "--max-frames", "-1"], "--max-frames"),
        (["flicker", "x.rtdc", "--threshold", "-2"], "--threshold"),
        (["demo", "--frames", "3"], "--frames"),
        (["concat", "o.rtdc", "x.rtdc", "--features", "a,,b"], "empty name"),
        (["concat", "--features", "image", "mask", "o.rtdc", "a.rtdc"], "image,mask"),
    ],
)
def test_wrong_usage_is_one_line(
    words: list[str], about: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    (line,) = said.err.splitlines()
    assert line.startswith("dcread: ")
    assert about in line
    assert cli.main([*words, "--json"]) == 2
    error = json.loads(capsys.readouterr().err)["error"]
    assert set(error) == {"type", "message"}


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"dcread {dcread.__version__}\n"


def test_output_may_be_closed(made: generate.DemoFiles) -> None:
    command = f"'{sys.executable}' -m dcread info '{made.events}' >&-"
    done = subprocess.run(["sh", "-c", command], capture_output=True, check=True)
    assert done.stderr == b""


def test_reader_of_our_output_may_go_away(made: generate.DemoFiles) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "dcread", "info", str(made.events)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(60) == 1


def test_plugins(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["plugins"]) == 0
    assert "hdf5 (file): dcread.basins.file." in capsys.readouterr().out
    assert cli.main(["plugins", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {"h5dataset", "hdf5"} <= {row["format"] for row in rows}
