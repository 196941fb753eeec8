"""Bytes become arrays here, and only here.

`open_file` opens a measurement, `reader_for` turns any dataset-like object
into a reader of rows, `set_num_threads` bounds the decoding threads.
"""

from __future__ import annotations

from .array_reader import ArrayReader
from .files import open_file
from .handle import FileHandle
from .lock import h5_lock
from .pool import get_num_threads, set_num_threads
from .reader import DatasetReader
from .readers import Reader, reader_for
from .siblings import MAX_OPEN, Opened
from .source import FileIdentity

__all__ = [
    "MAX_OPEN",
    "ArrayReader",
    "DatasetReader",
    "FileHandle",
    "FileIdentity",
    "Opened",
    "Reader",
    "get_num_threads",
    "h5_lock",
    "open_file",
    "reader_for",
    "set_num_threads",
]
