"""What the tests of commands share: a terminal, and measurements."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import h5py
import numpy as np
import pytest
from rich.cells import cell_len

from dcread.demo import generate


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    """A made-up measurement of 120 frames; never to be changed."""
    return generate.make_measurement(tmp_path_factory.mktemp("cli"), frames=120)


def _damage(path: pathlib.Path, dataset: str, *chunks: int) -> None:
    """Flip one bit in the middle of some chunks."""
    with h5py.File(path) as h5:
        found = [h5[dataset].id.get_chunk_info(chunk) for chunk in chunks]
    with path.open("r+b") as stream:
        for chunk in found:
            stream.seek(chunk.byte_offset + chunk.size // 2)
            byte = stream.read(1)[0]
            stream.seek(-1, 1)
            stream.write(bytes([byte ^ 1]))


@pytest.fixture
def damage() -> Callable[..., None]:
    """A function that flips one bit in the middle of chunks of a dataset."""
    return _damage


@pytest.fixture
def folder(made: generate.DemoFiles, tmp_path: pathlib.Path) -> pathlib.Path:
    """A folder with what users have: good, damaged, foreign, lost, empty, odd names."""
    place = tmp_path / "data"
    (place / "day 2").mkdir(parents=True)
    shutil.copy(made.recording, place / "good.rtdc")
    shutil.copy(made.continuation, place / "day 2" / "Blut-größe-血液.rtdc")
    bad = pathlib.Path(shutil.copy(made.recording, place / "bad.rtdc"))
    _damage(bad, "events/image", 1)
    lost = pathlib.Path(shutil.copy(made.events, place / "lost.rtdc"))
    with h5py.File(lost, "a") as h5:
        del h5["basins"]
        del h5["events/basinmap1"]
        text = (
            '{"type": "file", "format": "hdf5", "name": "raw", "paths": ["gone.rtdc"]}'
        )
        h5["basins/x"] = np.array([text.encode()])
    (place / "day 2" / "notes.rtdc").write_text("this is no measurement")
    (place / "day 2" / "cut.rtdc").write_bytes(made.recording.read_bytes()[:100_000])
    (place / "none.rtdc").touch()
    (place / "readme.txt").write_text("not looked at")
    with h5py.File(place / "other.rtdc", "w") as h5:
        h5["x"] = [1, 2]
    return place


@dataclass
class Seen:
    """What a command sent to a terminal: its bytes, its lines, its exit status."""

    raw: bytes
    status: int

    @property
    def lines(self) -> list[str]:
        """All that was written on a line, without colours and moves of the cursor."""
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.raw.decode())
        return [part for line in text.split("\n") for part in line.split("\r") if part]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def width(self) -> int:
        """Columns of the widest line."""
        return max(map(cell_len, self.lines))


@pytest.fixture
def terminal() -> Callable[..., Seen]:
    """A function that runs dcread on a terminal of some width."""
    pty = pytest.importorskip("pty")
    import fcntl
    import termios

    def run(width: int, *words: object, code: str = "", **environ: str) -> Seen:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, width, 0, 0))
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name not in ("COLUMNS", "NO_COLOR", "FORCE_COLOR")
        }
        process = subprocess.Popen(
            [sys.executable, *(["-c", code] if code else ["-m", "dcread"]), *words],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**inherited, "TERM": "xterm-256color", **environ},
        )
        os.close(slave)
        raw = b""
        while True:
            try:
                data = os.read(master, 65536)
            except OSError:  # Linux's way to say that the other side is closed
                break
            if not data:
                break
            raw += data
        os.close(master)
        return Seen(raw, process.wait(60))

    return run
