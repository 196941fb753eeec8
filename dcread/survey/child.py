"""A process that examines measurements, and may hang or die without harm."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pickle
import subprocess
import sys
import threading
from typing import IO, TYPE_CHECKING, Any

from .examine import Record, failed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .examine import Progress, Question
    from .inputs import Input

ATTEMPTS = 2
"""How often a measurement is tried whose reading ends the process."""


class ChildDiedError(Exception):
    """The process ended before it answered."""


class ChildHangsError(Exception):
    """The process read nothing for too long, and was ended."""


class Child:
    """A process that answers one question at a time.

    It is started when it is first asked, and again after it ended. It ends with the
    process that asks, and after a minute without questions.

    Parameters
    ----------
    threads : int, optional
        Threads that it may decode with.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closed = False

    def ask(
        self, request: bytes, patience: float | None, progress: Progress | None = None
    ) -> Record:
        """Send a pickled request and wait for its record.

        Raises
        ------
        ChildDiedError, ChildHangsError
            If there is no answer; of the latter after `patience` seconds in which
            nothing was read.
        """
        process = self._send(request)
        hangs = threading.Event()
        assert process.stdout is not None
        while True:
            timer = _end_after(process, patience, hangs)
            try:
                answer = read_frame(process.stdout)
            finally:
                if timer is not None:
                    timer.cancel()
            if answer is None:
                process.kill()  # (it closed its output: there is no more to come)
                status = process.wait()
                if hangs.is_set():
                    raise ChildHangsError
                raise ChildDiedError(_cause(status))
            kind, value = pickle.loads(answer)
            if kind == "record":
                record: Record = value
                return record
            if progress is not None:
                progress(*value)

    def close(self) -> None:
        """End the process, whatever it does; `ask` raises from then on."""
        with self._lock:
            self._closed = True
            process = self._process
        _discard(process)

    def _send(self, request: bytes) -> subprocess.Popen[bytes]:
        for fresh in (False, True):
            with self._lock:
                if self._closed:
                    raise ChildDiedError("closed")
                if self._process is None or fresh or self._process.poll() is not None:
                    _discard(self._process)
                    self._process = _start(self._threads)
                process = self._process
            assert process.stdin is not None
            try:
                write_frame(process.stdin, request)
            except OSError:  # it had ended, out of boredom
                continue
            return process
        raise ChildDiedError("it cannot be started")


def supervise(
    child: Child,
    item: Input,
    question: Question,
    options: Mapping[str, Any],
    *,
    patience: float | None,
    progress: Progress | None = None,
) -> Record:
    """Examine a measurement in another process; its end and its hanging are told."""
    request = dumps((item, question, dict(options), progress is not None))
    cause = ""
    for _ in range(ATTEMPTS):
        try:
            return child.ask(request, patience, progress)
        except ChildHangsError:
            text = f"given up: nothing could be read for {patience:g} s"
            return failed(item.path, "TimeoutError", text)
        except ChildDiedError as error:
            cause = str(error)
    text = f"given up: reading it ended the process {ATTEMPTS} times ({cause})"
    return failed(item.path, "ChildProcessError", text)


def dumps(request: object) -> bytes:
    """Pickle a request; functions that have no module by cloudpickle, if it is here."""
    try:
        return pickle.dumps(request)
    except (pickle.PicklingError, AttributeError, TypeError):
        if importlib.util.find_spec("cloudpickle") is None:
            raise
        import cloudpickle

        data: bytes = cloudpickle.dumps(request)
        return data


def read_frame(stream: IO[bytes]) -> bytes | None:
    """Read one message of a pipe; None at its end."""
    head = stream.read(8)
    if len(head) < 8:
        return None
    size = int.from_bytes(head, "little")
    body = stream.read(size)
    return body if len(body) == size else None


def write_frame(stream: IO[bytes], body: bytes) -> None:
    """Write one message into a pipe."""
    stream.write(len(body).to_bytes(8, "little") + body)
    stream.flush()


def _start(threads: int | None) -> subprocess.Popen[bytes]:
    environ = dict(os.environ)
    # (the same modules as here, and nothing that lies about in the working directory)
    environ["PYTHONPATH"] = os.pathsep.join(path or os.getcwd() for path in sys.path)
    if threads is not None:
        environ["DCREAD_NUM_THREADS"] = str(threads)
    # A Ctrl-C on the terminal is for the process that asks.
    apart: dict[str, Any] = {"start_new_session": True}
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "dcread.survey.serve"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environ,
        **apart,
    )


def _discard(process: subprocess.Popen[bytes] | None) -> None:
    if process is None:
        return
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


def _end_after(
    process: subprocess.Popen[bytes], patience: float | None, hangs: threading.Event
) -> threading.Timer | None:
    if patience is None:
        return None

    def end() -> None:
        hangs.set()
        process.kill()

    timer = threading.Timer(patience, end)
    timer.daemon = True
    timer.start()
    return timer


def _cause(status: int) -> str:
    return f"signal {-status}" if status < 0 else f"exit status {status}"
