"""How `HDF5Data` is pickled: which file, and what differs from it."""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any

from . import origin
from .packed_mapping import pack

if TYPE_CHECKING:
    from ..engine import FileHandle
    from ..file.policy import Policy
    from ..sync.loading_cache import LoadingCache
    from .contents import Contents


class Pickled:
    """The giving part; ``HDF5Data.__setstate__`` takes it."""

    image_cache_size: int
    image_chunk_size: int
    index_mapping: Any
    _target: Any
    _once: LoadingCache
    _contents: Contents
    _given_policy: Policy | None

    if TYPE_CHECKING:

        @property
        def handle(self) -> FileHandle: ...  # noqa: D102

    def __getstate__(self) -> dict[str, Any]:
        """Return what another process needs to open the same measurement.

        No data, and of the metadata only what differs from the file.

        Raises
        ------
        TypeError
            If the file is not on disk.
        """
        return {**origin.pickled_origin(self.handle, self._target), **self._state()}

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what `__getstate__` returns, the index mapping in few bytes."""
        state = dict(self.__getstate__())
        state["index_mapping"] = pack(state.get("index_mapping"))
        return copyreg.__newobj__, (type(self),), state  # type: ignore[attr-defined]

    def _state(self) -> dict[str, Any]:
        return {
            "md5_5m": self._once.peek("md5"),
            "image_cache_size": self.image_cache_size,
            "image_chunk_size": self.image_chunk_size,
            "index_mapping": self.index_mapping,
            "len": self._once.peek("len"),
            "policy": self._given_policy,
            **self._contents.state(),
        }
