"""The reader plugin of napari: its manifest, and lazy layers."""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import importlib.util
import json
import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.interop import napari

MANIFEST = pathlib.Path(napari.__file__).with_name("napari.json")

pytest.importorskip("dask.array")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    rng = np.random.default_rng(4)
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        for name in ("image", "image_bg"):
            data = rng.integers(0, 200, (30, 8, 9), np.uint8)
            h5.create_dataset(f"events/{name}", data=data, chunks=(10, 8, 9))
        h5["events/mask"] = (data > 99) * np.uint8(255)
        h5.attrs["imaging:pixel size"] = 0.34
    return tmp_path / "m.rtdc"


def test_the_manifest_names_what_is_there() -> None:
    manifest = json.loads(MANIFEST.read_text("utf-8"))
    (command,) = manifest["contributions"]["commands"]
    (reader,) = manifest["contributions"]["readers"]
    assert reader["command"] == command["id"]
    module, _, name = command["python_name"].partition(":")
    assert getattr(importlib.import_module(module), name) is napari.get_reader
    assert reader["filename_patterns"] == ["*.rtdc"]
    (entry,) = importlib.metadata.distribution("dcread").entry_points.select(
        group="napari.manifest"
    )
    assert entry.value == "dcread.interop:napari.json"


def test_layers_are_the_features(path: pathlib.Path) -> None:
    reader = napari.get_reader(str(path))
    assert reader is not None
    layers = {
        options["metadata"]["feature"]: one
        for one in reader(path)
        for options in one[1:2]
    }
    with dcread.HDF5Data(path) as hd:
        for feature, (data, options, kind) in layers.items():
            assert kind == ("labels" if feature == "mask" else "image")
            assert data.shape == (30, 8, 9)
            assert options["scale"] == (1, 0.34, 0.34)
            np.testing.assert_array_equal(data.compute(), hd[feature][:])
            np.testing.assert_array_equal(data[17].compute(), hd[feature][17])
            assert (data.dtype.kind == "u") is True
    assert list(layers) == ["image", "image_bg", "mask"]
    assert [one[1].get("visible") for one in layers.values()] == [True, False, None]


def test_real_files(data_dir: pathlib.Path) -> None:
    seen = 0
    for path in sorted(data_dir.glob("*.rtdc")):
        with dcread.HDF5Data(path) as hd:
            expected = [n for n in napari.LAYERS if n in hd and len(hd)]
            if not expected:
                continue
            layers = napari.read(path)
            assert [o["metadata"]["feature"] for _, o, _ in layers] == expected
            for data, options, _ in layers:
                ours = hd[options["metadata"]["feature"]][-1]
                np.testing.assert_array_equal(data[-1].compute(), ours)
                seen += 1
    assert seen > 15


def test_nothing_is_read_before_it_is_looked_at(path, monkeypatch) -> None:
    asked = []
    take = napari._Images.__getitem__

    def noting(self, index):
        found = take(self, index)
        asked.append(found.shape)
        return found

    monkeypatch.setattr(napari._Images, "__getitem__", noting)
    layers = napari.read(path)
    assert [shape for shape in asked if 0 not in shape] == []  # (dask asks for none)
    layers[0][0][25].compute()
    assert [shape for shape in asked if 0 not in shape] == [(8, 9)]


def test_the_file_is_closed_when_the_layers_are_gone(path, open_files) -> None:
    layers = napari.read(path)
    assert path in open_files()
    layers[0][0][3].compute()
    del layers
    gc.collect()
    assert path not in open_files()


def test_what_is_not_read(tmp_path: pathlib.Path) -> None:
    assert napari.get_reader(tmp_path / "x.tif") is None
    assert napari.get_reader([tmp_path / "x.rtdc"]) is None
    with h5py.File(tmp_path / "none.rtdc", "w") as h5:
        h5["events/deform"] = np.arange(3.0)
    with pytest.raises(dcread.FeatureNotFoundError, match="neither images nor masks"):
        napari.read(tmp_path / "none.rtdc")
    with pytest.raises(dcread.FileMissingError):
        napari.read(tmp_path / "missing.rtdc")


def test_npe2_finds_and_runs_it(
    path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    pytest.importorskip("pydantic")
    if importlib.util.find_spec("npe2") is None:
        pytest.skip("npe2 is not installed")
    code = """
import sys
from npe2 import PluginManager, PluginManifest, io_utils
manager = PluginManager.instance()
manager.discover()
assert "dcread" in [one.name for one in manager.iter_manifests()]
PluginManifest.from_file(sys.argv[2])
layers, reader = io_utils.read_get_reader([sys.argv[1]], stack=False)
print(reader.plugin_name, *(kind for _, _, kind in layers))
"""
    done = run_python(
        code,
        path,
        MANIFEST,
        options=(
            "-W",
            "ignore",
        ),
    )
    assert done.stdout.split() == ["dcread", "image", "image", "labels"]
