"""The main job on the made-up measurement and on real ones."""

from __future__ import annotations

import contextlib
import pathlib
import zlib
from collections.abc import Callable, Iterator

import h5py
import hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np
import pytest

from dcread.demo import generate, picture
from dcread.demo.job import JobReport, run_job
from dcread.pictures import cells


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    return generate.make_measurement(tmp_path_factory.mktemp("job"), frames=240, seed=2)


@pytest.fixture(scope="module")
def report(made: generate.DemoFiles) -> JobReport:
    return run_job(made.events, [made.recording, made.continuation])


def test_every_image_is_read(made: generate.DemoFiles, report: JobReport) -> None:
    with h5py.File(made.events) as h5, h5py.File(made.recording) as raw:
        expected = {
            "image": raw["events/image"][:][h5["events/basinmap1"][:]],
            "image_bg": h5["basin_events/image_bg"][:][h5["events/basinmap0"][:]],
            "mask": h5["events/mask"][:] != 0,
        }
    assert set(report.images) == set(expected)
    for feature, images in expected.items():
        for done in (report.images[feature], report.h5py[feature]):
            assert done.images == len(images) == report.events
            assert done.size == images.nbytes
            assert done.checksum == zlib.crc32(images.tobytes())
            assert done.seconds > 0


def test_every_scalar_is_read(made: generate.DemoFiles, report: JobReport) -> None:
    with h5py.File(made.events) as h5:
        stored = {
            name: item[:]
            for name, item in h5["events"].items()
            if isinstance(item, h5py.Dataset) and item.ndim == 1
        }
    assert set(report.scalars) == set(stored)
    for name, values in stored.items():
        assert np.array_equal(report.scalars[name], values), name
    assert report.traces == 4 * report.events


def test_flicker_is_told(made: generate.DemoFiles, report: JobReport) -> None:
    with h5py.File(made.events) as h5:
        rows = h5["events/basinmap1"][:]
    assert report.flicker is not None
    assert report.flicker.flickering
    found = np.unique(rows[report.flicker.flickering_frames_without_drift])
    assert set(found) == set(made.flickering) & set(rows)


def test_basins_are_told(report: JobReport) -> None:
    assert {basin.name: basin.available for basin in report.basins} == {
        "background images": True,
        "recording": True,
    }
    assert report.problems == []


def test_parts_are_joined(made: generate.DemoFiles, report: JobReport) -> None:
    assert report.joined == [made.recording, made.continuation]
    assert report.joined_events == 240 + 80
    assert report.joined_pass is not None
    with h5py.File(made.recording) as one, h5py.File(made.continuation) as two:
        both = np.concatenate([one["events/image"][:], two["events/image"][:]])
    assert report.joined_h5py is not None
    assert report.joined_pass.checksum == zlib.crc32(both.tobytes())
    assert report.joined_h5py.checksum == report.joined_pass.checksum
    assert report.seam_fits


def test_a_wrong_seam_is_noticed(
    made: generate.DemoFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dcread.demo import job

    def swapped(paths: list[pathlib.Path], **kwargs: object) -> object:
        return concatenate(paths[::-1], **kwargs)

    concatenate = job.concatenated_hdf5_data
    monkeypatch.setattr(job, "concatenated_hdf5_data", swapped)
    report = run_job(made.events, [made.recording, made.continuation])
    assert not report.seam_fits


def test_progress_adds_up(made: generate.DemoFiles) -> None:
    seen: dict[str, list[int]] = {}

    @contextlib.contextmanager
    def watch(label: str, total: int) -> Iterator[Callable[[int], None]]:
        seen[label] = []
        yield seen[label].append
        assert sum(seen[label]) == total

    run_job(made.recording, watch=watch)
    assert list(seen) == ["image", "h5py: image", "concatenated", "h5py: the parts"]


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_measurements(real_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("matplotlib")
    before = real_file.stat()
    report = run_job(real_file)
    with h5py.File(real_file, locking=False) as h5:
        own = set(h5["events"])
    assert own - {"contour"} <= set(report.features) | {"trace"}
    for feature, done in report.images.items():
        assert done.checksum == report.h5py[feature].checksum, feature
        assert done.images == report.events
    if report.events and report.joined:
        assert report.joined_events == 2 * report.events
    target = picture.draw_report(report, tmp_path / "real.png")
    assert target.read_bytes().startswith(b"\x89PNG")
    assert real_file.stat() == before


def test_picture_shows_cells_and_flicker(
    report: JobReport, tmp_path: pathlib.Path
) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib import image as reader
    from matplotlib.colors import to_rgb

    target = picture.draw_report(report, tmp_path / "picture.png")
    pixels = reader.imread(target)[..., :3]
    assert pixels.shape == (820, 1100, 3)
    for color, at_least in ((cells.OUTLINE, 1500), (picture.ALARM, 60)):
        close = np.abs(pixels - to_rgb(color)).max(axis=2) < 0.1
        assert np.count_nonzero(close) > at_least, color
