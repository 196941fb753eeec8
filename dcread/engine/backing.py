"""Whether a file can hold all that it claims, for who goes through all of it."""

from __future__ import annotations

import math
from typing import Any

from .row_reader import SMALL

LEFT_OUT = "it is left out"


class Backing:
    """What the datasets of files claim together, held against the bytes of the files.

    A few kilobytes may claim any number of rows, or many datasets with as many as are
    read of one without a question: going through them would take for ever.
    """

    def __init__(self) -> None:
        self._claimed: dict[str, int] = {}

    def require(self, reader: Any, count: int | None = None) -> None:
        """Refuse a dataset that, with those before, is more than its file can hold.

        Parameters
        ----------
        reader : RowReader
            Its rows are about to be read.
        count : int, optional
            How many of them; all by default.

        Raises
        ------
        FormatError
            If the file is much too small; the dataset does not count then.
        """
        count = reader.shape[0] if count is None else count
        size = count * math.prod(reader.shape[1:]) * reader.dtype.itemsize
        total = self._claimed.get(reader.filename, 0) + size
        if total > SMALL:
            reader.check_room(total, LEFT_OUT)
        self._claimed[reader.filename] = total
