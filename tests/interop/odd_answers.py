"""Questions that are slow, hang, or end the process on a file called ``bad.rtdc``."""

import os
import signal
import time


def slow(hd):
    time.sleep(0.5)
    return {"length": len(hd)}


def hang(hd):
    if str(hd.path).endswith("bad.rtdc"):
        time.sleep(1000)
    return {"length": len(hd)}


def die(hd):
    if str(hd.path).endswith("bad.rtdc"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"length": len(hd)}
