"""The commands with URLs: what is there, damaged, cut short, and missing."""

from __future__ import annotations

import contextlib
import json
import math
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator

import h5py
import pytest

import dcread
from dcread.cli import main as cli
from dcread.cli.progress import ProgressBar
from dcread.demo import generate
from dcread.engine.metadata_blocks import store

from .fault_server import FaultServer

Capture = pytest.CaptureFixture[str]
SECRET = "0123abcdef"
QUERY = f"?id=5&X-Amz-Signature={SECRET}"


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("far")
    return generate.make_measurement(folder, frames=120).recording


@pytest.fixture
def serve() -> Iterator[Callable[[bytes], FaultServer]]:
    store.clear()
    with contextlib.ExitStack() as stack:
        yield lambda data: stack.enter_context(
            FaultServer(data, etag=f'"{hash(data)}"')
        )


@pytest.fixture
def good(serve: Callable[[bytes], FaultServer], local: pathlib.Path) -> str:
    return serve(local.read_bytes()).url + QUERY


@pytest.fixture
def damaged(
    serve: Callable[[bytes], FaultServer], local: pathlib.Path, tmp_path: pathlib.Path
) -> str:
    path = shutil.copy(local, tmp_path / "damaged.rtdc")
    with h5py.File(path) as h5:
        chunk = h5["events/image"].id.get_chunk_info(1)
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset + chunk.size // 2] ^= 1
    return serve(bytes(data)).url + QUERY


@pytest.fixture
def missing(serve: Callable[[bytes], FaultServer]) -> str:
    server = serve(b"x")
    server.fault("404", math.inf)
    return server.url + QUERY


@pytest.fixture
def place(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(capsys: Capture, place: pathlib.Path) -> Callable[..., tuple[int, str, str]]:
    """A function that runs a command; nothing it says or writes holds the secret."""

    def run(*words: object) -> tuple[int, str, str]:
        capsys.readouterr()
        status = cli.main([str(word) for word in words])
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err
        assert "X-Amz" not in said.out + said.err
        for path in place.rglob("*"):
            if path.is_file():
                assert SECRET.encode() not in path.read_bytes(), path
        return status, said.out, said.err

    return run


Call = Callable[..., tuple[int, str, str]]
MANY = ("info", "basins", "flicker", "verify")


@pytest.mark.parametrize("command", MANY)
def test_commands_say_of_a_url_what_they_say_of_the_file(
    command: str, good: str, local: pathlib.Path, call: Call
) -> None:
    status, far, _ = call(command, "--json", good)
    assert status == 0
    expected = json.loads(call(command, "--json", local)[1])
    found = json.loads(far)
    assert found.pop("path") == good.partition("&")[0]
    expected.pop("path")
    assert found == expected
    status, page, _ = call(command, good)
    assert (status, bool(page)) == (0, True)


@pytest.mark.parametrize("command", [*MANY, "preview"])
def test_a_file_that_is_not_there_is_one_line(
    command: str, missing: str, call: Call
) -> None:
    status, out, err = call(command, missing)
    assert (status, out) == (1, "")
    assert len(err.splitlines()) == 1
    assert "no file at http://127.0.0.1" in err


def test_many_urls_in_a_table(
    good: str, damaged: str, missing: str, call: Call, place: pathlib.Path
) -> None:
    words = ("verify", good, damaged, missing, "--output", "t.csv")
    status, out, _ = call(*words)
    assert status == 1
    assert "3 files: 1 missing, 1 ok, 1 with problems" in out
    assert "missing: no file at" in out
    assert "1 problem: dataset '/events/image'" in out
    assert good.partition("&")[0] in (place / "t.csv").read_text()
    assert "all 3 files are in" in call(*words, "--resume")[2]
    assert call(*words, "--overwrite", "--jobs", 2)[0] == 1


def test_what_tells_files_apart_in_a_query_stays(good: str, call: Call) -> None:
    other = good.replace("id=5", "id=6")
    assert call("info", good, "--output", "t.csv")[0] == 0
    status, out, err = call("info", other, "--output", "t.csv", "--resume")
    assert (status, "are in" in err) == (0, False)
    assert "120 events" in out


def test_preview_export_and_diff(
    good: str, local: pathlib.Path, call: Call, place: pathlib.Path
) -> None:
    assert call("preview", good)[0] == 0
    assert (place / "file.png").stat().st_size > 1000
    for name in ("t.csv", "t.tif", "t.parquet"):
        assert call("export", good, name)[0] == 0
        assert call("export", local, f"local-{name}")[0] == 0
    assert (place / "t.csv").read_bytes() == (place / "local-t.csv").read_bytes()
    assert call("diff", good, local)[0] == 0
    assert call("diff", local, good)[0] == 0


def test_what_is_damaged_is_named(
    damaged: str, local: pathlib.Path, call: Call, place: pathlib.Path
) -> None:
    assert call("flicker", damaged)[0] == 1
    status, out, _ = call("verify", damaged)
    assert status == 1
    assert "'/events/image', chunk at (40, 0, 0)" in out
    assert call("preview", damaged)[0] == 1
    assert (place / "file.png").exists()
    assert call("diff", damaged, local)[0] == 2
    assert call("export", damaged, "t.tif")[0] == 1
    assert not (place / "t.tif").exists()
    assert call("export", damaged, "t.csv")[0] == 0


def test_salvage(damaged: str, call: Call, place: pathlib.Path) -> None:
    status, out, _ = call("salvage", damaged, "s.rtdc", "--json")
    assert status == 0
    found = json.loads(out)
    assert found["source"] == damaged.partition("&")[0]
    assert (found["events"], found["kept"]) == (120, 80)
    with dcread.HDF5Data(place / "s.rtdc") as hd:
        assert len(hd) == 80
        log = "\n".join(hd.logs["dcread-salvage"])
    assert SECRET not in log
    assert f'"{damaged.partition("&")[0]}"' in log


def test_salvage_of_a_file_that_is_cut_short(
    serve: Callable[[bytes], FaultServer], local: pathlib.Path, call: Call
) -> None:
    url = serve(local.read_bytes()[:100_000]).url + QUERY
    status, _, err = call("salvage", url, "s.rtdc")
    assert status == 1
    assert "truncated file" in err
    assert "download it" in err


def test_joined_files_cannot_refer_to_servers(
    good: str, local: pathlib.Path, call: Call, place: pathlib.Path
) -> None:
    for words in (("concat", "c.rtdc", local, good), ("demo", good)):
        status, _, err = call(*words)
        assert status == 1
        assert "http://127.0.0.1" in err
        assert "download the measurement first" in err
    assert list(place.iterdir()) == []
    with pytest.raises(dcread.NotAFileError, match="download") as caught:
        dcread.concatenated_hdf5_data([good, local], "c.rtdc")
    assert SECRET not in str(caught.value)


def test_the_bar_tells_what_was_received(
    good: str, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("FORCE_COLOR", "1")
    with ProgressBar("comparing", 2, "features", live=True) as bar:
        assert bar._shown is not None
        bar._shown.refresh()
        before = capsys.readouterr().err
        with dcread.HDF5Data(good) as hd:
            hd["image"][:]
        bar(2)
        bar._shown.refresh()
    assert "received" not in before
    assert re.search(r"1\.[5-9] MB received", capsys.readouterr().err)
