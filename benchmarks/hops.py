"""Count the Python calls and the files of dcread that a read passes through.

What a read costs beside reading and decoding, as numbers that do not depend on the
machine: calls of functions of dcread, and files of dcread in which they lie, on the
first access and on the second one.

usage: python -m benchmarks.hops [--json FILE] [--list NAME] [--purposes]
"""

from __future__ import annotations

import _thread
import argparse
import collections
import json
import pathlib
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h5py
import numpy as np

PACKAGES = ("dcread", "dcread_ext")
EVENTS, HEIGHT, WIDTH, CHUNK = 400, 20, 50, 40

PURPOSES = {
    "which dataset serves a name; what the file says of it": (
        "measurement/",
        "file/measurement_file.py",
        "file/events.py",
        "file/dataset_group.py",
    ),
    "which other file: definitions, locations, maps, what was noticed": (
        "basins/",
        "file/basin_records.py",
    ),
    "names and policy: where a link or a path may lead": (
        "basins/paths.py",
        "engine/linked_files.py",
        "engine/name_resolver.py",
        "file/addresses.py",
        "file/confined_open.py",
        "file/links.py",
        "file/policy.py",
    ),
    "state of the file, locks, errors that name the object": (
        "engine/file_handle.py",
        "engine/first_seen.py",
        "engine/h5py_errors.py",
        "engine/open_ids.py",
        "problems.py",
        "sync/locks.py",
        "sync/worker.py",
        "sync/background.py",
    ),
    "claims checked before memory is taken or HDF5 is asked": (
        "engine/chunk_errors.py",
        "engine/group_claims.py",
        "engine/index_claims.py",
        "engine/newer_trees.py",
        "engine/object_headers.py",
        "file/event_dataset.py",
        "file/source_check.py",
        "file/source_records.py",
        "file/variable_length.py",
    ),
    "attributes and text, and the identifier that they make": (
        "file/attributes.py",
        "file/identifier.py",
        "file/text_lines.py",
    ),
    "caches, each value loaded once": (
        "images/",
        "sync/loading_cache.py",
        "engine/buffer_pool.py",
    ),
    "views, rows and index expressions": (
        "arrays/",
        "engine/datasets.py",
        "engine/row_reader.py",
        "engine/rows.py",
    ),
    "opening and reading bytes": (
        "engine/open_file.py",
        "engine/read_speed.py",
        "engine/local_source.py",
        "engine/source.py",
    ),
    "where the chunks lie, planning, decoding": ("engine/",),
    "joining files": ("concat/",),
}
"""What the calls are for, by the files that the functions lie in: the longest fits."""

Calls = collections.Counter[tuple[str, str]]
"""Number of calls by file and function."""


class Hops(NamedTuple):
    """What one read passed through."""

    calls: int
    files: int


