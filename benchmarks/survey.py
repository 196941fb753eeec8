"""Surveys of many files, side by side with a loop over `dcnum.read`.

usage: python -m benchmarks.survey [--files N] [--rounds N]
"""

from __future__ import annotations

import argparse
import functools
import pathlib
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence

import h5py

from dcread.demo.generate import make_measurement
from dcread.interop import survey

Times = dict[str, list[float]]


def make_files(folder: pathlib.Path, number: int, frames: int) -> list[pathlib.Path]:
    """Write recordings of eight seeds, each file with a name of its own inside."""
    originals = [
        make_measurement(folder / f"seed{seed}", frames=frames, seed=seed).recording
        for seed in range(min(8, number))
    ]
    paths = []
    for index in range(number):
        path = folder / f"{index:04d}.rtdc"
        shutil.copy(originals[index % len(originals)], path)
        with h5py.File(path, "a") as h5:
            h5.attrs["experiment:sample"] = f"sample {index}"
        paths.append(path)
    return paths


def loop_over_peer(paths: Sequence[pathlib.Path]) -> list[bool]:
    """Look for flicker as one does with the peer."""
    from dcnum import read

    found = []
    for path in paths:
        with read.HDF5Data(path) as hd:
            found.append(bool(read.detect_flickering(hd.image)))
    return found


def answers(paths: Sequence[pathlib.Path], **how: object) -> list[bool]:
    """Look for flicker by a survey."""
    found: list[bool] = survey(paths, "flicker", **how).flickering.tolist()
    return found


def race(ways: dict[str, Callable[[], list[bool]]], rounds: int) -> Times:
    """Time each way in turns; all must give the same answers."""
    times: Times = {name: [] for name in ways}
    expected = None
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.perf_counter()
            found = way()
            times[name].append(time.perf_counter() - start)
            expected = found if expected is None else expected
            assert found == expected, name
    return times


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--frames", type=int, default=150)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    from distributed import Client, LocalCluster

    one, two = (
        LocalCluster(n_workers=n, threads_per_worker=1, dashboard_address=None)
        for n in (1, 2)
    )
    with (
        tempfile.TemporaryDirectory() as place,
        one,
        two,
        Client(one) as small,
        Client(two) as large,
    ):
        paths = make_files(pathlib.Path(place), args.files, args.frames)
        size = sum(path.stat().st_size for path in paths)
        print(f"{len(paths)} files, {size / 1e6:.0f} MB, {args.frames} images each")
        for client in (small, large):  # start their processes
            answers(paths[:8], client=client)
        times = race(
            {
                "loop over dcnum.read": lambda: loop_over_peer(paths),
                "one process": lambda: answers(paths),
                "--jobs 2": lambda: answers(paths, jobs=2),
                "dask, 1 worker": lambda: answers(paths, client=small),
                "dask, 2 workers": lambda: answers(paths, client=large),
            },
            args.rounds,
        )
        base = min(times["loop over dcnum.read"])
        for name, seconds in times.items():
            best = min(seconds)
            print(
                f"{name:<22} {best:7.2f} s  {1e3 * best / len(paths):7.2f} ms a file  "
                f"{base / best:5.2f} times the loop's speed"
            )
        for part in (4, 2, 1):
            few = paths[: len(paths) // part]
            way = functools.partial(answers, few, client=large)
            cost = 1e3 * min(race({"": way}, 2)[""]) / len(few)
            print(f"dask, 2 workers, {len(few)} files: {cost:.2f} ms a file")


if __name__ == "__main__":
    main()
