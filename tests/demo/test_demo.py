"""The made-up measurement: is it consistent, and do others read it?"""

from __future__ import annotations

import json
import pathlib
import warnings

import h5py
import hdf5plugin  # noqa: F401  (registers the filter)
import numpy as np
import pytest

from dcread.demo import features, generate, scene

FRAMES = 250


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> generate.DemoFiles:
    return generate.make_measurement(
        tmp_path_factory.mktemp("made"), frames=FRAMES, seed=5
    )


def read(path: pathlib.Path, name: str) -> np.ndarray:
    with h5py.File(path, locking=False) as h5:
        return h5[name][:]


def test_sizes_and_types(made: generate.DemoFiles) -> None:
    with h5py.File(made.events) as h5:
        number = h5.attrs["experiment:event count"]
        assert h5["events/mask"].shape == (number, 80, 320)
        assert set(np.unique(h5["events/mask"][:5])) == {0, 255}
        assert {
            len(h5["events"][name])
            for name in h5["events"]
            if isinstance(h5["events"][name], h5py.Dataset)
        } == {number}
        assert h5["events/trace/fl1_raw"].dtype == np.int16
    assert read(made.recording, "events/image").shape == (FRAMES, 80, 320)
    assert len(read(made.continuation, "events/image")) == FRAMES // 3


def test_everything_is_compressed_and_checked(made: generate.DemoFiles) -> None:
    seen = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            plist = item.id.get_create_plist()
            filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
            assert [f[0] for f in filters] == [32015, h5py.h5z.FILTER_FLETCHER32]
            assert filters[0][2] == (5,), name
            seen.append(name)

    for path in (made.events, made.recording):
        with h5py.File(path) as h5:
            h5.visititems(look)
    assert {"events/image", "events/mask", "logs/dcread-demo"} <= set(seen)


