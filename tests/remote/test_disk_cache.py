"""Bytes of remote files that are kept on the disk."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import dcread
from dcread.cli import main as cli
from dcread.demo import generate
from dcread.engine import disk_cache, disk_cache_setting
from dcread.engine.metadata_blocks import store
from dcread.engine.source import RemoteIdentity

from .fault_server import FaultServer

SECRET = "0123abcdef"
READ = """
import sys, warnings, dcread
warnings.simplefilter("error")
with dcread.HDF5Data(sys.argv[1]) as hd:
    print(int(hd["image"][:].astype(int).sum()), int(hd["frame"][:].sum()))
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    folder = tmp_path_factory.mktemp("cached")
    return generate.make_measurement(folder, frames=120).recording


@pytest.fixture
def far(local: pathlib.Path) -> Iterator[FaultServer]:
    with FaultServer(local.read_bytes()) as found:
        yield found


@pytest.fixture
def folder(tmp_path: pathlib.Path) -> Iterator[pathlib.Path]:
    """The folder of a cache of 100 MB that is switched on."""
    dcread.set_disk_cache(10**8, tmp_path / "kept")
    yield tmp_path / "kept" / "dcread-remote"
    dcread.set_disk_cache(None)
    disk_cache_setting._caches.clear()


def answers(path: object) -> tuple[int, int]:
    """Read a measurement as a process does that has nothing in memory."""
    store.clear()
    disk_cache_setting._caches.clear()
    with dcread.HDF5Data(path) as hd:
        return int(hd["image"][:].astype(int).sum()), int(hd["frame"][:].sum())


def asked(server: FaultServer) -> list[str]:
    found = [request.range for request in server.requests]
    server.requests.clear()
    return found


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "key")


def test_another_process_asks_for_the_state_only(
    far: FaultServer,
    local: pathlib.Path,
    tmp_path: pathlib.Path,
    run_python: Callable[..., Any],
) -> None:
    expected = "{} {}".format(*answers(local))
    url = f"{far.url}?id=5&X-Amz-Signature={SECRET}"
    environ = {
        **os.environ,
        "DCREAD_DISK_CACHE": "100MB",
        "DCREAD_DISK_CACHE_FOLDER": str(tmp_path / "kept"),
    }
    counts = []
    for signature in ("", "later"):  # which does not tell files apart
        done = run_python(READ, url + signature, env=environ)
        assert done.stdout.strip() == expected
        counts.append(asked(far))
    assert len(counts[0]) > 3
    assert counts[1] == ["bytes=0-65535"]
    for path in (tmp_path / "kept").rglob("*"):
        assert SECRET not in str(path)
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes()
        if os.name == "posix" and (path.is_file() or path.name == "dcread-remote"):
            assert path.stat().st_mode & 0o077 == 0, path


def test_nothing_is_kept_unless_asked_for(
    far: FaultServer, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DCREAD_DISK_CACHE_FOLDER", str(tmp_path))
    for text in ("", "0"):
        monkeypatch.setenv("DCREAD_DISK_CACHE", text)
        answers(far.url)
    dcread.set_disk_cache(0)
    monkeypatch.setenv("DCREAD_DISK_CACHE", "1GB")
    answers(far.url)
    dcread.set_disk_cache(None)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("DCREAD_DISK_CACHE", "a lot")
    with pytest.warns(UserWarning, match="expected a size such as 2GB"):
        answers(far.url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", 5), ("2GB", 2 * 10**9), ("1.5 MiB", 3 * 2**19), ("3k", 3000)],
)
def test_sizes(text: str, expected: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DCREAD_DISK_CACHE", text)
    assert disk_cache_setting.max_bytes_now() == expected


def test_arguments() -> None:
    with pytest.raises(TypeError, match="max_bytes must be an integer"):
        dcread.set_disk_cache("1GB")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="must not be negative"):
        dcread.set_disk_cache(-1)


def test_a_home_folder_that_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    nobody = "~nobody-of-this-name/kept"
    with pytest.raises(dcread.errors.FileMissingError, match="no such home folder"):
        dcread.set_disk_cache(10, nobody)
    monkeypatch.setenv("DCREAD_DISK_CACHE_FOLDER", nobody)
    assert cli.main(["cache"]) == 1
    assert "no such home folder" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["flip", "cut", "empty", "swap", "link", "longer"])
