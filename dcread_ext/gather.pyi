"""Rows by index, from one block of bytes into another."""

import numpy as np
from numpy.typing import NDArray

def gather(
    source: NDArray[np.uint8], indices: NDArray[np.int64], out: NDArray[np.uint8]
) -> None: ...
def scatter(
    source: NDArray[np.uint8],
    source_indices: NDArray[np.int64],
    out: NDArray[np.uint8],
    out_indices: NDArray[np.int64],
) -> None: ...
