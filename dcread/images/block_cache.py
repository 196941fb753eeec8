"""Single images: decoded HDF5 chunks within a byte budget, read ahead in order."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from numpy.typing import NDArray

from ..engine import Reader, get_num_threads
from ..sync.locks import letting_go
from ..sync.turns import Turn
from .block_memory import BlockMemory, Run
from .block_source import BlockSource

__all__ = ["BlockStore"]

_Span: TypeAlias = tuple[int, int, NDArray[Any]]
"""First row (of the dataset that is mapped), row after the last, and the rows."""

_FIRST_RUN = 4 << 20  # bytes; later runs are longer
_RUN_BYTES = 32 << 20
_RUNS = 2  # how many runs there are at the least within the allowance
_IN_ORDER = 2  # that many steps to the next row mean reading in order


class BlockStore:
    """The blocks (rows of HDF5 chunks) that single rows were asked from.

    A random row costs one block at the most: of a block that lies apart from the last
    one, only what is needed is decoded, if the reader can do that; it is decoded whole
    and kept once another row of it is asked for. Rows in order are read by runs of
    blocks, which decode in parallel, and the next run is read while the caller works;
    all are kept up to the allowance. Of rows here and there, hardly more than the last
    block is kept, whose memory is still in the processor's cache when the next one is
    decoded into it, until one is asked for again that was dropped.

    Parameters
    ----------
    reader : Reader
        Where the rows come from. Behind an index mapping, blocks are those of the
        dataset that is mapped.
    allowance : callable
        Returns how many bytes the blocks may take at this moment; one block is
        always allowed.

    Attributes
    ----------
    recent : tuple of int, int, ndarray; or None
        First row (of the dataset that is mapped), row after the last, and the rows
        of the run that was used last. Read it once, without a lock.
    """

    def __init__(self, reader: Reader, allowance: Callable[[], int]) -> None:
        self._source = BlockSource(reader)
        self._height = self._source.height
        self._block_bytes = self._source.block_bytes
        self._allowance = allowance
        self._run_bytes = _FIRST_RUN
        self.recent: _Span | None = None
        self._turn = Turn()
        self._memory = BlockMemory(self._turn, self._block_bytes, allowance)
        self._last_row = self._first_row = -2  # of those asked for in order
        self._trigger = 0  # from this row on the next run is read ahead,
        self._next_start = 0  # which begins at this row
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def nbytes(self) -> int:
        """Bytes in memory, blocks in the making included."""
        with self._turn:
            return self._memory.nbytes

    def quick(self, index: int) -> NDArray[Any] | None:
        """Return a row if it lies in the run that was used last, else None."""
        recent = self.recent
        if recent is None:
            return None
        start, stop, stack = recent
        base_row = self._source.base_row(index)
        if not start <= base_row < stop:
            return None
        self._note(index)
        image: NDArray[Any] = stack[base_row - start]
        return image

    def row(self, index: int) -> NDArray[Any]:
        """Return a row (a view of a block, not to be written)."""
        start, _, stack = self._find(index)
        image: NDArray[Any] = stack[self._source.base_row(index) - start]
        return image

    def follows(self, index: int) -> bool:
        """Tell whether a row is the one after that which was asked for last."""
        return index == self._last_row + 1

    def rows(self, start: int, stop: int) -> Iterator[NDArray[Any]]:
        """Return rows that follow each other, some at a time (not to be written)."""
        while start < stop:
            low, high, stack = self._find(start)
            part = stack[self._source.places(start, stop, low, high)]
            start += len(part)
            self._last_row = start - 1
            yield part

    def pass_over(self, start: int, stop: int) -> None:
        """Note rows that were read without this store."""
        self._note(start)
        self._last_row = stop - 1

    def _find(self, index: int) -> _Span:
        """Return the rows that were read together with one."""
        base_row = self._source.base_row(index)
        block = base_row // self._height
        blocks: list[int] = []
        alone = False
        with self._turn:
            far = self._is_far(block)
            self._note(index)
            while not blocks:
                found = self._memory.find(block)
                if found is not None:
                    run = found
                    break
                if block not in self._turn.busy:
                    alone = far and self._row_is_cheap(block)
                    blocks = [block] if alone else self._claim(index, block, far)
                if not blocks:
                    self._turn.wait()
            if alone:
                self._turn.busy[block] = self._source.row_bytes
        if alone:
            return base_row, base_row + 1, self._row_alone(base_row, block)
        if blocks:
            run = Run(blocks, self._make(blocks))
        if self._trigger <= index < self._next_start:
            self._look_ahead(index)
        span = self._span(run, block)
        self._remember(span, block, index)
        return span

    def _span(self, run: Run, block: int) -> _Span:
        """Return those rows of a run that follow each other, a block among them."""
        blocks, stack = run
        first = blocks[0] * self._height
        if blocks[-1] - blocks[0] != len(blocks) - 1:
            place = blocks.index(block) * self._height
            first, stack = block * self._height, stack[place : place + self._height]
        return first, first + len(stack), stack

    def _is_far(self, block: int) -> bool:
        """Tell whether a block is neither that of the last row nor its neighbour."""
        last = self._last_row
        if 0 <= last < self._source.length:
            last = self._source.base_row(last)
        return abs(block - last // self._height) > 1

    def _row_is_cheap(self, block: int) -> bool:
        """Tell whether to read a single row of a block, the first one of it."""
        return self._source.stops_early and not self._memory.remembers(block)

    def _row_alone(self, base_row: int, block: int) -> NDArray[Any]:
        """Return a row, alone, of a block that is kept once it is asked for again."""
        try:
            return self._source.read_row(base_row)
        finally:
            with self._turn:
                self._turn.done([block])
                self._memory.remember([block], held=False)

    def _note(self, index: int) -> None:
        """Note which row was asked for (by two threads at once: no harm)."""
        last, self._last_row = self._last_row, index
        if not last <= index <= last + 1:
            self._first_row = index

    def _in_order(self) -> bool:
        return self._last_row - self._first_row >= _IN_ORDER

    def _remember(self, span: _Span, block: int, index: int) -> None:
        """Let `quick` have the rows next to those of a block, if they are held."""
        if self._trigger <= index < self._next_start and self._in_order():
            return  # the next row shall look ahead again
        with self._turn:
            if block in self._memory:
                self.recent = span

    def trim(self) -> None:
        """Drop the oldest blocks until the allowance is kept."""
        with self._turn:
            self._make_room(0)

    def _run_length(self) -> int:
        """Return how many blocks are read together for a caller in order."""
        wanted = max(2 * get_num_threads(), self._run_bytes // self._block_bytes)
        return max(1, min(wanted, self._allowance() // _RUNS // self._block_bytes))

    def _missing(self, blocks: list[int]) -> list[int]:
        held, busy = self._memory, self._turn.busy
        return [b for b in blocks if b not in held and b not in busy]

    def _claim(self, index: int, block: int, far: bool) -> list[int]:
        """Return the blocks that the caller shall make; none if it has to wait."""
        blocks = [block]
        was_held = self._memory.forget(block)
        if was_held or (was_held is not None and far):
            self._memory.want_more()  # it was dropped too early, or never kept
        if self._in_order():
            self._memory.want_more()
            blocks = self._missing(self._next_run(index))
        elif self._memory.keeps_one and not self._turn.busy:
            self.recent = None
            self._memory.drop_all()
            self._mark(blocks)  # one block is always allowed
            return blocks
        if not self._reserve(blocks):
            blocks = [block] if self._reserve([block]) or not self._turn.busy else []
        self._mark(blocks)
        return blocks

    def _next_run(self, index: int) -> list[int]:
        """Return the blocks from a row on; what follows is to be read ahead."""
        limit = self._run_length()
        run, self._next_start = self._source.run_from(index, limit)
        self._trigger = index
        self._run_bytes = min(2 * self._run_bytes, _RUN_BYTES)
        return run

    def _mark(self, blocks: list[int]) -> None:
        for block in blocks:
            self._turn.busy[block] = self._block_bytes

    def _reserve(self, blocks: list[int], keep: int = 0) -> bool:
        return self._make_room(len(blocks) * self._block_bytes, keep)

    def _make_room(self, nbytes: int, keep: int = 0) -> bool:
        room = self._memory.make_room(nbytes, keep)
        if (
            self.recent is not None
            and self.recent[0] // self._height not in self._memory
        ):
            self.recent = None
        return room

    def _make(self, blocks: list[int]) -> NDArray[Any]:
        try:
            stack = self._source.read(blocks)
        except BaseException:
            with self._turn:
                self._turn.done(blocks)
            raise
        with self._turn:
            if not self._closed:
                self._memory.keep(blocks, stack)
            self._turn.done(blocks)
        return stack

    def _look_ahead(self, index: int) -> None:
        """Let a thread read the next run while the caller works on this one."""
        with self._turn:
            if self._thread is not None and self._thread.is_alive():
                return
            blocks = self._claim_ahead(index)
            if not blocks:
                return
            thread = threading.Thread(
                target=self._make_ahead, args=(blocks,), name="dcread-ahead"
            )
            try:
                thread.start()
            except RuntimeError:  # the interpreter is shutting down
                self._turn.done(blocks)
                return
            self._thread = thread

    def _claim_ahead(self, index: int) -> list[int]:
        """Return the blocks to make ahead for a caller at a row, if any."""
        start = self._next_start
        if not self._trigger <= index < start < self._source.length or self._closed:
            return []
        if not self._in_order():
            return []
        blocks = self._missing(self._next_run(start))
        if not blocks or not self._reserve(blocks, keep=1):
            return []
        self._mark(blocks)
        return blocks

    def _make_ahead(self, blocks: list[int]) -> None:
        # Who asks for such a block tries again, and gets the error then.
        with contextlib.suppress(Exception):
            while blocks:
                self._make(blocks)
                with self._turn:  # a caller who waited already wants the next run
                    blocks = self._claim_ahead(self._last_row)

    def close(self) -> None:
        """Drop all blocks and end what runs in the background."""
        with self._turn:
            self._closed = True
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            with letting_go():
                thread.join()
        with self._turn:
            self.recent = None
            self._memory.drop_all()
