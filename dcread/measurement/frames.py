"""Scalar features as tables: pandas, Arrow, and a summary."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ..errors import FeatureNotFoundError, ShapeMismatchError
from ..problems import escaped
from ..sync.whole_import import import_whole
from .feature_info import FeatureInfo, feature_info

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from numpy.typing import NDArray

QUANTILES = (0.25, 0.5, 0.75)


class Measured(Protocol):
    """A measurement with scalar features; `dcread.HDF5Data` is one."""

    path: Any

    def __len__(self) -> int:
        """Return the number of events."""

    @property
    def features_scalar(self) -> list[str]:
        """Names of the scalar features."""

    @property
    def meta(self) -> dict[str, Any]:
        """The metadata."""

    def __getitem__(self, feat: str) -> Any:
        """Return a feature."""


def info_of(name: str) -> FeatureInfo:
    """Return what is known of a feature; an unknown one is its own label."""
    try:
        return feature_info(name)
    except FeatureNotFoundError:
        return FeatureInfo(name, name, "", "scalar")


def columns(data: Measured, features: Iterable[str] | None) -> dict[str, NDArray[Any]]:
    """Return scalar features as native arrays by name."""
    if isinstance(features, str):
        raise TypeError(
            f"`features` must be several names, got the text '{features}'; "
            f"write ['{features}']"
        )
    found = {}
    for name in data.features_scalar if features is None else features:
        values = data[name]
        if not isinstance(values, np.ndarray) or values.ndim != 1:
            raise ShapeMismatchError(
                f"{data.path}: feature '{name}' cannot be a column: expected one "
                f"number per event, found {type(values).__name__}"
            )
        native = values.dtype.newbyteorder("=")
        found[name] = np.asarray(values).astype(native, copy=False)
    return found


def as_dataframe(data: Measured, features: Iterable[str] | None) -> pd.DataFrame:
    """See ``HDF5Data.to_dataframe``."""
    pandas = needed("pandas")
    table = columns(data, features)
    index = pandas.RangeIndex(len(data), name="event")
    frame: pd.DataFrame = pandas.DataFrame(dict(enumerate(table.values())), index=index)
    frame.columns = pandas.Index([escaped(name) for name in table])
    frame.attrs["path"] = str(data.path)
    frame.attrs["units"] = {escaped(name): info_of(name).unit for name in table}
    return frame


def as_arrow(data: Measured, features: Iterable[str] | None) -> pa.Table:
    """See ``HDF5Data.to_arrow``."""
    arrow = needed("pyarrow")
    table = columns(data, features)
    arrays = [arrow.array(values) for values in table.values()]
    fields = [
        arrow.field(
            escaped(name),
            array.type,
            metadata={
                "label": escaped(info_of(name).label),
                "unit": info_of(name).unit,
            },
        )
        for name, array in zip(table, arrays, strict=True)
    ]
    about = {"path": str(data.path), "metadata": json.dumps(data.meta, default=str)}
    made: pa.Table = arrow.table(arrays, schema=arrow.schema(fields, metadata=about))
    return made


def summary(data: Measured) -> pd.DataFrame:
    """See ``HDF5Data.describe``."""
    pandas = needed("pandas")
    rows = {}
    for name, values in columns(data, None).items():
        info = info_of(name)
        rows[escaped(name)] = [escaped(info.label), info.unit, *_numbers(values)]
    names = ["label", "unit", "count", "mean", "std", "min"]
    names += [f"{quantile:.0%}" for quantile in QUANTILES]
    frame: pd.DataFrame = pandas.DataFrame.from_dict(
        rows, orient="index", columns=[*names, "max"]
    )
    return frame.rename_axis("feature")


def _numbers(values: NDArray[Any]) -> Sequence[float]:
    """Return count, mean, deviation, least, quantiles and most of what is no NaN."""
    known = values[~np.isnan(values)] if values.dtype.kind == "f" else values
    count = len(known)
    if not count:
        return [0, *[np.nan] * (4 + len(QUANTILES))]
    exact = known.astype(np.float64, copy=False)
    deviation = exact.std(ddof=1) if count > 1 else np.nan
    ranks = np.quantile(exact, QUANTILES)
    return [count, exact.mean(), deviation, exact.min(), *ranks, exact.max()]


def needed(package: str) -> Any:
    """Return a package that is optional, or tell how to get it."""
    try:
        return import_whole(package)
    except ImportError as exc:
        raise ImportError(
            f"{package} is not installed; install it with `pip install {package}`"
        ) from exc
