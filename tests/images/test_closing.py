"""Closing while threads read; leaving without closing."""

from __future__ import annotations

import functools
import threading
import weakref

import numpy as np
import pytest

from dcread.arrays.dataset_view import FeatureView
from dcread.cache import HDF5ImageCache, ImageCorrCache
from dcread.engine import open_dataset, open_file
from dcread.errors import ClosedError
from dcread.mapped import get_mapped_object


def test_only_closed_errors_while_threads_read(image_path, images, running):
    handle = open_file(image_path)
    views = {
        name: FeatureView(open_dataset(handle, f"events/{name}"))
        for name in ("image", "image_bg")
    }
    image = HDF5ImageCache(views["image"], chunk_size=8)
    corr = ImageCorrCache(image, HDF5ImageCache(views["image_bg"], chunk_size=8))
    mapped = get_mapped_object(views["image"], np.arange(40)[::-1])
    expected = images.astype(np.int16) - np.roll(images, 1, axis=0)
    begun = threading.Barrier(7)

    def work(seed):
        rng = np.random.default_rng(seed)
        begun.wait()
        for _ in range(200_000):
            index = int(rng.integers(40))
            assert np.array_equal(image[index], images[index])
            assert np.array_equal(corr[index], expected[index])
            assert np.array_equal(mapped[index], images[39 - index])
            assert np.array_equal(image.get_chunk(index // 8)[0], images[index & ~7])

    works = [functools.partial(work, seed) for seed in range(6)]
    with running(*works, until=ClosedError):
        begun.wait()
        for _ in range(100):
            assert np.array_equal(image[3], images[3])
        for cache in (image, corr):
            cache.close()
        handle.close()


def test_a_forgotten_cache_is_gone_at_once(image_path, no_collector):
    handle = open_file(image_path)
    cache = HDF5ImageCache(open_dataset(handle, "events/image"), chunk_size=8)
    for chunk in cache.iter_chunks():
        cache.get_chunk(chunk)
    forgotten = weakref.ref(cache)
    del cache
    assert forgotten() is None
    handle.close()


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)"])
def test_the_interpreter_ends_while_a_chunk_is_made(end, run_python):
    code = (
        "import numpy as np, threading, time\n"
        "reading = threading.Semaphore(0)\n"
        "from dcread.cache import HDF5ImageCache\n"
        "class Slow(np.ndarray):\n"
        "    def __getitem__(self, rows):\n"
        "        reading.release()\n"
        "        time.sleep(0.2)\n"
        "        return np.ndarray.__getitem__(self.view(np.ndarray), rows)\n"
        "cache = HDF5ImageCache(np.zeros((40, 4, 4), 'u1').view(Slow), chunk_size=8)\n"
        "cache.get_chunk(0), cache.get_chunk(1)\n"
        "for _ in range(3):\n"  # the third one is read ahead
        "    assert reading.acquire(timeout=20)\n" + end
    )
    done = run_python(
        code,
        options=(
            "-W",
            "error",
        ),
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
