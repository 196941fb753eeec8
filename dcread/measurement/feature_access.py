"""Dictionary-like and attribute-like ways to the features of `HDF5Data`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..const import PROTECTED_FEATURES
from ..errors import FeatureNotFoundError

if TYPE_CHECKING:
    from ..file.measurement_file import Referrer
    from ..images.image_cache import HDF5ImageCache, ImageCorrCache
    from ..sync.loading_cache import LoadingCache
    from .features import FeatureStore


class FeatureAccess:
    """The feature part of `HDF5Data`: names, look-up, image caches."""

    image_cache_size: int
    image_chunk_size: int
    _referrer: Referrer
    _once: LoadingCache

    if TYPE_CHECKING:

        @property
        def _features(self) -> FeatureStore: ...
        def _basin_length(self) -> int: ...
        def _raise_if_closed(self) -> None: ...

    def __len__(self) -> int:
        """Return the number of events, after index mapping."""
        self._raise_if_closed()
        return self._once.get("len", self._count)

    def _count(self) -> int:
        indices = self._referrer.mapping_indices()
        return self.raw_length if indices is None else len(indices)

    @property
    def raw_length(self) -> int:
        """Number of events before index mapping.

        What most features have; where the file stores none itself, what its
        attribute "experiment:event count" says, else what its basins have.
        """
        self._raise_if_closed()
        length = self._referrer.raw_length
        return self._once.get("raw", self._basin_length) if length is None else length

    def mapping_indices(self) -> NDArray[np.integer[Any]] | None:
        """Return the rows that `index_mapping` takes; None for all."""
        self._raise_if_closed()
        return self._referrer.mapping_indices()

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
            For other features with several values an event: read when indexed.
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
        """Return the sorted names of the features, those of basins included."""
        return list(self._features.names())

    def get(self, feat: str, default: Any = None) -> Any:
        """Return a feature, or `default` if there is none of that name."""
        try:
            return self[feat]
        except FeatureNotFoundError:
            return default

    def values(self) -> Iterator[Any]:
        """Iterate over the features; each is read when its turn comes."""
        return (self[feat] for feat in self.keys())

    def items(self) -> Iterator[tuple[str, Any]]:
        """Iterate over names and features; each is read when its turn comes."""
        return ((feat, self[feat]) for feat in self.keys())

    @property
    def features_scalar_frame(self) -> list[str]:
        """Scalar features that apply to all events in a frame.

        The members of `PROTECTED_FEATURES` that this measurement has, sorted;
        what a pipeline copies over to processed data as it is.
        """
        return [feat for feat in self.keys() if feat in PROTECTED_FEATURES]

    def get_image_cache(self, feat: str) -> HDF5ImageCache | None:
        """Return the image cache of a feature, from the file or its basins.

        Parameters
        ----------
        feat : str
            Name of a feature with one image an event.

        Returns
        -------
        HDF5ImageCache or None
            The same object at each call; None if there is no such feature.

        Raises
        ------
        ShapeMismatchError
            If the feature has no images.
        """
        return self._features.image_cache(feat)

    @property
    def image(self) -> HDF5ImageCache | None:
        """The images: shape (events, height, width), usually uint8."""
        return self.get_image_cache("image")

    @property
    def image_bg(self) -> HDF5ImageCache | None:
        """The background images, of the same shape and type as `image`."""
        return self.get_image_cache("image_bg")

    @property
    def image_corr(self) -> ImageCorrCache | None:
        """The images minus their background, int16 or wider."""
        return self._features.image_corr()

    @property
    def mask(self) -> HDF5ImageCache | None:
        """The masks: bool, of the same shape as `image`."""
        return self.get_image_cache("mask")

    @property
    def image_num_chunks(self) -> int:
        """Number of image chunks, given `image_chunk_size`."""
        return -(-len(self) // self.image_chunk_size)

    def image_sizes(self) -> tuple[int, int]:
        """Return ``(image_chunk_size, image_cache_size)``."""
        return self.image_chunk_size, self.image_cache_size
