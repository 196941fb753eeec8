"""Pickles are small, carry no data, and are about one state of one file."""

from __future__ import annotations

import copy
import io
import multiprocessing
import os
import pathlib
import pickle

import h5py
import numpy as np
import pytest

from dcread import HDF5Data, Policy
from dcread.errors import ClosedError, FileChangedError, FileMissingError

LIMIT = 4096


@pytest.fixture
def path(data_dir: pathlib.Path) -> pathlib.Path:
    return data_dir / "raw-cytoshot-exported.rtdc"


@pytest.fixture
def own(path: pathlib.Path, tmp_path: pathlib.Path) -> pathlib.Path:
    own = tmp_path / "own.rtdc"
    own.write_bytes(path.read_bytes())
    return own


@pytest.mark.filterwarnings("ignore::dcread.EmptyDatasetWarning")
def test_same_answers(real_file: pathlib.Path) -> None:
    with HDF5Data(real_file, index_mapping=slice(0, 5)) as data:
        # Everything is read, and none of it may get into the pickle.
        values = {name: data[name] for name in data if name not in ("trace", "contour")}
        contents = data.meta, data.logs, data.basins, list(data.tables)
        pickled = pickle.dumps(data)
        assert len(pickled) < LIMIT
        with pickle.loads(pickled) as twin:
            assert len(twin) == len(data)
            assert twin.keys() == data.keys()
            assert (twin.meta, twin.logs, twin.basins, list(twin.tables)) == contents
            assert twin.get_ppid() == data.get_ppid()
            assert twin.md5_5m == data.md5_5m
            assert twin.path == data.path
            assert twin.image_chunk_size == data.image_chunk_size
            for name, value in values.items():
                np.testing.assert_array_equal(twin[name][:], value[:])


def test_state_has_the_keys_of_dcnum(path: pathlib.Path) -> None:
    peer = pytest.importorskip("dcnum.read")
    with peer.HDF5Data(path) as theirs:
        state = copy.deepcopy(theirs.__getstate__())
        ppid = theirs.get_ppid()
    with HDF5Data(path) as data:
        assert state.keys() <= data.__getstate__().keys()
    data = HDF5Data.__new__(HDF5Data)
    data.__setstate__(state)
    with data:
        assert data.get_ppid() == ppid
        assert data.meta == state["meta"]
        assert data.logs == state["logs"]
        assert len(data) == 10


def test_changes_by_hand_survive(path: pathlib.Path) -> None:
    with HDF5Data(path, pixel_size=0.5) as data:
        data.pixel_size = 0.123456789
        data.meta["user:note"] = "mine"
        del data.meta["experiment:sample"]
        data.logs["mine"] = ["a line"]
        next(iter(data.tables.values()))["time"][0] = -1
        pickled = pickle.dumps(data)
        with pickle.loads(pickled) as twin, pickle.loads(pickle.dumps(twin)) as third:
            assert third.pixel_size == twin.pixel_size == 0.12345679
            assert third.meta == twin.meta == data.meta
            assert third.logs == twin.logs == data.logs
            assert next(iter(third.tables.values()))["time"][0] == -1


