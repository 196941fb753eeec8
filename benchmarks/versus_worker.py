"""Do tasks of `benchmarks.versus` with the dcread of the interpreter that runs this.

Tasks come as lines on standard input; each is answered by a line of JSON: seconds,
processor seconds (of the fastest of three times), a checksum of what was read, and the
largest memory of this process so far in MiB.
"""

from __future__ import annotations

import json
import pathlib
import resource
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import dcread

Pieces = Iterator[Any]


def _chunks(hd: Any, feature: str) -> Pieces:
    images = hd.image_corr if feature == "image_corr" else hd.get_image_cache(feature)
    for chunk in images.iter_chunks():
        yield images.get_chunk(chunk)


def scan(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        yield from _chunks(hd, "image")


def scan_gzip(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "gzip.rtdc") as hd:
        yield from _chunks(hd, "image")


def scan_contiguous(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "contiguous.rtdc") as hd:
        yield from _chunks(hd, "image")


def scan_corrected(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        yield from _chunks(hd, "image_corr")


def one_by_one(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        images = hd.image
        for number in range(len(images)):
            yield images[number]


def random_images(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        for number in np.random.default_rng(40).integers(0, len(hd), 40).tolist():
            yield hd.image[number]


def slices(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        for start in range(0, len(hd) - 500, 500):
            yield hd.image[start : start + 500]


def every_200th(folder: pathlib.Path) -> Pieces:
    path = folder / "long.rtdc"
    with dcread.HDF5Data(path, index_mapping=slice(None, None, 200)) as hd:
        yield hd["image"][:]


def random_order(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "long.rtdc") as hd:
        order = np.random.default_rng(800).permutation(len(hd))[:800]
        yield dcread.get_mapped_object(hd.h5["events/image"], order)[:]


def flicker(folder: pathlib.Path) -> Pieces:
    with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
        yield dcread.flicker_report(hd.image).medians


def scalars(folder: pathlib.Path) -> Pieces:
    for _ in range(20):
        with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
            yield hd["deform"]
            yield hd["area_um"]


def opening(folder: pathlib.Path) -> Pieces:
    for _ in range(40):
        with dcread.HDF5Data(folder / "measurement.rtdc") as hd:
            yield np.array([len(hd), len(hd.keys())])


TASKS: dict[str, Callable[[pathlib.Path], Pieces]] = {
    "scan all chunks": scan,
    "scan, gzip": scan_gzip,
    "scan, contiguous": scan_contiguous,
    "scan `image_corr`": scan_corrected,
    "images one by one in order": one_by_one,
    "40 random images": random_images,
    "slices of 500 images": slices,
    "index mapping, every 200th event": every_200th,
    "800 events in random order": random_order,
    "flicker check": flicker,
    "two scalars of a file, 20 times": scalars,
    "opening, 40 times": opening,
}


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    for line in sys.stdin:
        work = TASKS[line.strip()]
        checksum = 0
        for piece in work(folder):  # once to be sure of the answers, and warm
            checksum = zlib.crc32(np.ascontiguousarray(piece), checksum)
        wall, processor = min(_timed(work, folder) for _ in range(3))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        sys.stdout.write(json.dumps([wall, processor, checksum, peak]) + "\n")
        sys.stdout.flush()


def _timed(
    work: Callable[[pathlib.Path], Pieces], folder: pathlib.Path
) -> tuple[float, float]:
    wall, processor = time.perf_counter(), time.process_time()
    for _ in work(folder):
        pass
    return time.perf_counter() - wall, time.process_time() - processor


if __name__ == "__main__":
    main()
