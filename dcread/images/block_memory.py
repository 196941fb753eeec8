"""Blocks that are held in memory, within an allowance, and those that were dropped."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from numpy.typing import NDArray

from ..sync.turns import Turn

__all__ = ["BlockMemory", "Run"]

_FEW = 1 << 18  # bytes to keep at first, until more would be of use
_MANY = 1 << 30


class Run(NamedTuple):
    """Blocks that were read together."""

    blocks: list[int]
    stack: NDArray[Any]


class BlockMemory:
    """Runs of blocks; the one that was used least recently leaves first.

    Callers hold the lock of `turn`.

    Parameters
    ----------
    turn : Turn
        Knows the blocks in the making, which count as held.
    block_bytes : int
        Bytes of a block.
    allowance : callable
        Returns how many bytes the blocks may take at this moment.

    Attributes
    ----------
    wanted : int
        Bytes that are worth keeping: few until more turns out to be of use.
    """

    def __init__(
        self, turn: Turn, block_bytes: int, allowance: Callable[[], int]
    ) -> None:
        self._turn = turn
        self._block_bytes = block_bytes
        self._allowance = allowance
        self.wanted = max(block_bytes, _FEW)
        self._runs: OrderedDict[int, Run] = OrderedDict()  # by first block
        self._held = 0  # bytes of all runs
        self._run_of: dict[int, int] = {}  # block: first block of its run
        self._ghosts: OrderedDict[int, bool] = OrderedDict()  # whether it was held
        self._most_ghosts = max(1, allowance() // block_bytes)

    def __contains__(self, block: int) -> bool:
        return block in self._run_of

    @property
    def nbytes(self) -> int:
        """Bytes in memory, blocks in the making included."""
        return self._held + sum(self._turn.busy.values())

    @property
    def keeps_one(self) -> bool:
        """Whether no more than one block is kept."""
        return self.wanted < 2 * self._block_bytes

    def want_more(self) -> None:
        """Keep as much as is allowed from now on."""
        self.wanted = _MANY

    def find(self, block: int) -> Run | None:
        """Return the run of a block, from now on the last used one."""
        first = self._run_of.get(block)
        if first is None:
            return None
        self._runs.move_to_end(first)
        return self._runs[first]

    def keep(self, blocks: list[int], stack: NDArray[Any]) -> None:
        """Hold the rows of blocks that were read together."""
        self._runs[blocks[0]] = Run(blocks, stack)
        self._held += stack.nbytes
        self._run_of.update(dict.fromkeys(blocks, blocks[0]))

    def make_room(self, nbytes: int, keep: int = 0) -> bool:
        """Drop runs, but for `keep` ones, to make room; False if there is none."""
        allowed = self._allowance()
        limit = min(allowed, self.wanted)
        while self.nbytes + nbytes > limit and len(self._runs) > keep:
            self._drop_oldest()
        return self.nbytes + nbytes <= allowed

    def drop_all(self) -> None:
        """Drop all runs."""
        while self._runs:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        _, run = self._runs.popitem(last=False)
        self._held -= run.stack.nbytes
        for block in run.blocks:
            del self._run_of[block]
        self.remember(run.blocks, held=True)

    def remember(self, blocks: list[int], *, held: bool) -> None:
        """Note blocks that are not held (any more, or never were), but asked for."""
        self._ghosts.update(dict.fromkeys(blocks, held))
        while len(self._ghosts) > self._most_ghosts:
            self._ghosts.popitem(last=False)

    def remembers(self, block: int) -> bool:
        """Tell whether a block was asked for before and is not held."""
        return block in self._ghosts

    def forget(self, block: int) -> bool | None:
        """Forget that a block was asked for; tell whether it was held (None: never)."""
        return self._ghosts.pop(block, None)
