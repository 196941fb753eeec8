"""Reading over HTTP, held against dclab.

A server of its own process waits 5, 20 and 100 ms before each answer. Each task runs in
pairs, one after the other, with nothing kept from the run before; answers have to be
equal. What counts is the ratio of the best times, with the requests and bytes that it
took. *Bytes alone* is what the requests of dcread take by themselves, see `replay`; no
reader that needs the same bytes can be more than dclab's time divided by that as fast.
*Decoded* is the same if images are decoded as soon as their bytes are here, out of the
file in memory, by as many threads as there are cores: what a reader takes that does
nothing else.
At last all images are read, over 20 ms, from the file itself, and as bytes that are
thrown away.

usage: python -m benchmarks.remote [--handshake ROUNDS] [MS ...]
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import http.client
import itertools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import h5py
import numpy as np

import dcread
from dcread.engine.metadata_blocks import store
from dcread.engine.network_limits import NetworkLimits
from dcread.engine.thread_pool import get_num_threads

from .data import open_data
from .machine import describe_machine
from .plot import draw
from .replay import Request, replay, rounds_of
from .side_by_side import seconds_of

ROUNDS, ROUNDS_OF_FAR = 9, 3
"""How often each side does a task; where it mostly waits, runs differ less."""

FAR = 50.0
"""Milliseconds of an answer from which on that is so."""

_numbers = itertools.count()


FILES = {"newer": "zstd", "older": "gzip"}
"""Formats of HDF5, and the benchmark file (an attribute of `Data`) of each."""

TASKS = ("open, one scalar", "first 1000 images", "20 random images")

GOALS: dict[float, dict[str, int]] = {
    5: {"open, one scalar": 2, "first 1000 images": 5, "20 random images": 12},
    20: {"open, one scalar": 2, "first 1000 images": 12, "20 random images": 15},
    100: {"open, one scalar": 2, "first 1000 images": 18, "20 random images": 22},
}
"""Times as fast as dclab, by the milliseconds of an answer."""


def total(images: Any) -> int:
    """Return a sum that takes next to no time: eight pixels are one number."""
    words = np.ascontiguousarray(images).reshape(-1).view(np.uint64)
    return int(words.sum())


def picks(count: int) -> Any:
    return np.sort(np.random.default_rng(1).choice(count, 20, replace=False))


def by_dcread(url: str, task: str) -> Any:
    store.clear()
    with dcread.HDF5Data(url) as hd:
        if task == "open, one scalar":
            return float(hd["deform"][:].sum())
        if task == "first 1000 images":
            return total(hd.image[:1000])
        if task == "20 random images":
            return total(hd.image[picks(len(hd))])
        chunks = hd.image.iter_chunks()  # the next one is loaded ahead
        return sum(total(hd.image.get_chunk(number)) for number in chunks) % 2**64


def by_dclab(url: str, task: str) -> Any:
    from dclab.rtdc_dataset.fmt_http import RTDC_HTTP

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with RTDC_HTTP(url) as ds:
            if task == "open, one scalar":
                return float(ds["deform"][:].sum())
            images = ds["image"]
            if task == "first 1000 images":
                return total(images[:1000])
            return sum(total(images[int(row)]) for row in picks(len(ds))) % 2**64


@contextlib.contextmanager
def serving(path: Any, delay: float, handshake: float = 0) -> Iterator[str]:
    """Serve a file, with seconds before an answer; encrypted if handshakes take any."""
    command = [sys.executable, "-m", "benchmarks.range_server", str(path), str(delay)]
    origin = "http://127.0.0.1"
    if handshake:
        command += [str(handshake), _certificate()]
        origin = "https://localhost"
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"{origin}:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


@functools.cache
def _certificate() -> str:
    """Return a file with a certificate that all who read here trust from now on."""
    import trustme

    folder = pathlib.Path(tempfile.mkdtemp())
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "authority.pem")
    pem = authority.issue_cert("localhost").private_key_and_cert_chain_pem
    pem.write_to_path(folder / "server.pem")
    for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        os.environ[name] = str(folder / "authority.pem")
    return str(folder / "server.pem")


class Counts(NamedTuple):
    """What a server was asked for.

    Attributes
    ----------
    requests : list of Request
        Ranges.
    sent : int
        Bytes of answers.
    used : float
        Seconds of processor time of the server.
    """

    requests: list[Request]
    sent: int
    used: float


class Run(NamedTuple):
    """A reading: its seconds, what it took, the processor time and the answer."""

    seconds: float
    counts: Counts
    used: float
    answer: Any


def counts(origin: str) -> Counts:
    """Return what a server was asked for since the last call."""
    with urllib.request.urlopen(f"{origin}/counts") as answer:
        requests, sent, used = json.load(answer)
    return Counts([Request(*one) for one in requests], sent, used)


def run(read: Callable[[str, str], Any], origin: str, task: str) -> Run:
    counts(origin)
    url = f"{origin}/{next(_numbers)}.rtdc"  # another one: dclab keeps what it read
    begin, used = time.perf_counter(), time.process_time()
    found = read(url, task)
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    return Run(seconds, counts(origin), used, found)


def compare(
    path: Any, title: str, delay: float, handshake: float
) -> list[tuple[str, float]]:
    """Print a row for each task; return their titles and ratios."""
    ratios = []
    with serving(path, delay / 1000, handshake * delay / 1000) as origin:
        for task in TASKS:
            runs: dict[str, list[Run]] = {"dcread": [], "dclab": []}
            readers = {"dcread": by_dcread, "dclab": by_dclab}
            for number in range(ROUNDS if delay < FAR else ROUNDS_OF_FAR):
                for name in sorted(readers, reverse=bool(number % 2)):
                    runs[name].append(run(readers[name], origin, task))
            answers = {one.answer for found in runs.values() for one in found}
            assert len(answers) == 1, task
            mine, peer = (min(found, key=_seconds) for found in runs.values())
            ratios.append(
                (f"{task}, {title}, {delay:g} ms", peer.seconds / mine.seconds)
            )
            fewest = min((one.counts.requests for one in runs["dcread"]), key=rounds_of)
            alone = [] if handshake else _alone(origin, path, task, fewest, peer)
            cells = [
                f"{delay:g} ms",
                title,
                task,
                f"{mine.seconds:.3f} s",
                f"{peer.seconds:.3f} s",
                f"**{peer.seconds / mine.seconds:.1f}**",
                str(GOALS.get(delay, {}).get(task, "")),
                *alone,
                f"{len(mine.counts.requests)} / {len(peer.counts.requests)}",
                f"{mine.counts.sent / 1e6:.1f} / {peer.counts.sent / 1e6:.1f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
    return ratios


def _seconds(found: Run) -> float:
    return found.seconds


def _alone(
    origin: str, path: Any, task: str, requests: list[Request], peer: Run
) -> list[str]:
    """Return cells: what requests take alone, with decoding, ratios, the rounds."""
    seconds = min(replay(origin, requests) for _ in range(ROUNDS))
    decoded = seconds
    if task != "open, one scalar":
        found = [decode_on_arrival(origin, path, task, requests) for _ in range(ROUNDS)]
        assert {answer for _, answer in found} == {peer.answer}, task
        decoded = min(seconds for seconds, _ in found)
    ratios = [f"{peer.seconds / least:.1f}" for least in (seconds, decoded)]
    texts = [f"{least:.3f} s" for least in (seconds, decoded)]
    return [texts[0], ratios[0], texts[1], ratios[1], str(rounds_of(requests))]


def decode_on_arrival(
    origin: str, path: Any, task: str, requests: list[Request]
) -> tuple[float, int]:
    """Return seconds of requests whose images are decoded, and the sum of those.

    Bytes that arrive are thrown away; those of the file, which is in memory, are
    decoded in their place.
    """
    with h5py.File(path) as h5:
        images = h5["events/image"]
        rows = range(1000) if task == "first 1000 images" else picks(len(images))
        height = images.chunks[0]
        chunks: dict[int, Any] = {}
        images.id.chunk_iter(lambda one: chunks.update({one.chunk_offset[0]: one}))
    wanted = {}
    for request in requests:
        found = [row for row in rows if _holds(request, chunks[row - row % height])]
        if found:
            some = found if len(found) < 2 * height else slice(found[0], found[-1] + 1)
            wanted[request] = some
    cores = get_num_threads()
    dcread.set_num_threads(1)
    with dcread.HDF5Data(path) as hd, ThreadPoolExecutor(cores) as pool:
        hd.image[:1]  # where the chunks lie is known by then
        list(pool.map(time.sleep, [0.01] * cores))  # the threads are there
        sums: list[Future[int]] = []

        def arrived(request: Request) -> None:
            if request in wanted:
                sums.append(pool.submit(lambda: total(hd.image[wanted[request]])))

        begin = time.perf_counter()
        replay(origin, requests, arrived)
        answer = sum(one.result() for one in sums) % 2**64
        seconds = time.perf_counter() - begin
    dcread.set_num_threads(None)
    return seconds, answer


def _holds(request: Request, chunk: Any) -> bool:
    end = chunk.byte_offset + chunk.size
    return bool(request.start <= chunk.byte_offset and end <= request.stop)


def fetch_only(origin: str, ranges: list[tuple[int, int]], connections: int) -> float:
    """Return the seconds that bytes take which nobody decodes."""
    largest = max(stop - start for start, stop in ranges)

    def work(left: Iterator[tuple[int, int]]) -> None:
        connection = http.client.HTTPConnection(origin.partition("://")[2])
        buffer = bytearray(largest)
        for start, stop in left:
            headers = {"Range": f"bytes={start}-{stop - 1}"}
            connection.request("GET", "/floor", headers=headers)
            answer = connection.getresponse()
            count = answer.readinto(memoryview(buffer)[: stop - start])
            assert count == stop - start
            answer.read()
        connection.close()

    return seconds_of(work, ranges, connections)


def compare_scans(path: Any, delay: float) -> None:
    """Read all images, from the server and from the file; and their bytes alone."""

    def near_run() -> float:
        begin = time.perf_counter()
        answers.add(by_dcread(str(path), "scan"))
        return time.perf_counter() - begin

    connections = NetworkLimits().connections
    answers: set[int] = set()
    fars, nears, floors = [], [], []
    with serving(path, delay / 1000) as origin:
        for _ in range(ROUNDS_OF_FAR):
            fars.append(run(by_dcread, origin, "scan"))
            nears.append(near_run())
            ranges = [(one.start, one.stop) for one in fars[-1].counts.requests]
            floors.append(fetch_only(origin, ranges, connections))
    answers.update(one.answer for one in fars)
    assert len(answers) == 1
    best, near, floor = min(fars, key=_seconds), min(nears), min(floors)
    far, cores = best.seconds, os.cpu_count() or 1
    print(
        f"\nAll images by chunks over {delay:g} ms take {far:.2f} s; their bytes, "
        f"received by {connections} connections and thrown away, {floor:.2f} s; a scan "
        f"of the file itself {near:.2f} s. That is {far / floor:.2f} and "
        f"{far / near:.2f} times as long, and {far / (floor + near):.2f} times both "
        f"together, which share the processors. dcread uses {best.used:.2f} s of "
        f"processor time for it and the server {best.counts.used:.2f} s: on {cores} "
        f"cores {(best.used + best.counts.used) / cores:.2f} s at the least."
    )


def main(delays: list[float], handshake: float) -> None:
    data = open_data()
    print(describe_machine())
    if handshake:
        print(f"\nOver TLS; a new connection takes {handshake:g} times the delay.")
    alone = ["bytes alone", "most possible", "decoded", "most then", "rounds"]
    alone = [] if handshake else alone
    columns = ["delay", "format", "task", "dcread", "dclab", "ratio", "goal", *alone]
    print(f"\n| {' | '.join([*columns, 'requests', 'MB'])} |")
    print("|" + "---|" * (len(columns) + 2))
    ratios = []
    for delay in delays:
        for title, name in FILES.items():
            ratios += compare(getattr(data, name), title, delay, handshake)
    if not handshake:
        compare_scans(data.zstd, 20)
        print(f"\npicture: {draw(ratios, data.folder, 'remote', 'dclab')}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("delays", type=float, nargs="*", default=[5, 20, 100])
    parser.add_argument(
        "--handshake", type=float, default=0, help="round trips of a new connection"
    )
    found = parser.parse_args()
    main(found.delays, found.handshake)
