"""Reading over HTTP, held against dclab.

A server of its own process waits 5, 20 and 100 ms before each answer. Each task runs in
pairs, one after the other, with nothing kept from the run before; answers have to be
equal. What counts is the ratio of the best times, with the requests and bytes that it
took. At last all images are read, over 20 ms, from the file itself, and as bytes that
are thrown away.

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
from typing import Any

import numpy as np

import dcread
from dcread.engine.metadata_blocks import store
from dcread.engine.network_limits import NetworkLimits

from .data import open_data
from .machine import describe_machine
from .plot import draw
from .side_by_side import seconds_of

ROUNDS = 3

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


def counts(origin: str) -> tuple[int, int, list[tuple[int, int]]]:
    """Return requests, bytes and ranges since the last call."""
    with urllib.request.urlopen(f"{origin}/counts") as answer:
        requests, sent, ranges = json.load(answer)
    return requests, sent, ranges


def run(
    read: Callable[[str, str], Any], origin: str, task: str
) -> tuple[float, int, int, Any]:
    counts(origin)
    url = f"{origin}/{next(_numbers)}.rtdc"  # another one: dclab keeps what it read
    begin = time.perf_counter()
    found = read(url, task)
    return (time.perf_counter() - begin, *counts(origin)[:2], found)


def compare(
    path: Any, title: str, delay: float, handshake: float
) -> list[tuple[str, float]]:
    """Print a row for each task; return their titles and ratios."""
    ratios = []
    with serving(path, delay / 1000, handshake * delay / 1000) as origin:
        for task in TASKS:
            times: dict[str, list[Any]] = {"dcread": [], "dclab": []}
            readers = {"dcread": by_dcread, "dclab": by_dclab}
            for number in range(ROUNDS):
                for name in sorted(readers, reverse=bool(number % 2)):
                    times[name].append(run(readers[name], origin, task))
            answers = {one[3] for found in times.values() for one in found}
            assert len(answers) == 1, task
            mine, peer = min(times["dcread"]), min(times["dclab"])
            ratios.append((f"{task}, {title}, {delay:g} ms", peer[0] / mine[0]))
            print(
                f"| {delay:g} ms | {title} | {task} "
                f"| {mine[0]:.3f} s | {peer[0]:.3f} s "
                f"| **{peer[0] / mine[0]:.1f}** | {GOALS.get(delay, {}).get(task, '')} "
                f"| {mine[1]} / {peer[1]} "
                f"| {mine[2] / 1e6:.1f} / {peer[2] / 1e6:.1f} |",
                flush=True,
            )
    return ratios


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

    def timed(target: str) -> tuple[float, int]:
        begin = time.perf_counter()
        found = by_dcread(target, "scan")
        return time.perf_counter() - begin, found

    connections = NetworkLimits().connections
    fars, nears, floors = [], [], []
    with serving(path, delay / 1000) as origin:
        for _ in range(ROUNDS):
            counts(origin)
            fars.append(timed(f"{origin}/{next(_numbers)}.rtdc"))
            nears.append(timed(str(path)))
            floors.append(fetch_only(origin, counts(origin)[2], connections))
    assert len({found for _, found in fars + nears}) == 1
    far, near, floor = min(fars)[0], min(nears)[0], min(floors)
    print(
        f"\nAll images by chunks over {delay:g} ms take {far:.2f} s; their bytes, "
        f"received by {connections} connections and thrown away, {floor:.2f} s; a scan "
        f"of the file itself {near:.2f} s. That is {far / floor:.2f} and "
        f"{far / near:.2f} times as long, and {far / (floor + near):.2f} times both "
        "together, which share the processors."
    )


def main(delays: list[float], handshake: float) -> None:
    data = open_data()
    print(describe_machine())
    if handshake:
        print(f"\nOver TLS; a new connection takes {handshake:g} times the delay.")
    print("\n| delay | format | task | dcread | dclab | ratio | goal | requests | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
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
