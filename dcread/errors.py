"""All errors that dcread raises for data that it cannot read.

The family::

    DCReadError
    |-- FileMissingError              (FileNotFoundError)
    |-- NotAFileError                 (OSError)
    |-- FileObjectError               (OSError)
    |-- FormatError                   (OSError, ValueError)
    |   |-- ChecksumError
    |-- ShapeMismatchError            (ValueError)
    |-- FileChangedError              (OSError)
    |-- RemoteError                   (OSError)
    |-- ClosedError                   (ValueError)
    |-- FeatureNotFoundError          (KeyError)
    |-- BasinError
        |-- BasinNotAvailableError    (OSError)
        |-- BasinIdentifierMismatchError (ValueError)
        |-- PolicyError               (PermissionError)

A wrong argument (an index out of range, a float as an index, a negative size)
raises the builtin that NumPy would raise; the family is about *data*.
"""

from __future__ import annotations

__all__ = [
    "BasinError",
    "BasinIdentifierMismatchError",
    "BasinNotAvailableError",
    "ChecksumError",
    "ClosedError",
    "DCReadError",
    "FeatureNotFoundError",
    "FileChangedError",
    "FileMissingError",
    "FileObjectError",
    "FormatError",
    "NotAFileError",
    "PolicyError",
    "RemoteError",
    "ShapeMismatchError",
]


class DCReadError(Exception):
    """Root of all errors about data that dcread reads.

    Examples
    --------
    >>> try:
    ...     dcread.HDF5Data("no-such.rtdc")
    ... except dcread.DCReadError as error:
    ...     print(type(error).__name__)
    FileMissingError
    """


class FileMissingError(DCReadError, FileNotFoundError):
    """There is no file at the path that was given."""


class NotAFileError(DCReadError, OSError):
    """The path leads to a directory, a FIFO, a device or a socket."""


class FileObjectError(DCReadError, OSError):
    """A file object of the caller cannot be read or does not behave like a file."""


class FormatError(DCReadError, OSError, ValueError):
    """The bytes of a file are not what the format demands."""


class ChecksumError(FormatError):
    """Stored bytes do not match their checksum."""


class ShapeMismatchError(DCReadError, ValueError):
    """Two things that must have the same shape or length do not."""


class FileChangedError(DCReadError, OSError):
    """A file is not the one that was opened, pickled or concatenated."""


class RemoteError(DCReadError, OSError):
    """A server cannot be reached, refuses access, or gives an unexpected answer."""


class ClosedError(DCReadError, ValueError):
    """A measurement was used after it was closed."""


class FeatureNotFoundError(DCReadError, KeyError):
    """A feature is neither stored in the file nor in one of its basins."""

    def __str__(self) -> str:
        """Return the message itself (a KeyError would quote it)."""
        return str(self.args[0]) if self.args else ""


class BasinError(DCReadError):
    """A basin cannot be used as it is defined."""


class BasinNotAvailableError(BasinError, OSError):
    """No location of a basin could be opened."""


class BasinIdentifierMismatchError(BasinError, ValueError):
    """A basin's measurement identifier is not the one that was expected."""


class PolicyError(BasinError, PermissionError):
    """A file refers to something that the caller's policy does not allow."""