def test_a_change_of_metadata_stays_small(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        data.pixel_size = 0.25
        assert data.logs
        assert data.tables
        assert len(pickle.dumps(data)) < LIMIT


def test_what_was_given_survives(path: pathlib.Path) -> None:
    with HDF5Data(
        path, meta={"a:b": 1}, logs={}, tables={"t": np.arange(3)}, basins=[]
    ) as data:
        twin = pickle.loads(pickle.dumps(data))
        assert twin.meta == {"a:b": 1}
        assert twin.logs == {}
        assert twin.tables["t"].tolist() == [0, 1, 2]
        twin.close()


@pytest.mark.parametrize(
    "mapping",
    [
        np.arange(10).repeat(1000),
        np.arange(9000)[::-1] % 10,
        np.array([-1, 0] * 900, np.int16),
        np.array([3, 9, 2**32 - 2**32] * 900, ">u8"),
        np.arange(10) % 2 == 0,
        list(range(10)) * 200,
        [True, False] * 5,
        [0, np.int64(9)] * 200,
        range(0, 10, 3),
        (1, 2),
        [],
    ],
    ids=lambda mapping: f"{type(mapping).__name__}-{getattr(mapping, 'dtype', '')}",
)
def test_an_index_mapping_takes_few_bytes(
    path: pathlib.Path, mapping: list[int]
) -> None:
    with HDF5Data(path, index_mapping=mapping) as data:
        pickled = pickle.dumps(data)
        assert len(pickled) < LIMIT
        for twin in (pickle.loads(pickled), copy.copy(data), copy.deepcopy(data)):
            with twin:
                found = twin.index_mapping
                assert type(found) is type(mapping)
                assert getattr(found, "dtype", "") == getattr(mapping, "dtype", "")
                assert list(found) == list(mapping)
                assert twin.get_ppid() == data.get_ppid()
                assert len(twin) == len(data)


def test_the_policy_survives(path: pathlib.Path) -> None:
    policy = Policy(local="beside", nested=False)
    with HDF5Data(path, policy=policy) as data:
        twin = pickle.loads(pickle.dumps(data))
        assert twin.__getstate__()["policy"] == policy
        twin.close()


def test_a_changed_file_is_noticed(own: pathlib.Path) -> None:
    with HDF5Data(own) as data:
        pickled = pickle.dumps(data)
    with h5py.File(own, "a") as h5:
        h5.attrs["experiment:sample"] = "changed"
    with pytest.raises(FileChangedError, match=r"own\.rtdc"):
        pickle.loads(pickled)


def test_a_replaced_file_is_noticed(own: pathlib.Path) -> None:
    with HDF5Data(own) as data:
        pickled = pickle.dumps(data)
        state = data.__getstate__()
    status = own.stat()
    content = own.read_bytes()
    own.rename(own.with_name("moved.rtdc"))
    with pytest.raises(FileMissingError, match=r"own\.rtdc"):
        pickle.loads(pickled)
    own.write_bytes(content)
    os.utime(own, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(FileChangedError):
        pickle.loads(pickled)
    # On another machine, a network drive has other device and inode numbers.
    data = HDF5Data.__new__(HDF5Data)
    data.__setstate__({**state, "host": "elsewhere"})
    assert len(data) == 10
    data.close()


def test_the_callers_h5py_file(own: pathlib.Path) -> None:
    with h5py.File(own) as h5, HDF5Data(h5) as data:
        pickled = pickle.dumps(data)
    with pickle.loads(pickled) as twin:
        assert len(twin) == 10


def test_a_file_open_for_writing(own: pathlib.Path) -> None:
    with h5py.File(own, "a") as h5, HDF5Data(h5) as data:
        assert len(data) == 10
        pickled = pickle.dumps(data)
        h5.attrs["experiment:sample"] = "changed"
    with pickle.loads(pickled) as twin:
        assert twin.meta["experiment:sample"] == "changed"


@pytest.mark.parametrize("how", ["file", "bytesio", "core"])
def test_what_no_other_process_can_open(path: pathlib.Path, how: str) -> None:
    if how == "core":
        target: object = h5py.File("mem.h5", "w", driver="core", backing_store=False)
    else:
        content = path.read_bytes()
        target = path.open("rb") if how == "file" else io.BytesIO(content)
    with HDF5Data(target) as data, pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(data)
    target.close()  # type: ignore[attr-defined]


def test_closed(path: pathlib.Path) -> None:
    data = HDF5Data(path)
    data.close()
    with pytest.raises(ClosedError):
        pickle.dumps(data)


def test_copies_are_independent(path: pathlib.Path) -> None:
    with HDF5Data(path) as data:
        for twin in (copy.copy(data), copy.deepcopy(data)):
            twin.pixel_size = 3
            twin.close()
        assert data.pixel_size != 3
        assert len(data) == 10


def _summary(data: HDF5Data) -> tuple[int, float, str, int]:
    return len(data), float(data.image[3].mean()), data.get_ppid(), os.getpid()


def test_spawned_processes(path: pathlib.Path) -> None:
    with HDF5Data(path, pixel_size=0.3, index_mapping=[4, 5, 6, 7]) as data:
        expected = _summary(data)[:3]
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            *found, process = pool.apply(_summary, (data,))
        assert tuple(found) == expected
        assert process != os.getpid()
