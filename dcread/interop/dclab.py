"""A dclab dataset whose features come from dcread.

Import this module only where dclab is installed; importing it changes nothing in dclab.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

from dclab import definitions
from dclab.rtdc_dataset import fmt_hdf5, load
from dclab.rtdc_dataset.core import RTDCBase
from dclab.rtdc_dataset.fmt_hdf5 import feat_defect
from dclab.util import hashobj

from ..measurement.data import HDF5Data

_lock = threading.Lock()


class RTDC_DCREAD(RTDCBase):  # type: ignore[misc]  # noqa: N801  (dclab's style)
    """A dclab dataset that reads features, images and basins by dcread.

    Parameters
    ----------
    path : path, URL or binary file object
        What `dcread.HDF5Data` opens.
    identifier : str, optional
        dclab's name for the dataset; random if not given.
    enable_basins : bool
        Whether features of basins are served.
    options : dict, optional
        Further arguments of `dcread.HDF5Data`, such as ``policy``.

    Notes
    -----
    What differs from a dataset that dclab opens itself: scalar features are read-only
    arrays, so that ``ds["deform"].mean()`` of data with NaN is NaN (dclab leaves NaN
    out); images are `dcread.HDF5ImageCache` objects; a feature of basins is that of the
    first basin in the order of dcread; ``basins`` is empty, since dcread follows
    them itself (`basin_status` of ``ds.measurement`` tells about them).

    Examples
    --------
    >>> from dcread.interop.dclab import RTDC_DCREAD
    >>> with RTDC_DCREAD("demo-output/demo.rtdc") as ds:
    ...     "deform" in ds, ds["image"].shape[1:]
    (True, (80, 320))
    """

    def __init__(
        self,
        path: Any,
        identifier: str | None = None,
        enable_basins: bool = True,
        options: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(identifier=identifier, enable_basins=enable_basins)
        self.measurement = HDF5Data(path, **(options or {}))
        self.path = self.measurement.path
        self._local_basins_allowed = True
        self._hash: str | None = None
        self._basins_features: list[str] | None = None
        self._events = _Events(self.measurement)
        self.config = fmt_hdf5.RTDC_HDF5.parse_config(self.measurement.h5)
        self.logs = self.measurement.logs
        self.tables = fmt_hdf5.tables.H5Tables(self.measurement.h5)
        sample = self.config["experiment"].get("sample", "undefined sample")
        self.title = f"{sample} - M{self.config['experiment'].get('run index', '0')}"

    @property
    def h5file(self) -> Any:
        """The open h5py file."""
        return self.measurement.h5

    @property
    def hash(self) -> str:
        """Dclab's hash of file name and content."""
        if self._hash is None:
            named = isinstance(self.path, pathlib.Path)
            if named and self.path.exists():
                genuine = SimpleNamespace(path=self.path, _hash=None)
                self._hash = str(fmt_hdf5.RTDC_HDF5.hash.fget(genuine))
            else:
                self._hash = str(hashobj([str(self.path), self.measurement.md5_5m]))
        return self._hash

    @property
    def features_basin(self) -> list[str]:
        """Names of the features that basins have, and the file itself has not."""
        if self._basins_features is None:
            own = set(self._events)
            self._basins_features = [
                name
                for name in (self.measurement.keys() if self._enable_basins else [])
                if name not in own
                and definitions.feature_exists(name)
                and not self._events.stored(name)
            ]
        return list(self._basins_features)

    @property
    def features_local(self) -> list[str]:
        """Names of the features that are quick to get."""
        return sorted({*super().features_local, *self._events})

    def basins_get_dicts(self) -> list[dict[str, Any]]:
        """Return the definitions of the basins."""
        return list(self.measurement.basins) if self._enable_basins else []

    def basins_retrieve(self) -> list[Any]:
        """Return no basin: dcread follows them itself."""
        return []

    def _get_basin_feature_data(self, feat: str, basin_type: str | None = None) -> Any:
        if basin_type is None and feat in self.features_basin:
            return self._events.feature(feat)
        return None

    def close(self) -> None:
        """Close the measurement."""
        super().close()
        self.measurement.close()


class _Events:
    """The features that the file itself has, as dclab asks for them."""

    def __init__(self, measurement: HDF5Data) -> None:
        self._measurement = measurement
        self._stored = set(measurement.h5.get("events", ()))
        self._names: list[str] | None = None

    def stored(self, name: str) -> bool:
        """Tell whether the file has an object of that name, usable or not."""
        return name in self._stored

    def keys(self) -> list[str]:
        """Return the names that dclab knows, without what it calls defective."""
        if self._names is None:
            names = self._stored.intersection(self._measurement.keys())
            self._names = sorted(name for name in names if self._is_usable(name))
        return self._names

    def _is_usable(self, name: str) -> bool:
        if not definitions.feature_exists(name):
            return False
        if name == "trace" and not len(self._measurement["trace"]):
            return False
        check = feat_defect.DEFECTIVE_FEATURES.get(name)
        return check is None or not check(self._measurement.h5)

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    def __contains__(self, name: object) -> bool:
        return name in self.keys()

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return self.feature(name)

    def feature(self, name: str) -> Any:
        """Return a feature of the file or of a basin."""
        found = self._measurement[name]
        return _Traces(found) if name == "trace" else found


class _Traces:
    """Traces by name, with the shape that dclab's have: (traces, events, samples)."""

    def __init__(self, traces: Any) -> None:
        self._traces = traces

    def __getitem__(self, name: str) -> Any:
        return self._traces[name]

    def __contains__(self, name: object) -> bool:
        return name in self._traces

    def __iter__(self) -> Iterator[str]:
        return iter(self._traces)

    def __len__(self) -> int:
        return len(self._traces)

    def keys(self) -> Any:
        """Return the names of the traces."""
        return self._traces.keys()

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of traces, of events and of samples."""
        first = next(iter(self._traces))
        return (len(self), *self._traces[first].shape)


@contextlib.contextmanager
def dclab_reads_by_dcread(**options: Any) -> Iterator[None]:
    """Let ``dclab.new_dataset`` open measurements by dcread, for a ``with`` block.

    Paths of ``.rtdc`` files and URLs give `RTDC_DCREAD`; anything else what it gave
    before. It holds for all threads of the process.

    Parameters
    ----------
    **options
        Further arguments of `dcread.HDF5Data`, such as ``policy``.

    Examples
    --------
    >>> import dclab
    >>> from dcread.interop.dclab import dclab_reads_by_dcread
    >>> with dclab_reads_by_dcread():
    ...     with dclab.new_dataset("demo-output/demo.rtdc") as ds:
    ...         type(ds).__name__
    'RTDC_DCREAD'
    """
    genuine_file, genuine_http = load.load_file, load.fmt_http

    def load_file(path: Any, identifier: str | None = None, **kwargs: Any) -> Any:
        if os.fspath(path).endswith(".rtdc") and not set(kwargs) - {"enable_basins"}:
            found = pathlib.Path(path).resolve()
            return RTDC_DCREAD(found, identifier, options=options, **kwargs)
        return genuine_file(path, identifier=identifier, **kwargs)

    http = SimpleNamespace(
        is_http_url=genuine_http.is_http_url,
        is_url_available=lambda *_, **__: True,
        RTDC_HTTP=lambda url, identifier=None: RTDC_DCREAD(
            url, identifier, options=options
        ),
    )
    with _lock:
        load.load_file, load.fmt_http = load_file, http
    try:
        yield
    finally:
        with _lock:
            load.load_file, load.fmt_http = genuine_file, genuine_http
