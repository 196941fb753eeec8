# ruff: noqa: B023  (what reads is called at once)
"""Child process of the mutation fuzzer: reads everything in the files it is told.

Each line of its input is a JSON list ``[reader, path]``; the answer is one line of JSON
that says for each thing in the file its digest, or the error that reading it raised.
"""

from __future__ import annotations

import contextlib
import faulthandler
import hashlib
import json
import pathlib
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (h5py needs its filters)
import numpy as np

from dcread import DCReadError, HDF5Data

MEMORY = 3 << 30
CPU_SECONDS = 3
"""What one file may take; a whole one takes 0.03."""
WHOLE = 64 << 20
"""Larger arrays, which a damaged file may claim, are read at both ends only."""

MOST_ROWS = 64
"""Of an array with several axes and so many rows, each row has a digest of its own."""

Answers = dict[str, str]
SHOWS_DAMAGE = "has chunks out of place"
LOUD, FOREIGN, ROWS = "error: ", "FOREIGN: ", " rows: "


def main() -> None:
    """Answer until the input ends."""
    faulthandler.enable(all_threads=False)
    if hasattr(signal, "SIGXCPU"):
        faulthandler.register(signal.SIGXCPU, chain=True, all_threads=False)
    limit_memory()
    warnings.simplefilter("ignore")
    readers = {"dcread": read_by_dcread, "h5py": read_by_h5py}
    for line in sys.stdin:
        reader, path = json.loads(line)
        limit_time()
        answers = readers[reader](pathlib.Path(path))
        sys.stdout.write(json.dumps(answers) + "\n")
        sys.stdout.flush()


def limit_memory() -> None:
    """Bound the memory that this process can take, where the system can."""
    with contextlib.suppress(ImportError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def limit_time() -> None:
    """Bound the work for the next file, where the system can: SIGXCPU ends it."""
    with contextlib.suppress(ImportError):
        import resource

        usage = resource.getrusage(resource.RUSAGE_SELF)
        end = int(usage.ru_utime + usage.ru_stime) + 1 + CPU_SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (end, resource.RLIM_INFINITY))


def note(answers: Answers, name: str, read: Callable[[], Any]) -> None:
    """Keep the digest of a value, or its error."""
    with noting(answers, name):
        answers[name] = digest(read())


@contextlib.contextmanager
def noting(answers: Answers, name: str) -> Iterator[None]:
    """Keep an error; one beyond the family with the place where it was raised."""
    try:
        yield
    except DCReadError as exc:
        answers[name] = f"{LOUD}{type(exc).__name__}"
    except Exception as exc:
        frames = traceback.extract_tb(exc.__traceback__)
        places = [f"{pathlib.Path(f.filename).name}:{f.name}" for f in frames]
        inner = [p for p in places if "reading.py" not in p]
        where = " < ".join(inner[-1:-4:-1])
        answers[name] = f"{FOREIGN}{type(exc).__name__} at {where}: {exc!s:.100}"


def digest(value: Any) -> str:
    """Return what tells a value from all others."""
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        what = f"{value.dtype.str} {value.dtype.names} {value.shape}"
        if value.dtype.char == "g":  # (six bytes of each mean nothing)
            value = value.astype(str)
        raw = np.ascontiguousarray(value).tobytes()
        found = f"{what} {hashlib.sha1(raw).hexdigest()[:16]}"
        if len(value.shape) > 1 and 1 < len(value) <= MOST_ROWS:
            rows = [hashlib.sha1(row.tobytes()).hexdigest()[:16] for row in value]
            return f"{found}{ROWS}{' '.join(rows)}"
        return found
    if isinstance(value, np.ndarray):
        value = value.tolist()
    text = repr(value)
    return (
        text
        if len(text) < 60
        else hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()
    )


def content(view: Any) -> np.ndarray:
    """Return an array, or its ends if it claims to be large."""
    if np.prod(view.shape, dtype=object) * view.dtype.itemsize <= WHOLE:
        return np.asarray(view[:])
    return np.concatenate([np.asarray(view[:2]), np.asarray(view[-2:])])


def read_by_dcread(path: pathlib.Path) -> Answers:
    """Read everything through the public interface."""
    answers: Answers = {}
    with noting(answers, "open"), HDF5Data(path) as hd:
        note(answers, "len", lambda: len(hd))
        names: list[str] = []
        with noting(answers, "features"):
            names = hd.keys()
        for name in names:
            with noting(answers, f"events/{name}"):
                feature(answers, name, hd[name])
        note_items(answers, "meta", lambda: hd.meta)
        note_items(answers, "logs", lambda: hd.logs)
        with noting(answers, "tables"):
            for name, table in hd.tables.items():
                if isinstance(table, dict):
                    note_items(answers, f"tables/{name}", lambda: table)
                else:
                    note(answers, f"tables/{name}", lambda: np.asarray(table))
        for name in (
            "image_corr",
            "pixel_size",
            "meta_nest",
            "basins",
            "features_scalar_frame",
        ):
            answers_of_no_judge(answers, name, lambda: getattr(hd, name))
        answers_of_no_judge(answers, "get_ppid", hd.get_ppid)
        answers_of_no_judge(answers, "basin_status", hd.basin_status)
        for name in [*names[:20], "no such feature"]:
            answers_of_no_judge(answers, "explain", lambda: str(hd.explain(name)))
        answers_of_no_judge(answers, "repr", lambda: [repr(hd), hd._repr_html_()])
        with noting(answers, "problems"):
            problems = [str(problem) for problem in hd.problems]
            answers["problems"] = "; ".join(problems)
    return answers


