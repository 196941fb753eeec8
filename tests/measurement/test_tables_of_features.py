"""Scalar features as pandas and Arrow tables, and what is known of features."""

from __future__ import annotations

import json
import pathlib
import typing
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread.errors import (
    ClosedError,
    FeatureNotFoundError,
    FormatError,
    ShapeMismatchError,
)
from dcread.measurement.feature_info import ScalarName, known_features

pandas = pytest.importorskip("pandas")


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        h5["events/deform"] = np.array([0.1, np.nan, 0.3, 0.2])
        h5["events/frame"] = np.array([1, 2, 2, 7], ">u4")
        h5["events/my_number"] = np.arange(4, dtype=np.float32)
        h5["events/image"] = np.zeros((4, 3, 5), np.uint8)
        h5["events/trace/fl1_raw"] = np.zeros((4, 6), np.int16)
        h5.attrs["experiment:sample"] = "blood"
    return tmp_path / "m.rtdc"


def test_frame_holds_the_scalar_features_in_native_order(path: pathlib.Path) -> None:
    with dcread.HDF5Data(path) as hd:
        frame = hd.to_dataframe()
        assert list(frame.columns) == ["deform", "frame", "my_number"]
        assert hd.features_scalar == list(frame.columns)
        np.testing.assert_array_equal(frame["deform"], hd["deform"])
        assert frame["frame"].tolist() == [1, 2, 2, 7]
    assert frame["frame"].dtype == np.uint32
    assert frame["my_number"].dtype == np.float32
    assert frame.index.name == "event"
    assert frame.index.tolist() == [0, 1, 2, 3]
    assert frame.attrs["path"] == str(path)
    assert frame.attrs["units"] == {"deform": "", "frame": "", "my_number": ""}


def test_names_that_are_not_text_are_escaped(path: pathlib.Path) -> None:
    pytest.importorskip("pyarrow")
    with h5py.File(path, "a") as h5:
        h5[b"events/tilt\xff"] = np.arange(4) * 7
    with dcread.HDF5Data(path) as hd:
        assert hd["tilt\udcff"].tolist() == [0, 7, 14, 21]
        assert hd.to_dataframe()[r"tilt\udcff"].tolist() == [0, 7, 14, 21]
        assert hd.to_arrow()[r"tilt\udcff"].to_pylist() == [0, 7, 14, 21]
        assert hd.describe().loc[r"tilt\udcff", "max"] == 21
        for page in (hd._repr_html_(), hd.explain("tilt\udcff")._repr_html_()):
            assert rb"tilt\udcff" in page.encode()


def test_columns_are_those_asked_for_in_that_order(path: pathlib.Path) -> None:
    with dcread.HDF5Data(path, index_mapping=[3, 0]) as hd:
        frame = hd.to_dataframe(name for name in ("frame", "deform"))
        assert list(frame.columns) == ["frame", "deform"]
        assert frame["frame"].tolist() == [7, 1]
        assert hd.to_dataframe([]).shape == (2, 0)


def test_what_is_no_column_is_an_error(path: pathlib.Path) -> None:
    with dcread.HDF5Data(path) as hd:
        with pytest.raises(ShapeMismatchError, match=r"m\.rtdc: feature 'image'"):
            hd.to_dataframe(["image"])
        with pytest.raises(FeatureNotFoundError, match="'volume'"):
            hd.to_arrow(["volume"])
        with pytest.raises(TypeError, match=r"write \['deform'\]"):
            hd.to_dataframe("deform")
    with pytest.raises(ClosedError):
        hd.to_dataframe()


def test_damaged_column_is_an_error(path: pathlib.Path) -> None:
    with h5py.File(path, "a") as h5:
        del h5["events/frame"]
        h5["events"].create_dataset(
            "frame", data=np.arange(4.0), chunks=(4,), fletcher32=True
        )
        place = h5["events/frame"].id.get_chunk_info(0).byte_offset
    with path.open("r+b") as file:
        file.seek(place)
        file.write(b"\xff")
    with dcread.HDF5Data(path) as hd:
        with pytest.raises(FormatError, match="frame"):
            hd.to_dataframe()
        assert hd.to_dataframe(["deform"]).shape == (4, 1)


def test_arrow_carries_labels_units_and_metadata(path: pathlib.Path) -> None:
    pytest.importorskip("pyarrow")
    with dcread.HDF5Data(path) as hd:
        table = hd.to_arrow(["frame", "deform"])
    assert table.column("frame").to_pylist() == [1, 2, 2, 7]
    field = table.schema.field("deform")
    label = dcread.feature_info("deform").label
    assert field.metadata == {b"label": label.encode(), b"unit": b""}
    about = table.schema.metadata
    assert json.loads(about[b"metadata"])["experiment:sample"] == "blood"
    assert about[b"path"].decode() == str(path)


def test_summary_leaves_nan_out(path: pathlib.Path) -> None:
    with dcread.HDF5Data(path) as hd:
        summary = hd.describe()
    row = summary.loc["deform"]
    known = pandas.Series([0.1, 0.3, 0.2]).describe()
    for name in ("count", "mean", "std", "min", "25%", "50%", "75%", "max"):
        assert row[name] == pytest.approx(known[name]), name
    assert summary.loc["my_number", "label"] == "my_number"


def test_summary_of_no_events(tmp_path: pathlib.Path) -> None:
    with h5py.File(tmp_path / "m.rtdc", "w") as h5:
        h5["events/deform"] = np.empty(0)
    with dcread.HDF5Data(tmp_path / "m.rtdc") as hd:
        assert hd.describe().loc["deform", "count"] == 0
        assert np.isnan(hd.describe().loc["deform", "mean"])


def test_real_files_become_frames(real_file: pathlib.Path) -> None:
    with dcread.HDF5Data(real_file) as hd:
        frame = hd.to_dataframe()
        assert len(frame) == len(hd)
        assert "deform" in frame or not len(hd.keys()) or "deform" not in hd
        for name in frame:
            np.testing.assert_array_equal(frame[name], hd[name])
        assert len(hd.describe()) == frame.shape[1]


def test_missing_package_is_named_with_a_remedy(
    path: pathlib.Path, run_python: Callable[..., Any]
) -> None:
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "import dcread\n"
        f"hd = dcread.HDF5Data({str(path)!r})\n"
        "try: hd.to_dataframe()\n"
        "except ImportError as exc: print(exc)\n"
    )
    done = run_python(code)
    assert "pip install pandas" in done.stdout


def test_names_for_type_checkers_are_the_known_scalars() -> None:
    scalars = {n for n, info in known_features().items() if info.kind == "scalar"}
    assert set(typing.get_args(ScalarName)) == scalars


def test_feature_info_of_scores_and_unknown_names() -> None:
    assert dcread.feature_info("ml_score_abc").kind == "scalar"
    with pytest.raises(FeatureNotFoundError, match="did you mean 'deform'"):
        dcread.feature_info("defrom")


def test_keys_complete_in_notebooks(path: pathlib.Path) -> None:
    with dcread.HDF5Data(path) as hd:
        assert hd._ipython_key_completions_() == hd.keys()


def test_dir_holds_what_is_documented() -> None:
    names = set(dir(dcread))
    facades = {"cache", "const", "detect_flicker", "hdf5_concat", "hdf5_data", "mapped"}
    assert names == {*dcread.__all__, *facades, "basins", "errors", "interop"} | {
        "testing"
    }
    for name in names:
        assert getattr(dcread, name) is not None
