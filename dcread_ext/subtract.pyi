"""Image minus background, widened while it is subtracted."""

from typing import Any

from numpy.typing import NDArray

def subtract(
    image: NDArray[Any], background: NDArray[Any], out: NDArray[Any]
) -> None: ...
