"""The documented mapping of chunk indices to chunks of an image cache."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, ItemsView, Iterator, KeysView, ValuesView
from typing import Any

from numpy.typing import NDArray

from ..sync.locks import BriefLock

__all__ = ["ChunkMap", "ChunkOrder"]


_lock = BriefLock()
"""Held for a moment by who changes the order of any cache, or looks at it."""


class ChunkOrder:
    """Indices of the chunks that were used last, in the order of their use."""

    __slots__ = ("_indices", "latest")

    def __init__(self) -> None:
        self._indices: OrderedDict[int, None] = OrderedDict()
        self.latest = -1

    def use(self, index: int, most: int) -> None:
        """Note the use of a chunk; of more than `most`, the first ones are dropped."""
        if index == self.latest:
            return
        with _lock:
            self._indices[index] = None
            self._indices.move_to_end(index)
            if len(self._indices) > most:
                self._drop_first(len(self._indices) - most)
            self.latest = index

    def _drop_first(self, count: int) -> None:
        for _ in range(count):
            self._indices.popitem(last=False)

    def clear(self) -> None:
        """Forget all chunks."""
        with _lock:
            self.latest = -1
            self._indices.clear()

    def indices(self) -> list[int]:
        """Return the indices, that of the chunk that was used last at the end."""
        with _lock:
            return list(self._indices)


class ChunkMap(OrderedDict[int, NDArray[Any]]):
    """Chunk index to chunk; the chunk that was used last stands last.

    A chunk of which only single images were asked for is a member as well; its
    images are read when the chunk itself is looked at. Chunks cannot be set here. It
    is an OrderedDict in name, since programs may ask for that.

    Parameters
    ----------
    order : ChunkOrder
        The members.
    get_chunk : callable
        Returns the chunk of an index.
    forget : callable
        Drops all chunks.
    """

    def __init__(
        self,
        order: ChunkOrder,
        get_chunk: Callable[[int], NDArray[Any]],
        forget: Callable[[], object],
    ) -> None:
        self._order = order
        self._get_chunk = get_chunk
        self._forget = forget

    def __getitem__(self, index: int) -> NDArray[Any]:
        if index not in self._order.indices():
            raise KeyError(index)
        return self._get_chunk(index)

    def __contains__(self, index: object) -> bool:
        return index in self._order.indices()

    def __iter__(self) -> Iterator[int]:
        return iter(self._order.indices())

    def __reversed__(self) -> Iterator[int]:
        return reversed(self._order.indices())

    def __len__(self) -> int:
        return len(self._order.indices())

    def keys(self) -> KeysView[int]:  # type: ignore[override]
        """Return the indices."""
        return KeysView(self)

    def values(self) -> ValuesView[NDArray[Any]]:  # type: ignore[override]
        """Return the chunks."""
        return ValuesView(self)

    def items(self) -> ItemsView[int, NDArray[Any]]:  # type: ignore[override]
        """Return indices and chunks."""
        return ItemsView(self)

    def get(self, index: int, default: Any = None) -> Any:
        """Return the chunk of an index, or `default` if it is no member."""
        return self._get_chunk(index) if index in self else default

    def clear(self) -> None:
        """Drop all chunks; they are read again when they are asked for."""
        self._order.clear()
        self._forget()

    def _refuse(self, *_: Any, **__: Any) -> Any:
        raise TypeError("the chunks of an image cache cannot be set or taken out")

    __setitem__ = __delitem__ = __ior__ = _refuse
    pop = popitem = setdefault = update = move_to_end = _refuse

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of chunks {self._order.indices()}>"
