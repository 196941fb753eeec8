"""Reading over HTTP, held against dclab: ``python -m benchmarks.remote [MS ...]``.

A server of its own process waits 5, 20 and 100 ms before each answer. Each task runs in
pairs, one after the other, with nothing kept from the run before; answers have to be
equal. What counts is the ratio, with the requests and bytes that it took.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import statistics
import subprocess
import sys
import time
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dcread
from dcread.engine.metadata_blocks import store

from .data import open_data

ROUNDS = 3

_numbers = itertools.count()


def total(images: Any) -> int:
    return int(np.asarray(images).astype(np.int64).sum())


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
        steps = range(0, len(hd), 1000)
        return sum(total(hd.image[start : start + 1000]) for start in steps)


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
            if task == "20 random images":
                return sum(total(images[int(row)]) for row in picks(len(ds)))
            steps = range(0, len(ds), 1000)
            return sum(total(images[start : start + 1000]) for start in steps)


@contextlib.contextmanager
def serving(path: Any, delay: float) -> Iterator[str]:
    command = [sys.executable, "-m", "benchmarks.range_server", str(path), str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.terminate()


def counts(origin: str) -> tuple[int, int]:
    with urllib.request.urlopen(f"{origin}/counts") as answer:
        requests, sent = json.load(answer)
    return requests, sent


def run(
    read: Callable[[str, str], Any], origin: str, task: str
) -> tuple[float, int, int, Any]:
    counts(origin)
    url = f"{origin}/{next(_numbers)}.rtdc"  # another one: dclab keeps what it read
    begin = time.perf_counter()
    found = read(url, task)
    return (time.perf_counter() - begin, *counts(origin), found)


def main(delays: list[float]) -> None:
    path = open_data().zstd
    by_dclab_first = False
    print("| delay | task | dcread | dclab | ratio | requests | MB |")
    print("|---|---|---|---|---|---|---|")
    for delay in delays:
        with serving(path, delay / 1000) as origin:
            for task in ("open, one scalar", "first 1000 images", "20 random images"):
                ours, theirs = [], []
                for _ in range(ROUNDS):
                    by_dclab_first = not by_dclab_first
                    if by_dclab_first:
                        theirs.append(run(by_dclab, origin, task))
                    ours.append(run(by_dcread, origin, task))
                    if not by_dclab_first:
                        theirs.append(run(by_dclab, origin, task))
                assert {one[3] for one in ours} == {one[3] for one in theirs}, task
                mine = statistics.median(one[0] for one in ours)
                peer = statistics.median(one[0] for one in theirs)
                print(
                    f"| {delay:g} ms | {task} | {mine:.3f} s | {peer:.3f} s | "
                    f"{peer / mine:.1f} | {ours[-1][1]} / {theirs[-1][1]} | "
                    f"{ours[-1][2] / 1e6:.1f} / {theirs[-1][2] / 1e6:.1f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main([float(text) for text in sys.argv[1:]] or [5, 20, 100])
