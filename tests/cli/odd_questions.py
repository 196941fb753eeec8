"""Questions to measurements that go wrong on a file called ``bad.rtdc``."""

import os
import signal
import time


def hang_on_bad(hd):
    if str(hd.path).endswith("bad.rtdc"):
        time.sleep(1000)
    return {"length": len(hd)}


def die_on_bad(hd):
    if str(hd.path).endswith("bad.rtdc"):
        os.kill(os.getpid(), signal.SIGKILL)
    return {"length": len(hd)}
