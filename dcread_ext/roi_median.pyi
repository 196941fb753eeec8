"""Medians of frames of 8 or 16 bits, by counting pixels."""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_Counted = TypeVar("_Counted", np.uint8, np.uint16)

def roi_median(
    stack: NDArray[_Counted], scratch: NDArray[_Counted], out: NDArray[np.float64]
) -> None: ...
