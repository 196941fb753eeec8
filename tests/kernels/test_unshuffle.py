"""The inverse of the shuffle filter against libhdf5 and against a definition."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.engine.kernels import unshuffle
from dcread_ext.unshuffle import unshuffle as kernel


def _shuffle(data: bytes, width: int) -> bytes:
    whole = len(data) // width * width
    planes = b"".join(data[byte:whole:width] for byte in range(width))
    return (planes if width > 1 else data[:whole]) + data[whole:]


@given(
    size=st.integers(0, 20_000) | st.integers(0, 40),
    width=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 12, 16, 17, 100]),
    seed=st.integers(0, 1000),
    offset=st.integers(0, 9),
)
def test_inverse_of_shuffling(size: int, width: int, seed: int, offset: int) -> None:
    data = np.random.default_rng(seed).bytes(size)
    shuffled = memoryview(bytes(offset) + _shuffle(data, width))[offset:]
    out = np.full(size + offset, 0xAA, np.uint8)
    assert unshuffle(shuffled, width, out[offset:]).tobytes() == data
    assert (out[:offset] == 0xAA).all()
    assert unshuffle(shuffled, width).tobytes() == data


@pytest.mark.parametrize("dtype", ["u1", "i2", "f4", "f8", "c16", "S5", ">u2"])
@pytest.mark.parametrize("count", [1, 15, 16, 1023, 1025, 3000])
def test_as_libhdf5_shuffles(dtype: str, count: int, tmp_path: pathlib.Path) -> None:
    raw = np.random.default_rng(count).bytes(np.dtype(dtype).itemsize * count)
    data = np.frombuffer(raw, dtype)
    with h5py.File(tmp_path / "shuffle.h5", "w") as h5:
        h5ds = h5.create_dataset(
            "x", shape=count, dtype=dtype, chunks=(count,), shuffle=True
        )
        h5ds.id.write(h5py.h5s.ALL, h5py.h5s.ALL, data.copy())
        mask, stored = h5ds.id.read_direct_chunk((0,))
    assert mask == 0
    assert unshuffle(stored, data.itemsize).tobytes() == raw


def test_wrong_arguments_write_nothing() -> None:
    data, out = np.arange(8, dtype=np.uint8), np.zeros(8, np.uint8)
    for width in (0, -1):
        with pytest.raises(ValueError, match=f"at least 1 byte, not {width}"):
            unshuffle(data, width, out)
    with pytest.raises(ValueError, match="output of 7 bytes for 8 shuffled bytes"):
        unshuffle(data, 2, out[:7])
    with pytest.raises(ValueError, match="cannot work in place"):
        unshuffle(data, 2, data)
    locked = out.copy()
    locked.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        unshuffle(data, 2, locked)
    assert not out.any()


def test_width_beyond_the_data_is_a_copy() -> None:
    assert unshuffle(b"abc", 4).tobytes() == b"abc"
    assert unshuffle(b"abc", 2**62).tobytes() == b"abc"
    assert unshuffle(b"", 8).tobytes() == b""
    kernel(b"", 3, np.empty(0, np.uint8))


def test_from_many_threads(in_threads: Callable[..., Any]) -> None:
    data = [np.random.default_rng(n).bytes(40_000 + n) for n in range(8)]

    def there_and_back(n: int) -> bytes:
        return unshuffle(_shuffle(data[n], n + 1), n + 1).tobytes()

    assert in_threads(there_and_back, range(8)) == data
