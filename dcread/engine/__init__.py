"""Bytes become arrays here, and only here.

`open_file` opens a measurement, `reader_for` turns any dataset-like object
into a reader of rows, `set_num_threads` bounds the decoding threads.
"""

from __future__ import annotations

from ..sync.locks import h5_lock
from . import at_exit  # noqa: F401  (closes what is open when Python ends)
from .backing import Backing
from .dataset_reader import EXPANSION, DatasetReader, most_bytes
from .datasets import open_dataset, reader_for
from .file_handle import FileHandle
from .linked_files import MAX_OPEN, Opened
from .open_file import open_file
from .row_reader import READ_FEWER, ArrayReader, RowReader
from .rows import Rows, Window
from .source import FileIdentity
from .storage import ReadCost, Storage
from .thread_pool import get_num_threads, set_num_threads

__all__ = [
    "EXPANSION",
    "MAX_OPEN",
    "READ_FEWER",
    "ArrayReader",
    "Backing",
    "DatasetReader",
    "FileHandle",
    "FileIdentity",
    "Opened",
    "ReadCost",
    "RowReader",
    "Rows",
    "Storage",
    "Window",
    "get_num_threads",
    "h5_lock",
    "most_bytes",
    "open_dataset",
    "open_file",
    "reader_for",
    "set_num_threads",
]