def traced(read: Callable[[], Any]) -> Calls:
    """Return the calls of functions of ours while `read` runs.

    Those of threads that it starts count, too.
    """
    roots = _roots()
    found: Calls = collections.Counter()

    def note(frame: Any, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(roots):
            found[frame.f_code.co_filename, frame.f_code.co_qualname] += 1

    start_thread = _thread.start_new_thread

    def start_counted(work: Callable[..., Any], *args: Any) -> int:
        def run(*given: Any) -> None:
            sys.setprofile(note)
            work(*given)

        return start_thread(run, *args)

    before = sys.getprofile()
    sys.setprofile(note)
    _thread.start_new_thread = start_counted  # type: ignore[assignment]
    try:
        read()
    finally:
        sys.setprofile(before)
        _thread.start_new_thread = start_thread
    return found


def count(read: Callable[[], Any]) -> Hops:
    """Return how many calls and how many files of ours `read` passes through."""
    found = traced(read)
    return Hops(sum(found.values()), len({file for file, _ in found}))


def _roots() -> tuple[str, ...]:
    import dcread

    top = pathlib.Path(dcread.__file__).parent.parent
    return tuple(f"{top / name}/" for name in PACKAGES)


def make_measurement(path: pathlib.Path) -> None:
    """Write a small measurement: images with filters, and two scalar features."""
    images = np.arange(EVENTS * HEIGHT * WIDTH, dtype=np.uint32) % 251
    images = images.astype(np.uint8).reshape(EVENTS, HEIGHT, WIDTH)
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = EVENTS
        h5.attrs["experiment:date"] = "2024-01-01"
        h5.attrs["experiment:time"] = "12:00:00"
        h5.attrs["setup:identifier"] = "hops"
        h5.attrs["imaging:pixel size"] = 0.26
        h5.attrs["imaging:frame rate"] = 2000.0
        events = h5.create_group("events")
        for name in ("image", "image_bg", "mask"):
            events.create_dataset(
                name,
                data=images,
                chunks=(CHUNK, HEIGHT, WIDTH),
                compression="gzip",
                fletcher32=True,
            )
        for name in ("deform", "area_um", "frame", "time"):
            events[name] = np.arange(EVENTS, dtype=float)


def make_mapped(path: pathlib.Path, source: pathlib.Path) -> None:
    """Write a measurement whose features lie in a basin, every second event."""
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = EVENTS // 2
        h5.attrs["experiment:date"] = "2024-01-01"
        h5.attrs["experiment:time"] = "12:00:00"
        h5.attrs["setup:identifier"] = "hops"
        h5["events/basinmap0"] = np.arange(0, EVENTS, 2, dtype=np.uint64)
        definition = {
            "name": "a basin",
            "type": "file",
            "format": "hdf5",
            "paths": [str(source)],
            "features": ["deform", "image"],
            "mapping": "basinmap0",
        }
        lines = json.dumps(definition, indent=2).split("\n")
        h5["basins/a"] = np.array([line.encode() for line in lines], "S200")


def reads(folder: pathlib.Path) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the name of each read, and the read; files are opened beforehand."""
    import dcread

    plain, mapped = folder / "plain.rtdc", folder / "mapped.rtdc"
    make_measurement(plain)
    make_mapped(mapped, plain)
    with dcread.HDF5Data(plain) as hd:
        yield "hd['deform']", lambda: hd["deform"]
    with dcread.HDF5Data(plain) as hd:
        yield "hd.image[5]", lambda: hd.image[5]
    with dcread.HDF5Data(mapped) as hd:
        yield "scalar of a mapped basin", lambda: hd["deform"]
    with dcread.HDF5Data(mapped) as hd:
        yield "get_basin_data(0)", lambda: hd.get_basin_data(0)

    def join() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dcread.concatenated_hdf5_data([plain, plain], path_out=None).close()

    yield "concatenated_hdf5_data of two", join


def measure() -> dict[str, tuple[Hops, Hops]]:
    """Return for each read what its first and its second access pass through."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(2):  # modules are imported in the first round
            for title, read in reads(pathlib.Path(name)):
                found[title] = count(read), count(read)
    return found


def table(found: dict[str, tuple[Hops, Hops]]) -> str:
    """Return a Markdown table."""
    lines = [
        "| read | calls, first | again | files, first | again |",
        "|---|---|---|---|---|",
    ]
    lines += [
        f"| `{title}` | {first.calls} | {again.calls} | {first.files} | {again.files} |"
        for title, (first, again) in found.items()
    ]
    return "\n".join(lines)


def purpose_of(file: str) -> str:
    """Return what the functions of a file are for."""
    found = {
        len(part): purpose
        for purpose, parts in PURPOSES.items()
        for part in parts
        if f"dcread/{part}" in file
    }
    return found[max(found)] if found else "other"


def purposes() -> str:
    """Return a Markdown table of what the calls of the first accesses are for."""
    found: dict[str, collections.Counter[str]] = {}
    with tempfile.TemporaryDirectory() as name:
        for _ in range(2):
            for title, read in reads(pathlib.Path(name)):
                found[title] = collections.Counter()
                for (file, _function), number in traced(read).items():
                    found[title][purpose_of(file)] += number
    lines = [
        "| calls for | scalar | image | mapped scalar | basin | joining |",
        "|---" * (len(found) + 1) + "|",
    ]
    for purpose in (*PURPOSES, "other"):
        numbers = [str(counts[purpose]) for counts in found.values()]
        if any(map(int, numbers)):
            lines.append(f"| {purpose} | " + " | ".join(numbers) + " |")
    return "\n".join(lines)


def list_calls(wanted: str) -> None:
    """Print the functions that the first access of a read calls."""
    with tempfile.TemporaryDirectory() as name:
        for _ in range(2):
            for title, read in reads(pathlib.Path(name)):
                found = traced(read)
                if wanted in title:
                    last = found
    for (file, function), number in last.most_common():
        print(f"{number:5} {pathlib.Path(file).name}:{function}")


def main() -> None:
    """Count and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=pathlib.Path, help="write the numbers, too")
    parser.add_argument("--list", help="list the functions that a read calls")
    parser.add_argument(
        "--purposes", action="store_true", help="tell what the calls are for"
    )
    arguments = parser.parse_args()
    if arguments.list:
        list_calls(arguments.list)
        return
    if arguments.purposes:
        print(purposes())
        return
    found = measure()
    print(table(found))
    if arguments.json:
        numbers = {
            title: {"first": first._asdict(), "again": again._asdict()}
            for title, (first, again) in found.items()
        }
        arguments.json.write_text(json.dumps(numbers, indent=2) + "\n")


if __name__ == "__main__":
    main()
