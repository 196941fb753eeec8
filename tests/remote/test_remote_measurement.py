"""A measurement behind a URL is the same as the file."""

from __future__ import annotations

import asyncio
import math
import os
import pathlib
import pickle
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import pytest
from h5py._objects import phil

import dcread
from dcread.engine.metadata_blocks import store
from dcread.engine.network_limits import NetworkLimits

from .conftest import BRIEF
from .fault_server import FAULTS, FaultServer

EVENTS = 3000

Serve = Callable[..., FaultServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A function that serves a file, and forgets what was read of others."""
    servers: list[FaultServer] = []

    def start(path: pathlib.Path | bytes, **options: Any) -> FaultServer:
        data = path if isinstance(path, bytes) else path.read_bytes()
        servers.append(FaultServer(data, **options))
        return servers[-1]

    store.clear()
    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A measurement of some MB: images in many chunks, compressed and checksummed."""
    path = tmp_path_factory.mktemp("remote") / "large.rtdc"
    rng = np.random.default_rng(3)
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = EVENTS
        h5.attrs["imaging:pixel size"] = 0.34
        h5["logs/log"] = np.array([f"line {i}" for i in range(500)], "S20")
        for name in ("deform", "area_um", "bright_avg"):
            values = rng.normal(size=EVENTS)
            h5.create_dataset(
                f"events/{name}", data=values, chunks=(500,), fletcher32=True
            )
        h5["events/index"] = np.arange(1, EVENTS + 1)
        shade = np.cumsum(rng.integers(-2, 3, (EVENTS, 48, 128)), axis=2) + 120
        for name, images in {"image": shade, "image_bg": shade // 2 * 2}.items():
            h5.create_dataset(
                f"events/{name}",
                data=images.astype(np.uint8),
                chunks=(32, 48, 128),
                fletcher32=True,
                **hdf5plugin.Zstd(),
            )
    return path


def waits(hd: dcread.HDF5Data) -> int:
    """How often h5py's lock was held while the network was waited for."""
    metadata = hd.handle.metadata
    assert metadata is not None
    return metadata.waits


def same(left: Any, right: Any) -> bool:
    left, right = np.asarray(left), np.asarray(right)
    return left.dtype == right.dtype and np.array_equal(
        left, right, equal_nan=left.dtype.kind == "f"
    )


@pytest.mark.filterwarnings("ignore::dcread.EmptyDatasetWarning")
def test_everything_is_as_in_the_file(real_file: pathlib.Path, serve: Serve) -> None:
    server = serve(real_file)
    with dcread.HDF5Data(real_file) as local, dcread.HDF5Data(server.url) as remote:
        assert remote.path == server.url
        assert len(remote) == len(local)
        assert list(remote.keys()) == list(local.keys())
        assert repr(remote.meta) == repr(local.meta)
        assert remote.logs == local.logs
        assert repr(remote.tables) == repr(local.tables)
        assert remote.basins == local.basins
        assert repr(remote.problems) == repr(local.problems).replace(
            str(real_file), server.url
        )
        assert remote.md5_5m == local.md5_5m
        for name in local.keys():  # noqa: SIM118
            ours, theirs = remote[name], local[name]
            if name == "trace":
                assert list(ours) == list(theirs)
                assert all(same(ours[one][:], theirs[one][:]) for one in theirs)
            elif name == "contour":
                assert all(same(ours[i], theirs[i]) for i in range(len(theirs)))
            else:
                assert same(ours[:], theirs[:])
        assert waits(remote) == 0


def test_bytes_that_are_needed_come_once(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        images = np.asarray(hd.image[:])
        assert hd["deform"].shape == (len(images),)
    with h5py.File(large) as h5:
        stored = h5["events/image"].id.get_storage_size()
    assert server.sent <= 1.2 * stored + 2**21


def write_in_turns(path: pathlib.Path, libver: tuple[str, str]) -> None:
    """Write images bit by bit, so that structures and scalars lie all over the file."""
    rng = np.random.default_rng(6)
    images = rng.integers(0, 256, (1600, 80, 128), np.uint8)
    names = ("deform", "area_um", "pos_x", "pos_y", "time", "bright_avg", "temp")
    with h5py.File(path, "w", libver=libver) as h5:
        h5.attrs["experiment:event count"] = len(images)
        stored = {
            name: h5.create_dataset(
                f"events/{name}",
                images.shape,
                np.uint8,
                maxshape=(None, 80, 128),
                chunks=(4, 80, 128),
                fletcher32=True,
                **hdf5plugin.Zstd(),
            )
            for name in ("image", "image_bg")
        }
        for start in range(0, len(images), 160):
            for view in stored.values():
                view[start : start + 160] = images[start : start + 160]
        for name in names:
            values = rng.normal(size=len(images))
            kept = {"chunks": (1600,), "fletcher32": True, **hdf5plugin.Zstd()}
            h5.create_dataset(f"events/{name}", data=values, **kept)


@pytest.mark.parametrize("libver", [("v110", "v114"), ("earliest", "v114")])
def test_opening_takes_two_rounds(
    tmp_path: pathlib.Path, serve: Serve, libver: tuple[str, str]
) -> None:
    """The head and the tail, and a round for all structures."""
    path = tmp_path / "a.rtdc"
    write_in_turns(path, libver)
    server = serve(path)
    with dcread.HDF5Data(server.url) as hd, dcread.HDF5Data(path) as local:
        metadata = hd.handle.metadata
        assert metadata is not None
        assert list(hd.keys()) == list(local.keys())
        assert metadata.rounds == 1
        assert len(server.requests) <= 14
        assert same(hd["deform"][:], local["deform"][:])
        asked = len(server.requests)
        assert same(hd.image[300:1300], local.image[300:1300])
        assert len(server.requests) - asked == NetworkLimits().connections  # one wave
        assert (metadata.rounds, metadata.waits) == (1, 0)
        assert server.sent < 1000 * 80 * 128 * 1.2 + 2**21


def read_slices(hd: dcread.HDF5Data, path: pathlib.Path, *starts: int) -> None:
    """Read slices of 1000 images, which have to be those of the file."""
    with h5py.File(path) as h5:
        for start in starts:
            expected = h5["events/image"][start : start + 1000]
            assert np.array_equal(hd.image[start : start + 1000], expected)


def wait_for(reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < until
        time.sleep(0.01)


def is_quiet(server: FaultServer) -> bool:
    """Whether nothing is asked for within a while."""
    asked = len(server.requests)
    time.sleep(0.1)
    return len(server.requests) == asked


def test_the_slice_after_two_in_order_is_read_ahead(
    large: pathlib.Path, serve: Serve
) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        read_slices(hd, large, 0)
        asked = len(server.requests)
        read_slices(hd, large, 1000)
        wait_for(lambda: len(server.requests) > asked and is_quiet(server))
        asked = len(server.requests)
        third = hd.image[2000:3000]
        assert len(server.requests) == asked
        with h5py.File(large) as h5:
            assert np.array_equal(third, h5["events/image"][2000:3000])
        third[:] = 0  # it is the caller's own
        read_slices(hd, large, 2000)
        assert len(server.requests) > asked
        assert waits(hd) == 0


@pytest.mark.parametrize(
    ("most", "starts"), [(0, (0, 1000, 2000)), (2**40, (2000, 0, 1000))]
)
def test_no_slice_is_read_ahead_out_of_order_or_without_room(
    large: pathlib.Path, serve: Serve, most: int, starts: tuple[int, ...]
) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        hd.image.max_bytes = most
        read_slices(hd, large, *starts[:2])
        wait_for(lambda: is_quiet(server))
        asked = len(server.requests)
        read_slices(hd, large, starts[2])
        assert len(server.requests) > asked


def test_a_slice_that_could_not_be_read_ahead_is_read_when_asked_for(
    large: pathlib.Path, serve: Serve
) -> None:
    server = serve(large)
    with h5py.File(large) as h5:
        third = h5["events/image"].id.get_chunk_info_by_coord((2016, 0, 0)).byte_offset
    refused = threading.Event()

    def refuse(request: Any) -> int:
        if int(request.range.removeprefix("bytes=").partition("-")[0]) < third:
            return 0
        refused.set()
        return 403

    with dcread.HDF5Data(server.url) as hd:
        read_slices(hd, large, 0)
        server.allow = refuse
        read_slices(hd, large, 1000)
        assert refused.wait(10)
        wait_for(lambda: is_quiet(server))
        server.allow = lambda _: 0
        read_slices(hd, large, 2000)


@pytest.mark.parametrize(("events", "ahead"), [(12_000, True), (400_000, False)])
def test_small_datasets_come_with_their_headers(
    tmp_path: pathlib.Path, serve: Serve, events: int, ahead: bool
) -> None:
    """They lie behind them in files of the older format; large ones are left."""
    path, names = tmp_path / "a.rtdc", ("area_um", "deform", "pos_x", "time", "temp")
    with h5py.File(path, "w", libver=("earliest", "v114")) as h5:
        h5.attrs["experiment:event count"] = events
        group = h5.create_group("events")
        shape, chunks = (events, 2, 16), (events // 60, 2, 16)
        image = group.create_dataset("image", shape, np.uint8, chunks=chunks)
        noise = np.random.default_rng(8).integers(0, 256, shape, np.uint8)
        image[:] = noise[:]
        group.create_dataset("mask", data=noise)  # far from the head
        for name in names:
            group[name] = np.random.default_rng(9).random(events)
    server = serve(path)
    with dcread.HDF5Data(server.url) as hd, dcread.HDF5Data(path) as local:
        assert list(hd.keys()) == list(local.keys())
        asked, sent = len(server.requests), server.sent
        for name in names:
            assert same(hd[name][:], local[name][:])
        assert (len(server.requests) == asked) == ahead
        assert sent <= 2**21


def test_virtual_datasets_of_one_file(
    large: pathlib.Path, tmp_path: pathlib.Path, serve: Serve
) -> None:
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5, h5py.File(large) as stored:
        h5.attrs["experiment:event count"] = EVENTS
        for name in ("image", "deform"):
            stored.copy(f"events/{name}", h5, name=f"store/{name}")
            source = h5[f"store/{name}"]
            rows = h5py.VirtualLayout((2 * EVENTS + 3, *source.shape[1:]), source.dtype)
            rows[:EVENTS] = h5py.VirtualSource(source)
            rows[EVENTS : 2 * EVENTS] = h5py.VirtualSource(source)
            h5.create_virtual_dataset(f"events/{name}", rows, fillvalue=7)
        other = h5py.VirtualLayout((2 * EVENTS + 3, 48, 64), np.uint8)
        other[:EVENTS:2] = h5py.VirtualSource(h5["store/image"])[1::2, :, ::2]
        h5.create_virtual_dataset("events/image_bg", other)
    server = serve(path)
    with dcread.HDF5Data(server.url) as hd, h5py.File(path) as h5:
        for name in ("image", "deform", "image_bg"):
            assert same(hd[name][:], h5["events"][name][:])
        assert same(hd.image[[5, 3100, 6001]], h5["events/image"][:][[5, 3100, 6001]])
        assert waits(hd) == 0


@pytest.mark.parametrize("kind", ["virtual", "external storage", "external link"])
@pytest.mark.parametrize("links", [False, True])
def test_a_file_on_a_server_leads_to_no_file_of_this_machine(
    tmp_path: pathlib.Path, serve: Serve, kind: str, links: bool
) -> None:
    secret = tmp_path / "secret.h5"
    with h5py.File(secret, "w") as h5:
        h5["deform"] = np.arange(100.0)
    path = tmp_path / "a.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 100
        h5["events/area_um"] = np.ones(100)
        if kind == "virtual":
            rows = h5py.VirtualLayout((100,), float)
            rows[:] = h5py.VirtualSource(str(secret), "deform", (100,))
            h5.create_virtual_dataset("events/deform", rows)
        elif kind == "external link":
            h5["events/deform"] = h5py.ExternalLink(str(secret), "deform")
        else:
            place = [(str(secret), 0, 800)]
            h5.create_dataset("events/deform", (100,), float, external=place)
    server = serve(path)
    with dcread.HDF5Data(server.url, policy=dcread.Policy(links=links)) as hd:
        with pytest.raises((dcread.PolicyError, KeyError)) as caught:
            hd["deform"][:]
        said = str(caught.value) + str(hd.problems)
        assert re.search("may not refer to files|may refer to others|links=True", said)
        assert same(hd["area_um"][:], np.ones(100))


def test_bytes_that_look_like_structures(tmp_path: pathlib.Path, serve: Serve) -> None:
    """Images full of signatures cost bytes, within bounds, and nothing else."""
    path = tmp_path / "a.rtdc"
    marks = (b"OHDR\x02", b"FRHP\x00", b"BTHD\x00", b"EAHD\x00", b"FAHD\x00")
    rng = np.random.default_rng(8)
    text = b"".join(
        marks[rng.integers(5)] + rng.bytes(rng.integers(40)) for _ in range(150_000)
    )
    shape = (len(text) // 4096, 32, 128)
    pixels = np.frombuffer(text, np.uint8)[: int(np.prod(shape))].reshape(shape)
    with h5py.File(path, "w", libver=("v110", "v114")) as h5:
        h5["events/image"] = pixels
        h5["events/deform"] = rng.normal(size=len(pixels))
    server = serve(path)
    begin = time.monotonic()
    with dcread.HDF5Data(server.url) as hd:
        assert same(hd["deform"][:], h5py.File(path)["events/deform"][:])
        assert same(hd.image[:], pixels)
    assert time.monotonic() - begin < 20
    assert server.sent < 3 * len(text)


def test_a_second_opening_costs_one_request(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        _ = hd["deform"][:]
    asked = len(server.requests)
    with dcread.HDF5Data(server.url) as hd:
        assert list(hd.keys())
    assert len(server.requests) == asked + 1


def test_without_an_etag_nothing_is_kept(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large, etag="")
    for _ in range(2):
        begin = len(server.requests)
        with dcread.HDF5Data(server.url) as hd:
            assert len(hd)
        assert len(server.requests) - begin >= 2


def test_thousand_images_take_few_requests(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        _ = hd.image[0]
        asked = len(server.requests)
        _ = hd.image[1000:2000]
        assert len(server.requests) - asked <= 16
        asked = len(server.requests)
        rows = np.sort(np.random.default_rng(1).choice(3000, 20, replace=False))
        _ = hd.image[rows]
        assert len(server.requests) - asked <= 20


@pytest.mark.slow
def test_twenty_thousand_random_selections(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    rng = random.Random(7)
    with dcread.HDF5Data(server.url) as hd, h5py.File(large) as h5:
        events = h5["events"]
        names = [
            name
            for name, found in events.items()
            if isinstance(found, h5py.Dataset) and found.dtype.kind in "fiu"
        ]
        values = {name: events[name][:] for name in names}
        views = {name: hd[name] for name in names}
        for _ in range(20_000):
            name = rng.choice(names)
            size = len(values[name])
            kind = rng.randrange(4)
            index: Any = rng.randrange(size)
            if kind == 1:
                start = rng.randrange(size)
                index = slice(start, start + rng.randrange(40), rng.randrange(1, 5))
            elif kind == 2:
                count = rng.randrange(1, 12)
                index = np.array([rng.randrange(-size, size) for _ in range(count)])
            elif kind == 3:
                index = np.zeros(size, bool)
                index[[rng.randrange(size) for _ in range(6)]] = True
            assert same(views[name][index], values[name][index]), (name, index)


def test_eight_threads_share_one_measurement_in_spite_of_faults(
    large: pathlib.Path, serve: Serve, in_threads: Callable[..., Any]
) -> None:
    server = serve(large)
    with h5py.File(large) as h5:
        images, deform = h5["events/image"][:], h5["events/deform"][:]
    policy = dcread.Policy(network=NetworkLimits(read=0.5, attempts=8))
    faults = ["503", "429", "reset", "cut body", "hangs up", "stall", "drip"]
    chance = random.Random(3)
    server.spoil = lambda: chance.choice(faults) if chance.random() < 0.2 else ""
    with dcread.HDF5Data(server.url, policy=policy) as hd:

        def work(seed: int) -> None:
            rng = random.Random(seed)
            for _ in range(25):
                row = rng.randrange(len(images) - 5)
                stack = hd.image[row : row + 5]
                assert np.array_equal(stack, images[row : row + 5])
                assert np.array_equal(hd["deform"][row:], deform[row:])

        in_threads(work, range(8))


def test_flipped_bits_are_found(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        _ = hd.image[0]
        server.fault("flipped bits", math.inf)
        with pytest.raises(dcread.ChecksumError, match="/events/image"):
            hd.image[100:1000]


def test_a_replaced_file_is_found(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        server.etag = '"two"'
        with pytest.raises(dcread.FileChangedError, match="open it again"):
            hd.image[100:1000]
    with dcread.HDF5Data(server.url) as hd:
        assert len(hd.image[100:1000]) == 900


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("404", dcread.FileMissingError),
        ("403", dcread.RemoteError),
        ("503", dcread.RemoteError),
        ("ranges ignored", dcread.RemoteError),
        ("captive portal", dcread.RemoteError),
        ("redirect loop", dcread.RemoteError),
        ("redirect to loopback", dcread.PolicyError),
    ],
)
def test_what_fails_is_told(
    large: pathlib.Path, serve: Serve, fault: str, error: type[Exception]
) -> None:
    server = serve(large)
    server.fault(fault, math.inf)
    with pytest.raises(error) as caught:
        dcread.HDF5Data(
            f"{server.url}?id=7&Signature=hidden", policy=dcread.Policy(network=BRIEF)
        )
    assert "hidden" not in str(caught.value)
    assert "id=7" not in str(caught.value)


def test_no_hdf5(serve: Serve) -> None:
    server = serve(b"no measurement at all" * 1000)
    with pytest.raises(dcread.FormatError, match="without an HDF5 signature"):
        dcread.HDF5Data(server.url)


def test_cut_short(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large.read_bytes()[:200_000])
    with pytest.raises(dcread.FormatError, match=server.url):
        dcread.HDF5Data(server.url)


@pytest.mark.parametrize(
    "policy", [dcread.Policy(remote=False), None], ids=["policy", "environment"]
)
def test_offline(
    large: pathlib.Path,
    serve: Serve,
    policy: dcread.Policy | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if policy is None:
        monkeypatch.setenv("DCREAD_OFFLINE", "1")
    server = serve(large)
    with pytest.raises(dcread.PolicyError, match=r"OFFLINE|remote=False"):
        dcread.HDF5Data(server.url, policy=policy)
    assert server.requests == []


def test_it_is_pickled_by_url_and_etag(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(f"{server.url}?id=5") as hd:
        data = pickle.dumps(hd)
        assert len(data) < 2000
        with pickle.loads(data) as again:
            assert again.path == f"{server.url}?id=5"
            assert same(again["deform"][:], hd["deform"][:])
    server.etag = '"two"'
    with pytest.raises(dcread.FileChangedError, match="ETag"):
        pickle.loads(data)


def test_a_signed_url_is_not_pickled(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(f"{server.url}?X-Amz-Signature=hidden&id=5") as hd:
        assert hd.path == f"{server.url}?id=5"
        with pytest.raises(TypeError, match="signature") as caught:
            pickle.dumps(hd)
        assert "hidden" not in str(caught.value) + repr(hd) + hd._repr_html_()


RETRIED = {
    *("cut body", "503", "429", "500", "stall", "stall before the head", "reset"),
    *("drip", "slow headers", "endless continue", "hangs up"),
}
"""Faults that a patient reader does not take for the last word."""


@pytest.mark.parametrize("fault", FAULTS)
def test_close_from_another_thread_ends_a_read(
    large: pathlib.Path, serve: Serve, fault: str, running: Callable[..., Any]
) -> None:
    """However patient the limits are; what is an error at once may be one before."""
    server = serve(large)
    limits = NetworkLimits(connect=60, read=60, total=600, grace=60, attempts=1000)
    hd = dcread.HDF5Data(server.url, policy=dcread.Policy(network=limits))
    _ = hd.image[0]
    server.fault(fault, math.inf, "Retry-After: 100\r\n")

    def read() -> object:
        try:
            return len(hd.image[100:1000])
        except dcread.DCReadError as exc:
            return exc

    with running(read) as (reading,):
        time.sleep(0.2)
        begin = time.monotonic()
        hd.close()
    assert time.monotonic() - begin < 2
    found = reading.result()
    if fault in RETRIED:
        assert type(found) is dcread.ClosedError
    elif fault == "no suffix ranges":
        assert found == 900 or type(found) is dcread.ClosedError
    else:
        assert isinstance(found, dcread.DCReadError)
    with pytest.raises(dcread.ClosedError):
        _ = hd["deform"]


def test_nobody_waits_for_the_network_under_the_lock_of_h5py(
    large: pathlib.Path, serve: Serve, running: Callable[..., Any]
) -> None:
    server = serve(large)
    longest = 0.0
    done = threading.Event()

    def use_h5py() -> None:
        nonlocal longest
        while not done.is_set():
            begin = time.monotonic()
            with phil:
                longest = max(longest, time.monotonic() - begin)
            time.sleep(0.001)

    with running(use_h5py):
        server.latency = 0.5
        try:
            with dcread.HDF5Data(server.url) as hd, phil:  # a caller may hold it
                _ = hd.image[100:1000]
                _ = hd.logs, hd.tables, hd.basins
        finally:
            done.set()
    assert longest < 0.3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_reads_on(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        expected = hd["deform"][:].sum()
        _ = hd.image[100:200]
        child = os.fork()
        if not child:
            right = len(hd.image[1500:1600]) == 100
            right = right and hd["area_um"].shape == (EVENTS,)
            os._exit(7 if right and hd["deform"][:].sum() == expected else 1)
        assert len(hd.image[2500:2600]) == 100  # the parent goes on meanwhile
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert len(hd.image[1100:1200]) == 100


def test_another_process_opens_a_pickle(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)
    code = "import pickle, sys; hd = pickle.load(sys.stdin.buffer); print(len(hd))"
    with dcread.HDF5Data(server.url) as hd:
        done = subprocess.run(
            [sys.executable, "-c", code],
            input=pickle.dumps(hd),
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stdout.split()) == (0, [b"3000"]), done.stderr


def test_inside_a_running_event_loop(large: pathlib.Path, serve: Serve) -> None:
    server = serve(large)

    async def read() -> int:
        with dcread.HDF5Data(server.url) as hd:
            return len(hd.image[:10])

    assert asyncio.run(read()) == 10


@pytest.mark.parametrize("kind", ["url", "file object"])
def test_the_interpreter_ends_cleanly_with_an_open_file(
    large: pathlib.Path, serve: Serve, kind: str, run_python: Callable[..., Any]
) -> None:
    server = serve(large)
    target = repr(server.url) if kind == "url" else f"open({str(large)!r}, 'rb')"
    code = f"import dcread; hd = dcread.HDF5Data({target}); print(len(hd['deform'][:]))"
    for _ in range(3):
        assert run_python(code).stdout == "3000\n"


def test_connections_end_with_the_measurement(
    large: pathlib.Path, serve: Serve, wait_for: Callable[..., Any]
) -> None:
    server = serve(large)
    with dcread.HDF5Data(server.url) as hd:
        _ = hd.image[:]
        assert server._open
    wait_for(lambda: not server._open)
