"""Medians of frames of any real numbers, by radix selection."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def roi_select(
    stack: NDArray[Any], scratch: NDArray[np.uint64], out: NDArray[np.float64]
) -> None: ...
