"""What type checkers know of a measurement; mypy reads this, nothing runs it."""

from typing import Any, assert_type

import numpy as np
from numpy.typing import NDArray

import dcread
from dcread.arrays.trace_contour import Contours, Traces


def features(hd: dcread.HDF5Data, name: str) -> None:
    assert_type(hd["deform"], NDArray[Any])
    assert_type(hd["image"], dcread.HDF5ImageCache)
    assert_type(hd["mask"], dcread.HDF5ImageCache)
    assert_type(hd["trace"], Traces)
    assert_type(hd["contour"], Contours)
    assert_type(hd.image, dcread.HDF5ImageCache | None)
    assert_type(hd["image"].nbytes, int)
    assert_type(hd["mask"].chunks, tuple[int, ...] | None)
    assert_type(hd[name], Any)
    assert_type(hd.features_scalar, list[str])
    assert_type(dcread.feature_info("deform").unit, str)
    mean: np.floating[Any] = hd["deform"].mean()
    assert mean
