"""Differential fuzzer: random measurements and expressions, against h5py and NumPy."""

from __future__ import annotations

import concurrent.futures
import contextlib
import pathlib
import random
import traceback
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import h5py
import numpy as np

import dcread
from dcread import HDF5Data

from . import expressions, measurements
from .measurements import Measurement, Target, targets_of

READS = 240
MIXED = ("u1", "<u2", ">i4", "<f4", "<f8")


class WrongAnswerError(AssertionError):
    """dcread's answer is not NumPy's."""


def run_case(seed: str, folder: pathlib.Path, notes: list[str]) -> int:
    """Make a measurement, read it in random ways; return how often it was read.

    Raises
    ------
    WrongAnswerError
        If an answer is not that of NumPy.
    Exception
        Whatever dcread raises where NumPy and h5py do not.
    """
    rng = random.Random(seed)
    situation = rng.choice(SITUATIONS)
    notes.append(situation.__name__)
    with warnings.catch_warnings(), contextlib.ExitStack() as stack:
        warnings.simplefilter("ignore")
        threads = rng.choice((1, 1, 2, 3, 8))
        dcread.set_num_threads(rng.choice((1, 2, 4)))
        notes.append(f"{threads} threads")
        targets = stack.enter_context(situation(rng, folder, notes))
        if not targets:
            return 0
        seeds = [f"{seed}/{number}" for number in range(threads)]
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor(threads))
        jobs = [
            pool.submit(read_at_random, one, targets, READS // threads) for one in seeds
        ]
        reads = sum(job.result() for job in jobs)
        for target in targets:
            check_outside(target)
        return reads


def check_outside(target: Target) -> None:
    """Compare shape and type, which are known without reading."""
    view, array = target.view, target.array
    found = (tuple(view.shape), view.dtype, len(view), view.ndim, view.size)
    expected = (array.shape, array.dtype, len(array), array.ndim, array.size)
    if found != expected:
        raise WrongAnswerError(f"{target}: shape and type {found}, expected {expected}")


def check_closed(target: Target) -> None:
    """Look for an answer from a measurement that is closed; arrays stay as they are."""
    with contextlib.suppress(dcread.ClosedError):
        if not isinstance(target.view[:1], np.ndarray) or target.array.ndim > 1:
            raise WrongAnswerError(f"{target} can be read after close")


def read_at_random(seed: str, targets: list[Target], count: int) -> int:
    """Read some targets by random expressions."""
    rng = random.Random(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            target = rng.choice(targets)
            style = rng.random()
            if style < 0.97:
                check(target, expressions.expression(rng, target.array.shape))
            elif style < 0.98:
                same(target, "iteration", list(target.view), list(target.array))
            elif style < 0.99 or not hasattr(target.view, "get_chunk"):
                same(target, "np.asarray", np.asarray(target.view), target.array)
            else:
                for index in target.view.iter_chunks():
                    rows = target.view.get_chunk_slice(index)
                    chunk = target.view.get_chunk(index)
                    same(target, f"get_chunk({index})", chunk, target.array[rows])
    return count


def check(target: Target, expr: Any) -> None:
    """Compare one read; afterwards spoil what was read, which is the reader's own."""
    expected, wrong = outcome(target.array, expr)
    found, found_wrong = outcome(target.view, expr)
    if type(wrong) is not type(found_wrong):
        error = WrongAnswerError(
            f"{target}\n[{expr!r}]: {type(found_wrong).__name__}, "
            f"expected {type(wrong).__name__}\n{found_wrong}"
        )
        raise error from found_wrong
    if wrong is None:
        same(target, expr, found, expected)
        if isinstance(found, np.ndarray) and found.flags.writeable:
            found[...] = 77 if found.dtype.kind not in "SV" else b"?"


def outcome(array: Any, expr: Any) -> tuple[Any, Exception | None]:
    """Return the value of an expression, or its exception."""
    try:
        return array[expr], None
    except Exception as exc:
        return None, exc


def same(target: Target, expr: Any, found: Any, expected: Any) -> None:
    """Raise unless two answers agree in type, shape and every byte."""
    found_kind, kind = type(found), type(expected)
    if kind is not found_kind and not isinstance(found, kind):
        raise WrongAnswerError(f"{target}\n[{expr!r}]: {found_kind}, expected {kind}")
    if isinstance(found, list):
        found, expected = np.array(found), np.array(expected)
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise WrongAnswerError(
            f"{target}\n[{expr!r}]: {found.shape} {found.dtype}, "
            f"expected {expected.shape} {expected.dtype}"
        )
    if found.tobytes() != expected.tobytes():
        bad = np.asarray(found != expected)
        raise WrongAnswerError(
            f"{target}\n[{expr!r}]: wrong at {np.argwhere(bad)[:3].tolist()}, "
            f"{np.count_nonzero(bad)} of {bad.size}: {np.asarray(found)[bad][:5]}, "
            f"expected {np.asarray(expected)[bad][:5]}"
        )


Situation = Callable[
    [random.Random, pathlib.Path, list[str]],
    contextlib.AbstractContextManager[list[Target]],
]


def _made(
    rng: random.Random, path: pathlib.Path, notes: list[str], **more: Any
) -> Measurement:
    wanted = more.pop("wanted", None) or measurements.shapes(rng)
    made = measurements.write(rng, path, wanted, **more)
    notes += [f"{path.name} {name}: {how}" for name, how in made.how.items()]
    return made


def check_contours(hd: HDF5Data, made: Measurement, rows: Any = None) -> None:
    """Compare the contours of all events."""
    if "contour/0" not in made.features:
        return
    numbers = measurements.taken(np.arange(made.length), rows).tolist()
    found = hd["contour"]
    assert len(found) == len(numbers)
    for event, row in enumerate(numbers):
        array = made.features.get(f"contour/{row}")
        if array is None:
            continue  # h5py cannot read it
        target = Target(
            f"hd['contour'][{event}]", None, array, made.how[f"contour/{row}"]
        )
        same(target, event, found[event], array)


@contextlib.contextmanager
def own(
    rng: random.Random, folder: pathlib.Path, notes: list[str]
) -> Iterator[list[Target]]:
    """Read what a file stores itself, perhaps by an index mapping."""
    made = _made(rng, folder / "a.rtdc", notes)
    mapping = expressions.mapping(rng, made.length) if rng.random() < 0.5 else None
    options = {**measurements.sizes(rng), "index_mapping": mapping}
    with measurements.opened(rng, made.path, notes, **options) as hd:
        check_contours(hd, made, mapping)
        anew = rng.random() < 0.3
        targets = targets_of(hd, made.features, made.how, mapping, anew=anew)
        yield targets
    for target in targets:
        check_closed(target)


@contextlib.contextmanager
def direct(
    rng: random.Random, folder: pathlib.Path, notes: list[str]
) -> Iterator[list[Target]]:
    """Read h5py's datasets through caches and mappings."""
    made = _made(rng, folder / "a.rtdc", notes, external=False)
    with h5py.File(made.path, rng.choice(("r", "r", "r+"))) as h5:
        yield measurements.direct_targets(rng, h5, made)


@contextlib.contextmanager
def basin(
    rng: random.Random, folder: pathlib.Path, notes: list[str]
) -> Iterator[list[Target]]:
    """Read features of other files, of the same file, and of a basin's basin."""
    made = _made(rng, folder / "source.rtdc", notes)
    arrays = {n: a for n, a in made.features.items() if "contour/" not in n}
    path = made.path
    for number in range(rng.choice((1, 1, 2))):
        length = next(iter(arrays.values())).shape[0]
        rows = expressions.rows(rng, length) if rng.random() < 0.7 else None
        if rows is not None and not length:
            rows = None
        arrays = {
            name: measurements.taken(array, rows) for name, array in arrays.items()
        }
        length = next(iter(arrays.values())).shape[0]
        referrer = _made(
            rng, folder / f"ref{number}.rtdc", notes, wanted={"nevents": (length,)}
        )
        definition = {"name": "b", "type": "file", "format": "hdf5", "identifier": None}
        if rows is not None:
            with h5py.File(referrer.path, "r+") as h5:
                h5["events/basinmap0"] = rows
            definition["mapping"] = "basinmap0"
        elif rng.random() < 0.5:
            definition["mapping"] = "same"
        target = str(path) if rng.random() < 0.5 else path.name
        features = sorted({n.partition("/")[0] for n in arrays})
        given = features if rng.random() < 0.5 else None
        measurements.store_basin(
            referrer.path, paths=[target], features=given, **definition
        )
        notes.append(f"basin {target} {definition} rows {rows!r}")
        path = referrer.path
    mapping = expressions.mapping(rng, length) if rng.random() < 0.3 else None
    options = {**measurements.sizes(rng), "index_mapping": mapping}
    with measurements.opened(rng, path, notes, **options) as hd:
        yield targets_of(hd, arrays, made.how, mapping)


@contextlib.contextmanager
def internal(
    rng: random.Random, folder: pathlib.Path, notes: list[str]
) -> Iterator[list[Target]]:
    """Read features that another group of the file holds for several events."""
    length = rng.randint(1, 40)
    wanted = {n: s for n, s in measurements.shapes(rng, length).items() if "/" not in n}
    made = _made(rng, folder / "a.rtdc", notes, wanted=wanted, group="basin_events")
    rows = expressions.rows(rng, length)
    with h5py.File(made.path, "r+") as h5:
        h5["events/deform_raw"] = np.arange(float(len(rows)))
        h5["events/basinmap3"] = rows
        h5.attrs["experiment:event count"] = len(rows)
    measurements.store_basin(
        made.path,
        name="inside",
        type="internal",
        format="h5dataset",
        paths=["basin_events"],
        features=list(wanted),
        mapping="basinmap3",
    )
    notes.append(f"internal basin, rows {rows!r}")
    with measurements.opened(rng, made.path, notes, **measurements.sizes(rng)) as hd:
        yield targets_of(hd, made.features, made.how, rows)


@contextlib.contextmanager
def joined(
    rng: random.Random, folder: pathlib.Path, notes: list[str]
) -> Iterator[list[Target]]:
    """Read several measurements as one."""
    row = {
        name: shape[1:]
        for name, shape in measurements.shapes(rng, 1).items()
        if "/" not in name and name not in {"frame", "time"}
    }
    row = row or {"deform": ()}
    mixed = rng.random() < 0.3
    parts = []
    for number in range(rng.randint(1, 4)):
        length = rng.choice((0, 1, rng.randint(1, 30)))
        wanted = {name: (length, *rest) for name, rest in row.items()}
        dtypes = {n: np.dtype(rng.choice(MIXED) if mixed else "u1") for n in row}
        path = folder / f"{number}.rtdc"
        parts.append(_made(rng, path, notes, wanted=wanted, dtypes=dtypes))
    parts = [rng.choice(parts) for _ in range(rng.randint(2, 5))]
    arrays = {}
    for name in row:
        if not all(name in part.features for part in parts):
            continue  # h5py cannot read it
        pieces = [part.features[name] for part in parts]
        used = [piece for piece in pieces if len(piece)] or pieces[:1]
        kinds = {piece.dtype for piece in used}
        kind = np.result_type(*kinds) if len(kinds) > 1 else used[0].dtype
        arrays[name] = np.concatenate([piece.astype(kind) for piece in pieces]).astype(
            kind
        )
    out = rng.choice((None, True, folder / "joined.rtdc"))
    notes.append(f"joined {[part.path.name for part in parts]} to {out}")
    before, dcread.Policy._default = dcread.Policy._default, measurements.POLICY
    try:
        with dcread.concatenated_hdf5_data(
            [part.path for part in parts], out, compute_frame=rng.random() < 0.5
        ) as hd:
            yield targets_of(hd, arrays, {})
    finally:
        dcread.Policy._default = before


SITUATIONS: tuple[Situation, ...] = (
    *(own, own, own),
    *(direct, direct),
    *(basin, basin),
    internal,
    joined,
)


def describe(error: BaseException) -> str:
    """Return one line that is the same for the same fault."""
    frames = traceback.extract_tb((error.__cause__ or error).__traceback__)
    places = [f"{pathlib.Path(f.filename).name}:{f.name}" for f in frames]
    place = next((p for p in reversed(places) if "fuzz" not in p), places[-1])
    text = str(error).splitlines()[-1] if str(error) else ""
    return f"{type(error).__name__} at {place}: {text[:160]}"
