"""Random measurements: files of random datasets, and ways to look at them."""

from __future__ import annotations

import contextlib
import io
import json
import pathlib
import pickle
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np

import dcread
from dcread import HDF5Data, HDF5ImageCache, Policy

from . import expressions, layouts

SCALARS = ("deform", "area_um", "userdef1", "bg_off", "frame", "time", "odd name")
IMAGES = ("image", "image_bg", "mask")
POLICY = Policy(links=True)


@dataclass
class Measurement:
    """A file and what h5py reads from it.

    Attributes
    ----------
    path : pathlib.Path
        The file.
    length : int
        Number of events.
    features : dict
        Every feature as an array; "trace/NAME" and "contour/ROW" by their path.
    how : dict
        What the layout of each is.
    """

    path: pathlib.Path
    length: int
    features: dict[str, np.ndarray] = field(default_factory=dict)
    how: dict[str, str] = field(default_factory=dict)


@dataclass
class Target:
    """Something to index, and the array that it stands for."""

    name: str
    view: Any
    array: np.ndarray
    layout: str = ""

    def __str__(self) -> str:
        return f"{self.name} = {self.view!r:.200} of {self.layout}"


class Anew:
    """A feature that is asked for at each use."""

    def __init__(self, find: Callable[[], Any]) -> None:
        self._find = find

    def __getattr__(self, name: str) -> Any:
        return getattr(self._find(), name)

    def __getitem__(self, expr: Any) -> Any:
        return self._find()[expr]

    def __len__(self) -> int:
        return len(self._find())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._find())

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        return np.asarray(self._find())


def shapes(rng: random.Random, length: int | None = None) -> dict[str, tuple[int, ...]]:
    """Return features and their shapes."""
    if length is None:
        length = rng.choice((0, 1, 2, 5, rng.randint(3, 40), rng.randint(40, 300)))
    image = (length, rng.randint(1, 9), rng.randint(1, 12))
    found = {name: image for name in IMAGES if rng.random() < 0.7}
    found |= dict.fromkeys(rng.sample(SCALARS, rng.randint(1, 3)), (length,))
    if rng.random() < 0.3:
        found["qpi_pha"] = image
    if rng.random() < 0.3:
        more = [rng.randint(1, 4) for _ in range(rng.randint(1, 3))]
        found["userdef2"] = (length, *more)
    if rng.random() < 0.25:
        found["trace/fl1_raw"] = found["trace/fl1_median"] = (
            length,
            rng.randint(1, 20),
        )
    if rng.random() < 0.15 and length < 50:
        for row in range(length):
            found[f"contour/{row}"] = (rng.randint(1, 9), 2)
    return found


def write(
    rng: random.Random,
    path: pathlib.Path,
    wanted: dict[str, tuple[int, ...]],
    *,
    group: str = "events",
    dtypes: dict[str, np.dtype[Any]] | None = None,
    external: bool = True,
    libver: Any = None,
    odd: bool = True,
) -> Measurement:
    """Write a measurement of random data; read it again by h5py."""
    options: dict[str, Any] = {"libver": libver or rng.choice(layouts.LIBVERS)}
    if rng.random() < 0.15:
        options["userblock_size"] = rng.choice((512, 2048))
    length = next((s[0] for n, s in wanted.items() if "contour" not in n), 0)
    made = Measurement(path, length)
    with h5py.File(path, "w", **options) as h5:
        h5.attrs["experiment:event count"] = length
        h5.attrs["experiment:run identifier"] = "A"
        h5.attrs["imaging:frame rate"] = 100.0
        h5.require_group("events")
        writer = layouts.Layouts(rng, h5, path, external=external, odd=odd)
        for name, shape in wanted.items():
            dtype = (dtypes or {}).get(name) or dtype_for(rng, name)
            data = layouts.values(rng, dtype, shape)
            made.how[name] = (
                f"{dtype.str} {shape} {writer.write(f'{group}/{name}', data)}"
            )
    with h5py.File(path) as h5:
        for name in wanted:
            try:
                made.features[name] = h5[group][name][()]
            except OSError:  # HDF5 writes some odd pipelines that it cannot read
                made.how[name] += " (h5py cannot read it)"
    return made


def dtype_for(rng: random.Random, name: str) -> np.dtype[Any]:
    """Return a type that such a feature can have."""
    if name in IMAGES or name in {"frame", "time"}:
        usual = "u1" if name in IMAGES else "f8"
        return np.dtype(usual if rng.random() < 0.6 else rng.choice(layouts.NUMBERS))
    if name.startswith(("trace", "contour")):
        return np.dtype(rng.choice(layouts.NUMBERS))
    return layouts.some_dtype(rng)


