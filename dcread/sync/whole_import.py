"""Imports that no interrupt leaves half done.

A compiled package that was half imported cannot be imported again in the same process:
NumPy refuses it, and others fail in odd ways.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import Any


def import_whole(name: str) -> Any:
    """Return a module; if it is new, a thread of its own imports it.

    Signal handlers of Python run in the main thread. So what they raise ends the
    waiting, and the import goes on; the interpreter does not exit before it is done.
    Other threads import by themselves.
    """
    if name in sys.modules or threading.current_thread() is not threading.main_thread():
        return importlib.import_module(name)
    errors: list[BaseException] = []
    done = threading.Lock()
    done.acquire()

    def work() -> None:
        try:
            importlib.import_module(name)
        except BaseException as exc:
            errors.append(exc)
        finally:
            done.release()

    try:
        threading.Thread(target=work, name=f"import {name}").start()
    except RuntimeError:  # the interpreter exits, or there can be no more threads
        return importlib.import_module(name)
    done.acquire()
    if errors:
        raise errors[0]
    return importlib.import_module(name)
