"""One bad part never makes the rest unreadable: note it and go on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from .errors import ClosedError, DCReadError, FileChangedError
from .problems import Problem

UNREADABLE = (
    DCReadError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What reading a damaged part of a file raises, h5py's own errors included."""


@contextlib.contextmanager
def noting(problems: list[Problem], kind: str, name: str) -> Iterator[None]:
    """Turn an error about one part of a file into an entry of `problems`.

    A file that was closed or changed concerns all parts: those errors pass.
    """
    try:
        yield
    except (ClosedError, FileChangedError):
        raise
    except UNREADABLE as exc:
        # (a KeyError would put its message in quotes)
        plain = exc.args[0] if type(exc) is KeyError and exc.args else exc
        text = " ".join(str(plain).split()) or type(exc).__name__
        problems.append(
            Problem(kind, name, f"it cannot be read and is left out: {text}")
        )
