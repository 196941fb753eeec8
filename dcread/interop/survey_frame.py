"""Surveys as data frames of pandas."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..survey import examine_all, find_inputs
from ..survey.examine import QUESTIONS
from ..survey.rows import row

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

    from ..measurement.data import HDF5Data
    from ..survey import Record

_OPTIONS = {
    "info": {"basins"},
    "basins": set[str](),
    "flicker": {"basins", "max_frames", "threshold"},
    "verify": {"basins"},
}


def survey(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    what: str | Callable[[HDF5Data], Mapping[str, Any]] = "info",
    client: Client | None = None,
    *,
    jobs: int = 1,
    timeout: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> pd.DataFrame:
    """Examine many measurements and return the results as a data frame.

    Parameters
    ----------
    paths : str, path-like, or iterable of them
        Files, folders (all ``.rtdc`` files in them and below), patterns and URLs.
    what : str or callable
        ``"info"``, ``"basins"``, ``"flicker"``, ``"verify"`` (as the sub-commands of
        ``dcread``), or a function that takes an open `HDF5Data` and returns a mapping,
        whose keys become columns. For other processes the function must be picklable.
    client : distributed.Client, optional
        A dask cluster to work on.
    jobs : int
        Processes that read side by side where there is no `client`; 1 reads in this
        process.
    timeout : float, optional
        Seconds without anything read after which a measurement is given up; 300 by
        default with `client` or `jobs`, else never.
    progress : callable, optional
        Called with the number of measurements that are done, and of all.
    **options
        Of the question: ``max_frames`` (0 for all) and ``threshold`` of ``"flicker"``,
        ``basins=False`` of all to leave basins out; those of your function.

    Returns
    -------
    frame : pandas.DataFrame
        One row for each measurement, in the order of `paths`. The first columns are
        ``path``, ``state`` (``"ok"``, ``"2 problems"``, ``"unreadable"``, ...),
        ``error`` (None if there is none), ``size`` in bytes and ``modified`` in seconds
        since 1970. For lists there is the number of items; metadata have one column per
        key.

    Raises
    ------
    ValueError, TypeError
        If there is no such question, or it has no such option.

    Notes
    -----
    A measurement that cannot be read, hangs or ends the process that reads it has an
    ``error``; the others are examined all the same.

    Examples
    --------
    >>> from dcread.interop import survey
    >>> frame = survey("demo-output", "info")
    >>> frame[["state", "events"]].values.tolist()[1]
    ['ok', 3000]
    >>> def deformed(hd, above):
    ...     return {"deformed": int((hd["deform"] > above).sum())}
    >>> bool(survey("demo-output/demo.rtdc", deformed, above=0).deformed[0] > 50)
    True
    """
    import pandas as pd

    if not callable(what):
        if what not in QUESTIONS:
            raise ValueError(
                f"what must be a function or one of {', '.join(QUESTIONS)}, "
                f"got {what!r}"
            )
        unknown = sorted(set(options) - _OPTIONS[what])
        if unknown:
            raise TypeError(f"'{what}' has no option '{unknown[0]}'")
    if isinstance(paths, (str, os.PathLike)):
        paths = [paths]
    inputs = find_inputs(paths)
    records: dict[int, Record] = {}
    for index, record in examine_all(
        inputs, what, options, jobs=jobs, client=client, patience=timeout
    ):
        records[index] = record
        if progress is not None:
            progress(len(records), len(inputs))
    rows = [row(records[index]) for index in sorted(records)]
    return pd.DataFrame(rows, columns=None if rows else ["path", "state", "error"])
