"""The files that the benchmarks read; made once, kept outside the repository.

``DCREAD_BENCH_DATA`` names the folder (default: one in the system's temporary
folder), ``DCREAD_BENCH_FRAMES`` the number of images (default 12,000).
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from .images import HEIGHT, WIDTH, batches

VERSION = 5
CHUNK = 32
LIBVER = ("v110", "v114")
"""The file format that dcnum's writer made until HDF5 2.0."""
OLD_LIBVER = ("earliest", "v114")
"""The file format of the older measurements, which are those that use gzip."""
PARTS = 50
REPEATS = 4
EVENT_COUNTS = (10**4, 10**5, 10**6, 10**7)
SCALARS = ("area_um", "deform", "frame", "pos_x", "pos_y", "time", "temp", "bright_avg")


class Data:
    """Paths of the benchmark files; each is made when first asked for.

    Attributes
    ----------
    frames : int
        Number of images.
    folder : pathlib.Path
        Where the files are.
    """

    def __init__(self, folder: pathlib.Path, frames: int) -> None:
        self.frames = frames
        self.folder = folder / f"v{VERSION}-{frames}"
        self.folder.mkdir(parents=True, exist_ok=True)

    @property
    def zstd(self) -> pathlib.Path:
        """All features; images with zstd level 5 and fletcher32."""
        return self._made("measurement.rtdc", self._write_measurement)

    @property
    def long_frames(self) -> int:
        """The number of images in `long`."""
        return REPEATS * (self.frames // CHUNK * CHUNK)

    @property
    def long(self) -> pathlib.Path:
        """The images of `zstd` four times over: for selections from many images."""
        return self._made("long.rtdc", self._write_long)

    @property
    def gzip(self) -> pathlib.Path:
        """Images with gzip level 5 and fletcher32."""

        def write(path: pathlib.Path) -> None:
            gzip = {"compression": "gzip", "compression_opts": 5}
            self._rewrite(path, gzip, libver=OLD_LIBVER)

        return self._made("gzip.rtdc", write)

    @property
    def contiguous(self) -> pathlib.Path:
        """Images without compression, in one piece."""
        return self._made("contiguous.rtdc", lambda path: self._rewrite(path, None))

    @property
    def parts(self) -> list[pathlib.Path]:
        """The images in 50 files."""
        bounds = np.linspace(0, self.frames, PARTS + 1).astype(int)
        paths = []
        for number in range(PARTS):
            start, stop = int(bounds[number]), int(bounds[number + 1])

            def write(path: pathlib.Path, span: slice = slice(start, stop)) -> None:
                self._rewrite(path, dict(hdf5plugin.Zstd(clevel=5)), span)

            paths.append(self._made(f"part-{number:02d}.rtdc", write))
        return paths

    @property
    def million(self) -> pathlib.Path:
        """A million images of which only the first and the last chunk decode."""
        return self._made("million.rtdc", _write_million)

    def tall(self, events: int) -> pathlib.Path:
        """Return a file with many events: scalars, and images without chunks."""
        return self._made(f"tall-{events}.rtdc", lambda path: _write_tall(path, events))

    def _made(self, name: str, write: Callable[[pathlib.Path], None]) -> pathlib.Path:
        path = self.folder / name
        if not path.exists():
            part = path.with_name(f"{name}.{os.getpid()}.part")
            try:
                write(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return path

    def _write_measurement(self, path: pathlib.Path) -> None:
        rng = np.random.default_rng(7)
        zstd = dict(hdf5plugin.Zstd(clevel=5))
        shape = (self.frames, HEIGHT, WIDTH)
        with h5py.File(path, "w", libver=LIBVER) as h5:
            _metadata(h5, self.frames)
            events = h5.create_group("events")
            stored = {
                feat: events.create_dataset(
                    feat,
                    shape,
                    np.uint8,
                    maxshape=(None, HEIGHT, WIDTH),
                    chunks=(CHUNK, HEIGHT, WIDTH),
                    fletcher32=True,
                    **zstd,
                )
                for feat in ("image", "image_bg")
            }
            size, start = 10 * CHUNK, 0
            for image, background in batches(self.frames, size):
                stored["image"][start : start + size] = image
                stored["image_bg"][start : start + size] = background
                start += size
            _scalars(events, self.frames, rng, zstd)

    def _write_long(self, path: pathlib.Path) -> None:
        with (
            h5py.File(self.zstd) as source,
            h5py.File(path, "w", libver=LIBVER) as h5,
        ):
            stored = source["events/image"]
            whole = self.frames // CHUNK * CHUNK
            _metadata(h5, REPEATS * whole)
            images = h5.create_dataset(
                "events/image",
                (REPEATS * whole, HEIGHT, WIDTH),
                np.uint8,
                maxshape=(None, HEIGHT, WIDTH),
                chunks=stored.chunks,
                fletcher32=True,
                **dict(hdf5plugin.Zstd(clevel=5)),
            )
            for start in range(0, whole, CHUNK):
                _, chunk = stored.id.read_direct_chunk((start, 0, 0))
                for again in range(REPEATS):
                    row = again * whole + start
                    images.id.write_direct_chunk((row, 0, 0), chunk)

    def _rewrite(
        self,
        path: pathlib.Path,
        filters: dict[str, Any] | None,
        span: slice = slice(None),
        libver: tuple[str, str] = LIBVER,
    ) -> None:
        """Store the images of the measurement in another way."""
        with (
            h5py.File(self.zstd) as source,
            h5py.File(path, "w", libver=libver) as h5,
        ):
            images = source["events/image"]
            start, stop, _ = span.indices(self.frames)
            _metadata(h5, stop - start)
            events = h5.create_group("events")
            storage: dict[str, Any] = {}
            if filters is not None:
                chunks = (min(CHUNK, stop - start), HEIGHT, WIDTH)
                storage = {"chunks": chunks, "fletcher32": True, **filters}
            target = events.create_dataset(
                "image", (stop - start, HEIGHT, WIDTH), np.uint8, **storage
            )
            for first in range(start, stop, 10 * CHUNK):
                last = min(first + 10 * CHUNK, stop)
                target[first - start : last - start] = images[first:last]
            for feat in SCALARS:
                events[feat] = source["events"][feat][start:stop]


def _metadata(h5: h5py.File, events: int) -> None:
    h5.attrs["experiment:event count"] = events
    h5.attrs["experiment:date"] = "2024-08-05"
    h5.attrs["experiment:time"] = "12:00:00"
    h5.attrs["imaging:pixel size"] = 0.2645
    h5.attrs["imaging:roi size x"] = WIDTH
    h5.attrs["imaging:roi size y"] = HEIGHT
    h5.attrs["setup:identifier"] = "benchmark"


def _scalars(
    events: h5py.Group, count: int, rng: np.random.Generator, filters: dict[str, Any]
) -> None:
    for feat in SCALARS:
        values = rng.random(count)
        if feat in ("frame", "time"):
            values = np.arange(1, count + 1, dtype=float)
        chunks = (min(count, 131072),)
        events.create_dataset(
            feat, data=values, chunks=chunks, fletcher32=True, **filters
        )


def _write_tall(path: pathlib.Path, events: int) -> None:
    with h5py.File(path, "w", libver=LIBVER) as h5:
        _metadata(h5, events)
        group = h5.create_group("events")
        for feat in ("deform", "frame"):
            group[feat] = np.arange(events, dtype=np.float32)
        group.create_dataset(
            "image", (events, HEIGHT, WIDTH), np.uint8, chunks=(CHUNK, HEIGHT, WIDTH)
        )


def _write_million(path: pathlib.Path) -> None:
    """Fill the chunks between the first and the last with what no reader decodes.

    Reading any of them fails on its checksum, so an answer proves that they were
    left alone.
    """
    events = 10**6
    rng = np.random.default_rng(1)
    with h5py.File(path, "w", libver=LIBVER) as h5:
        _metadata(h5, events)
        images = h5.create_group("events").create_dataset(
            "image",
            (events, HEIGHT, WIDTH),
            np.uint8,
            chunks=(CHUNK, HEIGHT, WIDTH),
            fletcher32=True,
            **dict(hdf5plugin.Zstd(clevel=1)),
        )
        for start in range(CHUNK, events - CHUNK, CHUNK):
            images.id.write_direct_chunk((start, 0, 0), b"not a chunk of images")
        for start in (0, events - CHUNK):
            noise = rng.integers(0, 256, (CHUNK, HEIGHT, WIDTH), np.uint8)
            images[start : start + CHUNK] = noise


def open_data(frames: int = 12000) -> Data:
    """Return the benchmark files that the environment asks for.

    Parameters
    ----------
    frames : int
        Number of images where ``DCREAD_BENCH_FRAMES`` does not say.
    """
    default = pathlib.Path(tempfile.gettempdir()) / "dcread-benchmarks"
    folder = pathlib.Path(os.environ.get("DCREAD_BENCH_DATA", default))
    return Data(folder, int(os.environ.get("DCREAD_BENCH_FRAMES", frames)))


def describe(data: Data) -> dict[str, float]:
    """Return how much the images shrink in each file."""
    ratios = {}
    for name, feat in (("zstd", "image"), ("zstd", "image_bg"), ("gzip", "image")):
        with h5py.File(getattr(data, name)) as h5:
            stored = h5["events"][feat]
            ratios[f"{name} {feat}"] = stored.nbytes / stored.id.get_storage_size()
    return ratios


__all__ = ["Data", "describe", "open_data"]