def test_what_was_tampered_with_is_fetched_again(
    how: str, far: FaultServer, local: pathlib.Path, folder: pathlib.Path
) -> None:
    expected = answers(far.url)
    pieces = files(folder)
    originals = {path: path.read_bytes() for path in pieces}
    for number, path in enumerate(pieces):
        data = bytearray(originals[path])
        if how == "flip":
            data[len(data) // 2] ^= 1
        elif how == "cut":
            del data[-1]
        elif how == "empty":
            data.clear()
        elif how == "longer":
            data += b"x"
        elif how == "swap":
            data = bytearray(originals[pieces[number - 1]])
        path.write_bytes(data)
        if how == "link":
            path.rename(path.with_name("moved"))
            path.symlink_to("moved")
    asked(far)
    assert answers(far.url) == expected == answers(local)
    assert len(asked(far)) > 3
    assert answers(far.url) == expected
    assert len(asked(far)) == 1


def test_pieces_of_another_file_are_refused(
    far: FaultServer, folder: pathlib.Path, local: pathlib.Path
) -> None:
    answers(far.url)
    (place,) = {path.parent for path in files(folder)}
    other = bytearray(local.read_bytes())
    other[250_000] ^= 1
    with FaultServer(bytes(other), etag='"two"') as second:
        store.clear()
        with dcread.HDF5Data(second.url) as hd:
            assert len(hd) == 120
        (theirs,) = {path.parent for path in files(folder)} - {place}
        shutil.rmtree(theirs)
        shutil.copytree(place, theirs)
        asked(second)
        with dcread.HDF5Data(second.url) as hd:
            source = hd.handle.source
            got: dict[int, bytes] = {}
            source.read_ranges(
                [(200_000, 300_000)], lambda n, data: got.update({n: bytes(data)})
            )
        assert got[0] == bytes(other[200_000:300_000])
        assert "bytes=200000-299999" in asked(second)


def test_what_was_damaged_on_the_way_is_not_kept(
    far: FaultServer, local: pathlib.Path, folder: pathlib.Path
) -> None:
    with dcread.HDF5Data(local) as hd:
        place = hd.h5["events/image"].id.get_chunk_info(1).byte_offset + 100_000
    good = far.data
    far.data = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
    with pytest.raises(dcread.ChecksumError):
        answers(far.url)
    far.data = good
    assert answers(far.url) == answers(local)


def test_a_file_that_was_replaced_is_fetched_anew(
    far: FaultServer, folder: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    answers(far.url)
    made = generate.make_measurement(tmp_path / "new", frames=120, seed=9)
    far.data, far.etag = made.recording.read_bytes(), '"new"'
    assert answers(far.url) == answers(made.recording)


@pytest.mark.parametrize("etag", ["", 'W/"one"'])
def test_without_a_strong_tag_nothing_is_kept(
    etag: str, far: FaultServer, folder: pathlib.Path
) -> None:
    far.etag = etag
    answers(far.url)
    assert not folder.exists()


def test_what_was_not_used_for_longest_goes_first(tmp_path: pathlib.Path) -> None:
    cache = disk_cache.DiskCache(tmp_path / "c", 100_000)
    identity = RemoteIdentity("http://h/x", '"e"', 10**6, "")
    pieces = cache.of(identity)
    assert pieces is not None
    for number in range(40):
        pieces.put(number * 5000, bytes([number]) * 5000)
        for age, path in enumerate(sorted(disk_cache.pieces(tmp_path / "c"))):
            if path.path.name == f"0-{5000:x}":
                os.utime(path.path)
            elif age:
                now = 10**9 + int(path.path.name.partition("-")[0], 16)
                os.utime(path.path, (now, now))
        assert sum(disk_cache.usage(tmp_path / "c").values()) <= 100_000
    view = memoryview(bytearray(5000))
    assert pieces.read_into(0, view) == 5000  # used all the time
    assert pieces.read_into(5000, view) == 0
    assert pieces.read_into(39 * 5000, view) == 5000
    assert bytes(view) == bytes([39]) * 5000
    pieces.put(300_000, bytes(200_000))  # more than there is room for
    assert pieces.read_into(300_000, view) == 0


def test_pieces_are_put_together(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(3)
    whole = rng.bytes(50_000)
    cache = disk_cache.DiskCache(tmp_path / "c", 10**7)
    identity = RemoteIdentity("http://h/x", '"e"', 50_000, "")
    pieces = cache.of(identity)
    assert pieces is not None
    held = np.zeros(50_001, bool)
    for _ in range(60):
        start, stop = sorted(rng.integers(0, 50_001, 2).tolist())
        if rng.random() < 0.3 and stop - start < 9000:
            pieces.put(start, whole[start:stop])
            held[start:stop] = True
        view = memoryview(bytearray(stop - start))
        done = pieces.read_into(start, view)
        assert bytes(view[:done]) == whole[start : start + done]
        assert done == int(np.argmin(np.append(held[start:stop], [False])))
        pieces = cache.of(identity)
        assert pieces is not None


def test_many_processes_at_once(
    far: FaultServer, local: pathlib.Path, folder: pathlib.Path
) -> None:
    expected = "{} {}".format(*answers(local))
    environ = {**os.environ, "DCREAD_DISK_CACHE_FOLDER": str(folder.parent)}
    # (room for less than the file, so that they remove each other's pieces)
    environ["DCREAD_DISK_CACHE"] = "1200kB"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", READ, far.url],
            env=environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert (out.strip(), err) == (expected, "")
    assert not [path for path in files(folder) if path.name.endswith(".part")]
    dcread.set_disk_cache(10**8, folder.parent)
    assert answers(far.url) == answers(local)


@pytest.mark.parametrize("trouble", ["full", "no folder", "others may write"])
def test_a_disk_in_trouble_is_left_alone_with_one_warning(
    trouble: str,
    far: FaultServer,
    folder: pathlib.Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if trouble == "full":

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(disk_cache, "_write", full)
    elif trouble == "no folder":
        folder.parent.mkdir()
        folder.write_text("a file")
    else:
        if os.name != "posix":
            pytest.skip("permissions are those of POSIX")
        folder.mkdir(parents=True)
        folder.chmod(0o777)
    disk_cache_setting._caches.clear()
    store.clear()
    with warnings.catch_warnings(record=True) as noticed:
        warnings.simplefilter("always")
        for _ in range(2):
            with dcread.HDF5Data(far.url) as hd:
                assert hd["image"][:].any()
    told = [str(one.message) for one in noticed if "disk" in str(one.message)]
    assert len(told) == 1
    assert str(folder) in told[0]


def test_the_command_shows_and_clears(
    far: FaultServer, folder: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["cache"]) == 0
    assert "0 B of 100 MB" in capsys.readouterr().out
    expected = answers(far.url)
    assert cli.main(["cache", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    size = sum(path.stat().st_size for path in files(folder))
    assert found == {
        "path": str(folder),
        "max_bytes": 10**8,
        "bytes": size,
        "origins": {far.origin: size},
    }
    assert cli.main(["cache"]) == 0
    assert far.origin in capsys.readouterr().out
    with dcread.HDF5Data(far.url) as hd:
        assert cli.main(["cache", "--clear"]) == 0
        assert "removed" in capsys.readouterr().out
        assert not folder.exists()
        assert int(hd["image"][:].astype(int).sum()) == expected[0]
    assert answers(far.url) == expected


def test_files_of_others_in_the_folder_stay(
    far: FaultServer, folder: pathlib.Path
) -> None:
    expected = answers(far.url)
    others = [folder / "thesis.txt", folder / "http%3A%2F%2Fhost" / "notes" / "0-1"]
    for other in others:
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_bytes(bytes(100))
    assert disk_cache.usage(folder)
    disk_cache.DiskCache(folder, 1000)._shrink(0)
    assert not disk_cache.usage(folder)
    assert answers(far.url) == expected
    assert cli.main(["cache", "--clear"]) == 0
    assert not disk_cache.usage(folder)
    assert files(folder) == sorted(others)


def test_who_is_first_makes_the_key(tmp_path: pathlib.Path) -> None:
    identity = RemoteIdentity("http://h/x", '"e"', 1000, "")
    for number in range(40):
        folder = tmp_path / str(number)
        caches = [disk_cache.DiskCache(folder, 10**6) for _ in range(8)]
        with (
            warnings.catch_warnings(),
            concurrent.futures.ThreadPoolExecutor(8) as threads,
        ):
            warnings.simplefilter("error")
            found = list(threads.map(lambda cache: cache.of(identity), caches))
        found[0].put(0, b"abc")
        late = caches[-1].of(identity)
        view = memoryview(bytearray(3))
        assert (late.read_into(0, view), bytes(view)) == (3, b"abc")


def test_a_piece_that_another_process_removes_is_not_kept(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = disk_cache.DiskCache(tmp_path, 10**6)
    pieces = cache.of(RemoteIdentity("http://h/x", '"e"', 1000, ""))
    assert pieces is not None

    def replace(old: pathlib.Path, new: pathlib.Path) -> None:
        old.unlink()
        os.rename(old, new)

    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("error")
        patched.setattr(os, "replace", replace)
        pieces.put(0, b"abc")
    view = memoryview(bytearray(3))
    assert pieces.read_into(0, view) == 0
    pieces.put(0, b"abc")
    assert (pieces.read_into(0, view), bytes(view)) == (3, b"abc")
