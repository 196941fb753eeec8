"""``dcread export``: tables and images, of all events or some."""

from __future__ import annotations

import csv
import json
import pathlib
import shutil
import tracemalloc
from collections.abc import Callable

import h5py
import numpy as np
import pytest

import dcread
from dcread.cli import export as command
from dcread.cli import main as cli
from dcread.demo import generate
from dcread.tools import export_images, export_table, selection
from dcread.tools.selection import parse_events

Capture = pytest.CaptureFixture[str]


def read_csv(path: pathlib.Path) -> dict[str, np.ndarray]:
    rows = list(csv.reader(path.read_text().splitlines()))
    return {
        name: np.array([float(row[i]) for row in rows[1:]])
        for i, name in enumerate(rows[0])
    }


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_names_that_are_not_text_are_escaped(
    suffix: str, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    path, target = tmp_path / "m.rtdc", tmp_path / f"table.{suffix}"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(4.0)
        h5[b"events/tilt\xff"] = -np.arange(4.0)
    assert cli.main(["export", str(path), str(target)]) == 0, capsys.readouterr()
    if suffix == "parquet":
        table = pytest.importorskip("pyarrow.parquet").read_table(target)
        found = {name: table[name].to_numpy() for name in table.column_names}
    else:
        found = read_csv(target)
    assert found[r"tilt\udcff"].tolist() == [0, -1, -2, -3]
    assert found["deform"].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
@pytest.mark.parametrize("block", [7, 20_000])
def test_a_table_has_every_scalar_feature_bit_by_bit(
    *,
    suffix: str,
    block: int,
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(selection.blocks, "__defaults__", ((), block))
    target = tmp_path / f"table.{suffix}"
    assert cli.main(["export", str(made.events), str(target)]) == 0
    assert capsys.readouterr().out == f"{target}: 118 events\n"
    if suffix == "parquet":
        pyarrow = pytest.importorskip("pyarrow.parquet")
        table = pyarrow.read_table(target)
        found = {name: table[name].to_numpy() for name in table.column_names}
        assert pyarrow.ParquetFile(target).num_row_groups == -(-118 // block)
    else:
        target.write_text(target.read_text().replace("\t", ","))
        found = read_csv(target)
    assert found.pop("event").tolist() == list(range(118))
    with dcread.HDF5Data(made.events) as hd:
        scalars = [n for n in hd if getattr(hd[n], "ndim", 0) == 1]
        assert list(found) == scalars
        for name in scalars:
            values = np.asarray(hd[name])
            assert np.array_equal(found[name].astype(values.dtype), values), name


def test_without_scalar_features_there_is_no_table(
    tmp_path: pathlib.Path, capsys: Capture
) -> None:
    path, target = tmp_path / "m.rtdc", tmp_path / "table.csv"
    with h5py.File(path, "w") as h5:
        h5.create_group("events")
        h5.attrs["experiment:event count"] = 2**40  # (a row for each: for ever)
    assert cli.main(["export", str(path), str(target)]) == 1
    assert "there are no scalar features to write" in capsys.readouterr().err
    assert not target.exists()


def test_some_events_and_features(
    made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    target = tmp_path / "some.csv"
    words = ["export", str(made.events), str(target), "--features", "deform,area_um"]
    with dcread.HDF5Data(made.events) as hd:
        area, deform = np.asarray(hd["area_um"]), np.asarray(hd["deform"])
    assert cli.main([*words, "--where", "area_um<100 & deform>0.1"]) == 0
    found = read_csv(target)
    expected = np.flatnonzero((area < 100) & (deform > 0.1))
    assert 0 < len(expected) < 118
    assert list(found) == ["event", "deform", "area_um"]
    assert np.array_equal(found["event"], expected)
    assert np.array_equal(found["deform"].astype(deform.dtype), deform[expected])
    again = [*words, "--overwrite", "--events", "100:0:-7,3,-1"]
    assert cli.main([*again, "--where", "deform > 0"]) == 0
    chosen = np.r_[np.arange(118)[100:0:-7], 3, 117]
    assert np.array_equal(read_csv(target)["event"], chosen[deform[chosen] > 0])
    assert cli.main([*words, "--overwrite", "--where", "deform > 1000"]) == 0
    assert target.read_text() == "event,deform,area_um\n"


@pytest.mark.parametrize("feature", ["image", "mask", "image_bg", "image_corr"])
def test_images_as_tiff(
    feature: str, made: generate.DemoFiles, tmp_path: pathlib.Path
) -> None:
    tifffile = pytest.importorskip("tifffile")
    target = tmp_path / "images.tif"
    words = ["export", str(made.events), str(target), "--features", feature]
    assert cli.main([*words, "--events", "::3"]) == 0
    with dcread.HDF5Data(made.events) as hd:
        images = hd.image_corr if feature == "image_corr" else hd[feature]
        expected = np.asarray(images[::3])
    if feature == "mask":
        expected = expected.astype(np.uint8) * 255
    found = tifffile.imread(target)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


def test_large_images_become_a_big_tiff(
    made: generate.DemoFiles, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile = pytest.importorskip("tifffile")
    monkeypatch.setattr(export_images, "LARGEST_TIFF", 1000)
    target = tmp_path / "big.tif"
    assert cli.main(["export", str(made.recording), str(target)]) == 0
    with tifffile.TiffFile(target) as tif:
        assert tif.is_bigtiff
        assert len(tif.pages) == 120


def test_images_as_png(made: generate.DemoFiles, tmp_path: pathlib.Path) -> None:
    pil = pytest.importorskip("PIL.Image")
    folder = tmp_path / "cells"
    words = ["export", str(made.events), str(folder), "--where", "deform>0.1"]
    assert cli.main(words) == 0
    with dcread.HDF5Data(made.events) as hd:
        expected = np.flatnonzero(np.asarray(hd["deform"]) > 0.1)
        images = np.asarray(hd.image[:])
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"image_{event:06d}.png" for event in expected]
    for name, event in zip(names, expected, strict=True):
        with pil.open(folder / name) as image:
            assert np.array_equal(np.asarray(image), images[event])
    assert [path.name for path in tmp_path.iterdir()] == ["cells"]
    assert cli.main([*words, "--overwrite"]) == 1, "a folder is never replaced"


@pytest.mark.filterwarnings("ignore:Feature qpi_pha not cached")
def test_sixteen_bit_and_floats(tmp_path: pathlib.Path, capsys: Capture) -> None:
    pil = pytest.importorskip("PIL.Image")
    tifffile = pytest.importorskip("tifffile")
    path = tmp_path / "x.rtdc"
    deep = np.arange(3 * 4 * 5, dtype=">u2").reshape(3, 4, 5) * 1000
    phase = np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 4, 5)
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 3
        h5["events/image"], h5["events/qpi_pha"] = deep, phase
        h5["events/deform"] = np.arange(3.0)
    assert cli.main(["export", str(path), str(tmp_path / "png")]) == 0
    with pil.open(tmp_path / "png" / "image_000002.png") as image:
        assert np.array_equal(np.asarray(image), deep[2])
    words = ["export", str(path), "--features", "qpi_pha"]
    assert cli.main([*words, str(tmp_path / "pha.tif")]) == 0
    assert np.array_equal(tifffile.imread(tmp_path / "pha.tif"), phase)
    capsys.readouterr()
    assert cli.main([*words, str(tmp_path / "pha")]) == 1
    assert "export it as .tif" in capsys.readouterr().err
    assert not (tmp_path / "pha").exists()


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "x.tif", "x"])
def test_what_goes_wrong_leaves_nothing(
    name: str,
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    damage: Callable[..., None],
    capsys: Capture,
) -> None:
    place = tmp_path / "out"
    place.mkdir()
    bad = pathlib.Path(shutil.copy(made.events, tmp_path / "bad.rtdc"))
    damage(bad, "events/deform", 0)
    damage(bad, "events/mask", 0)
    feature = "mask" if name in ("x.tif", "x") else "deform"
    target = str(place / name)
    for words in (
        ["export", str(bad), target, "--features", feature],
        ["export", str(tmp_path / "missing.rtdc"), target],
        ["export", str(made.events), target, "--features", "nonsense"],
        ["export", str(made.events), target, "--where", "nonsense > 1"],
        ["export", str(made.events), target, "--events", "1000"],
        ["export", str(made.events), str(place / "no" / name)],
        ["export", str(made.events), target, "--features", "trace"],
    ):
        assert cli.main(words) == 1, words
        (line,) = capsys.readouterr().err.splitlines()
        assert line.startswith("dcread: ")
        assert list(place.iterdir()) == []
    (place / name).write_text("mine")
    assert cli.main(["export", str(made.events), target]) == 1
    assert "already exists" in capsys.readouterr().err
    assert (place / name).read_text() == "mine"


def test_wrong_usage(made: generate.DemoFiles, capsys: Capture) -> None:
    for words, about in (
        (["x.docx"], "expected a name that ends in one of .csv"),
        (["x.tif", "--features", "image,mask"], "one feature is written as images"),
        (["x.csv", "--events", "1:2:0"], "a step of 0"),
        (["x.csv", "--events", "abc"], "is neither an event"),
        (["x.csv", "--events", ""], "is neither an event"),
        (["x.csv", "--where", "import os"], "expected a condition at character 8"),
    ):
        assert cli.main(["export", str(made.events), *words]) == 2, words
        (line,) = capsys.readouterr().err.splitlines()
        assert about in line


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("5", (5,)),
        ("-1", (-1,)),
        (":", (slice(None),)),
        ("0:1000:10", (slice(0, 1000, 10),)),
        ("::-1, 3 ,7:", (slice(None, None, -1), 3, slice(7, None))),
    ],
)
def test_events(text: str, items: tuple[int | slice, ...]) -> None:
    assert parse_events(text) == items


