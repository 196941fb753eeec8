"""Slow shares: noticed, read ahead of the decoders, and survived when they go away."""

from __future__ import annotations

import errno
import io
import os
import pathlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest

import dcread
from dcread.engine import local_source
from dcread.engine.datasets import open_dataset
from dcread.engine.hdf5_hints import Hints

from .test_remote_measurement import write_in_turns

EVENTS = 2000


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A measurement with some MB of images."""
    path = tmp_path_factory.mktemp("share") / "a.rtdc"
    rng = np.random.default_rng(5)
    images = (np.cumsum(rng.integers(-2, 3, (EVENTS, 64, 128)), axis=2) + 120) % 256
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = EVENTS
        h5["events/deform"] = rng.normal(size=EVENTS)
        h5.create_dataset(
            "events/image",
            data=images.astype(np.uint8),
            chunks=(32, 64, 128),
            fletcher32=True,
            **hdf5plugin.Zstd(),
        )
    return path


class Share:
    """In place of reads of the system: slow, and sometimes gone."""

    def __init__(self, read: Callable[..., tuple[int, int]]) -> None:
        self.delay = 0.003
        self.error = 0
        self.reads = 0
        self.under_way = 0
        self.most = 0
        self.places: list[tuple[int, int]] = []
        self._read = read
        self._lock = threading.Lock()

    def __call__(self, fd: int, view: Any, offset: int) -> tuple[int, int]:
        with self._lock:
            self.reads += 1
            self.under_way += 1
            self.most = max(self.most, self.under_way)
            self.places.append((offset, offset + len(view)))
        try:
            time.sleep(self.delay)
            if self.error:
                return -self.error, int(self.delay * 1e9)
            count, taken = self._read(fd, view, offset)
            return count, taken + int(self.delay * 1e9)
        finally:
            with self._lock:
                self.under_way -= 1


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch) -> Iterator[Share]:
    if not local_source.HAS_PREAD:
        pytest.skip("no pread here")
    found = Share(local_source.timed_read)
    monkeypatch.setattr(local_source, "timed_read", found)
    return found


def test_a_slow_share_is_noticed_and_read_ahead(
    path: pathlib.Path, share: Share
) -> None:
    with h5py.File(path) as h5, dcread.HDF5Data(path) as hd:
        assert hd.handle.source.is_far
        assert np.array_equal(hd.image[:1000], h5["events/image"][:1000])
        assert 8 <= share.most <= 16
        for row in (5, 1999, 700):
            assert np.array_equal(hd.image[row], h5["events/image"][row])
        rows = [1500, 3, 1200, 3]
        assert np.array_equal(hd.image[rows], h5["events/image"][:][rows])
        assert np.array_equal(hd["deform"][:], h5["events/deform"][:])


def test_of_a_distant_share_more_reads_are_under_way(
    path: pathlib.Path, share: Share
) -> None:
    share.delay = 0.05
    with h5py.File(path) as h5, dcread.HDF5Data(path) as hd:
        assert np.array_equal(hd.image[:], h5["events/image"][:])
        assert 16 < share.most <= 32


class Noting(io.FileIO):
    """A file that notes where it is read."""

    def __init__(self, path: pathlib.Path) -> None:
        super().__init__(path)
        self.places: list[tuple[int, int]] = []

    def readinto(self, buffer: Any) -> int:
        start = self.tell()
        count = super().readinto(buffer)
        self.places.append((start, start + (count or 0)))
        return count or 0


@pytest.mark.parametrize("libver", [("v110", "v114"), ("earliest", "v114")])
def test_structures_are_read_before_hdf5_asks_for_them(
    share: Share, tmp_path: pathlib.Path, libver: tuple[str, str]
) -> None:
    path = tmp_path / "a.rtdc"
    write_in_turns(path, libver)
    share.delay = 0.05
    with dcread.HDF5Data(path) as hd:
        ahead = list(share.places)
        assert share.most > 2
        assert len(ahead) < 40
        assert hd["deform"].shape == (1600,)
    with Noting(path) as file, h5py.File(file) as h5:
        for dataset in h5["events"].values():
            _ = dataset.shape
        h5["events/image"].id.get_num_chunks()
        missed = [
            place
            for place in file.places
            if not any(low <= place[0] < high for low, high in ahead)
        ]
    assert len(file.places) > 20
    assert not missed


def test_what_comes_last_is_not_searched_for_structures(
    share: Share, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.rtdc"
    write_in_turns(path, ("v110", "v114"))
    searched: list[int] = []
    genuine = Hints.scan

    def scan(self: Hints, at: int, data: bytes) -> None:
        searched.append(at)
        genuine(self, at, data)

    monkeypatch.setattr(Hints, "scan", scan)
    share.delay = 0.05
    with dcread.HDF5Data(path):
        assert 0 in searched
        assert len(searched) > 2
        assert share.places[-1][0] not in searched


class AskedShare(Share):
    """A share whose bytes are on their way as soon as they are asked for."""

    def __init__(self, read: Callable[..., tuple[int, int]]) -> None:
        super().__init__(read)
        self.asked: list[tuple[int, int]] = []
        self.arrives: dict[int, float] = {}  # by page

    def advise(self, _fd: int, offset: int, length: int, _advice: int) -> None:
        if length:  # (else it is about the whole file)
            self.asked.append((offset, offset + length))
            now = time.monotonic() + self.delay
            for page in range(offset // 4096, -(-(offset + length) // 4096)):
                self.arrives.setdefault(page, now)

    def __call__(self, fd: int, view: Any, offset: int) -> tuple[int, int]:
        if not self.delay:
            return self._read(fd, view, offset)
        begin, stop = time.monotonic(), offset + len(view)
        pages = range(offset // 4096, -(-stop // 4096))
        missing = [page for page in pages if page not in self.arrives]
        if missing:
            time.sleep(self.delay * (len(view) // local_source.PIECE))
            count, _ = super().__call__(fd, view, offset)
        else:
            wait = max(map(self.arrives.__getitem__, pages)) - begin
            time.sleep(max(0, wait))
            count, _ = self._read(fd, view, offset)
            if wait <= 0:  # however busy the machine is
                return count, 2_000
        return count, int((time.monotonic() - begin) * 1e9)


@pytest.fixture
def asked_share(share: Share, monkeypatch: pytest.MonkeyPatch) -> AskedShare:
    if not hasattr(os, "posix_fadvise"):
        pytest.skip("no advice here")
    found = AskedShare(share._read)
    found.delay = 0.02
    monkeypatch.setattr(local_source, "timed_read", found)
    monkeypatch.setattr(os, "posix_fadvise", found.advise)
    return found


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A measurement whose structures lie all over 25 MB."""
    path = tmp_path_factory.mktemp("share") / "b.rtdc"
    write_in_turns(path, ("v110", "v114"))
    return path


