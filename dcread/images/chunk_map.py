"""The chunks that an image cache holds, in the order of their use."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, KeysView
from contextlib import AbstractContextManager
from typing import Any

from numpy.typing import NDArray

__all__ = ["ChunkMap"]


class ChunkMap(OrderedDict[int, Any]):
    """Chunk index to chunk; the one that was used last stands last.

    A chunk of which only single images were asked for is a member as well; its
    images are read when the chunk itself is looked at.

    Parameters
    ----------
    complete : callable
        Returns the chunk of an index.
    lock : context manager
        Held while the order is looked at or changed: without the GIL, an
        OrderedDict does not survive two threads that go through it at once.
    """

    def __init__(
        self,
        complete: Callable[[int], NDArray[Any]],
        lock: AbstractContextManager[Any],
    ) -> None:
        super().__init__()
        self._complete = complete
        self._lock = lock

    def __iter__(self) -> Iterator[int]:
        with self._lock:
            return iter(list(super().__iter__()))

    def __reversed__(self) -> Iterator[int]:
        return reversed(list(self))

    def keys(self) -> KeysView[int]:  # type: ignore[override]
        """Return the indices."""
        return KeysView(self)

    def __getitem__(self, index: int) -> NDArray[Any]:
        data = super().__getitem__(index)
        return self._complete(index) if data is None else data

    def get(self, index: int, default: Any = None) -> Any:
        """Return the chunk of an index, or `default` if it is no member."""
        # the dict's own `get` would hand out the place of a chunk to come
        with contextlib.suppress(KeyError):
            return self[index]
        return default

    def values(self) -> list[NDArray[Any]]:  # type: ignore[override]
        """Return the chunks."""
        return [self._complete(index) for index in list(self)]

    def items(self) -> list[tuple[int, NDArray[Any]]]:  # type: ignore[override]
        """Return indices and chunks."""
        return [(index, self._complete(index)) for index in list(self)]

    def held(self, index: int) -> NDArray[Any] | None:
        """Return the chunk of an index if it is in memory."""
        data: NDArray[Any] | None = super().get(index)
        return data

    def count_held(self) -> int:
        """Return how many chunks are in memory."""
        return sum(data is not None for data in super().values())

    def let_go(self) -> bool:
        """Drop the chunk in memory that was used least recently, if there is one."""
        for index, data in super().items():
            if data is not None:
                self[index] = None
                return True
        return False
