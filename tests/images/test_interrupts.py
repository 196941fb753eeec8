"""Exceptions out of signal handlers, and forks, in the middle of reads."""

from __future__ import annotations

import functools
import os
import pathlib
import signal
import threading

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread import HDF5Data

IMAGES = np.random.default_rng(4).integers(0, 9, (400, 16, 40), np.uint8)

needs_timers = pytest.mark.skipif(
    not hasattr(signal, "setitimer"), reason="no interval timers here"
)


@pytest.fixture(params=["zstd", "gzip"])
def path(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    filters = {"gzip": {"compression": "gzip"}, "zstd": hdf5plugin.Zstd(3)}
    with h5py.File(tmp_path / "x.rtdc", "w") as h5:
        h5.attrs["experiment:event count"] = len(IMAGES)
        h5["events/deform"] = np.arange(400.0)
        for name, data in (("image", IMAGES), ("image_bg", IMAGES[::-1])):
            h5.create_dataset(
                f"events/{name}",
                data=data,
                chunks=(4, 16, 40),
                **filters[request.param],
            )
    return tmp_path / "x.rtdc"


# An exception of any kind out of a signal handler, at random moments; afterwards all
# can be read by other threads, and what was read is right.
READS = """
import faulthandler, random, signal, sys, threading
import h5py, hdf5plugin, numpy as np, dcread

faulthandler.dump_traceback_later(90, exit=True)

class Alarm(BaseException):
    pass

def ring(_, frame):
    # Only while something is read: on a busy machine a second one comes before the
    # timer is stopped.
    while frame is not None:
        if frame.f_code is read.__code__:
            raise Alarm
        frame = frame.f_back

signal.signal(signal.SIGALRM, ring)
path = sys.argv[1]
with h5py.File(path) as h5:
    images = h5["events/image"][:]
difference = images.astype("i2") - images[::-1]
rng = random.Random(7)

def read(hd, row):
    kind = rng.randrange(6)
    if kind == 0:
        for k in range(row, min(row + 40, 400)):
            assert (hd.image[k] == images[k]).all()
    elif kind == 1:
        assert (hd.image[row : row + 30] == images[row : row + 30]).all()
    elif kind == 2:
        assert (hd.image.get_chunk(row // 20)[3] == images[row // 20 * 20 + 3]).all()
    elif kind == 3:
        assert (hd.image_corr[row] == difference[row]).all()
    elif kind == 4:
        part = hd.image_corr.get_chunk(row // 20)
        assert (part[3] == difference[row // 20 * 20 + 3]).all()
    else:
        assert hd["deform"][row] == row

def read_all(hd, found):
    same = all((hd.image[k] == images[k]).all() for k in range(400))
    chunks = [hd.image_corr.get_chunk(k) for k in hd.image_corr.iter_chunks()]
    found.append(same and (np.concatenate(chunks) == difference).all())

hits = 0
for _ in range(6):
    with dcread.HDF5Data(path, image_chunk_size=20) as hd:
        for _ in range(40):
            try:
                signal.setitimer(signal.ITIMER_REAL, rng.uniform(1e-5, 2e-3), 0.1)
                while True:
                    read(hd, rng.randrange(400))
            except Alarm:
                signal.setitimer(signal.ITIMER_REAL, 0)
                hits += 1
        found = []
        threads = [threading.Thread(target=read_all, args=(hd, found)) for _ in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [True, True]
print(hits)
"""


@needs_timers
def test_all_can_be_read_after_exceptions_out_of_signal_handlers(path, run_python):
    done = run_python(READS, path, timeout=120)
    # (an exception within a finalizer is printed and passed over)
    assert (done.returncode, done.stdout) == (0, "240\n"), done.stderr


# Everything that dcread imports when it is needed is imported in the try block.
FIRST_USE = """
import faulthandler, signal, sys
import h5py, hdf5plugin, numpy as np

faulthandler.dump_traceback_later(60, exit=True)
signal.signal(signal.SIGALRM, signal.default_int_handler)
path, delay = sys.argv[1], float(sys.argv[2])

def use():
    import dcread
    with dcread.HDF5Data(path, image_chunk_size=20) as hd:
        hd.image[7], hd.image_corr[8], hd["deform"], hd.basins, hd.keys()
        dcread.detect_flickering(hd)
        return hd.image[7], hd.image_corr.get_chunk(3)[5]

try:
    signal.setitimer(signal.ITIMER_REAL, delay)
    use()
except KeyboardInterrupt:
    pass
except RuntimeError as exc:  # Python 3.11 says so while it makes a class
    assert isinstance(exc.__cause__, KeyboardInterrupt), exc
signal.setitimer(signal.ITIMER_REAL, 0)
image, difference = use()
with h5py.File(path) as h5:
    assert (image == h5["events/image"][7]).all()
    images = h5["events/image"][65].astype("i2"), h5["events/image_bg"][65]
    assert (difference == images[0] - images[1]).all()
print("right")
"""


@needs_timers
def test_an_interrupt_in_the_midst_of_the_first_use_spoils_nothing(path, run_python):
    for delay in np.geomspace(0.005, 0.6, 7):
        done = run_python(FIRST_USE, path, delay, timeout=90)
        assert (done.stdout, done.stderr) == ("right\n", ""), delay


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_forks_beside_reading_threads(path, running, in_forked_child):
    stop = threading.Event()
    with HDF5Data(path, image_chunk_size=20) as data:

        def work(seed: int) -> None:
            rng = np.random.default_rng(seed)
            while not stop.is_set():
                row = int(rng.integers(390))
                data.image[row], data.image[row + 1], data.image[row + 2]
                data.image.get_chunk(row // 20)
                data.image_corr.get_chunk(row // 20)

        def check():
            rows = range(0, 400, 3)
            same = all(np.array_equal(data.image[row], IMAGES[row]) for row in rows)
            corr = data.image_corr.get_chunk(7)[5]
            expected = IMAGES[145].astype("i2") - IMAGES[-146]
            return same and np.array_equal(corr, expected)

        with running(*(functools.partial(work, seed) for seed in range(3))):
            try:
                for _ in range(15):
                    in_forked_child(check)
            finally:
                stop.set()
