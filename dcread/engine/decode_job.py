"""What one read needs: chunks to decode, and what may be done meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .layout import Layout
from .read_plan import Plan
from .rows import Window
from .source import ByteSource

Errand: TypeAlias = Callable[[], None]
"""Something short to do for the next read while other threads decode."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A plan, where its bytes come from and where its rows go.

    Attributes
    ----------
    plan, layout, source
        What to decode.
    out : ndarray of uint8
        The output's bytes.
    where : str
        What error messages call the dataset.
    """

    plan: Plan
    layout: Layout
    source: ByteSource
    out: NDArray[np.uint8]
    where: str


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """What one read needs, collected from one dataset or from many.

    Attributes
    ----------
    out : ndarray
        The whole output.
    window : tuple of slice or None
        Part of each row.
    jobs : list of Job
        What is to be decoded.
    stack : contextlib.ExitStack
        Keeps the files open that the jobs need.
    ahead : list of callable
        What may be done besides, if several threads decode.
    """

    out: NDArray[Any]
    window: Window
    jobs: list[Job]
    stack: contextlib.ExitStack
    ahead: list[Errand] = field(default_factory=list)
