"""Commands for many files: the table, JSON, the table file, exit status, interrupts."""

from __future__ import annotations

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import h5py
import pytest

from dcread.cli import main as cli
from dcread.demo import generate
from dcread.survey.table_file import TableFile

Capture = pytest.CaptureFixture[str]
STATES = {
    "bad.rtdc": {"verify": "1 problem"},
    "good.rtdc": {},
    "lost.rtdc": {
        "info": "1 problem",
        "verify": "1 problem",
        "basins": "1 missing",
        "flicker": "no images",
    },
    "none.rtdc": dict.fromkeys(["info", "basins", "flicker", "verify"], "unreadable"),
    "other.rtdc": dict.fromkeys(["info", "basins", "flicker", "verify"], "unreadable"),
    "cut.rtdc": dict.fromkeys(["info", "basins", "flicker", "verify"], "unreadable"),
    "notes.rtdc": dict.fromkeys(["info", "basins", "flicker", "verify"], "unreadable"),
    "Blut-größe-血液.rtdc": {},
}


@pytest.mark.parametrize("command", ["info", "basins", "flicker", "verify"])
def test_a_folder_gets_a_line_for_each_measurement_and_a_summary(
    command: str, folder: pathlib.Path, capsys: Capture
) -> None:
    assert cli.main([command, str(folder)]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    head, *rows, empty, summary = said.out.splitlines()
    assert head.split()[0] == "FILE"
    assert empty == ""
    assert summary.startswith("8 files: ")
    assert len(rows) == 8
    for row in rows:
        name = pathlib.Path(row.split(".rtdc")[0] + ".rtdc")
        fine = "steady" if command == "flicker" else "ok"
        state = STATES[name.name].get(command, fine)
        if command == "flicker" and name.name in ("good.rtdc", "bad.rtdc"):
            state = ""  # as the light of the demo is
        assert f"  {state}" in row, row
        if state in ("unreadable", "1 problem", "1 missing"):
            assert f"  {state}: " in row, "the reason is told"
        assert row.startswith(str(folder))


@pytest.mark.parametrize("command", ["info", "basins", "flicker", "verify"])
def test_json_is_one_object_a_file(
    command: str, folder: pathlib.Path, capsys: Capture
) -> None:
    missing = str(folder / "missing.rtdc")
    assert cli.main([command, "--json", missing, str(folder)]) == 1
    said = capsys.readouterr()
    assert said.err == ""
    records = [json.loads(line) for line in said.out.splitlines()]
    assert len(records) == 9
    assert records[0]["path"] == missing
    assert records[0]["error"]["type"] == "FileMissingError"
    by_name = {pathlib.Path(record["path"]).name: record for record in records}
    assert by_name["good.rtdc"]["error"] is None
    assert "HDF5" in by_name["notes.rtdc"]["error"]["message"]
    assert "no group 'events'" in by_name["other.rtdc"]["error"]["message"]


def test_arguments_are_files_folders_and_patterns(
    folder: pathlib.Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    (folder / "odd[1].rtdc").write_bytes((folder / "good.rtdc").read_bytes())
    words = ["good.rtdc", "odd[1].rtdc", "g*.rtdc", "**/B*.rtdc", "no*.h5", "good.rtdc"]
    assert cli.main(["info", *words]) == 1
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:5]]
    assert names[:2] == ["good.rtdc", "odd[1].rtdc"]  # each once, literal names first
    assert names[3] == "no*.h5"
    (folder / "empty").mkdir()
    assert cli.main(["info", "empty"]) == 1
    assert "holds no .rtdc files" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_table_file_has_a_row_for_each_file(
    suffix: str, folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = tmp_path / f"table.{suffix}"
    assert cli.main(["info", str(folder), "--output", str(target)]) == 1
    if suffix == "csv":
        rows = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    else:
        pyarrow = pytest.importorskip("pyarrow.parquet")
        rows = pyarrow.read_table(target).to_pylist()
    by_name = {pathlib.Path(row["path"]).name: row for row in rows}
    assert set(by_name) == set(STATES)
    assert by_name["good.rtdc"]["state"] == "ok"
    assert int(by_name["good.rtdc"]["events"]) == 120
    assert by_name["good.rtdc"]["experiment:sample"] == "made-up blood"
    assert "HDF5" in by_name["notes.rtdc"]["error"]
    # it is there now, and stays as it is
    before = target.read_bytes()
    capsys.readouterr()
    assert cli.main(["info", str(folder), "--output", str(target)]) == 1
    err = capsys.readouterr().err
    assert err == f"dcread: {target} already exists; use --overwrite to replace it\n"
    assert target.read_bytes() == before
    assert cli.main(["info", str(folder), "-q", "--overwrite", "--output", str(target)])


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_resume_reads_only_what_is_new_or_changed(
    suffix: str,
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    place = tmp_path / "data"
    place.mkdir()
    for name in ("a", "b"):
        (place / f"{name}.rtdc").write_bytes(made.recording.read_bytes())
    words = ["info", str(place), "--output", str(tmp_path / f"t.{suffix}"), "--resume"]
    assert cli.main(words) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "2 files: 2 ok"
    assert cli.main(words) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "all 2 files are in" in said.err
    (place / "c.rtdc").write_bytes(made.continuation.read_bytes())
    (place / "a.rtdc").write_bytes(made.continuation.read_bytes())
    assert cli.main(words) == 0
    out = capsys.readouterr().out
    assert "b.rtdc" not in out
    assert out.splitlines()[-1] == "3 files: 2 ok, 1 in the table already"
    # a table about something else is no place to go on
    assert cli.main(["verify", *words[1:]]) == 1
    assert "expected a table of 'verify'" in capsys.readouterr().err
    if suffix == "csv":
        (tmp_path / "t.csv").write_text("x,y\n1,2\n")
        assert cli.main(words) == 1
        assert "found other columns" in capsys.readouterr().err


def test_processes_answer_as_this_one_does(
    folder: pathlib.Path, capsys: Capture
) -> None:
    assert cli.main(["verify", "--json", str(folder)]) == 1
    expected = sorted(capsys.readouterr().out.splitlines())
    assert cli.main(["verify", "--json", "--jobs", "2", str(folder)]) == 1
    assert sorted(capsys.readouterr().out.splitlines()) == expected


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_a_file_that_hangs_is_named_and_given_up(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(pathlib.Path(__file__).parent)
    import odd_questions

    from dcread.survey import Input, examine_all

    inputs = [Input(str(folder / name)) for name in ("good.rtdc", "bad.rtdc")]
    start = time.monotonic()
    found = dict(examine_all(inputs, odd_questions.hang_on_bad, jobs=2, patience=3))
    assert time.monotonic() - start < 60
    assert found[0]["length"] == 120
    assert found[1]["error"]["type"] == "TimeoutError"
    assert "given up: nothing could be read for 3 s" in found[1]["error"]["message"]
    found = dict(examine_all(inputs, odd_questions.die_on_bad, jobs=2))
    assert found[0]["length"] == 120
    assert "ended the process 2 times (signal 9)" in found[1]["error"]["message"]


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
@pytest.mark.parametrize("jobs", [(), ("--jobs", "2")])
def test_an_interrupt_prints_and_saves_what_is_known(
    jobs: tuple[str, ...], made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    place = tmp_path / "data"
    place.mkdir()
    data = made.continuation.read_bytes()
    for number in range(1500):
        (place / f"{number:04d}.rtdc").write_bytes(data)
    table = tmp_path / "table.csv"
    signal.signal(signal.SIGINT, signal.default_int_handler)  # not ignored by the child
    process = subprocess.Popen(
        [sys.executable, "-m", "dcread", "verify", place, "--output", table, *jobs],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # a buffer would keep lines from communicate()
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    seen = b"".join(process.stdout.readline() for _ in range(5))
    process.send_signal(signal.SIGINT)
    rest, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == b"dcread: interrupted\n"
    out = (seen + rest).decode()
    lines = [line for line in out.splitlines() if ".rtdc" in line]
    summary = out.splitlines()[-1]
    assert summary.startswith("1,500 files: ")
    assert summary.endswith("not looked at")
    with table.open(newline="") as stream:
        assert len(list(csv.DictReader(stream))) == len(lines) < 1500


@pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")
def test_an_interrupt_waits_until_a_row_is_saved_and_shown(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    add = TableFile.add

    def interrupted(self: TableFile, row: dict[str, object]) -> None:
        signal.raise_signal(signal.SIGINT)
        add(self, row)

    monkeypatch.setattr(TableFile, "add", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    table = tmp_path / "table.csv"
    try:
        files = [str(made.recording), str(made.continuation)]
        assert cli.main(["info", *files, "--output", str(table)]) == 130
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    seen = capsys.readouterr()
    assert seen.err == "dcread: interrupted\n"
    assert str(made.recording) in seen.out
    assert "1 not looked at" in seen.out
    with table.open(newline="") as stream:
        assert [row["path"] for row in csv.DictReader(stream)] == [str(made.recording)]


@pytest.mark.parametrize("width", [60, 80, 132])
@pytest.mark.parametrize("command", ["info", "basins", "flicker", "verify"])
def test_nothing_is_wider_than_the_terminal(
    width: int,
    command: str,
    folder: pathlib.Path,
    terminal: Callable[..., object],
) -> None:
    seen = terminal(width, command, folder, "missing.rtdc")
    assert seen.status == 1
    assert seen.width <= width
    assert "9 files: " in seen.text
    assert b"\x1b[" in seen.raw, "there are colours"
    plain = terminal(width, command, folder, NO_COLOR="1")
    assert not any(b"\x1b[3%dm" % color in plain.raw for color in range(8))


@pytest.mark.parametrize("width", [60, 80])
def test_pages_of_one_file_fit_the_terminal(
    width: int,
    made: generate.DemoFiles,
    folder: pathlib.Path,
    terminal: Callable[..., object],
) -> None:
    for command in ("info", "basins", "flicker", "verify"):
        for path in (made.events, folder / "lost.rtdc", folder / "bad.rtdc"):
            if command == "flicker" and path != made.events:
                continue  # an error is one line, however long
            seen = terminal(width, command, path)
            assert seen.width <= width, (command, path)


def test_quiet_leaves_out_summary_and_warnings(
    data_dir: pathlib.Path, made: generate.DemoFiles, capsys: Capture
) -> None:
    empty = data_dir / "shapein_empty.rtdc"
    assert cli.main(["verify", "--quiet", str(empty)]) == 0
    assert capsys.readouterr() == ("", "")
    assert cli.main(["info", "-q", str(made.recording), str(made.events)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_signatures_of_urls_are_shown_nowhere(capsys: Capture) -> None:
    url = "https://key:word@127.0.0.1:9/bucket/a.rtdc?X-Amz-Signature=0123abcd"
    for words in (
        ["info", url],
        ["info", "--json", url],
        ["info", url, "missing.rtdc"],
    ):
        assert cli.main(words) == 1
        said = capsys.readouterr()
        for secret in ("0123abcd", "word@", "X-Amz"):
            assert secret not in said.out + said.err
        assert "127.0.0.1:9" in said.out + said.err


def test_help_loads_nothing_heavy(run_python: Callable[..., Any]) -> None:
    code = (
        "import sys; from dcread.cli.main import main; status = main(['--help']);"
        "print(sorted({'numpy', 'h5py', 'rich', 'pandas'} & set(sys.modules)), status)"
    )
    done = run_python(code)
    assert done.stdout.splitlines()[-1] == "[] 0"


def test_completion_knows_commands_and_options(capsys: Capture) -> None:
    assert cli.main(["completion", "bash"]) == 0
    assert "_DCREAD_COMPLETE=bash_complete" in capsys.readouterr().out
    asked = {"_DCREAD_COMPLETE": "bash_complete", "COMP_CWORD": "2"}
    done = subprocess.run(
        [sys.executable, "-m", "dcread"],
        env={**os.environ, **asked, "COMP_WORDS": "dcread verify --no"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "plain,--no-basins" in done.stdout


def test_a_file_of_an_unusual_type_is_no_reason_to_stop(
    folder: pathlib.Path, capsys: Capture
) -> None:
    with h5py.File(folder / "good.rtdc", "a") as h5:
        h5.attrs["user:note"] = "\x1b[2Jgone"
    assert cli.main(["info", "--json", str(folder / "good.rtdc")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["metadata"]["user:note"] == "\x1b[2Jgone"


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_what_the_table_holds_counts_for_the_exit_status(
    suffix: str, folder: pathlib.Path, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = str(tmp_path / f"t.{suffix}")
    for path, status in (("good.rtdc", 0), ("bad.rtdc", 1), ("none.rtdc", 1)):
        words = ["verify", str(folder / path), "--output", target, "--overwrite"]
        assert cli.main(words) == status
        assert cli.main([*words[:-1], "--resume"]) == status
        assert "are in" in capsys.readouterr().err
    assert cli.main(["verify", str(folder), "--output", target, "--resume"]) == 1


def test_no_table_is_written_of_nothing(
    folder: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr("dcread.cli.many.CONNECT_SECONDS", 0.5)
    target = tmp_path / "t.csv"
    words = ["info", str(folder), "--output", str(target)]
    assert cli.main([*words, "--dask", "tcp://127.0.0.1:9"]) == 1
    assert not target.exists()
