"""Types of the decode kernel, and what its tables mean.

All tables are C-contiguous int64 arrays.

``tasks``, one row per chunk: byte address (in the file, or in `blob`), stored size,
filter mask, exact decoded size, first source row (or first entry of `table`), first
output row, number of rows (or entries), first and one past the last of its `lines`.

``lines``, parts of a row to copy: byte offset in the chunk's row, byte offset in
the output's row, bytes.

``table``, for rows that do not follow each other: row in the chunk, row in the
output; empty if they do.

``runs``, chunks that are decoded after each other: first and one past the last task.
``turn``, one number that all threads share: the run that is taken next. `most` bounds
how many one call takes, so that interrupts are seen between calls.

``steps``, the filters in the order in which they are undone: filter id, bit of the
filter mask, element width (shuffle).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

HAS_PREAD: bool
STATUS: tuple[str, ...]

_Table = NDArray[np.int64]

def set_native(filter_id: int, create: int, release: int, run: int) -> None: ...
def set_zstd_steps(
    content_size: int, begin: int, next_size: int, go_on: int
) -> None: ...
def set_deflate_end(behind: int) -> None: ...
def set_python(
    filter_id: int, function: Callable[[memoryview, int], bytes | None]
) -> None: ...

class Decoder:
    def trim(self, limit: int) -> int: ...
    def run(
        self,
        fd: int,
        blob: Any,
        tasks: _Table,
        runs: _Table,
        turn: NDArray[np.int64],
        most: int,
        steps: _Table,
        row_bytes: int,
        lines: _Table,
        table: _Table,
        out: NDArray[np.uint8],
        out_row_bytes: int,
    ) -> tuple[int, str, int] | None: ...

def take_turn(turn: NDArray[np.int64]) -> int: ...
