"""Arrays of all kinds, for the tests of the kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

INTEGERS = ("?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8")
FLOATS = ("f2", "f4", "f8", "g")
SWAPPED = (">u2", ">i4", ">u8", ">f2", ">f4", ">f8")


@st.composite
def _views(draw: Any, shape: tuple[int, ...]) -> tuple[tuple[int, ...], Any]:
    """Shape of an array and an index that makes a view of `shape` from it."""
    base, index = [], []
    for size in shape:
        step = draw(st.sampled_from([1, 1, 1, 2, -1, -2, 3]))
        before = draw(st.integers(0, 2))
        spread = 1 + (size - 1) * abs(step) if size else 0
        base.append(before + spread + draw(st.integers(0, 2)))
        if step > 0:
            index.append(slice(before, before + spread, step))
        else:
            stop = before - 1 if before else None
            start = before + spread - 1
            index.append(slice(start, stop, step) if size else slice(0, 0))
    return tuple(base), tuple(index)


@st.composite
def _arrays(
    draw: Any, dtype: Any, shape: tuple[int, ...], few: bool | None = None
) -> Any:
    """Any numbers (bit patterns, NaN and infinities included), in any strides."""
    base, index = draw(_views(shape))
    dtype = np.dtype(dtype)
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    if few if few is not None else draw(st.booleans()):
        numbers = rng.integers(0, draw(st.integers(1, 4)), base)
        array = numbers.astype(dtype)
    elif dtype.kind in "b":
        array = rng.integers(0, 2, base).astype(bool)
    elif dtype.kind in "iu" or dtype.kind == "V":
        size = int(np.prod(base)) * dtype.itemsize
        array = np.frombuffer(rng.bytes(size), dtype).reshape(base).copy()
    else:
        with np.errstate(over="ignore"):
            array = rng.normal(0, 10.0 ** draw(st.integers(-3, 40)), base)
            array = array.astype(dtype)
        if array.size and draw(st.booleans()):
            odd = draw(st.sampled_from([np.nan, -np.nan, np.inf, -np.inf, -0.0]))
            array.flat[draw(st.integers(0, array.size - 1))] = odd
    array.flags.writeable = draw(st.booleans())
    view = array[index]
    assert view.shape == shape
    return view


@pytest.fixture(scope="session")
def arrays() -> Callable[..., Any]:
    """A strategy: ``arrays(dtype, shape)`` gives views of any strides."""
    return _arrays


@pytest.fixture(scope="session")
def number_types() -> tuple[str, ...]:
    """Every boolean, integer and float dtype, native and byte-swapped."""
    return INTEGERS + FLOATS + SWAPPED
