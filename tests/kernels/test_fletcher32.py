"""The checksum against libhdf5's own, and loops with vectors against one without."""

from __future__ import annotations

import pathlib
import threading
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread.engine.kernels import fletcher32
from dcread_ext.fletcher32 import fletcher32_plain


def _definition(data: bytes) -> int:
    """Return the sums as HDF5's source has them, a word at a time."""
    sum1 = sum2 = 0
    for at in range(0, len(data), 2):
        sum1 += data[at] << 8 | (data[at + 1] if at + 1 < len(data) else 0)
        sum2 += sum1
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16)
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16)
    for _ in range(2):
        sum1 = (sum1 & 0xFFFF) + (sum1 >> 16)
        sum2 = (sum2 & 0xFFFF) + (sum2 >> 16)
    return sum2 << 16 | sum1


def _bytes(size: int, seed: int) -> bytes:
    kinds = [bytes(size), b"\xff" * size, np.random.default_rng(seed).bytes(size)]
    return kinds[seed % 3]


@given(size=st.integers(0, 700), seed=st.integers(0, 1000))
def test_as_defined(size: int, seed: int) -> None:
    data = _bytes(size, seed)
    assert fletcher32(data) == fletcher32_plain(data) == _definition(data)


# A block of vectors is 11,520 bytes; one of the plain loop 8,192.
@given(
    size=st.one_of(
        st.integers(0, 200_000),
        st.builds(
            lambda block, count, more: max(0, block * count + more),
            st.sampled_from([11_520, 8_192]),
            st.integers(1, 4),
            st.integers(-33, 33),
        ),
    ),
    seed=st.integers(0, 1000),
    offset=st.integers(0, 17),
)
def test_vectors_as_plain_loop_at_any_address(
    size: int, seed: int, offset: int
) -> None:
    data = memoryview(bytes(offset) + _bytes(size, seed))[offset:]
    assert fletcher32(data) == fletcher32_plain(data)


def test_largest_sums_of_a_block() -> None:
    data = b"\xff" * (3 * 11_520 + 5)
    assert fletcher32(data) == fletcher32_plain(data) == _definition(data)
    assert fletcher32(b"\xff" * 4) == 0xFFFF_FFFF  # not 0, as with `% 65535`


@pytest.mark.parametrize("size", [4, 5, 7, 31, 33, 4097, 11_520, 32_000, 100_003])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_libhdf5_stores_it(size: int, seed: int, tmp_path: pathlib.Path) -> None:
    data = np.frombuffer(_bytes(size, seed), np.uint8)
    with h5py.File(tmp_path / "sum.h5", "w") as h5:
        h5ds = h5.create_dataset("x", data=data, chunks=data.shape, fletcher32=True)
        mask, stored = h5ds.id.read_direct_chunk((0,))
    assert (mask, stored[:-4]) == (0, data.tobytes())
    assert fletcher32(stored[:-4]) == int.from_bytes(stored[-4:], "little")


def test_real_measurement(real_file: pathlib.Path) -> None:
    checked = []

    def check(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.fletcher32 and item.chunks:
            for number in range(min(3, item.id.get_num_chunks())):
                info = item.id.get_chunk_info(number)
                mask, stored = item.id.read_direct_chunk(info.chunk_offset)
                pipeline = item.id.get_create_plist()
                last = pipeline.get_filter(pipeline.get_nfilters() - 1)[0]
                if mask == 0 and last == h5py.h5z.FILTER_FLETCHER32:
                    found = fletcher32(stored[:-4])
                    assert found == int.from_bytes(stored[-4:], "little"), item.name
                    checked.append(item.name)

    with h5py.File(real_file) as h5:
        h5.visititems(check)
        wanted = any(
            isinstance(h5[f"events/{name}"], h5py.Dataset)
            and h5[f"events/{name}"].fletcher32
            and h5[f"events/{name}"].id.get_num_chunks()
            for name in h5["events"]
        )
    assert bool(checked) >= wanted


def test_buffers_of_any_kind() -> None:
    assert fletcher32(b"") == 0
    data = np.arange(100, dtype=np.uint8)
    data.flags.writeable = False
    expected = _definition(data.tobytes())
    for same in (data, data.tobytes(), bytearray(data.tobytes()), memoryview(data)):
        assert fletcher32(same) == expected
    with pytest.raises(ValueError, match="contiguous"):
        fletcher32(data[::2])


def test_from_many_threads() -> None:
    data = [np.random.default_rng(n).bytes(50_000 + n) for n in range(8)]
    found: dict[int, int] = {}
    threads = [
        threading.Thread(
            target=lambda n: found.update({n: fletcher32(data[n])}), args=(n,)
        )
        for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: fletcher32_plain(data[n]) for n in range(8)}
