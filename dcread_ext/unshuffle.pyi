"""The inverse of HDF5's shuffle filter."""

import numpy as np
from numpy.typing import NDArray

def unshuffle(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
    width: int,
    out: NDArray[np.uint8],
) -> None: ...
