"""Files to mutate: copies of real ones, and small ones with all kinds of content."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
from collections.abc import Iterator

import h5py
import numpy as np

from . import measurements

DATA = pathlib.Path(__file__).parents[3] / "shared" / "data"


def make_corpus(rng: random.Random, folder: pathlib.Path) -> Iterator[pathlib.Path]:
    """Write files into folders of their own; return the paths of those to mutate."""
    source = pathlib.Path(os.environ.get("DCREAD_TEST_DATA", DATA))
    for real in sorted(source.glob("*.rtdc")):
        path = folder / real.stem / "file.rtdc"
        path.parent.mkdir()
        shutil.copyfile(real, path)
        yield path
    for number, libver in enumerate(("earliest", "v110", "latest") * 4):
        path = folder / f"made{number}" / "file.rtdc"
        path.parent.mkdir()
        write(rng, path, libver)
        yield path


def write(rng: random.Random, path: pathlib.Path, libver: str) -> None:
    """Write a measurement with every kind of content."""
    length = rng.choice((3, 12, 40))
    wanted = measurements.shapes(rng, length)
    wanted = {name: shape for name, shape in wanted.items() if len(shape) < 3}
    wanted |= {"image": (length, 5, 6), "deform": (length,)}
    options = {"chunks": True, "fletcher32": True}
    measurements.write(rng, path, wanted, libver=libver, external=False, odd=False)
    with h5py.File(path, "r+", libver=libver) as h5:
        more = np.arange(length * 20, dtype="u1").reshape(length, 4, 5)
        h5.create_dataset("events/qpi_amp", data=more, **options)
        for name in ("setup:chip region", "setup:module composition"):
            h5.attrs[name] = "channel"
        h5.attrs["imaging:pixel size"] = 0.34
        h5.attrs["online_contour:no absdiff"] = np.bool_(True)
        h5.attrs["fixed"] = np.bytes_("text")
        h5["logs/variable"] = ["one line", "another"]
        h5["logs/fixed"] = np.array(["a line", "more"], "S20")
        table = np.zeros(4, [("time", "f8"), ("count", "i4")])
        table["time"] = np.arange(4) / 7
        h5["tables/monitor"] = table
        h5["events/basinmap0"] = np.array([2, 0, 1] * length, "u2")[:length]
        h5["basin_events/userdef8"] = np.arange(9.0)
        h5["basin_events/userdef9"] = np.arange(9, dtype="u2")
        add_basin(
            h5, "internal", ["basin_events"], ["userdef8", "userdef9"], "h5dataset"
        )
        add_basin(h5, "file", ["other.rtdc"], ["userdef6", "mask"], "hdf5")
    with h5py.File(path.with_name("other.rtdc"), "w", libver=libver) as h5:
        h5.attrs["experiment:event count"] = 7
        h5["events/userdef6"] = np.arange(7.0) ** 2
        h5.create_dataset(
            "events/mask", data=np.arange(7 * 30).reshape(7, 5, 6) % 3 == 0, **options
        )


def add_basin(
    h5: h5py.File, kind: str, paths: list[str], features: list[str], form: str
) -> None:
    """Add the definition of a mapped basin."""
    definition = {
        "name": kind,
        "type": kind,
        "format": form,
        "paths": paths,
        "features": features,
        "mapping": "basinmap0",
    }
    lines = json.dumps(definition, indent=2).split("\n")
    h5[f"basins/{kind}"] = np.array(lines, "S60")
