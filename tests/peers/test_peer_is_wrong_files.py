"""Where dcnum.read is wrong, dcread is right, and the peer still is wrong.

A test here fails when a new version of the peer mends a fault: then the line in
the documentation goes, and the case moves to the tests of what is the same.
"""

from __future__ import annotations

import json
import pathlib
import shutil
from typing import Any

import h5py
import numpy as np
import pytest

read = pytest.importorskip("dcnum.read", reason="the peers are not installed")

import dcread  # noqa: E402

SOURCE = "cytoshot_full-features_2023.rtdc"


def test_unmapped_basins_of_dclab_are_seen(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, both: Any, images: np.ndarray
) -> None:
    """dclab writes ``"mapping": "same"``; the peer looks for such a feature."""
    shutil.copyfile(data_dir / SOURCE, tmp_path / "raw.rtdc")
    definition = {
        "name": "raw",
        "type": "file",
        "format": "hdf5",
        "features": ["image"],
        "mapping": "same",
        "paths": ["raw.rtdc"],
    }
    path = tmp_path / "referrer.rtdc"
    with h5py.File(tmp_path / "raw.rtdc") as source, h5py.File(path, "w") as h5:
        h5.attrs.update(source.attrs)
        h5["events/deform"] = source["events/deform"][:]
        h5["basins/key"] = np.array([json.dumps(definition).encode()])
    ours, peer = both(path)
    assert ours.keys() == ["deform", "image"]
    np.testing.assert_array_equal(ours["image"][:], images)
    assert peer.keys() == ["deform"]


def test_mismatch_of_identifiers_is_an_ordinary_exception() -> None:
    assert issubclass(dcread.BasinIdentifierMismatchError, Exception)
    assert not issubclass(read.BasinIdentifierMismatchError, Exception)


def test_identifier_of_attributes_stored_as_bytes(tmp_path: pathlib.Path) -> None:
    attrs = {
        "experiment:date": "2024-01-01",
        "experiment:time": "12:00:00",
        "setup:identifier": "abc",
    }
    found = []
    for number, kind in enumerate((str, np.bytes_)):
        with h5py.File(tmp_path / f"{number}.h5", "w") as h5:
            h5.attrs.update({key: kind(value) for key, value in attrs.items()})
            found.append(
                [m.get_measurement_identifier(h5) for m in (dcread, read)],
            )
    assert found[0][0] == found[1][0] == found[0][1]
    assert found[1][1] != found[0][1]


def test_checksum_notices_that_the_file_changed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first")
    before = dcread.md5sum(path), read.md5sum(path)
    path.write_bytes(b"second!")
    assert dcread.md5sum(path) != before[0]
    assert read.md5sum(path) == before[1]


def test_checksum_of_the_whole_file(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc" * 1000)
    assert dcread.md5sum(path, blocksize=0) == dcread.md5sum(path, blocksize=10**6)
    assert read.md5sum(path, blocksize=0) != read.md5sum(path, blocksize=10**6)


def test_traces_and_contours(data_dir: pathlib.Path, both: Any, answer: Any) -> None:
    ours, peer = both(data_dir / "fl_wide-channel_2023.rtdc")
    trace = ours["trace"]["fl1_raw"]
    np.testing.assert_array_equal(trace[:], ours.h5["events/trace/fl1_raw"][:])
    contour = ours["contour"][0]
    np.testing.assert_array_equal(contour, ours.h5["events/contour/0"][:])
    for feat in ("trace", "contour"):
        assert isinstance(answer(lambda f=feat: peer[f]), AttributeError)


def test_odd_metadata_keys(tmp_path: pathlib.Path, both: Any, answer: Any) -> None:
    path = tmp_path / "odd.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 1
        h5.attrs["no colon"] = 2
        h5["events/deform"] = [0.1]
    ours, peer = both(path)
    assert ours.meta_nest["experiment"] == {"event count": 1}
    assert isinstance(answer(lambda: peer.meta_nest), ValueError)


def test_a_damaged_basin_leaves_the_file_readable(
    tmp_path: pathlib.Path, answer: Any
) -> None:
    path = tmp_path / "damaged.rtdc"
    with h5py.File(path, "w") as h5:
        h5.attrs["experiment:event count"] = 1
        h5["events/deform"] = [0.1]
        h5["basins/key"] = np.array([b"{this is no JSON"])
    with dcread.HDF5Data(path) as hd:
        assert hd["deform"][0] == 0.1
        assert [problem.kind for problem in hd.problems] == ["basin"]
    assert isinstance(answer(lambda: read.HDF5Data(path)), ValueError)


def test_a_users_file_and_dictionaries_stay_as_they_are(
    data_dir: pathlib.Path,
) -> None:
    for module, kept in ((dcread, True), (read, False)):
        meta, basins = {"imaging:pixel size": 0.1}, [{"type": "none"}]
        given: dict[str, Any] = {"meta": meta, "logs": {}, "tables": {}}
        with h5py.File(data_dir / SOURCE) as h5:
            hd = module.HDF5Data(h5, basins=[], **given)
            hd.pixel_size = 0.5
            hd.close()
            assert bool(h5.id.valid) is kept
            assert (meta == {"imaging:pixel size": 0.1}) is kept
        assert basins == [{"type": "none"}]


def test_concatenating_onto_a_source(
    data_dir: pathlib.Path, tmp_path: pathlib.Path, answer: Any
) -> None:
    paths = [tmp_path / "a.rtdc", tmp_path / "b.rtdc"]
    for path in paths:
        shutil.copyfile(data_dir / SOURCE, path)
    before = paths[0].read_bytes()
    with pytest.raises(Exception, match=r"a\.rtdc"):
        dcread.concatenated_hdf5_data(paths, path_out=paths[0])
    assert paths[0].read_bytes() == before
    assert isinstance(
        answer(lambda: read.concatenated_hdf5_data(paths, path_out=paths[0])),
        Exception,
    )
    assert paths[0].read_bytes() != before
