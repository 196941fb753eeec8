"""Metadata, logs, tables, checksum and appearance of `HDF5Data`."""

from __future__ import annotations

import copy
import hashlib
import io
import pathlib
import threading
import time
import warnings
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest

import dcread
from dcread import HDF5Data, hdf5_data
from dcread.errors import FileChangedError
from dcread.measurement import contents


@pytest.fixture
def path(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "raw-cytoshot-exported.rtdc"


@pytest.fixture
def own(path: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    own = tmp_path / "own.rtdc"
    own.write_bytes(path.read_bytes())
    return own


def test_pixel_size_has_eight_decimals(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        assert data.pixel_size == data.meta["imaging:pixel size"] == 0.2645
        data.pixel_size = 0.123456789123
        assert data.pixel_size == data.meta["imaging:pixel size"] == 0.12345679
        assert data.meta_nest["imaging"]["pixel size"] == 0.12345679
        assert data.get_ppid() == "hdf:p=0.12345679^i=0"
    with HDF5Data(path, pixel_size=1 / 3) as data:
        assert data.pixel_size == 0.33333333
    with h5py.File(path) as h5:
        assert h5.attrs["imaging:pixel size"] == 0.2645


@pytest.mark.parametrize("given", ["meta", "logs", "tables", "basins"])
def test_what_is_given_replaces_what_is_stored(path: pathlib.Path, given: str) -> None:
    values = {
        "meta": {"user:x": 1},
        "logs": {"mine": ["line"]},
        "tables": {"mine": {"column": np.arange(3)}},
        "basins": [{"name": "mine", "type": "file", "paths": ["x"], "features": []}],
    }
    with HDF5Data(path) as stored, HDF5Data(path, **{given: values[given]}) as data:
        for name, value in values.items():
            expected = value if name == given else getattr(stored, name)
            found = getattr(data, name)
            if name == "tables":
                assert found.keys() == expected.keys()
            else:
                assert found == expected


def test_the_callers_dictionaries_are_never_changed(path: pathlib.Path) -> None:
    given = {
        "meta": {"imaging:pixel size": 0.5},
        "logs": {"mine": ["line"]},
        "tables": {"mine": {"column": np.arange(3)}},
        "basins": [{"name": "b", "type": "file", "paths": ["x"], "features": None}],
    }
    before = copy.deepcopy(given)
    with HDF5Data(path, pixel_size=0.25, **given) as data:
        data.pixel_size = 0.125
        data.logs["mine"].append("another")
        data.logs.clear()
        data.tables["mine"]["other"] = np.arange(2)
        data.basins[0]["paths"].append("y")
        data.basins.clear()
        assert data.pixel_size == 0.125
    assert given["tables"].pop("mine").keys() == before["tables"].pop("mine").keys()
    assert given == before


def test_attributes_can_be_replaced(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        data.meta = {"a:b": 1}
        data.logs = {"l": ["x"]}
        data.tables = {}
        data.md5_5m = "mine"
        assert data.meta_nest == {"a": {"b": 1}}
        assert data.logs == {"l": ["x"]}
        assert data.tables == {}
        assert data.md5_5m == "mine"


def test_nothing_is_read_before_it_is_asked_for(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for name in ("read_metadata", "read_logs", "read_tables", "load_definitions"):
        real = getattr(contents, name)

        def spy(*args: object, _name: str = name, _real: object = real) -> object:
            asked.append(_name)
            return _real(*args)  # type: ignore[operator]

        monkeypatch.setattr(contents, name, spy)
    with HDF5Data(path) as data:
        assert len(data) == 10
        assert data["deform" if "deform" in data else "time"].shape == (10,)
        assert asked == ["load_definitions"]
        assert data.logs is data.logs
        assert data.tables
        assert data.meta is data.meta
        names = ["load_definitions", "read_logs", "read_tables", "read_metadata"]
        assert asked == names


def test_checksum(path: pathlib.Path, tmp_path: pathlib.Path) -> None:
    large = tmp_path / "large.h5"
    with h5py.File(large, "w") as h5:
        h5["x"] = np.arange(2**20)
    with HDF5Data(large) as data:
        first = large.read_bytes()[: 5 * 2**20]
        assert len(first) < large.stat().st_size
        assert data.md5_5m == hashlib.md5(first).hexdigest()
    content = io.BytesIO(path.read_bytes())
    with HDF5Data(content) as data:
        assert data.md5_5m == hashlib.md5(content.getvalue()).hexdigest()
    with HDF5Data(path, md5_5m="given") as data:
        assert data.md5_5m == "given"
    with (
        h5py.File("memory.h5", "w", driver="core", backing_store=False) as h5,
        HDF5Data(h5) as data,
    ):
        assert len(data.md5_5m) == 32
        assert data.md5_5m == data.md5_5m


@pytest.mark.parametrize("driver", [None, "stdio", "core"])
def test_checksum_by_any_driver(path: pathlib.Path, driver: str | None) -> None:
    expected = dcread.md5sum(path, 65536, 80)
    with h5py.File(path, driver=driver) as h5, HDF5Data(h5) as data:
        assert data.md5_5m == expected


def test_checksum_is_of_the_file_that_was_opened(own: pathlib.Path) -> None:
    content = own.read_bytes()
    with HDF5Data(own) as data:
        own.rename(own.with_suffix(".old"))
        own.write_bytes(content[::-1])
        with pytest.raises(FileChangedError, match=r"own\.rtdc was replaced"):
            data.md5_5m  # noqa: B018
        own.unlink()
        with pytest.raises(FileChangedError, match=r"own\.rtdc is not there any more"):
            data.md5_5m  # noqa: B018


def test_checksum_of_a_file_that_the_caller_writes_to(own: pathlib.Path) -> None:
    with h5py.File(own, "a") as h5, HDF5Data(h5) as data:
        before = dcread.md5sum(own, 65536, 80)
        h5["events/userdef3"] = np.arange(10)
        h5.flush()
        assert data["userdef3"].tolist() == list(range(10))
        assert data.md5_5m == before != dcread.md5sum(own, 65536, 80)


def test_the_old_place_of_concatenation_is_deprecated(path: pathlib.Path) -> None:
    with pytest.warns(DeprecationWarning, match=r"hdf5_concat\.concatenated_hdf5_data"):
        data = hdf5_data.concatenated_hdf5_data([path, path], path_out=None)
    assert len(data) == 20
    data.close()


def test_repr_reads_nothing(path: pathlib.Path) -> None:
    with HDF5Data(path, index_mapping=slice(0, 3)) as data:
        assert repr(data) == f"<dcread.HDF5Data '{path.name}', index-mapped>"
        assert len(data) == 3
        assert "3 events" in repr(data)


def test_html_is_escaped(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "<b>.rtdc"
    evil = "<script>alert('x')</script>"
    with h5py.File(path, "w") as h5:
        h5[f"events/{evil.replace('/', ':')}"] = np.arange(3)
        h5.attrs["experiment:sample"] = evil
        h5.attrs["setup:medium"] = np.bytes_(b"\xff")
        h5["basins/a"] = np.array(
            [b'{"name": "<i>", "type": "file", "format": "hdf5", "paths": ["<u>"]}']
        )
    with HDF5Data(path) as data:
        shown = data._repr_html_()
    assert "&lt;script&gt;" in shown
    for tag in ("<script", "<b>", "<i>", "<u>"):
        assert tag not in shown
    assert "not available" in shown
    assert "Problems" in shown


def test_threads_share_one_object(
    path: pathlib.Path, in_threads: Callable[..., Any]
) -> None:
    for _ in range(5):
        with HDF5Data(path) as data:
            assert len(set(_asked_by_threads(data, in_threads))) == 1


def _asked_by_threads(
    data: HDF5Data, in_threads: Callable[..., Any]
) -> list[tuple[int, ...]]:
    start = threading.Barrier(8)

    def ask(_thread: int) -> tuple[int, ...]:
        start.wait()
        parts = data["time"], data.image, data.meta, data.logs, data.tables
        return tuple(map(id, parts))

    return in_threads(ask, range(8))


def test_features_that_are_not_cached_say_so(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "qpi.rtdc"
    phase = np.random.default_rng(0).normal(size=(6, 4, 5))
    with h5py.File(path, "w") as h5:
        h5["events/qpi_pha"] = phase
    with HDF5Data(path, index_mapping=[5, 0]) as data:
        with pytest.warns(UserWarning, match="qpi_pha not cached") as caught:
            view = data["qpi_pha"]
        assert caught[0].filename == __file__
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert data["qpi_pha"] is view
        np.testing.assert_array_equal(view[:], phase[[5, 0]])
        np.testing.assert_array_equal(view[1, :, ::2], phase[0, :, ::2])
        assert view.shape == (2, 4, 5)
        assert data.get_image_cache("qpi_pha").shape == (2, 4, 5)


def test_opening_is_quick(data_dir: pathlib.Path) -> None:
    # A bound far above what it takes, to notice eager reading of everything.
    path = data_dir / "fl_wide-channel_2023.rtdc"
    start = time.perf_counter()
    for _ in range(20):
        HDF5Data(path).close()
    assert time.perf_counter() - start < 2


def test_html_shows_attributes_that_are_arrays(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "m.rtdc"
    with h5py.File(path, "w") as h5:
        h5["events/deform"] = np.arange(3.0)
        h5.attrs["experiment:sample"] = np.arange(40)
        h5.attrs["setup:identifier"] = ""
    with HDF5Data(path) as hd:
        shown = hd._repr_html_()
    assert "[ 0 1 2" in shown.replace("  ", " ")
    assert "Instrument" not in shown
