"""Images that dclab stores cropped to their events, put together again."""

from __future__ import annotations

import contextlib
import functools
import io
import json
import pathlib
import pickle
import shutil
import warnings
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import BasinError, DCReadError
from dcread.testing import check_basin

from .dcor_server import Server

FILES = (
    "cytoshot_full-features_2023.rtdc",
    "cytoshot_full-features_legacy_allev_2023.rtdc",
    "image-bg_2020.rtdc",
)


@functools.cache
def by_dclab(
    source: pathlib.Path, path: pathlib.Path
) -> tuple[pathlib.Path, dict[str, Any]]:
    """Have dclab crop a file; return that and the images that dclab reads from it."""
    dclab = pytest.importorskip("dclab")
    from dclab.cli import compress

    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        compress(path_in=source, path_out=path, crop_event_images=True)
        with dclab.new_dataset(path) as ds:
            images = {
                name: np.array([ds[name][event] for event in range(len(ds))])
                for name in ("image", "qpi_pha", "qpi_amp")
                if name in ds
            }
    return path, images


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("cropped")


@pytest.fixture(params=FILES)
def cropped(
    request: pytest.FixtureRequest, data_dir: pathlib.Path, folder: pathlib.Path
) -> tuple[pathlib.Path, dict[str, Any]]:
    """A real file with cropped images, and the whole ones."""
    return by_dclab(data_dir / request.param, folder / request.param)


