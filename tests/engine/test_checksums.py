"""The checksum of the decoder against libhdf5's own, and against a definition."""

from __future__ import annotations

import pathlib
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread_ext.decode import Decoder


def decode(data: bytes, total: int, offset: int = 0) -> tuple[Any, bytes]:
    """Decode a chunk with its checksum; return what went wrong, and the bytes."""
    size = len(data)
    failure = Decoder().run(
        -1,
        bytes(offset) + data + total.to_bytes(4, "little"),
        np.array([[offset, size + 4, 0, size, 0, 0, 1, 0, 1]], np.int64),
        np.array([[0, 1]], np.int64),
        np.zeros(1, np.int64),
        1,
        np.array([[3, 0, 0]], np.int64),
        size,
        np.array([[0, 0, size]], np.int64),
        np.empty((0, 2), np.int64),
        out := np.zeros(size, np.uint8),
        size,
    )
    return failure, out.tobytes()


def _bytes(size: int, seed: int) -> bytes:
    kinds = [bytes(size), b"\xff" * size, np.random.default_rng(seed).bytes(size)]
    return kinds[seed % 3]


def check(data: bytes, total: int, offset: int = 0) -> None:
    """The decoder takes this checksum and no other, and tells what it has found."""
    assert decode(data, total, offset) == (None, data)
    for wrong in (total ^ 1, total ^ 1 << 31):
        failure, _ = decode(data, wrong, offset)
        assert failure == (0, "checksum", total)


@given(size=st.integers(1, 700), seed=st.integers(0, 1000))
def test_as_defined(tools: SimpleNamespace, size: int, seed: int) -> None:
    data = _bytes(size, seed)
    check(data, tools.fletcher32(data))


# A block of vectors is 11,520 bytes; one of the plain loop 8,192.
@given(
    size=st.one_of(
        st.integers(1, 200_000),
        st.builds(
            lambda block, count, more: block * count + more,
            st.sampled_from([11_520, 8_192]),
            st.integers(1, 4),
            st.integers(-33, 33),
        ),
    ),
    seed=st.integers(0, 1000),
    offset=st.integers(0, 17),
)
def test_chunks_of_many_blocks_at_any_address(
    tools: SimpleNamespace, size: int, seed: int, offset: int
) -> None:
    data = _bytes(size, seed)
    check(data, tools.fletcher32(data), offset)


def test_largest_sums_of_a_block(tools: SimpleNamespace) -> None:
    data = b"\xff" * (3 * 11_520 + 5)
    check(data, tools.fletcher32(data))
    check(b"\xff" * 4, 0xFFFF_FFFF)  # not 0, as with `% 65535`


@pytest.mark.parametrize("size", [4, 5, 7, 31, 33, 4097, 11_520, 32_000, 100_003])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_as_libhdf5_stores_it(
    tools: SimpleNamespace, size: int, seed: int, tmp_path: pathlib.Path
) -> None:
    data = np.frombuffer(_bytes(size, seed), np.uint8)
    with h5py.File(tmp_path / "sum.h5", "w") as h5:
        h5ds = h5.create_dataset("x", data=data, chunks=data.shape, fletcher32=True)
        mask, stored = h5ds.id.read_direct_chunk((0,))
    assert (mask, stored[:-4]) == (0, data.tobytes())
    total = int.from_bytes(stored[-4:], "little")
    assert tools.fletcher32(stored[:-4]) == total
    check(stored[:-4], total)


def test_real_measurement(real_file: pathlib.Path) -> None:
    checked = []

    def check_chunks(_name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.fletcher32 and item.chunks:
            for number in range(min(3, item.id.get_num_chunks())):
                info = item.id.get_chunk_info(number)
                mask, stored = item.id.read_direct_chunk(info.chunk_offset)
                pipeline = item.id.get_create_plist()
                last = pipeline.get_filter(pipeline.get_nfilters() - 1)[0]
                if mask == 0 and last == h5py.h5z.FILTER_FLETCHER32:
                    check(stored[:-4], int.from_bytes(stored[-4:], "little"))
                    checked.append(item.name)

    with h5py.File(real_file) as h5:
        h5.visititems(check_chunks)
        wanted = any(
            isinstance(h5[f"events/{name}"], h5py.Dataset)
            and h5[f"events/{name}"].fletcher32
            and h5[f"events/{name}"].id.get_num_chunks()
            for name in h5["events"]
        )
    assert bool(checked) >= wanted
