"""Small images of any size into frames, one over the other.

Columns of the table, one row per image: its first pixel in `pieces`, height, width,
top and left in the frame, number of the frame, and whether it is the first of it.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

def paste(
    pieces: NDArray[Any], table: NDArray[np.int64], frames: NDArray[Any]
) -> None: ...
