"""A read at an offset, and how long it took without Python's lock."""

HAS_PREAD: bool

def timed_read(fd: int, out: bytearray | memoryview, at: int) -> tuple[int, int]: ...