def test_memory_does_not_grow_with_the_number_of_events(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peaks = []
    for number in (20_000, 200_000):
        path = tmp_path / f"{number}.rtdc"
        with h5py.File(path, "w") as h5:
            h5.attrs["experiment:event count"] = number
            for name in ("deform", "area_um", "bright_avg"):
                values = np.random.default_rng(1).random(number)
                h5.create_dataset(f"events/{name}", data=values, chunks=(5000,))
        monkeypatch.setattr(selection.blocks, "__defaults__", ((), 5000))
        tracemalloc.start()
        export_table.export_table(path, tmp_path / f"{number}.csv")
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


def test_the_package_that_is_missing_is_named(
    made: generate.DemoFiles,
    tmp_path: pathlib.Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, package in (
        ("x.parquet", "pyarrow"),
        ("x.tif", "tifffile"),
        ("x", "pillow"),
    ):
        assert cli.main(["export", str(made.events), str(tmp_path / name)]) == 1
        assert f"pip install {package}" in capsys.readouterr().err


def test_json(
    made: generate.DemoFiles, tmp_path: pathlib.Path, capsys: Capture
) -> None:
    target = tmp_path / "x.csv"
    assert cli.main(["export", "--json", str(made.events), str(target)]) == 0
    assert json.loads(capsys.readouterr().out) == {"path": str(target), "events": 118}


def test_suffixes_are_the_same_everywhere() -> None:
    assert command.TABLES == export_table.SUFFIXES
    assert command.IMAGES == export_images.SUFFIXES


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_real_measurements(real_file: pathlib.Path, tmp_path: pathlib.Path) -> None:
    assert cli.main(["export", str(real_file), str(tmp_path / "x.csv")]) == 0
    with h5py.File(real_file, locking=False) as h5:
        scalars = [n for n, d in h5["events"].items() if getattr(d, "ndim", 0) == 1]
        found = read_csv(tmp_path / "x.csv")
        assert set(scalars) == set(found) - {"event"}
        for name in scalars:
            stored = h5["events"][name][:]
            same = np.array_equal(
                found[name].astype(stored.dtype), stored, equal_nan=True
            )
            assert same, name
