"""Pipeline identifiers name published results: bit by bit those of dcnum."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.hdf5_data import HDF5Data

peer = pytest.importorskip("dcnum.read").HDF5Data

ENDS = st.none() | st.integers(-(10**6), 10**6)
MAPPINGS = st.one_of(
    st.none(),
    st.integers(-(10**12), 10**12),
    st.booleans(),
    st.builds(slice, ENDS, ENDS, ENDS),
    st.lists(st.integers(0, 2**32 - 1), max_size=20),
    st.tuples(st.integers(0, 9), st.integers(0, 9)),
    st.builds(range, st.integers(0, 50)),
    st.text(max_size=5),
)


@given(MAPPINGS, st.floats(0, 1e6))
def test_identifiers_equal_those_of_dcnum(index_mapping: object, size: float) -> None:
    keywords = {"pixel_size": size, "index_mapping": index_mapping}
    assert HDF5Data.get_ppid_from_ppkw(keywords) == peer.get_ppid_from_ppkw(keywords)


@pytest.mark.parametrize(
    "array",
    [
        np.array([-1, 5], dtype=np.int64),
        np.array([2**32 + 3, 1], dtype=np.uint64),
        np.array([1.9, 2.1]),
        np.array([True, False, True]),
        np.array([], dtype=np.int8),
        np.arange(12).reshape(3, 4),
        [1.5, 2.5],
        [np.uint32(7), np.uint64(8)],
        [True, False],
        np.uint32(7),
        np.bool_(True),
    ],
)
def test_casts_of_arrays_are_those_of_dcnum(array: object) -> None:
    # NumPy's cast to uint32 wraps and truncates; published identifiers have it.
    assert HDF5Data.get_ppid_index_mapping(array) == peer.get_ppid_index_mapping(array)


@pytest.mark.parametrize("bad", [[-1], [2**40], ["x"]])
def test_lists_that_do_not_cast_raise_as_in_dcnum(bad: list[object]) -> None:
    with pytest.raises((OverflowError, ValueError)) as theirs:
        peer.get_ppid_index_mapping(bad)
    with pytest.raises(theirs.type):
        HDF5Data.get_ppid_index_mapping(bad)


@pytest.mark.parametrize(
    ("index_mapping", "part"),
    [
        (None, "0"),
        (100, "100"),
        (slice(0, 100), "0-100-n"),
        (slice(None, None, 2), "n-n-2"),
        ([1, 2, 3], "h-2a1dd1e1"),
        (range(5), "unknown"),
        ((1, 2), "unknown"),
    ],
)
def test_index_mapping_part(index_mapping: object, part: str) -> None:
    assert HDF5Data.get_ppid_index_mapping(index_mapping) == part


@pytest.mark.parametrize(
    ("size", "text"), [(0.34, "p=0.34"), (0, "p=0."), (0.123456789, "p=0.12345679")]
)
def test_pixel_size_part(size: float, text: str) -> None:
    assert HDF5Data.get_ppid_from_ppkw({"pixel_size": size}) == f"hdf:{text}^i=0"


@given(
    st.floats(0, 100),
    st.none() | st.integers(1, 10**9) | st.builds(slice, ENDS, ENDS, ENDS),
)
def test_keywords_come_back(size: float, index_mapping: object) -> None:
    identifier = HDF5Data.get_ppid_from_ppkw(
        {"pixel_size": size, "index_mapping": index_mapping}
    )
    keywords = HDF5Data.get_ppkw_from_ppid(identifier)
    assert keywords["pixel_size"] == float(f"{size:.8f}")
    assert keywords["index_mapping"] == index_mapping
    assert HDF5Data.get_ppid_from_ppkw(keywords) == identifier


@pytest.mark.parametrize(
    ("identifier", "message"),
    [
        ("sparsemed:k=200", "Could not find data method 'sparsemed'"),
        ("hdf:p=0.2^i=h-2a1dd1e1", "Cannot invert index mapping h-2a1dd1e1"),
        ("hdf:p=0.2^i=unknown", "Cannot invert index mapping unknown"),
        ("hdf:p=0.2^z=1", "Invalid parameter 'z'"),
        ("", "expected an identifier such as .* got ''"),
        ("hdf", "expected an identifier such as .* got 'hdf'"),
        ("hdf:0.2", "expected an identifier such as .* got 'hdf:0.2'"),
    ],
)
def test_what_is_no_identifier(identifier: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HDF5Data.get_ppkw_from_ppid(identifier)


def test_code() -> None:
    assert HDF5Data.get_ppid_code() == "hdf"
