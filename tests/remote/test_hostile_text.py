"""Text of remote files that claims what is not there costs itself, and no memory."""

from __future__ import annotations

import pathlib
import struct
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np
import pytest

from .fault_server import FaultServer

TEXT = h5py.string_dtype()
NAME = "experiment:run identifier"

READ = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (2**31, 2**31))
resource.setrlimit(resource.RLIMIT_CPU, (20, 20))
import dcread
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(sorted(hd.meta), sorted(hd.logs), sorted(hd.tables), len(hd.basins))
    print(hd["deform"].tolist(), *hd.problems)
"""


def write(path: pathlib.Path, attributes: int) -> dict[str, int]:
    """Write text of each kind; return where its first element lies."""
    with h5py.File(path, "w", libver="earliest") as h5:
        h5["events/deform"] = np.arange(2.0)
        for number in range(attributes):
            h5.attrs[f"user:{number}"] = f"text {number}"
        h5.attrs[NAME] = "some text"
        values = np.array([("text of a table", 1.0)] * 3, [("t", TEXT), ("a", "f8")])
        table = h5.create_dataset("tables/x", data=values)
        log = h5.create_dataset("logs/x", data=["a line"] * 3, dtype=TEXT)
        places = {"table": table.id.get_offset(), "log": log.id.get_offset()}
    raw = path.read_bytes()
    name = raw.rindex(NAME.encode() + b"\0")
    sizes = np.frombuffer(raw[name - 6 : name], "<u2").tolist()
    return {**places, "attribute": name + sum(-(-size // 8) * 8 for size in sizes)}


@pytest.fixture
def told(run_python: Callable[..., Any]) -> Iterator[Callable[[bytes], list[str]]]:
    """A function that returns what a process of its own reads of a file."""
    servers: list[FaultServer] = []

    def read(data: bytes) -> list[str]:
        servers.append(FaultServer(data))
        found: list[str] = run_python(READ, servers[-1].url, timeout=60).stdout.split(
            "\n"
        )
        return found

    yield read
    for server in servers:
        server.close()


@pytest.mark.parametrize("attributes", [0, 300])
@pytest.mark.parametrize("kind", ["attribute", "log", "table"])
def test_text_that_claims_what_is_not_there(
    tmp_path: pathlib.Path,
    told: Callable[[bytes], list[str]],
    kind: str,
    attributes: int,
) -> None:
    path = tmp_path / "a.rtdc"
    place = write(path, attributes)[kind]
    sound = path.read_bytes()
    first, second = told(sound)[:2]
    assert first.endswith("['x'] ['x'] 0")
    assert NAME in first
    assert second == "[0.0, 1.0]"
    changes = [(0, 0xFFFFFFF0), (0, 100), (0, 3), (4, 2**31), (4, 0), (12, 999)]
    for at, value in changes:
        raw = bytearray(sound)
        struct.pack_into("<I", raw, place + at, value)
        _refused(told(raw), kind, (at, value))


@pytest.mark.parametrize("kind", ["attribute", "log", "table"])
def test_a_heap_without_an_end(
    tmp_path: pathlib.Path, told: Callable[[bytes], list[str]], kind: str
) -> None:
    """HDF5 would go round in it for ever."""
    path = tmp_path / "a.rtdc"
    place = write(path, 0)[kind]
    raw = bytearray(path.read_bytes())
    (heap,) = struct.unpack_from("<Q", raw, place + 4)
    at = heap + 16
    while True:
        number, size = struct.unpack_from("<H6xQ", raw, at)
        if not number:
            break
        at += 16 + -(-size // 8) * 8
    struct.pack_into("<Q", raw, at + 8, 0)
    _refused(told(raw), kind, "heap")


def _refused(found: list[str], kind: str, change: object) -> None:
    """Make sure that what was changed is left out, and told of."""
    first, second = found[:2]
    assert second.startswith("[0.0, 1.0] "), change
    name = NAME if kind == "attribute" else "x"
    assert f"{kind} '{name}': it cannot be read" in second, change
    if kind == "attribute":
        assert NAME not in first
