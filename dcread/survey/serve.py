"""The other side of `Child`: examines what it is asked for until nobody asks."""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
import time
from typing import IO

from .child import read_frame, write_frame
from .examine import examine

IDLE = 60.0
"""Seconds without a request after which the process ends."""
SECONDS_BETWEEN = 0.5
"""Least time between two messages about progress."""


def main() -> None:
    """Answer requests from standard input until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the answers
    requests: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(
        target=_listen, args=(sys.stdin.buffer, requests), daemon=True
    ).start()
    while True:
        try:
            item, question, options, wanted = pickle.loads(requests.get(timeout=IDLE))
        except queue.Empty:
            os._exit(0)  # (an ordinary end would wait for the thread that listens)
        progress = _Teller(answers) if wanted else None
        record = examine(item, question, options, progress)
        write_frame(answers, pickle.dumps(("record", record)))


class _Teller:
    """Sends how far the reading is, now and then."""

    def __init__(self, answers: IO[bytes]) -> None:
        self._answers = answers
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last > SECONDS_BETWEEN:
            self._last = now
            write_frame(self._answers, pickle.dumps(("progress", (done, total))))


def _listen(stream: IO[bytes], requests: queue.SimpleQueue[bytes]) -> None:
    while (request := read_frame(stream)) is not None:
        requests.put(request)
    os._exit(0)  # the process that asked is gone, whatever is being read


if __name__ == "__main__":
    main()
