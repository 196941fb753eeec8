"""A measurement: one open file, its features, metadata, logs and basins."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from numpy.typing import NDArray

from ..basins import BasinSet
from ..engine import FileHandle, open_file
from ..file.measurement_file import Referrer
from ..file.policy import Policy
from ..file.source_check import check_sources
from ..problems import Problem, as_format_error
from ..sync.loading_cache import LoadingCache
from ..sync.locks import PatientLock
from ..sync.weak import weakly
from . import display, origin
from .arguments import as_policy, as_size, as_target
from .basin_access import BasinAccess
from .content_access import ContentAccess
from .contents import Contents
from .feature_access import FeatureAccess
from .features import FeatureStore
from .file_access import FileAccess
from .image_chunks import aligned_chunk_size
from .packed_mapping import unpack
from .pickling import Pickled
from .pipeline_id import PipelineIdentity

if TYPE_CHECKING:
    import h5py


class HDF5Data(
    FileAccess, FeatureAccess, ContentAccess, BasinAccess, PipelineIdentity, Pickled
):
    """One measurement, as its file and the basins that it names give it.

    Parameters
    ----------
    path : path, h5py.File or binary file object
        What to open, read-only. A file that you opened yourself is used as it is
        and never closed.
    pixel_size : float, optional
        Pixel size in µm, in place of the stored one; 8 decimals count.
    md5_5m : str, optional
        MD5 sum of the first 5 MiB; computed when asked for if not given.
    meta, logs, tables : dict, optional
        In place of those in the file; copied.
    basins : list of dict, optional
        Basin definitions, in place of those in the file; copied.
    image_cache_size : int
        How many chunks of images an image cache holds, at least 1.
    image_chunk_size : int
        How many images such a chunk has at the most; whole HDF5 chunks are taken.
    index_mapping : int, slice, sequence of int or bool, optional
        Which events to take, as NumPy would: ``100`` or ``slice(0, 100)`` for the
        first 100, a list or array for events by number.
    policy : Policy, optional
        What the file may make us open; `Policy.default` if not given.

    Attributes
    ----------
    path : pathlib.Path, or what was given
        Absolute path of the file; the object itself for a file object.
    image_cache_size, image_chunk_size : int
        As above, `image_chunk_size` aligned.
    index_mapping
        As given.

    Raises
    ------
    FileMissingError, NotAFileError, FormatError
        If there is no file, not a regular one, or no HDF5 in it; of a concatenated
        file also if one of its sources is missing.
    FileChangedError
        If a source of a concatenated file changed.
    ValueError
        If a size is too small, or `index_mapping` no index mapping.
    TypeError
        If an argument is of the wrong kind.
    IndexError
        If the index mapping does not fit the file.
    """

    def __init__(  # noqa: PLR0917  (the documented signature)
        self,
        path: str | os.PathLike[str] | h5py.File | BinaryIO,
        pixel_size: float | None = None,
        md5_5m: str | None = None,
        meta: Mapping[str, Any] | None = None,
        basins: list[dict[str, Any]] | None = None,
        logs: Mapping[str, list[str]] | None = None,
        tables: Mapping[str, Any] | None = None,
        image_cache_size: int = 2,
        image_chunk_size: int = 1000,
        index_mapping: int | slice | list[int] | NDArray[Any] | None = None,
        policy: Policy | None = None,
    ) -> None:
        self.__setstate__(
            {
                "path": path,
                "pixel_size": pixel_size,
                "md5_5m": md5_5m,
                "meta": meta,
                "basins": basins,
                "logs": logs,
                "tables": tables,
                "image_cache_size": image_cache_size,
                "image_chunk_size": image_chunk_size,
                "index_mapping": copy.copy(index_mapping),
                "policy": policy,
            }
        )
        self.image_chunk_size = aligned_chunk_size(
            self._referrer.events.get("image"), self.image_chunk_size
        )
        if not self._handle.owned and origin.is_writable(self._handle):
            # The owner may add features until the first one is asked for.
            self._referrer.refresh()
            self._problems.clear()

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        """Open the measurement that `__getstate__` describes.

        Raises
        ------
        FileChangedError
            If the file is not the one that was pickled.
        """
        sizes = {
            name: as_size(name, state[name])
            for name in ("image_cache_size", "image_chunk_size")
        }
        mapping = unpack(state["index_mapping"])
        state = {**state, **sizes, "index_mapping": mapping}
        self._target = as_target(state["path"])
        self._lock = PatientLock()
        handle = open_file(self._target)
        try:
            origin.check_origin(handle, state)
            self._set_up(handle, state)
        except BaseException:
            handle.close()
            raise

    def _set_up(self, handle: FileHandle, state: Mapping[str, Any]) -> None:
        self.path = origin.path_of(handle, self._target)
        self.image_cache_size = state["image_cache_size"]
        self.image_chunk_size = state["image_chunk_size"]
        self.index_mapping = state["index_mapping"]
        self._given_policy: Policy | None = state.get("policy")
        self._problems: list[Problem] = []
        self._once = LoadingCache()
        self._handle = handle
        policy = as_policy(self._given_policy)
        origin.apply_policy(handle, policy)
        with as_format_error(f"{handle.label}: the list of what it holds", handle):
            check_sources(handle, policy, self._problems)
        self._referrer = Referrer(handle, self.index_mapping, policy, self._problems)
        self._contents = Contents(self._referrer, state)
        # By weak references, so that a forgotten measurement closes at once.
        self._store = FeatureStore(
            self._referrer, weakly(self._basin_set), weakly(self.image_sizes)
        )
        self._basin_sets: list[BasinSet] = []
        self._referrer.length_elsewhere = weakly(self._basin_length)
        self._referrer.mapping_indices()
        self._given_md5: str | None = state.get("md5_5m")
        if self._given_md5 is not None:
            self._once.put("md5", self._given_md5)
        elif not handle.owned and origin.is_writable(handle):
            # The owner may change it while we read: take the sum of what it is now.
            self._once.put("md5", origin.checksum(handle, self._target))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        name = getattr(self.path, "name", None) or self._handle.label
        mapped = self.index_mapping is not None
        length = self._once.peek("len")
        return display.one_line(str(name), length, closed=self.closed, mapped=mapped)

    def _repr_html_(self) -> str:
        return display.as_html(self)

    @property
    def _features(self) -> FeatureStore:
        self._raise_if_closed()
        return self._store

    @property
    def _content(self) -> Contents:
        self._raise_if_closed()
        return self._contents

    def _basin_set(self) -> BasinSet:
        self._raise_if_closed()
        return self._once.get(
            "basins",
            lambda: self._new_basins(self.basins, self._contents.dropped_basins()),
        )

    def _new_basins(
        self, definitions: Sequence[Mapping[str, Any]], dropped: Sequence[Any] = ()
    ) -> BasinSet:
        self._raise_if_closed()
        basins = BasinSet(
            self._referrer,
            definitions,
            self._referrer.policy,
            self._problems,
            dropped=dropped,
        )
        self._basin_sets.append(basins)
        return basins

    def _basins_changed(self) -> None:
        self._once.drop("basins", "raw")
        self._store.clear()

    def close(self) -> None:
        """Close the file and its basins; twice is fine.

        An h5py file of the caller stays open. Reads that are under way finish,
        later ones raise `ClosedError`, those of views handed out before included.
        """
        self._handle.close()
        self._release()

    def _release(self) -> None:
        self._store.clear()
        self._once.drop("basins", "raw")
        opened, self._basin_sets = self._basin_sets, []
        for basins in opened:
            basins.close()

    def refresh(self) -> None:
        """Look at the file again, for events that were written since it was opened.

        What was changed by hand (such as `pixel_size`) stays. Views that were handed
        out before are closed if the file changed; ask for them again.

        Raises
        ------
        FileMissingError, FormatError
            If the file is gone or damaged by now.
        """
        with self._lock:
            self._raise_if_closed()
            state = {**self._state(), "md5_5m": self._given_md5}
            self._release()
            self._set_up(origin.reopened(self._handle), state)