def answers_of_no_judge(answers: Answers, name: str, read: Callable[[], Any]) -> None:
    """Keep only an error of what follows from the rest."""
    with noting(answers, name):
        value = read()
        if name == "image_corr" and value is not None and len(value):
            value[len(value) // 2]


def note_items(answers: Answers, kind: str, read: Callable[[], Any]) -> None:
    """Keep each item of a dictionary."""
    with noting(answers, kind):
        for name, value in read().items():
            note(answers, f"{kind}/{name}", lambda: value)


def feature(answers: Answers, name: str, found: Any) -> None:
    """Keep a feature, member by member where it has members."""
    if name == "trace":
        for trace in found:
            note(answers, f"events/trace/{trace}", lambda: content(found[trace]))
    elif name == "contour":
        for event in range(min(len(found), 40)):
            note(answers, f"events/contour/{event}", lambda: found[event])
    else:
        answers[f"events/{name}"] = digest(content(found))


def read_by_h5py(path: pathlib.Path) -> Answers:
    """Read the same by h5py, under the same names."""
    answers: Answers = {}
    with noting(answers, "open"), h5py.File(path, "r") as h5:
        with noting(answers, "features"):
            judge_events(answers, h5)
        with noting(answers, "meta"):
            for name in h5.attrs:
                note(answers, f"meta/{plain(name)}", lambda: plain(h5.attrs[name]))
        for group in ("logs", "tables"):
            with noting(answers, group):
                for name in h5.get(group, ()):
                    judge_text(answers, f"{group}/{as_text(name)}", h5[group], name)
    return answers


def judge_events(answers: Answers, h5: h5py.File) -> None:
    """Keep own features and those of basins."""
    for key in h5["events"]:
        name = as_text(key)
        with noting(answers, f"events/{name}"):
            member = h5["events"][key]
            if isinstance(member, h5py.Group):
                # (contours are asked for by their numbers, whatever the group lists)
                # (h5py cannot be asked whether a name that is not UTF-8 is there)
                contours = (one for one in map(str, range(40)) if one in member)
                for inner in contours if name == "contour" else member:
                    place = f"events/{name}/{as_text(inner)}"
                    note(answers, place, lambda: content(member[inner]))
            else:
                note(answers, f"events/{name}", lambda: shown(name, content(member)))
                if shows_damage(member):
                    answers[f"index/{name}"] = SHOWS_DAMAGE
    for key in h5.get("basins", ()):
        with noting(answers, f"basins/{key}"):
            lines = [one.decode() for one in h5["basins"][key][()].tolist()]
            judge_basin(answers, h5, json.loads("\n".join(lines)))


def as_text(name: str | bytes) -> str:
    """Return a name as dcread has it; h5py gives those that are not UTF-8 as bytes."""
    return name if isinstance(name, str) else name.decode("utf-8", "surrogateescape")


def shows_damage(h5ds: h5py.Dataset) -> bool:
    """Tell whether a chunk index has chunks where there can be none, or twice.

    Without any element, no chunk is needed: what an index has shows nothing.
    """
    if h5ds.chunks is None or not h5ds.size:
        return False
    infos: list[Any] = []
    h5ds.id.chunk_iter(infos.append)
    offsets = np.array([info.chunk_offset for info in infos]).reshape(-1, h5ds.ndim)
    outside = (offsets >= h5ds.shape).any() or (offsets % h5ds.chunks).any()
    return bool(outside) or len(np.unique(offsets, axis=0)) < len(offsets)


def judge_basin(answers: Answers, h5: h5py.File, definition: dict[str, Any]) -> None:
    """Keep what a basin adds."""
    with contextlib.ExitStack() as stack:
        if definition["type"] == "internal":
            group = h5[definition["paths"][0]]
        else:
            folder = pathlib.Path(h5.filename).parent
            path = folder / definition["paths"][0]
            group = stack.enter_context(h5py.File(path))["events"]
        mapping = definition.get("mapping", "same")
        rows = slice(None) if mapping == "same" else h5["events"][mapping][()]
        features = definition.get("features")
        for key in group if features is None else features:
            name = as_text(key)
            if f"events/{name}" not in answers:
                note(
                    answers,
                    f"events/{name}",
                    lambda: shown(name, group[key][()][rows]),
                )


def shown(name: str, array: np.ndarray) -> np.ndarray:
    """Return what dcread shows of an array."""
    return array != 0 if name == "mask" else array


def judge_text(
    answers: Answers, name: str, group: h5py.Group, key: str | bytes
) -> None:
    """Keep a log, or the columns of a table."""
    with noting(answers, name):
        h5ds = group[key]
        if name.startswith("logs"):
            note(answers, name, lambda: [plain(line) for line in h5ds[()].tolist()])
        else:
            table = h5ds[()]
            if table.dtype.names is None:
                answers[name] = digest(table)
            for column in table.dtype.names or ():
                shape = -1, *table.dtype[column].shape
                values = np.ascontiguousarray(table[column]).reshape(shape)
                note(answers, f"{name}/{column}", lambda: values)


def plain(value: Any) -> Any:
    """Return an attribute or a line as Python has it."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, str):
        raw = value.encode("utf-8", "surrogateescape")
        return raw.decode("utf-8", "replace")
    if isinstance(value, h5py.Empty) and value.dtype.kind in "SUO":
        return ""
    return value.item() if isinstance(value, np.generic) else value


if __name__ == "__main__":
    main()
