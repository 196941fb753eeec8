"""A measurement: the features of a file and of the basins it refers to."""

from __future__ import annotations

import copy
import copyreg
import functools
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Self, cast, overload

import numpy as np
from numpy.typing import NDArray

from ..basins import BasinStatusList
from ..basins import extract_basin_dicts as _extract_basin_dicts
from ..basins.local_files import local_files
from ..basins.reports import data_of, group_of, status_of
from ..const import PROTECTED_FEATURES
from ..engine import FileHandle
from ..errors import FeatureNotFoundError
from ..file.credentials import Credentials, checked_credentials
from ..file.measurement_file import MeasurementFile
from ..file.other_files import other_files
from ..file.policy import Policy
from ..file.source_check import check_sources
from ..images.corrected_cache import ImageCorrCache
from ..images.image_cache import HDF5ImageCache
from ..problems import (
    UNREADABLE,
    Problem,
    is_out_of_a_handler,
    raise_format_error,
)
from ..sync.loading_cache import LoadingCache
from ..sync.locks import PatientLock
from . import display, frames, origin, pipeline_id
from .arguments import as_pixel_size, as_policy, as_size, as_target
from .basins import MeasurementBasins
from .contents import NAMES, PIXEL_SIZE, Contents, nest
from .features import FeatureStore, aligned_chunk_size
from .packed_mapping import pack, unpack

if TYPE_CHECKING:
    import h5py
    import pandas as pd
    import pyarrow as pa
    from matplotlib.figure import Figure

    from ..arrays.trace_contour import Contours, Traces
    from ..file.event_dataset import EventDataset
    from ..file.tables import Table
    from .explanation import Explanation
    from .feature_info import ScalarName


