"""Does the light flicker? Medians of a strip of background at the image's top."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .brightness import roi_median_series
from .drift import slow_drift

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    from ..arrays.mapped_dataset import MappedHDF5Dataset
    from ..images.base_cache import BaseImageChunkCache
    from ..measurement.data import HDF5Data

    ImageStack: TypeAlias = (
        NDArray[Any]
        | h5py.Dataset
        | HDF5Data
        | BaseImageChunkCache
        | MappedHDF5Dataset
        | Sequence[NDArray[Any]]
    )

__all__ = ["FlickerReport", "detect_flickering", "flicker_report"]

DRIFT_WINDOW = 101
"""Images in the window of the running median; odd, so that it has a middle."""


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class FlickerReport:
    """The numbers behind a flicker check; brightness in grey values.

    Attributes
    ----------
    medians : ndarray of float64, shape (N,)
        Median of the first `roi_height` rows of each image.
    offsets : ndarray of float64, shape (N,)
        `medians` minus the median of `medians`.
    flickering_frames : ndarray of int64
        Images whose offset reaches the threshold, by number in ascending order.
    flickering : bool
        The documented decision: at least `count_threshold` such images. It is
        what `detect_flickering` returns. A drift counts as flickering here.
    drift : ndarray of float64, shape (N,)
        Slow change of brightness: the running median of `offsets` over
        `drift_window` images (fewer at both ends, moved along the slope there).
    offsets_without_drift : ndarray of float64, shape (N,)
        `offsets` minus `drift`.
    flickering_frames_without_drift : ndarray of int64
        Images whose offset from the drift reaches the threshold.
    flickering_without_drift : bool
        Whether the light flickers apart from any slow drift.
    drift_range : float
        Largest minus smallest value of `drift`.
    drifting : bool
        Whether `drift_range` reaches the brightness threshold.
    roi_height : int
        Rows that were used (no more than the image has).
    brightness_threshold, count_threshold, drift_window
        As used; the brightness threshold without its sign.

    Notes
    -----
    A running median follows slow changes and lasting steps, and ignores
    deviations that last less than half of its window [1]_. At the ends of the
    series, where the window is cut off, it would lag behind a steep trend: there
    it follows the repeated median of the slopes [2]_. Flicker that lasts longer
    than half of the window, and everything in series of fewer images than that,
    cannot be told from a drift by this method.

    References
    ----------
    .. [1] J. W. Tukey, *Exploratory Data Analysis*, Addison-Wesley, 1977.
    .. [2] A. F. Siegel, "Robust regression using repeated medians", Biometrika 69,
       242-244, 1982.

    Examples
    --------
    >>> hd = dcread.HDF5Data("demo-output/demo.rtdc")
    >>> report = dcread.flicker_report(hd.image)
    >>> report.flickering, report.frames == len(report.medians)
    (True, True)
    """

    medians: NDArray[np.float64]
    offsets: NDArray[np.float64]
    flickering_frames: NDArray[np.int64]
    flickering: bool
    drift: NDArray[np.float64]
    offsets_without_drift: NDArray[np.float64]
    flickering_frames_without_drift: NDArray[np.int64]
    flickering_without_drift: bool
    drift_range: float
    drifting: bool
    roi_height: int
    brightness_threshold: float
    count_threshold: int
    drift_window: int

    @property
    def frames(self) -> int:
        """Number of images that were looked at.

        Examples
        --------
        >>> dcread.flicker_report(np.zeros((9, 80, 320), np.uint8)).frames
        9
        """
        return len(self.medians)

    @property
    def count(self) -> int:
        """Number of flickering images, a drift included.

        Examples
        --------
        >>> report = dcread.flicker_report(np.zeros((9, 80, 320), np.uint8))
        >>> report.count
        0
        """
        return len(self.flickering_frames)

    @property
    def count_without_drift(self) -> int:
        """Number of flickering images apart from a drift.

        Examples
        --------
        >>> report = dcread.flicker_report(np.zeros((9, 80, 320), np.uint8))
        >>> report.count_without_drift
        0
        """
        return len(self.flickering_frames_without_drift)

    def __repr__(self) -> str:
        light = "flickering" if self.flickering else "not flickering"
        drift = "drifting" if self.drifting else "not drifting"
        return (
            f"<FlickerReport of {_plural(self.frames, 'image')}: {light} "
            f"({_plural(self.count, 'image')}), {drift} "
            f"({self.drift_range:.2f} grey values)>"
        )

    def __str__(self) -> str:
        if not self.frames:
            return "Flicker check: no images, so no flickering."
        level = f"{self.brightness_threshold:g} grey values"
        verdict = "flickering" if self.flickering else "not flickering"
        slow = f"{self.drift_range:.2f} grey values"
        lines = [
            f"Flicker check of {_plural(self.frames, 'image')} "
            f"(first {_plural(self.roi_height, 'row')} of each): {verdict}.",
            f"  {_plural(self.count, 'image')} at least {level} brighter or darker "
            f"than the median (flickering: {self.count_threshold} or more).",
            f"  Slow drift: {slow}, {'which reaches' if self.drifting else 'below'} "
            f"the threshold (running median of {self.drift_window} images).",
            f"  Apart from the drift: {_plural(self.count_without_drift, 'image')} "
            f"off by {level} or more.",
        ]
        if self.flickering and not self.flickering_without_drift:
            lines.append(
                "  The light drifts but is steady from image to image: a background "
                "that follows time corrects it."
            )
        elif self.flickering:
            lines.append(
                "  Compute the background with 'sparsemed' and offset correction."
            )
        return "\n".join(lines)


def detect_flickering(
    image_data: ImageStack,
    roi_height: int = 10,
    brightness_threshold: float = 2.5,
    count_threshold: int = 5,
    max_frames: int | None = 1000,
) -> bool:
    """Determine whether an image series experiences flickering.

    Random noise in the power of the light source makes images brighter or darker
    at random. If flickering is detected, compute the background with "sparsemed"
    and ``offset_correction=True``.

    Parameters
    ----------
    image_data : array-like of shape (N, H, W), HDF5Data, or sequence of images
        Grey values; of an `HDF5Data` the feature "image" is used.
    roi_height : int
        Rows at the top of each image that are looked at, over the whole width;
        all rows if the image has fewer.
    brightness_threshold : float
        Offset in grey values between an image's median and the median of all
        medians from which the image counts as flickering; its sign is ignored.
    count_threshold : int
        Number of flickering images from which the series is flickering.
    max_frames : int or None
        How many images to look at, counted as in ``image_data[:max_frames]``.

    Returns
    -------
    bool
        False if there are no images.

    Raises
    ------
    ValueError
        If `roi_height` is below 1 or `image_data` is not a stack of images.
    FeatureNotFoundError
        If an `HDF5Data` has no images.

    See Also
    --------
    flicker_report : The numbers, with slow drift apart from flicker.

    Examples
    --------
    >>> import numpy as np
    >>> steady = np.full((100, 80, 320), 180, dtype=np.uint8)
    >>> detect_flickering(steady)
    False
    >>> steady[::10] += 4
    >>> detect_flickering(steady)
    True
    """
    medians, _ = roi_median_series(image_data, roi_height, max_frames)
    if not len(medians):
        return False
    offsets = medians - np.median(medians)
    count = int(np.sum(np.abs(offsets) >= abs(brightness_threshold)))
    return bool(count >= count_threshold)


def flicker_report(
    image_data: ImageStack,
    roi_height: int = 10,
    brightness_threshold: float = 2.5,
    count_threshold: int = 5,
    max_frames: int | None = 1000,
    *,
    drift_window: int = DRIFT_WINDOW,
) -> FlickerReport:
    """Return the numbers behind `detect_flickering`, slow drift apart from flicker.

    Parameters
    ----------
    image_data, roi_height, brightness_threshold, count_threshold, max_frames
        As for `detect_flickering`.
    drift_window : int
        Images in the window of the running median, odd; a change that lasts
        longer than half of it is drift.

    Returns
    -------
    FlickerReport

    Raises
    ------
    ValueError
        As `detect_flickering`, and if `drift_window` is not odd and positive.

    Examples
    --------
    >>> import numpy as np
    >>> fading = np.full((1000, 10, 16), 180, dtype=np.uint8)
    >>> fading -= (np.arange(1000) // 100).astype(np.uint8)[:, None, None]
    >>> report = flicker_report(fading)
    >>> report.flickering, report.flickering_without_drift, report.drifting
    (True, False, True)
    """
    drift_window = operator.index(drift_window)
    if drift_window < 1 or drift_window % 2 == 0:
        raise ValueError(
            f"drift_window must be an odd number of images, got {drift_window}"
        )
    medians, roi_height = roi_median_series(image_data, roi_height, max_frames)
    threshold = abs(brightness_threshold)
    offsets = medians - np.median(medians) if len(medians) else medians.copy()
    drift = slow_drift(offsets, drift_window)
    rest = offsets - drift
    fast = np.flatnonzero(np.abs(rest) >= threshold)
    events = np.flatnonzero(np.abs(offsets) >= threshold)
    finite = drift[np.isfinite(drift)]
    span = float(np.ptp(finite)) if len(finite) else 0.0
    for array in (medians, offsets, drift, rest, fast, events):
        array.flags.writeable = False
    return FlickerReport(
        medians=medians,
        offsets=offsets,
        flickering_frames=events,
        flickering=bool(len(medians)) and bool(len(events) >= count_threshold),
        drift=drift,
        offsets_without_drift=rest,
        flickering_frames_without_drift=fast,
        flickering_without_drift=bool(len(medians))
        and bool(len(fast) >= count_threshold),
        drift_range=span,
        drifting=bool(len(medians)) and bool(span >= threshold),
        roi_height=roi_height,
        brightness_threshold=float(threshold),
        count_threshold=count_threshold,
        drift_window=drift_window,
    )


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