def test_equal_seeds_give_equal_data(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    again = generate.make_measurement(tmp_path / "again", frames=FRAMES, seed=5)
    other = generate.make_measurement(tmp_path / "other", frames=FRAMES, seed=6)
    image = read(made.recording, "events/image")
    assert np.array_equal(image, read(again.recording, "events/image"))
    assert not np.array_equal(image, read(other.recording, "events/image"))
    assert np.array_equal(
        read(made.events, "events/deform"), read(again.events, "events/deform")
    )


def test_shape_features_are_those_of_the_pipeline(made: generate.DemoFiles) -> None:
    moments = pytest.importorskip("dcnum.feat.feat_contour.moments")
    masks = read(made.events, "events/mask") > 0
    expected = moments.moments_based_features(masks, pixel_size=0.34)
    assert expected["valid"].all()
    names = {"area_msd", "area_ratio", "area_um", "aspect", "deform"}
    names |= {"inert_ratio_cvx", "pos_x", "pos_y", "size_x", "size_y"}
    for name in names:
        mine = read(made.events, f"events/{name}")
        # OpenCV measures perimeters in single precision
        np.testing.assert_allclose(mine, expected[name], rtol=1e-6, atol=1e-7)


def test_brightness_features_are_those_of_the_pixels(
    made: generate.DemoFiles,
) -> None:
    rows = read(made.events, "events/basinmap1")
    image = read(made.recording, "events/image")[rows].astype(float)
    image_bg = read(made.events, "basin_events/image_bg")
    image_bg = image_bg[read(made.events, "events/basinmap0")]
    offset = read(made.events, "events/bg_off")
    for i, mask in enumerate(read(made.events, "events/mask") > 0):
        inside = image[i][mask]
        corrected = inside - image_bg[i][mask]
        found = {
            name: read(made.events, f"events/{name}")[i]
            for name in ("bright_avg", "bright_sd", "bright_bc_avg", "bright_bc_sd")
        }
        assert found == pytest.approx(
            {
                "bright_avg": inside.mean(),
                "bright_sd": inside.std(),
                "bright_bc_avg": corrected.mean() - offset[i],
                "bright_bc_sd": corrected.std(),
            }
        )
        if i == 20:
            break


def test_frames_and_times_agree(made: generate.DemoFiles) -> None:
    rows = read(made.events, "events/basinmap1")
    for name in ("frame", "time", "temp"):
        mine = read(made.events, f"events/{name}")
        assert np.array_equal(mine, read(made.recording, f"events/{name}")[rows])
    frame = read(made.recording, "events/frame")
    assert (np.diff(frame) > 0).all()
    time = read(made.recording, "events/time")
    np.testing.assert_allclose(np.diff(time), np.diff(frame) / 3000.0)
    # some frames have no event, some have two: the map has gaps and repeats
    assert len(np.unique(rows)) < min(len(rows), FRAMES)
    assert np.array_equal(read(made.events, "events/nevents"), np.bincount(rows)[rows])


def test_flicker_is_where_it_is_said_to_be(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    def offsets(path: pathlib.Path) -> np.ndarray:
        medians = np.median(read(path, "events/image")[:, :10], axis=(1, 2))
        return np.abs(medians - np.median(medians))

    off = np.flatnonzero(offsets(made.recording) > 2.5)
    assert off.tolist() == made.flickering.tolist()
    assert len(off) == FRAMES // 33
    steady = generate.make_measurement(tmp_path, frames=FRAMES, flicker=False)
    assert offsets(steady.recording).max() <= 1.5
    assert len(steady.flickering) == 0


def test_basin_definitions(made: generate.DemoFiles) -> None:
    with h5py.File(made.events) as h5:
        found = {
            entry["name"]: entry
            for entry in (
                json.loads(b"\n".join(lines[:])) for lines in h5["basins"].values()
            )
        }
    assert found["background images"]["mapping"] == "basinmap0"
    assert found["background images"]["paths"] == ["basin_events"]
    assert found["recording"]["paths"] == [str(made.recording), "demo_raw.rtdc"]
    with h5py.File(made.recording) as h5:
        identifier = h5.attrs["experiment:run identifier"]
    assert found["recording"]["identifier"] == identifier


def test_dclab_finds_nothing_wrong(made: generate.DemoFiles) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dclab = pytest.importorskip("dclab")
        check = pytest.importorskip("dclab.rtdc_dataset.check")
        cues = []
        for path in (made.events, made.recording):
            with check.IntegrityChecker(path) as checker:
                cues += [c for c in checker.check() if c.level != "info"]
        assert [cue.msg for cue in cues] == []
        with dclab.new_dataset(made.events) as ds:
            row = int(ds["basinmap1"][7])
            image = ds["image"][7]
            assert set(ds["trace"]) == {
                "fl1_median", "fl1_raw", "fl2_median", "fl2_raw",
            }  # fmt: skip
    assert np.array_equal(image, read(made.recording, "events/image")[row])


def test_too_few_frames_are_refused(tmp_path: pathlib.Path) -> None:
    with pytest.raises(ValueError, match="at least 40 frames, got 3"):
        generate.make_measurement(tmp_path, frames=3)


def test_cells_stay_inside_their_windows_and_frames() -> None:
    rng = np.random.default_rng(3)
    cells = scene.make_cells(rng, 500)
    every = slice(0, len(cells))
    top, left = scene.corner(cells, every)
    assert top.min() >= 0
    assert left.min() >= 0
    assert (top + scene.PATCH[0]).max() <= scene.HEIGHT
    assert (left + scene.PATCH[1]).max() <= scene.WIDTH
    _, masks = scene.make_painter(rng)(cells, every)
    border = masks.copy()
    border[:, 1:-1, 1:-1] = False
    assert not border.any()
    assert masks.any(axis=(1, 2)).all()


def test_shape_features_of_a_square() -> None:
    mask = np.zeros((1, 20, 20), dtype=bool)
    mask[0, 4:10, 5:11] = True  # its outline is a square of side 5
    found = features.shape_features(mask, np.array([100]), np.array([200]), 0.5)
    assert found["area_msd"] == pytest.approx([25.0])
    assert found["area_um"] == pytest.approx([6.25])
    assert found["deform"] == pytest.approx([1 - np.sqrt(np.pi) / 2])
    assert found["pos_x"] == pytest.approx([0.5 * 207.5])
    assert found["pos_y"] == pytest.approx([0.5 * 106.5])
    assert found["size_x"] == pytest.approx([3.0])
    assert found["inert_ratio_cvx"] == pytest.approx([1.0])


def test_trace_features_of_a_peak() -> None:
    trace = np.zeros((1, 50), dtype=np.int16)
    trace[0, 20:25] = [10, 60, 100, 60, 10]
    found = features.trace_features(trace, 500_000, 2)
    assert found["fl2_max"].tolist() == [100.0]
    assert found["fl2_pos"].tolist() == [44.0]  # the 22nd sample, 2 us apart
    assert found["fl2_width"].tolist() == [6.0]
    assert found["fl2_area"].tolist() == [480.0]


def test_what_was_made_in_the_same_way_is_used_again(tmp_path: pathlib.Path) -> None:
    made = generate.make_measurement(tmp_path, frames=60)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    again = generate.make_measurement(tmp_path, frames=60, reuse=True)
    assert again.flickering.tolist() == made.flickering.tolist()
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before
    assert (
        generate.make_measurement(tmp_path, frames=61, reuse=True).events == made.events
    )
    assert all(path.stat().st_mtime_ns != t for path, t in before.items())
    made.continuation.unlink()
    generate.make_measurement(tmp_path, frames=61, reuse=True)
    assert made.continuation.exists()
    made.recording.write_bytes(b"")
    generate.make_measurement(tmp_path, frames=61, reuse=True)
    assert made.recording.stat().st_size > 100_000


def test_an_interrupt_leaves_no_file(tmp_path: pathlib.Path) -> None:
    def interrupt(number: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate.make_measurement(tmp_path, frames=60, progress=interrupt)
    assert list(tmp_path.iterdir()) == []