@contextlib.contextmanager
def opened(
    rng: random.Random, path: pathlib.Path, notes: list[str], **options: Any
) -> Iterator[HDF5Data]:
    """Open a measurement by a path, an h5py file or a file object, or by pickle.

    Only what has a path can lead to other files.
    """
    how = rng.choice(("path", "path", "str", "h5py", "h5py core", "stream", "pickle"))
    others = len(list(path.parent.iterdir())) > 1
    if others and how in {"stream", "h5py core"}:
        how = "path"
    notes.append(f"opened by {how} {options}")
    with contextlib.ExitStack() as stack:
        given: Any = path
        if how == "str":
            given = str(path)
        elif how == "h5py":
            given = stack.enter_context(h5py.File(path, rng.choice(("r", "r+"))))
        elif how == "h5py core":
            given = stack.enter_context(h5py.File(path, "r", driver="core"))
        elif how == "stream":
            given = io.BytesIO(path.read_bytes())
        hd = stack.enter_context(HDF5Data(given, policy=POLICY, **options))
        if how == "pickle":
            hd = stack.enter_context(pickle.loads(pickle.dumps(hd)))
        yield hd


def sizes(rng: random.Random) -> dict[str, int]:
    """Return sizes of image caches."""
    return {
        "image_cache_size": rng.choice((1, 2, 5)),
        "image_chunk_size": rng.choice((1, 3, 10, 1000)),
    }


def taken(array: np.ndarray, mapping: Any) -> np.ndarray:
    """Return what an index mapping takes of an array."""
    if mapping is None:
        return array
    if isinstance(mapping, int):
        mapping = slice(mapping)
    if isinstance(mapping, range):
        mapping = list(mapping)
    if not isinstance(mapping, slice):
        mapping = np.asarray(mapping)
        mapping = mapping.astype("i8") if mapping.dtype != bool else mapping
    return array[mapping]


def targets_of(
    hd: HDF5Data,
    features: dict[str, np.ndarray],
    how: dict[str, str],
    rows: Any = None,
    *,
    anew: bool = False,
) -> list[Target]:
    """Return all features of a measurement beside what they must be."""

    def view_of(find: Callable[[], Any]) -> Any:
        return Anew(find) if anew else find()

    found = []
    for name, array in features.items():
        expected = taken(array, rows) if not name.startswith("contour/") else array
        layout = how.get(name, "")
        if name.startswith("trace/"):
            trace = name.removeprefix("trace/")
            view: Any = view_of(lambda trace=trace: hd["trace"][trace])
        elif name.startswith("contour/"):
            continue
        elif name in IMAGES:
            view = view_of(lambda name=name: hd.get_image_cache(name))
            expected = expected != 0 if name == "mask" else expected
        else:
            view = view_of(lambda name=name: hd[name])
        found.append(Target(f"hd[{name!r}]", view, expected, layout))
    if {"image", "image_bg"} <= features.keys():
        corr = hd.image_corr
        assert corr is not None
        image, background = (
            taken(features[name], rows) for name in ("image", "image_bg")
        )
        with np.errstate(all="ignore"):
            wanted = image.astype(corr.dtype) - background.astype(corr.dtype)
        layout = f"{how.get('image')} - {how.get('image_bg')}"
        if "8" not in {image.dtype.str[-1], background.dtype.str[-1]} or (
            "f" in image.dtype.kind + background.dtype.kind
        ):
            found.append(Target("hd.image_corr", corr, wanted, layout))
    return found


def direct_targets(
    rng: random.Random, h5: h5py.File, made: Measurement
) -> list[Target]:
    """Return caches and mapped objects over h5py datasets."""
    found = []
    for name, array in made.features.items():
        h5ds, layout = h5["events"][name], made.how[name]
        options = {
            "chunk_size": rng.choice((1, 4, 100)),
            "cache_size": rng.choice((1, 3)),
        }
        if array.ndim > 1 and name not in IMAGES:
            cache = HDF5ImageCache(h5ds, **options)
            found.append(
                Target(f"HDF5ImageCache({name}, {options})", cache, array, layout)
            )
        elif name in IMAGES:
            cache = HDF5ImageCache(h5ds, boolean=True, **options)
            found.append(Target(f"bool cache of {name}", cache, array != 0, layout))
        mapping = expressions.mapping(rng, len(array))
        if mapping is None:
            continue
        view = dcread.get_mapped_object(h5ds, mapping)
        once = taken(array, mapping)
        found.append(Target(f"{name} mapped by {mapping!r}", view, once, layout))
        again = expressions.mapping(rng, len(once))
        if again is not None:
            view = dcread.get_mapped_object(view, again)
            label = f"{name} mapped by {mapping!r} and {again!r}"
            found.append(Target(label, view, taken(once, again), layout))
            if once.ndim > 1:
                cache = HDF5ImageCache(view, **options)
                found.append(
                    Target(f"cache of {label}", cache, taken(once, again), layout)
                )
    return found


def store_basin(path: pathlib.Path, **definition: Any) -> None:
    """Add a basin definition to a file."""
    lines = json.dumps(definition, indent=2).split("\n")
    with h5py.File(path, "r+") as h5:
        group = h5.require_group("basins")
        group[f"key{len(group)}"] = np.array(lines, f"S{max(map(len, lines))}")
