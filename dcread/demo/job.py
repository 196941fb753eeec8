"""The main job: read a measurement in every way that the library offers."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import time
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ..arrays.mapped_dataset import get_mapping_indices
from ..concat.concatenate import concatenated_hdf5_data
from ..const import IMAGE_FEATURES
from ..engine.home import absolute
from ..errors import DCReadError, FeatureNotFoundError
from ..flicker.report import FlickerReport, flicker_report
from ..measurement.data import HDF5Data
from ..problems import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import h5py
    from numpy.typing import NDArray

    from ..basins.status import BasinStatus
    from ..images.image_cache import HDF5ImageCache
    from ..problems import Problem

    Tick = Callable[[int], None]
    Watch = Callable[[str, int], contextlib.AbstractContextManager[Tick]]


@dataclass(frozen=True)
class Pass:
    """One way through the images of a feature.

    Attributes
    ----------
    images : int
        How many images were read.
    size : int
        Bytes of the arrays that came out.
    seconds : float
        Wall-clock time, the checksum of the arrays included.
    checksum : int
        CRC-32 of all images in order.
    """

    images: int
    size: int
    seconds: float
    checksum: int


@dataclass
class JobReport:
    """What `run_job` found.

    Attributes
    ----------
    path : pathlib.Path
        The measurement.
    events : int
        Number of events.
    features : list of str
        All features, those of basins included.
    basins : list of BasinStatus
        What is known of each basin.
    problems : list of Problem
        What could not be used.
    images, h5py : dict of str to Pass
        By image feature: the way through dcread and through plain h5py.
    scalars : dict of str to ndarray
        All scalar features.
    traces : int
        Number of fluorescence traces that were read.
    other_seconds : float
        Wall-clock time for scalars and traces together.
    flicker : FlickerReport or None
        None if there are no images.
    joined : list of pathlib.Path
        What was concatenated; empty if nothing was.
    joined_events : int
        Number of events of the concatenated data.
    joined_pass, joined_h5py : Pass or None
        The way through the images of the concatenated data, and through those
        of the parts with plain h5py.
    seam_fits : bool
        Whether the images on both sides of the seam are those of the parts.
    """

    path: pathlib.Path
    events: int = 0
    features: list[str] = field(default_factory=list)
    basins: list[BasinStatus] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    images: dict[str, Pass] = field(default_factory=dict)
    h5py: dict[str, Pass] = field(default_factory=dict)
    scalars: dict[str, NDArray[Any]] = field(default_factory=dict)
    traces: int = 0
    other_seconds: float = 0.0
    flicker: FlickerReport | None = None
    joined: list[pathlib.Path] = field(default_factory=list)
    joined_events: int = 0
    joined_pass: Pass | None = None
    joined_h5py: Pass | None = None
    seam_fits: bool = False


@contextlib.contextmanager
def _silent(label: str, total: int) -> Iterator[Tick]:
    yield lambda number: None


def run_job(
    path: str | pathlib.Path,
    join: Sequence[str | pathlib.Path] | None = None,
    watch: Watch = _silent,
) -> JobReport:
    """Read a measurement: basins, images, scalars, flicker check, concatenation.

    Parameters
    ----------
    path : str or pathlib.Path
        The measurement.
    join : sequence of paths, optional
        Parts to concatenate; by default the measurement with itself.
    watch : callable, optional
        Called with a label and a number of images before each way through the
        images; returns a context manager that gives a function to be called
        with the number of images just read (a progress bar).

    Returns
    -------
    report : JobReport
        What was found and how long it took.

    Raises
    ------
    DCReadError
        If the measurement cannot be read.
    """
    report = JobReport(path=absolute(path))
    _warm_up(report.path)
    with HDF5Data(report.path) as hd:
        report.events = len(hd)
        report.features = list(hd.keys())
        if not report.features:
            reasons = "; ".join(map(str, hd.problems))
            raise FeatureNotFoundError(f"{hd.path}: no feature can be read: {reasons}")
        _read_all(hd, report, watch)
        if "image" in report.images and report.events:
            report.flicker = flicker_report(hd, max_frames=report.events)
        for feature, (dataset, mapping) in _stored(hd).items():
            step = _cache(hd, feature).chunk_size
            with watch(f"h5py: {feature}", report.events) as tick:
                report.h5py[feature] = _scan(_plain(dataset, mapping, step), tick)
        report.basins = list(hd.basin_status())
        report.problems = list(hd.problems)
    _join(report, [pathlib.Path(p) for p in join or [report.path] * 2], watch)
    return report


def _warm_up(path: pathlib.Path) -> None:
    """Read a little of everything, so that no pass pays for the first of its kind.

    Memory that a process touches for the first time, and threads that it starts,
    would be charged to the image feature that comes first.
    """
    with HDF5Data(path) as hd:
        for feature in IMAGE_FEATURES:
            if feature in hd and len(hd):
                _cache(hd, feature).get_chunk(0)


def _read_all(hd: HDF5Data, report: JobReport, watch: Watch) -> None:
    for feature in IMAGE_FEATURES:
        if feature in hd:
            report.images[feature] = _scan_cache(hd, feature, feature, watch)
    start = time.perf_counter()
    for feature in report.features:
        if feature == "trace":
            report.traces = sum(len(trace[:]) for trace in hd["trace"].values())
        elif feature not in IMAGE_FEATURES:
            values = hd[feature]
            if getattr(values, "ndim", 0) == 1:
                report.scalars[feature] = np.asarray(values)
    report.other_seconds = time.perf_counter() - start


def _cache(hd: HDF5Data, feature: str) -> HDF5ImageCache:
    cache: HDF5ImageCache = hd[feature]
    return cache


def _scan_cache(hd: HDF5Data, feature: str, label: str, watch: Watch) -> Pass:
    cache = _cache(hd, feature)
    with watch(label, len(hd)) as tick:
        return _scan(map(cache.get_chunk, range(cache.num_chunks)), tick)


def _scan(blocks: Iterator[NDArray[Any]], tick: Tick) -> Pass:
    """Go through blocks of images and take the checksum of all of them."""
    images = size = checksum = 0
    start = time.perf_counter()
    for block in blocks:
        checksum = zlib.crc32(np.ascontiguousarray(block).data, checksum)
        images += len(block)
        size += block.nbytes
        tick(len(block))
    return Pass(images, size, time.perf_counter() - start, checksum)


def _stored(hd: HDF5Data) -> dict[str, tuple[h5py.Dataset, NDArray[Any] | None]]:
    """Return where h5py finds the image features, and the map to apply."""
    found: dict[str, tuple[h5py.Dataset, NDArray[Any] | None]] = {}
    own = own_group(hd)
    for feature in IMAGE_FEATURES:
        if feature in own and feature in hd:
            found[feature] = own[feature], None
    for index in range(len(hd.basins)):
        try:
            group, features, mapping = hd.get_basin_data(index)
        except DCReadError:  # told in the status of the basin
            continue
        if group is None:
            continue
        for feature in set(features) & set(IMAGE_FEATURES) - set(found):
            if feature in group:
                rows = None if mapping is None else get_mapping_indices(mapping)
                found[feature] = group[feature], rows
    return found


def own_group(hd: HDF5Data) -> Mapping[str, Any]:
    """Return what is stored in the file itself, as h5py has it; {} if it cannot."""
    try:
        group: Mapping[str, Any] = hd.h5["events"]
        list(group)  # both may fail where the file is damaged
    except UNREADABLE:
        return {}
    return group


def _plain(
    dataset: h5py.Dataset, mapping: NDArray[Any] | None, step: int
) -> Iterator[NDArray[Any]]:
    """Read images as one does with h5py: each range from first to last in one go."""
    length = len(dataset) if mapping is None else len(mapping)
    for start in range(0, length, max(step, 1)):
        if mapping is None:
            block = dataset[start : start + step]
        else:
            wanted = mapping[start : start + step].astype(np.int64)
            first = int(wanted.min())
            block = dataset[first : int(wanted.max()) + 1][wanted - first]
        yield np.asarray(block != 0 if dataset.name.endswith("/mask") else block)


def _join(report: JobReport, parts: list[pathlib.Path], watch: Watch) -> None:
    """Concatenate the parts and look at both sides of the first seam."""
    with contextlib.ExitStack() as stack:
        opened = [stack.enter_context(HDF5Data(part)) for part in parts]
        own = [set(own_group(hd)) & set(hd) for hd in opened]
        common = {
            feature
            for feature in set.intersection(*own)
            if hasattr(opened[0].h5["events"][feature], "shape")
        }
        if not common or not all(len(hd) for hd in opened):
            return
        joined = stack.enter_context(
            concatenated_hdf5_data(parts, features=sorted(common))
        )
        report.joined, report.joined_events = parts, len(joined)
        feature = next((f for f in IMAGE_FEATURES if f in common), None)
        if feature is not None:
            report.joined_pass = _scan_cache(joined, feature, "concatenated", watch)
            step = _cache(joined, feature).chunk_size
            parts_of = [hd.h5["events"][feature] for hd in opened]
            with watch("h5py: the parts", len(joined)) as tick:
                blocks = (_plain(dataset, None, step) for dataset in parts_of)
                report.joined_h5py = _scan(itertools.chain.from_iterable(blocks), tick)
            seam = len(opened[0])
            caches = [_cache(hd, feature) for hd in (joined, *opened[:2])]
            report.seam_fits = np.array_equal(
                caches[0][seam - 1], caches[1][seam - 1]
            ) and np.array_equal(caches[0][seam], caches[2][0])