def test_the_head_and_the_tail_come_with_the_first_byte(
    spread: pathlib.Path, asked_share: AskedShare
) -> None:
    """The system is asked for them before; reading them then tells nothing."""
    with dcread.HDF5Data(spread) as hd:
        assert hd.handle.source.is_far
        assert asked_share.places == []
        assert asked_share.asked[0] == (0, 2**16)
        assert asked_share.asked[1][1] >= spread.stat().st_size
        assert len(asked_share.asked) > 4
        assert hd["deform"].shape == (len(hd),)


def test_what_the_system_was_asked_for_is_read_by_few_threads(
    spread: pathlib.Path, asked_share: AskedShare
) -> None:
    with h5py.File(spread) as h5, dcread.HDF5Data(spread) as hd:
        images = h5["events/image"][:]
        reader = open_dataset(hd.handle, "events/image")
        for rows in (slice(0, 1600), slice(700, 900), slice(33, 34)):
            assert np.array_equal(reader.read(rows), images[rows])
        assert hd.handle.source.is_far  # that most reads were quick tells nothing
    assert asked_share.places == []  # each byte had been asked for
    assert len(asked_share.asked) > 30
    for start, stop in asked_share.asked[2:]:
        assert start // local_source.PIECE == (stop - 1) // local_source.PIECE


def test_structures_that_come_with_the_first_byte_leave_it_open_how_far_a_file_is(
    tmp_path: pathlib.Path, asked_share: AskedShare
) -> None:
    images = np.random.default_rng(1).integers(0, 256, (200, 64, 128), np.uint8)
    with h5py.File(tmp_path / "a.rtdc", "w") as h5:
        h5.create_dataset("events/image", data=images, chunks=(50, 64, 128))
    with dcread.HDF5Data(tmp_path / "a.rtdc") as hd:
        assert not hd.handle.source.is_far
        assert np.array_equal(hd.image[:], images)
        assert hd.handle.source.is_far
    assert len(asked_share.places) == 1  # one byte more tells


