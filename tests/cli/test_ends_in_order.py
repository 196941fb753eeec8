"""Commands that write leave nothing half-written behind if they are told to end."""

from __future__ import annotations

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

from dcread.demo import generate

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")

SLOW = """
import pathlib, sys, time
from dcread.concat import new_file
from dcread.sync.worker import raise_if_given_up
from dcread.tools import export_images

def busy(*_):
    for _ in range(600):
        time.sleep(0.05)
        raise_if_given_up()

new_file.PatientFile.sync = busy
export_images._require_some = busy
from dcread.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""A command that takes half a minute for the last of its bytes."""

COMMANDS = [
    ["export", "{file}", "out.csv"],
    ["export", "{file}", "out.tif"],
    ["export", "{file}", "out"],
    ["preview", "{file}", "--output", "out.png"],
    ["salvage", "{file}", "out.rtdc"],
    ["concat", "out.rtdc", "{file}", "{file}"],
    ["info", "{file}", "--output", "out.csv"],
    ["verify", "{folder}", "--output", "out.parquet", "--jobs", "2"],
    ["demo", "--output", "out"],
]


def parts(folder: pathlib.Path) -> list[str]:
    return sorted(str(path) for path in folder.rglob(".*.part"))


def started(command: list[str], folder: pathlib.Path) -> subprocess.Popen[bytes]:
    """Start a command, and wait until it writes."""
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, *command],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    end = time.monotonic() + 60
    while not parts(folder):
        assert process.poll() is None, process.communicate()[1].decode()
        assert time.monotonic() < end
        time.sleep(0.01)
    time.sleep(0.2)
    return process


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("command", COMMANDS, ids=[" ".join(c[::2]) for c in COMMANDS])
def test_no_part_is_left(
    made: generate.DemoFiles, tmp_path: pathlib.Path, command: list[str], name: str
) -> None:
    file = shutil.copy(made.recording, tmp_path / "m.rtdc")
    words = [word.format(file=file, folder=tmp_path) for word in command]
    before = sorted(tmp_path.iterdir())
    number = getattr(signal, name)
    with started(words, tmp_path) as process:
        process.send_signal(number)
        _, told = process.communicate(timeout=60)
    assert process.returncode == 128 + number, told
    assert parts(tmp_path) == []
    assert b"Traceback" not in told
    left = [path for path in sorted(tmp_path.iterdir()) if path not in before]
    assert all(path.is_dir() for path in left)


def test_an_ignored_signal_stays_ignored(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    file = shutil.copy(made.recording, tmp_path / "m.rtdc")
    code = (
        "import signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "from dcread.concat import new_file\n"
        "sync = new_file.PatientFile.sync\n"
        "def send(file):\n"
        "    signal.raise_signal(signal.SIGHUP)\n"
        "    sync(file)\n"
        "new_file.PatientFile.sync = send\n"
        "from dcread.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0\n"
        "assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN\n"
        "assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL\n"
    )
    out = tmp_path / "out.csv"
    subprocess.run(
        [sys.executable, "-c", code, "export", file, out], check=True, timeout=60
    )
    assert out.exists()
