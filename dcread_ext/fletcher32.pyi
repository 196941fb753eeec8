"""The checksum of HDF5's fletcher32 filter."""

import numpy as np
from numpy.typing import NDArray

def fletcher32(data: bytes | bytearray | memoryview | NDArray[np.uint8]) -> int: ...
def fletcher32_plain(
    data: bytes | bytearray | memoryview | NDArray[np.uint8],
) -> int: ...
