"""A folder that is slow: each read of at most 128 KiB takes a while.

    python -m benchmarks.slow_folder FOLDER MOUNT SECONDS LOG

needs ``/dev/fuse``, libfuse 2 and fusepy. Up to 64 reads may be under way at once, as
on network shares (FUSE by itself has 12). As there, too, what was read stays in memory
as long as the file is the same. Each read is a line of LOG: where it begins and ends in
the file, and the seconds at which it came and was answered.
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
        arrived = time.perf_counter()
        time.sleep(self.delay)
        data = os.pread(fh, size, offset)
        line = f"{offset} {offset + len(data)} {arrived} {time.perf_counter()}\n"
        os.write(self.log, line.encode())
        return data

    def release(self, _path: str, fh: int) -> None:
        os.close(fh)


if __name__ == "__main__":
    fuse.FUSE(
        Slow(sys.argv[1].rstrip("/"), float(sys.argv[3]), sys.argv[4]),
        sys.argv[2],
        foreground=True,
        ro=True,
        auto_cache=True,
        max_background=64,
    )
