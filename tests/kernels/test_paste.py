"""Images laid into frames, against the same in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dcread_ext.paste import paste

TYPES = ("u1", "u2", "u4", "u8", "f4", "f8")


def _pasted(pieces: Any, table: Any, frames: Any) -> Any:
    """The twin of the kernel."""
    frames = frames.copy()
    for start, height, width, top, left, frame, first in table.tolist():
        piece = pieces[start : start + height * width].reshape(height, width)
        place = frames[frame, top : top + height, left : left + width]
        piece = piece[: place.shape[0], : place.shape[1]]
        if first:
            frames[frame] = 0
            place[...] = piece
        else:
            place[piece != 0] = piece[piece != 0]
    return frames


@st.composite
def _tables(draw: Any, frames: int, height: int, width: int) -> tuple[Any, int]:
    rows, start = [], 0
    for _ in range(draw(st.integers(0, 6))):
        size = draw(st.tuples(st.integers(0, 5), st.integers(0, 5)))
        place = [draw(st.integers(0, edge)) for edge in (height, width)]
        row = [start, *size, *place, draw(st.integers(0, frames - 1))]
        rows.append([*row, int(draw(st.booleans()))])
        start += draw(st.sampled_from([0, size[0] * size[1]]))
    room = max([row[0] + row[1] * row[2] for row in rows], default=0)
    return np.array(rows, np.int64).reshape(-1, 7), room


@given(data=st.data())
def test_paste_as_numpy(data: Any, arrays: Any) -> None:
    dtype = data.draw(st.sampled_from(TYPES))
    shape = data.draw(st.tuples(*(st.integers(1, 4) for _ in range(3))))
    table, room = data.draw(_tables(*shape))
    pieces = np.ascontiguousarray(data.draw(arrays(dtype, (room,))))
    frames = np.ascontiguousarray(data.draw(arrays(dtype, shape))).copy()
    every_other = np.zeros((2 * shape[0], shape[1] + 1, *shape[2:]), dtype)
    spread = every_other[::2, 1:]
    spread[...] = frames
    expected = _pasted(pieces, table, frames)
    paste(pieces, table, frames)
    assert frames.tobytes() == expected.tobytes()
    paste(pieces, table, spread)
    assert spread.tobytes() == expected.tobytes()
    assert not every_other[1::2].any()
    assert not every_other[:, 0].any()


@pytest.mark.parametrize("column", range(6))
@pytest.mark.parametrize("wrong", [-1, -(2**63), 2**63 - 1, 2**62, 100])
def test_image_outside_is_an_error_and_nothing_is_written(
    column: int, wrong: int
) -> None:
    table = np.array([[0, 2, 2, 0, 0, 0, 1], [4, 2, 2, 1, 1, 0, 0]], np.int64)
    table[1, column] = wrong
    frames = np.full((1, 3, 3), 7, np.uint8)
    with pytest.raises(IndexError, match="image 1 of the table lies outside"):
        paste(np.ones(8, np.uint8), table, frames)
    assert (frames == 7).all()


def test_sizes_whose_product_overflows_are_an_error() -> None:
    table = np.array([[0, 2**33, 2**33, 0, 0, 0, 1]], np.int64)
    with pytest.raises(IndexError, match="image 0"):
        paste(np.ones(8, np.uint8), table, np.zeros((1, 3, 3), np.uint8))


def test_what_the_kernel_does_not_take() -> None:
    table = np.zeros((1, 7), np.int64)
    with pytest.raises(ValueError, match="expected 7 columns"):
        paste(np.ones(4, "u1"), table[:, :6].copy(), np.zeros((1, 3, 3), "u1"))
    with pytest.raises(ValueError, match="side by side"):
        paste(np.ones(4, "u1"), table, np.zeros((1, 3, 6), "u1")[:, :, ::2])
    with pytest.raises((ValueError, TypeError)):
        paste(np.ones(4, "u2"), table, np.zeros((1, 3, 3), "u1"))