def test_every_image_is_that_of_dclab(
    cropped: tuple[pathlib.Path, dict[str, Any]],
) -> None:
    path, images = cropped
    with dcread.HDF5Data(path) as hd:
        for name, right in images.items():
            assert hd[name].dtype == right.dtype
            assert np.array_equal(hd[name][:], right)
            picks = [-1, 0, 0, len(right) // 2]
            assert np.array_equal(hd[name][picks], right[picks])
            assert np.array_equal(hd[name][::-2], right[::-2])
            for event in range(len(right)):
                assert np.array_equal(hd[name][event], right[event])
        scanned = [hd.image.get_chunk(i) for i in range(hd.image.num_chunks)]
        assert np.array_equal(np.concatenate(scanned), images["image"])
        (record,) = (one for one in hd.basin_status() if one.format == "h5datasetchop")
        assert record.available is True
        assert record.features == ("image",)


def test_through_mappings_pickles_and_basins(
    cropped: tuple[pathlib.Path, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    path, images = cropped
    right = images["image"]
    rows = np.array([len(right) - 1, 1, 1, 0])
    with dcread.HDF5Data(path, index_mapping=rows) as hd:
        assert np.array_equal(hd["image"][:], right[rows])
        with pickle.loads(pickle.dumps(hd)) as copy:
            assert np.array_equal(copy["image"][1:], right[rows][1:])
    with dcread.HDF5Data(path) as hd:
        raw = np.array(hd["image"][:], np.int16) - hd["image_bg"][:]
        assert np.array_equal(hd.image_corr[:], raw)
    referrer = tmp_path / "ref.rtdc"
    definition = {"type": "file", "format": "hdf5", "paths": [str(path)]}
    with h5py.File(referrer, "w") as h5:
        h5["events/basinmap0"] = rows
        definition["mapping"] = "basinmap0"
        h5["basins/a"] = np.array([json.dumps(definition).encode()])
    with dcread.HDF5Data(referrer) as hd:
        assert np.array_equal(hd["image"][:], right[rows])


def test_slices_as_dask_takes_them(
    cropped: tuple[pathlib.Path, dict[str, Any]],
) -> None:
    array = pytest.importorskip("dask.array")
    path, images = cropped
    right = images["image"]
    with dcread.HDF5Data(path) as hd:
        view = hd.view("image")
        lazy = array.from_array(view, chunks=(7, *view.shape[1:]), asarray=False)
        assert np.array_equal(lazy.compute(), right)
        assert np.array_equal(lazy[3:, 2:9].compute(), right[3:, 2:9])


def test_behind_a_web_address(
    cropped: tuple[pathlib.Path, dict[str, Any]],
    server: Server,
    measurement: Callable[..., dcread.HDF5Data],
) -> None:
    path, images = cropped
    right = images["image"]
    server.files["/cropped.rtdc"] = path.read_bytes()
    url, policy = f"{server.url}/cropped.rtdc", dcread.Policy(hosts=[server.url])
    with dcread.HDF5Data(url, policy=policy) as hd:
        assert np.array_equal(hd["image"][:], right)
    rows = np.array([len(right) - 1, 1, 1, 0, 2])
    hd = measurement(url, mapping="basinmap0", rows=rows)
    assert np.array_equal(hd["image"][:], right[rows])
    found = hd.explain("image")
    assert found.basins[0] == "web"
    assert found.format == "h5datasetchop"


def test_joined(
    cropped: tuple[pathlib.Path, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    path, images = cropped
    with dcread.concatenated_hdf5_data(
        [path, path], path_out=tmp_path / "joined.rtdc", features=["deform", "image"]
    ) as hd:
        right = images["image"]
        assert np.array_equal(hd["image"][:], np.concatenate([right, right]))


@pytest.fixture
def made(tmp_path: pathlib.Path) -> Callable[..., pathlib.Path]:
    """Write a small file with cropped images; frames are 6 x 8."""

    def make(
        index: Any, pieces: dict[str, Any], feature: str = "image", **attrs: Any
    ) -> pathlib.Path:
        path = tmp_path / "made.rtdc"
        definition = {
            "type": "internal",
            "format": "h5datasetchop",
            "name": f"chopped-{feature}",
            "features": [feature],
            "mapping": attrs.pop("mapping", "same"),
            "paths": ["basin_events"],
        }
        with h5py.File(path, "w") as h5:
            h5.attrs["imaging:roi size y"] = 6
            h5.attrs["imaging:roi size x"] = 8
            h5["events/frame"] = np.arange(len(index))
            for name, value in attrs.pop("events", {}).items():
                h5[f"events/{name}"] = value
            group = h5.create_group(f"basin_events/{feature}")
            group["index"] = np.array(index, np.int64).reshape(-1, 5)
            for name, value in pieces.items():
                group[name] = value
            group.attrs.update(attrs)
            text = json.dumps(definition).encode()
            h5["basins/cropped"] = np.array([text])
        return path

    return make


def frame(*places: tuple[Any, int, int]) -> Any:
    """Lay pieces into a frame, one over the other where they are not zero."""
    found = np.zeros((20, 20), places[0][0].dtype)
    for piece, top, left in places:
        part = found[top : top + piece.shape[0], left : left + piece.shape[1]]
        part[piece != 0] = piece[piece != 0]
    return found[:6, :8]


def test_rings_edges_types_and_background(made: Callable[..., pathlib.Path]) -> None:
    rng = np.random.default_rng(4)
    small = rng.integers(0, 3, (3, 2, 3)).astype("i2") * 100
    large = rng.integers(0, 3, (2, 4, 5)).astype("i2") * -70
    index = [[0, 0, 0, 0, 2], [0, 1, 5, 6, 1], [1, 0, 1, 2, 3], [1, 1, 4, 7, 0]]
    back = rng.integers(-(2**15), 2**15, (4, 6, 8)).astype("i2")
    path = made(
        index,
        {"0": small, "1": large},
        events={"image_bg": back},
        inverse_background_feature="image_bg",
    )
    pieces = [(small[0], 0, 0), (small[1], 5, 6), (large[0], 1, 2), (large[1], 4, 7)]
    orders = [[0, 2, 3], [1], [2, 3, 0], [3, 0, 2]]
    right = np.array([frame(*(pieces[i] for i in order)) for order in orders])
    right += back
    with dcread.HDF5Data(path) as hd:
        assert hd["image"].dtype == np.int16
        assert np.array_equal(hd["image"][:], right)
        assert np.array_equal(hd["image"][2], right[2])


def test_masks_are_bool(made: Callable[..., pathlib.Path]) -> None:
    piece = np.array([[[255, 0], [255, 255]]], "u1")
    path = made([[0, 0, 2, 3, 0]], {"0": piece}, "mask", is_boolean=True)
    with dcread.HDF5Data(path) as hd:
        assert hd["mask"].dtype == bool
        assert np.array_equal(hd["mask"][0], frame((piece[0], 2, 3)) != 0)


ROW = [0, 0, 0, 0, 0]
PIECE = np.ones((2, 2, 2), "u1")


@pytest.mark.parametrize(
    ("index", "pieces", "telling"),
    [
        ([ROW, [0, 1, 0, 0, 7]], {"0": PIECE}, "leads to event 7 of 2"),
        ([ROW, [0, 1, 0, 0, -1]], {"0": PIECE}, "leads to event -1 of 2"),
        ([ROW, [0, 1, 0, 0, 0]], {"0": PIECE}, "more than 1000 events and not back"),
        ([ROW, [0, 2, 0, 0, 1]], {"0": PIECE}, "found row 2"),
        ([ROW, [0, -1, 0, 0, 1]], {"0": PIECE}, "found row -1"),
        ([ROW, [0, 1, 9, 0, 1]], {"0": PIECE}, "found offset y 9"),
        ([ROW, [0, 1, 0, -2, 1]], {"0": PIECE}, "found offset x -2"),
    ],
)
def test_bad_event_costs_only_itself(
    index: Any,
    pieces: Any,
    telling: str,
    made: Callable[..., pathlib.Path],
) -> None:
    with dcread.HDF5Data(made(index, pieces)) as hd:
        images = hd.get_basin_data(0)[0]["image"]
        assert np.array_equal(images[0:1][0], frame((PIECE[0], 0, 0)))
        with pytest.raises(DCReadError, match=telling):
            images[1:2]
        with pytest.raises(DCReadError, match=telling):
            hd["image"][1]
        assert hd["frame"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("changes", "telling"),
    [
        ({"pieces": {}}, "has no '0'"),
        ({"pieces": {"0": PIECE[0]}}, "should be stored as images of one type"),
        ({"feature": "deform"}, "'deform' cannot be stored cropped"),
        ({"mapping": "frame"}, "belong to events one by one"),
        ({"inverse_background_feature": "image"}, "names itself"),
        ({"inverse_background_feature": "image_bg"}, "no 'image_bg'"),
    ],
)
def test_unusable_cropped_images_are_told(
    changes: dict[str, Any], telling: str, made: Callable[..., pathlib.Path]
) -> None:
    arguments = {"index": [ROW], "pieces": {"0": PIECE}, **changes}
    with dcread.HDF5Data(made(**arguments)) as hd:
        feature = changes.get("feature", "image")
        with pytest.raises((BasinError, KeyError), match=telling):
            hd[feature][0]
        assert hd["frame"].tolist() == [0]


def test_conformance(
    cropped: tuple[pathlib.Path, dict[str, Any]], tmp_path: pathlib.Path
) -> None:
    from dcread.basins.cropped import CroppedImagesBasin

    referrer = tmp_path / "copy.rtdc"
    shutil.copy(cropped[0], referrer)
    definition = {
        "type": "internal",
        "format": "h5datasetchop",
        "features": ["image"],
        "paths": ["basin_events"],
    }
    check_basin(CroppedImagesBasin, definition, referrer=referrer)


def test_a_notebook_shows_them(cropped: tuple[pathlib.Path, dict[str, Any]]) -> None:
    path, images = cropped
    with dcread.HDF5Data(path) as hd:
        count = min(4, len(images["image"]))
        for shown in (hd, hd.image):
            assert shown._repr_html_().count("<img alt='event ") == count