def test_a_share_that_was_asked_in_vain_is_read_by_many_threads(
    spread: pathlib.Path, asked_share: AskedShare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its tail was in memory by chance."""
    tail = spread.stat().st_size - 2**17

    def advise(fd: int, offset: int, length: int, advice: int) -> None:
        if offset >= tail:
            asked_share.advise(fd, offset, length, advice)

    monkeypatch.setattr(os, "posix_fadvise", advise)
    with h5py.File(spread) as h5, dcread.HDF5Data(spread) as hd:
        reader = open_dataset(hd.handle, "events/image")
        for rows in (slice(0, 800), slice(800, 1600)):
            assert np.array_equal(reader.read(rows), h5["events/image"][rows])
        assert hd.handle.source.is_far
    assert asked_share.most >= 8


def test_reads_meet_where_the_system_cuts_them(
    path: pathlib.Path, share: Share
) -> None:
    """Else two of them want the same page, and one waits for the other."""
    with dcread.HDF5Data(path) as hd:
        share.places.clear()
        _ = hd.image[:1000]
    assert len(share.places) > 20
    for start, stop in share.places:
        assert start // local_source.PIECE == (stop - 1) // local_source.PIECE


def test_a_file_in_memory_is_read_by_the_kernel(
    path: pathlib.Path, share: Share
) -> None:
    share.delay = 0
    with dcread.HDF5Data(path) as hd:
        _ = hd.image[:1000]
        _ = hd.image[:1000]
        assert not hd.handle.source.is_far
        assert share.reads < 20  # looks at how long reading takes, and at the index


def test_one_slow_read_is_no_share(path: pathlib.Path, share: Share) -> None:
    with dcread.HDF5Data(path) as hd:
        hd.handle.source.is_far = False
        share.delay, share.reads = 0, 0
        slow = iter([2_000_000])
        quick = share._read
        share._read = lambda *args: (quick(*args)[0], next(slow, 1000))
        assert not hd.handle.source.probe(100)
        assert share.reads == 2


@pytest.mark.parametrize("kind", ["share", "asked_share"])
def test_a_share_whose_bytes_are_in_memory_by_now_is_near(
    spread: pathlib.Path, request: pytest.FixtureRequest, kind: str
) -> None:
    share = request.getfixturevalue(kind)
    with dcread.HDF5Data(spread) as hd:
        assert hd.handle.source.is_far
        share.delay = 0
        for _ in range(20):
            _ = open_dataset(hd.handle, "events/image").read(slice(0, 1600))
        assert not hd.handle.source.is_far


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_share_that_goes_away_and_comes_back(
    path: pathlib.Path, share: Share, number: int
) -> None:
    with h5py.File(path) as h5, dcread.HDF5Data(path) as hd:
        reader = open_dataset(hd.handle, "events/image")
        assert np.array_equal(reader.read(slice(0, 100)), h5["events/image"][:100])
        share.error = number
        begin = time.monotonic()
        with pytest.raises(dcread.RemoteError, match="still mounted") as caught:
            reader.read(slice(0, 500))
        assert time.monotonic() - begin < 2
        assert str(path) in str(caught.value)
        share.error = 0
        assert np.array_equal(reader.read(slice(0, 500)), h5["events/image"][:500])


def test_a_handle_that_no_longer_serves_is_opened_anew(
    path: pathlib.Path, share: Share
) -> None:
    with h5py.File(path) as h5, dcread.HDF5Data(path) as hd:
        reader = open_dataset(hd.handle, "events/image")
        _ = reader.read(slice(0, 100))
        broken = iter([-errno.ESTALE] * 1)
        quick = share._read
        share._read = lambda *args: (next(broken, None) or quick(*args)[0], 10**6)
        assert np.array_equal(reader.read(slice(0, 500)), h5["events/image"][:500])


def test_another_file_at_its_place_is_not_taken_for_it(
    path: pathlib.Path, share: Share, tmp_path: pathlib.Path
) -> None:
    copy = tmp_path / "copy.rtdc"
    copy.write_bytes(path.read_bytes())
    with dcread.HDF5Data(copy) as hd:
        reader = open_dataset(hd.handle, "events/image")
        _ = reader.read(slice(0, 100))
        copy.unlink()
        copy.write_bytes(path.read_bytes())
        share.error = errno.ESTALE
        with pytest.raises(dcread.DCReadError):
            reader.read(slice(0, 500))


def test_joined_files_of_which_some_lie_on_a_slow_share(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images of one read come from near and from far files."""
    paths, images = [], []
    for number in range(4):
        rng = np.random.default_rng(number)
        images.append(rng.integers(0, 9, (40, 8, 16), np.uint8))
        paths.append(tmp_path / f"{number}.rtdc")
        with h5py.File(paths[-1], "w") as h5:
            h5["events/frame"] = np.arange(40)
            h5.create_dataset(
                "events/image", data=images[-1], chunks=(8, 8, 16), **hdf5plugin.Zstd()
            )
    far = {str(paths[1]), str(paths[2])}
    monkeypatch.setattr(
        local_source.LocalSource, "is_far", property(lambda self: self.label in far)
    )
    with dcread.concatenated_hdf5_data(paths, tmp_path / "joined.rtdc") as hd:
        np.testing.assert_array_equal(hd["image"][:], np.concatenate(images))
        np.testing.assert_array_equal(
            hd["image"][[150, 3, 70]], np.concatenate(images)[[150, 3, 70]]
        )
