"""A folder that is slow: each read of at most 128 KiB takes a while.

    python -m benchmarks.slow_folder FOLDER MOUNT SECONDS LOG

needs ``/dev/fuse``, libfuse 2 and fusepy. Several reads may be under way at once. As on
network shares, what was read stays in memory as long as the file is the same. Each read
is a line of LOG: offset and bytes.
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import fuse

STATUS = ("st_gid", "st_mode", "st_mtime", "st_nlink", "st_size", "st_uid")


class Slow(fuse.Operations):
    def __init__(self, root: str, delay: float, log: str) -> None:
        self.root = root
        self.delay = delay
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def getattr(self, path: str, _fh: Any = None) -> dict[str, Any]:
        try:
            found = os.stat(self.root + path)
        except OSError as exc:
            raise fuse.FuseOSError(exc.errno) from exc
        return {name: getattr(found, name) for name in STATUS}

    def readdir(self, path: str, _fh: int) -> list[str]:
        return [".", "..", *os.listdir(self.root + path)]

    def open(self, path: str, _flags: int) -> int:
        return os.open(self.root + path, os.O_RDONLY)

    def read(self, _path: str, size: int, offset: int, fh: int) -> bytes:
        time.sleep(self.delay)
        os.write(self.log, b"%d %d\n" % (offset, size))
        return os.pread(fh, size, offset)

    def release(self, _path: str, fh: int) -> None:
        os.close(fh)


if __name__ == "__main__":
    fuse.FUSE(
        Slow(sys.argv[1].rstrip("/"), float(sys.argv[3]), sys.argv[4]),
        sys.argv[2],
        foreground=True,
        ro=True,
        auto_cache=True,
    )