class HDF5Data:
    """A measurement: the features in an .rtdc file and in the basins it refers to.

    Parameters
    ----------
    path : path, URL, h5py.File or binary file object
        What to open, read-only. URLs begin with ``http://``, ``https://`` or
        ``s3://``; ``https://host/api/3/action/dcserv?id=...`` is a resource of DCOR,
        whose features come from the basins that the server names. A file that you
        opened yourself is used as it is and never closed.
    pixel_size : float, optional
        Pixel size in µm, in place of the stored one; 8 decimals count.
    md5_5m : str, optional
        MD5 sum of the first 5 MiB; computed when asked for if not given.
    meta : dict, optional
        In place of the metadata in the file; copied.
    basins : list of dict, optional
        Basin definitions, in place of those in the file; copied.
    logs, tables : dict, optional
        In place of those in the file; copied.
    image_cache_size : int
        How many chunks of images an image cache holds, at least 1.
    image_chunk_size : int
        How many images such a chunk has at the most; whole HDF5 chunks are taken.
    index_mapping : int, slice, sequence of int or bool, optional
        Which events to take, as NumPy would: ``100`` or ``slice(0, 100)`` for the
        first 100, a list or array for events by number.
    policy : Policy, optional
        Rules for what the file may make dcread open; `Policy.default` if not given.
    credentials : sequence of Credentials, optional
        Tokens or keys, each for one server. They are not pickled.

    Attributes
    ----------
    path : pathlib.Path, or what was given
        Absolute path of the file; of a URL the text, without its signature; the object
        itself for a file object.
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

    Examples
    --------
    >>> import dcread
    >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
    >>> len(hd), hd["deform"].shape, hd.image[0].shape
    (3088, (3088,), (80, 320))
    >>> first = dcread.HDF5Data("demo-output/demo.rtdc", index_mapping=slice(0, 10))
    >>> len(first)
    10
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
        credentials: Sequence[Credentials] = (),
    ) -> None:
        self._credentials = checked_credentials(credentials)
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
        self._store.image_chunk_size = aligned_chunk_size(
            self._referrer.events.get("image"), self._store.image_chunk_size
        )
        if not self._handle.owned and origin.is_writable(self._handle):
            # The owner may add features until the first one is asked for.
            self._referrer.refresh()
            self._problems.clear()

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
        return display.as_html(self, self._stored, self._glimpse)

    def _stored(self, feat: str) -> EventDataset | None:
        """Return what the file knows of a feature that it has itself."""
        found = self._referrer.events.get(feat)
        return None if found is None or found.absent else found

    def _glimpse(self, feat: str, index: int) -> NDArray[Any] | None:
        """Return one image if that takes no more than a moment."""
        images = self.get_image_cache(feat)
        return None if images is None else images._glimpse(index)

    def close(self) -> None:
        """Close the file and its basins; twice is fine.

        An h5py file of the caller stays open. Reads that are under way finish,
        later ones raise `ClosedError`, those of views handed out before included.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.close()
        >>> hd.closed
        True
        """
        self._handle.close()
        self._release()

    def _release(self) -> None:
        self._store.clear()
        self._basins.close()

    def refresh(self) -> None:
        """Look at the file again, for events that were written since it was opened.

        What was changed by hand (such as `pixel_size`) stays. Views that were handed
        out before are closed if the file changed, those of basins in any case; ask for
        them again. What other threads read from them meanwhile may end with
        `ClosedError`.

        Raises
        ------
        FileMissingError, FormatError
            If the file is gone or damaged by now.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.refresh()
        >>> len(hd)
        3088
        """
        with self._refresh_lock:
            self._handle.raise_if_closed()
            state = {**self._state(), "md5_5m": self._given_md5}
            policy = as_policy(self._given_policy)
            try:
                self._release()
                self._set_up(origin.reopened(self._handle), state, policy)
            except BaseException as exc:
                if is_out_of_a_handler(exc):  # then it can be used, and not by halves
                    self._set_up(origin.kept_open(self._handle), state, policy)
                raise

    @property
    def _refresh_lock(self) -> PatientLock:
        """Held by the thread that refreshes; made by the first one."""
        lock: PatientLock = vars(self).setdefault("_refresh_lock", PatientLock())
        return lock

    @property
    def closed(self) -> bool:
        """True if the measurement, or the h5py file it was made of, is closed.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.closed
        False
        """
        return self._handle.closed

    @property
    def handle(self) -> FileHandle:
        """The open file as an object of `dcread.engine`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.handle.closed
        False
        """
        self._handle.raise_if_closed()
        return self._handle

    @property
    def h5(self) -> h5py.File:
        """The open h5py file.

        Raises
        ------
        NotAFileError
            For a resource of DCOR, which is not a file.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> list(hd.h5["events"])[:2]
        ['area_msd', 'area_ratio']
        """
        if self._handle.resource is not None:
            raise self._handle.resource.no_file("h5py file")
        return self._handle.h5

    @property
    def md5_5m(self) -> str:
        """MD5 sum of the first 5 MiB of the file.

        Raises
        ------
        NotAFileError
            For a resource of DCOR, which is not a file.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> len(hd.md5_5m)
        32
        """
        self._handle.raise_if_closed()
        make = functools.partial(origin.checksum, self._handle, self._target)
        return self._once.get("md5", make)

    @md5_5m.setter
    def md5_5m(self, md5_5m: str) -> None:
        self._once.put("md5", md5_5m)

    def __len__(self) -> int:
        """Return the number of events, after index mapping."""
        self._handle.raise_if_closed()
        return self._once.get("len", self._count)

    def _count(self) -> int:
        indices = self._referrer.mapping_indices()
        return self.raw_length if indices is None else len(indices)

    @property
    def raw_length(self) -> int:
        """Number of events before index mapping.

        The length of most features. If the file stores none itself, it is the
        attribute "experiment:event count", else the length of its basins.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.raw_length
        3088
        """
        self._handle.raise_if_closed()
        length = self._referrer.raw_length
        return self._basins.length if length is None else length

    def mapping_indices(self) -> NDArray[np.integer[Any]] | None:
        """Return the rows that `index_mapping` takes; None for all.

        Returns
        -------
        ndarray of int or None

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.mapping_indices() is None
        True
        >>> some = dcread.HDF5Data("demo-output/demo.rtdc", index_mapping=[7, 3])
        >>> some.mapping_indices().tolist()
        [7, 3]
        """
        self._handle.raise_if_closed()
        return self._referrer.mapping_indices()

    @overload
    def __getitem__(
        self, feat: Literal["image", "image_bg", "mask"]
    ) -> HDF5ImageCache: ...
    @overload
    def __getitem__(self, feat: ScalarName) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, feat: Literal["trace"]) -> Traces: ...
    @overload
    def __getitem__(self, feat: Literal["contour"]) -> Contours: ...
    @overload
    def __getitem__(self, feat: str) -> Any: ...
    def __getitem__(self, feat: str) -> Any:
        """Return a feature, stored in the file or in one of its basins.

        Parameters
        ----------
        feat : str
            Name of the feature.

        Returns
        -------
        HDF5ImageCache
            For ``image``, ``image_bg`` (grey values) and ``mask`` (bool).
        ndarray
            For a scalar feature: shape (events,), read-only, read once.
        FeatureView or MappedHDF5Dataset
            For other features with several values per event: read when indexed.
        Traces
            For ``trace``: arrays of shape (events, samples) by name.
        Contours
            For ``contour``: a sequence of arrays of shape (points, 2).

        Raises
        ------
        FeatureNotFoundError
            If it is neither in the file nor in a basin; the reasons are named.
        ShapeMismatchError, FormatError, PolicyError
            If it is in the file but cannot be used.
        BasinIdentifierMismatchError
            If only basins of another measurement have it.
        ClosedError
            After `close`.
        """
        return self._features.get(feat)

    def __contains__(self, item: object) -> bool:
        return item in self._features.names()

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names of the features."""
        return iter(self.keys())

    def keys(self) -> list[str]:
        """Return the sorted names of the features, those of basins included.

        Returns
        -------
        list of str

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> list(hd.keys())[:2]
        ['area_msd', 'area_ratio']
        """
        return list(self._features.names())

    def get(self, feat: str, default: Any = None) -> Any:
        """Return a feature, or `default` if there is none of that name.

        Parameters
        ----------
        feat : str
            Name of the feature.
        default : object
            Returned where there is none.

        Returns
        -------
        object
            As ``hd[feat]``.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.get("deform").shape, hd.get("no such feature") is None
        ((3088,), True)
        """
        try:
            return self[feat]
        except FeatureNotFoundError:
            return default

    def values(self) -> Iterator[Any]:
        """Iterate over the features; each is read when its turn comes.

        Returns
        -------
        iterator of object
            As ``hd[feat]``.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> len(list(hd.values())) == len(hd.keys())
        True
        """
        return (self[feat] for feat in self.keys())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and features; each is read when its turn comes.

        Returns
        -------
        iterator of (str, object)
            Name, and what ``hd[feat]`` is.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> [name for name, values in hd.items() if np.ndim(values) == 3]
        ['image', 'image_bg', 'mask']
        """
        return ((feat, self[feat]) for feat in self.keys())

    def _ipython_key_completions_(self) -> list[str]:
        return self.keys()

    @property
    def features_scalar(self) -> list[str]:
        """Names of the features that have one number per event, sorted.

        Examples
        --------
        >>> import dcread
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     "deform" in hd.features_scalar, "image" in hd.features_scalar
        (True, False)
        """
        return self._features.scalar_names()

    def to_dataframe(self, features: Iterable[str] | None = None) -> pd.DataFrame:
        """Return scalar features as a pandas DataFrame.

        Parameters
        ----------
        features : iterable of str, optional
            Names of the columns, in this order; all scalar features if not given.

        Returns
        -------
        pandas.DataFrame
            One row per event, index ``event`` (0-based position, after the index
            mapping); ``attrs`` holds ``path`` and ``units`` by name.

        Raises
        ------
        FeatureNotFoundError, ShapeMismatchError, FormatError
            If a feature is missing, has not one number per event, or is damaged.
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import dcread
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     frame = hd.to_dataframe(["area_um", "deform"])
        >>> list(frame.columns), frame.attrs["units"]
        (['area_um', 'deform'], {'area_um': 'µm²', 'deform': ''})
        """
        self._handle.raise_if_closed()
        return frames.as_dataframe(self, features)

    def to_arrow(self, features: Iterable[str] | None = None) -> pa.Table:
        """Return scalar features as an Arrow table.

        Parameters
        ----------
        features : iterable of str, optional
            Names of the columns, in this order; all scalar features if not given.

        Returns
        -------
        pyarrow.Table
            One row per event. The metadata of a field hold its ``label`` and
            ``unit``, those of the table ``path`` and, as JSON, ``metadata``.

        Raises
        ------
        FeatureNotFoundError, ShapeMismatchError, FormatError
            If a feature is missing, has not one number per event, or is damaged.
        ImportError
            If pyarrow is not installed.

        Examples
        --------
        >>> import dcread
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     table = hd.to_arrow(["area_um"])
        >>> table.schema.field("area_um").metadata[b"unit"].decode()
        'µm²'
        """
        self._handle.raise_if_closed()
        return frames.as_arrow(self, features)

    def describe(self) -> pd.DataFrame:
        """Return a summary of the scalar features.

        Returns
        -------
        pandas.DataFrame
            One row per scalar feature: ``label``, ``unit``, ``count`` (values that
            are not NaN), ``mean``, ``std`` (of a sample), ``min``, ``25%``, ``50%``,
            ``75%``, ``max``.

        Raises
        ------
        FormatError
            If a feature is damaged.
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> import dcread
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     summary = hd.describe()
        >>> summary.loc["area_um", "unit"]
        'µm²'
        """
        self._handle.raise_if_closed()
        return frames.summary(self)

    def plot_preview(self) -> Figure:
        """Return a figure of some events, with the outlines of their masks.

        Without images and masks it has plots of scalar features and the metadata. In
        place of what is damaged there is a message. ``dcread preview`` writes the same.

        Returns
        -------
        matplotlib.figure.Figure
            Not managed by pyplot: it is not shown by itself, and need not be closed.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> figure = hd.plot_preview()
        >>> figure.savefig("demo-output/preview.png")
        >>> len(figure.axes)
        24
        """
        self._handle.raise_if_closed()
        name = getattr(self.path, "name", None) or self._handle.label
        frames.needed("matplotlib")
        return display.preview(self, str(name))

    @property
    def features_scalar_frame(self) -> list[str]:
        """Scalar features that apply to all events in a frame.

        The members of `PROTECTED_FEATURES` that this measurement has, sorted;
        what a pipeline copies over to processed data as it is.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> "time" in hd.features_scalar_frame, "deform" in hd.features_scalar_frame
        (True, False)
        """
        return [feat for feat in self.keys() if feat in PROTECTED_FEATURES]

    def view(self, feat: str) -> Any:
        """Return a feature that is read when it is indexed.

        As ``hd[feat]``, but a scalar feature is not read as a whole either.

        Parameters
        ----------
        feat : str
            Name of the feature.

        Returns
        -------
        HDF5ImageCache, FeatureView, MappedHDF5Dataset, Traces or Contours
            Arrays have ``shape``, ``dtype`` and any NumPy index.

        Raises
        ------
        FeatureNotFoundError, ShapeMismatchError, FormatError, PolicyError
            As ``hd[feat]``.

        Examples
        --------
        >>> import dcread
        >>> with dcread.HDF5Data("demo-output/demo.rtdc") as hd:
        ...     area = hd.view("area_um")
        ...     area.shape == (len(hd),), area[:3].shape
        (True, (3,))
        """
        return self._features.view(feat)

    def get_image_cache(self, feat: str) -> HDF5ImageCache | None:
        """Return the image cache of a feature, from the file or its basins.

        Parameters
        ----------
        feat : str
            Name of a feature with one image per event.

        Returns
        -------
        HDF5ImageCache or None
            The same object at each call; None if there is no such feature.

        Raises
        ------
        ShapeMismatchError
            If the feature has no images.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.get_image_cache("image_bg").shape
        (3088, 80, 320)
        """
        return self._store.image_cache(feat)

    @property
    def image(self) -> HDF5ImageCache | None:
        """The images: shape (events, height, width), usually uint8.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image[0].shape, hd.image.dtype
        ((80, 320), dtype('uint8'))
        """
        return self._store.image_cache("image")

    @property
    def image_bg(self) -> HDF5ImageCache | None:
        """The background images, of the same shape and type as `image`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_bg[0].shape
        (80, 320)
        """
        return self._store.image_cache("image_bg")

    @property
    def image_corr(self) -> ImageCorrCache | None:
        """The images minus their background, int16 or wider.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_corr[0].dtype
        dtype('int16')
        """
        return self._features.image_corr()

    @property
    def mask(self) -> HDF5ImageCache | None:
        """The masks: bool, of the same shape as `image`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.mask[0].dtype
        dtype('bool')
        """
        return self._store.image_cache("mask")

    @property
    def image_num_chunks(self) -> int:
        """Number of image chunks, given `image_chunk_size`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_num_chunks
        4
        """
        return -(-len(self) // self.image_chunk_size)

    @property
    def image_chunk_size(self) -> int:
        """Images in a chunk of an image cache: a multiple of those in an HDF5 chunk.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_chunk_size
        1000
        """
        return self._store.image_chunk_size

    @image_chunk_size.setter
    def image_chunk_size(self, image_chunk_size: int) -> None:
        self._store.image_chunk_size = image_chunk_size

    @property
    def image_cache_size(self) -> int:
        """Chunks that an image cache holds at the most.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.image_cache_size
        2
        """
        return self._store.image_cache_size

    @image_cache_size.setter
    def image_cache_size(self, image_cache_size: int) -> None:
        self._store.image_cache_size = image_cache_size

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata: Python values by ``section:name``; may be changed.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.meta["imaging:pixel size"]
        0.34
        """
        return cast("dict[str, Any]", self._content.get("meta"))

    @meta.setter
    def meta(self, meta: dict[str, Any]) -> None:
        self._content.put("meta", meta)

    @property
    def meta_nest(self) -> dict[str, Any]:
        """The metadata as a dictionary of sections, as dclab has them.

        A key without a colon, or with several, is kept under its own full name.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.meta_nest["imaging"]["pixel size"]
        0.34
        """
        return nest(self.meta)

    @property
    def logs(self) -> dict[str, list[str]]:
        """The logs: lists of lines by name; empty ones are left out.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> list(hd.logs)
        ['dcread-demo', 'dcread-demo-recipe']
        """
        return cast("dict[str, list[str]]", self._content.get("logs"))

    @logs.setter
    def logs(self, logs: dict[str, list[str]]) -> None:
        self._content.put("logs", logs)

    @property
    def tables(self) -> dict[str, Table]:
        """The tables by name: 1-D columns by name, or an array without columns.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> list(hd.tables)
        []
        """
        return cast("dict[str, Table]", self._content.get("tables"))

    @tables.setter
    def tables(self, tables: dict[str, Table]) -> None:
        self._content.put("tables", tables)

    @property
    def basins(self) -> list[dict[str, Any]]:
        """The basin definitions in the order in which basins are asked.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> [(basin["name"], basin["type"]) for basin in hd.basins]
        [('background images', 'internal'), ('recording', 'file')]
        """
        return cast("list[dict[str, Any]]", self._content.get("basins"))

    @basins.setter
    def basins(self, basins: list[dict[str, Any]]) -> None:
        self._content.put("basins", basins)
        self._basins.forget()
        self._store.clear()

    @property
    def pixel_size(self) -> float:
        """The pixel size in µm, 0 if unknown; setting it keeps 8 decimals.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.pixel_size
        0.34
        """
        return cast("float", self.meta.get(PIXEL_SIZE, 0))

    @pixel_size.setter
    def pixel_size(self, pixel_size: float) -> None:
        self.meta[PIXEL_SIZE] = as_pixel_size(pixel_size)

    @property
    def problems(self) -> list[Problem]:
        """Parts of the file that could not be used, and why; [] if there are none.

        Asking for it looks at all parts of the file but the values of features;
        basins are reported as far as they were asked for something. After `close`
        it tells what was known.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.problems
        []
        """
        if not self.closed:
            self._referrer.events.look_at_all()  # what is wrong is noted
            for name in NAMES:
                self._contents.get(name)
        return list(self._problems)

    @staticmethod
    def extract_basin_dicts(h5: h5py.Group, check: bool = True) -> list[dict[str, Any]]:
        """Return the basin definitions of an open file, unsorted.

        Parameters
        ----------
        h5 : h5py.Group
            The open file.
        check : bool
            Leave out definitions that cannot be used.

        Returns
        -------
        list of dict

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> basins = hd.extract_basin_dicts(hd.h5)
        >>> sorted(basin["name"] for basin in basins)
        ['background images', 'recording']
        """
        return _extract_basin_dicts(h5, check=check)

    def get_basin_data(self, index: int) -> tuple[Any, list[str], Any]:
        """Return the features of one basin, without those of its own basins.

        Parameters
        ----------
        index : int
            Position in `basins`.

        Returns
        -------
        group : h5py.Group, mapping or None
            Datasets by name; None for a basin that is not available.
        features : list of str
            The names that it makes available.
        index_mapping : int, slice, list, ndarray or None
            Which of its rows belong to the events, the index mapping of this
            measurement included.

        Raises
        ------
        BasinIdentifierMismatchError
            If it belongs to another measurement.
        BasinError
            If its index map cannot be used, or no feature has rows for all events.
        IndexError
            If there is no basin of that number.
        ValueError
            If its type is unknown, or an internal basin lists no features.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> group, features, mapping = hd.get_basin_data(1)
        >>> features, group["image"].shape
        (['image'], (3000, 80, 320))
        """
        return data_of(self._open_basins.current, index)

    def basin_status(self) -> BasinStatusList:
        """Return a record for each basin: availability, location, reason, features.

        Local basins are opened for it, remote ones are not contacted.

        Returns
        -------
        list of BasinStatus

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> [(entry.name, entry.state) for entry in hd.basin_status()]
        [('background images', 'available'), ('recording', 'available')]
        """
        return status_of(self._open_basins.current)

    def local_files(self) -> list[pathlib.Path]:
        """Return the files of this machine that the features may come from.

        These are the files that have to be copied together. Local basins are opened
        for it, remote ones are not contacted.

        Returns
        -------
        list of pathlib.Path
            The file itself, files at the paths of its basins and of their basins,
            sources of a concatenated file, and what virtual datasets and links lead
            to, as far as they are there.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> [path.name for path in hd.local_files()]
        ['demo.rtdc', 'demo_raw.rtdc']
        """
        handle = self.handle
        of_basins = map(pathlib.Path, local_files(self._open_basins.current))
        found = {*other_files(handle), *of_basins}
        if handle.path is not None:
            found.add(handle.path)
        return sorted(filter(os.path.isfile, found))

    def explain(self, feat: str) -> Explanation:
        """Return where a feature comes from, how it is stored, what reading it costs.

        It is looked for as ``hd[feat]`` does: remote basins are contacted if nothing
        local has it. Its values are not read. The costs are those of stored data:
        images that an image cache holds cost nothing, nor do bytes in a disk cache.

        Parameters
        ----------
        feat : str
            Name of the feature; for one that cannot be had, the explanation says why.

        Returns
        -------
        Explanation
            ``print`` it, or use its attributes.

        Raises
        ------
        ClosedError
            After `close`.

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> print(hd.explain("image_bg"))  # doctest: +ELLIPSIS
        image_bg: basin 'background images' (internal, h5dataset)
            at         ...demo.rtdc: /basin_events/image_bg
            mapped by  basinmap0
            gives      (3088, 80, 320) uint8
            stored     ...
            one event  1 read, ...
            all        ...
            passed over
                recording: it does not list 'image_bg'
        >>> hd.explain("no such feature").available
        False
        """
        return self._features.explain(feat)

    def _get_basin_data_file(self, bn_dict: Mapping[str, Any]) -> tuple[Any, list[str]]:
        """Return group and features of a file basin, ``(None, [])`` if it is away."""
        return self._group_and_features({"type": "file", **bn_dict})

    def _get_basin_data_internal(
        self, bn_dict: Mapping[str, Any]
    ) -> tuple[Any, list[str]]:
        """Return group and features of an internal basin."""
        return self._group_and_features({"type": "internal", **bn_dict})

    def _group_and_features(self, bn_dict: Mapping[str, Any]) -> tuple[Any, list[str]]:
        basins = self._open_basins.make([{**bn_dict, "mapping": None}])
        return group_of(basins.entry(0))

    def get_ppid(self) -> str:
        """Return the pipeline identifier of this data.

        Returns
        -------
        str

        Examples
        --------
        >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
        >>> hd.get_ppid()
        'hdf:p=0.34^i=0'
        """
        return self.get_ppid_from_ppkw(
            {"pixel_size": self.pixel_size, "index_mapping": self.index_mapping}
        )

    @classmethod
    def get_ppid_code(cls) -> str:
        """Return the code of HDF5 data, ``"hdf"``.

        Returns
        -------
        str

        Examples
        --------
        >>> dcread.HDF5Data.get_ppid_code()
        'hdf'
        """
        return pipeline_id.CODE

    @classmethod
    def get_ppid_from_ppkw(cls, kwargs: Mapping[str, Any]) -> str:
        """Return the pipeline identifier for keyword arguments.

        Parameters
        ----------
        kwargs : mapping
            ``pixel_size`` in µm (8 decimals count) and, optionally,
            ``index_mapping``.

        Returns
        -------
        str

        Examples
        --------
        >>> dcread.HDF5Data.get_ppid_from_ppkw({"pixel_size": 0.34})
        'hdf:p=0.34^i=0'
        """
        part = cls.get_ppid_index_mapping(kwargs.get("index_mapping"))
        code = cls.get_ppid_code()
        return pipeline_id.from_keywords(code, kwargs["pixel_size"], part)

    @staticmethod
    def get_ppid_index_mapping(index_mapping: Any) -> str:
        """Return the pipeline identifier part for index mapping.

        Parameters
        ----------
        index_mapping : int, slice, sequence of int or bool, or None
            As the argument of `HDF5Data`.

        Returns
        -------
        str

        Examples
        --------
        >>> dcread.HDF5Data.get_ppid_index_mapping(slice(0, 10))
        '0-10-n'
        """
        return pipeline_id.index_mapping_part(index_mapping)

    @staticmethod
    def get_ppkw_from_ppid(dat_ppid: str) -> dict[str, Any]:
        """Return the keyword arguments that a pipeline identifier names.

        Parameters
        ----------
        dat_ppid : str
            As `get_ppid` returns it.

        Returns
        -------
        dict
            ``pixel_size`` and ``index_mapping``.

        Raises
        ------
        ValueError
            If it is not such an identifier or names a hashed index mapping.

        Examples
        --------
        >>> dcread.HDF5Data.get_ppkw_from_ppid("hdf:p=0.34^i=0")
        {'pixel_size': 0.34, 'index_mapping': None}
        """
        return pipeline_id.to_keywords(dat_ppid)

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
        policy = as_policy(state.get("policy"))
        handle = origin.open_target(
            self._target, policy, getattr(self, "_credentials", []), state
        )
        try:
            origin.check_origin(handle, state)
            self._set_up(handle, state, policy)
        except BaseException:
            handle.close()
            raise

    def _set_up(
        self, handle: FileHandle, state: Mapping[str, Any], policy: Policy
    ) -> None:
        self.path = origin.path_of(handle, self._target)
        self.index_mapping = state["index_mapping"]
        self._given_policy: Policy | None = state.get("policy")
        self._problems: list[Problem] = []
        self._once = LoadingCache()
        self._handle = handle
        origin.apply_policy(handle, policy)
        try:
            check_sources(handle, policy, self._problems)
        except UNREADABLE as exc:
            what = f"{handle.label}: the list of what it holds"
            raise_format_error(exc, what, handle)
            raise
        self._referrer = MeasurementFile(
            handle, self.index_mapping, policy, self._problems
        )
        self._contents = Contents(self._referrer, state, self._once)
        self._basins = MeasurementBasins(
            self._referrer,
            self._contents,
            self._once,
            getattr(self, "_credentials", []),
        )
        self._store = FeatureStore(
            self._referrer,
            self._basins,
            state["image_chunk_size"],
            state["image_cache_size"],
        )
        if self.index_mapping is not None:
            if self._referrer.raw_length is None:
                self._referrer.length_elsewhere = self._basins.length
            self._referrer.mapping_indices()
        self._given_md5: str | None = state.get("md5_5m")
        if self._given_md5 is not None:
            self._once.put("md5", self._given_md5)
        elif not handle.owned and origin.is_writable(handle):
            # The owner may change it while we read: take the sum of what it is now.
            self._once.put("md5", origin.checksum(handle, self._target))

    @property
    def _features(self) -> FeatureStore:
        self._handle.raise_if_closed()
        return self._store

    @property
    def _content(self) -> Contents:
        self._handle.raise_if_closed()
        return self._contents

    @property
    def _open_basins(self) -> MeasurementBasins:
        self._handle.raise_if_closed()
        return self._basins
