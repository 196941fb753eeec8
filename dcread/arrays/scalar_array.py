"""The values of a scalar feature: shared by all who ask, so nobody's to change."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class ScalarArray(np.ndarray[Any, np.dtype[Any]]):
    """A read-only array whose slices are the caller's own.

    A dataset of h5py gives with ``[:]`` an array that its caller may change, and
    pipelines do (``time = hd["time"][:]; time -= time[0]``). So a selection of
    these values is a copy; what is computed from them is a plain array.

    Examples
    --------
    >>> values = ScalarArray.share(np.array([3.0, 4.0]))
    >>> mine = values[:]
    >>> mine -= mine[0]
    >>> values
    ScalarArray([3., 4.])
    """

    @classmethod
    def share(cls, values: NDArray[Any]) -> ScalarArray:
        """Return the same memory, read-only for good."""
        values.flags.writeable = False  # or a view of it could be made writeable again
        return values.view(cls)

    def __getitem__(self, index: Any) -> Any:
        """Return one value, or a selection as a plain array of its own."""
        found = super().__getitem__(index)
        return np.array(found) if isinstance(found, ScalarArray) else found

    def __array_wrap__(
        self,
        array: NDArray[Any],
        context: Any = None,
        return_scalar: bool = False,
    ) -> Any:
        """Return the result of a computation as a plain array or number."""
        plain = array.view(np.ndarray)
        return plain[()] if return_scalar else plain
