"""Small measurements to concatenate."""

from __future__ import annotations

import hashlib

import h5py
import hdf5plugin
import numpy as np
import pytest

from dcread import concatenated_hdf5_data


@pytest.fixture
def measurement(tmp_path):
    """Return a function that writes a measurement of `n` events and returns its path.

    Every value tells its file (``seed``) and its event, so that no two agree.
    """

    def write(name, n=10, seed=1, first_frame=100, attrs=(), **features):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        events = np.arange(n)
        content = {
            "deform": seed + events / 1000,
            "image": ((seed * 50 + events)[:, None, None] + np.arange(6)).astype("u1")
            * np.ones((1, 4, 1), "u1"),
            "frame": (first_frame + 2 * events).astype("u8"),
            "time": seed * 10 + events * 0.02,
            **features,
        }
        with h5py.File(path, "w") as h5:
            h5.attrs["experiment:event count"] = n
            h5.attrs["experiment:sample"] = f"sample {seed}"
            h5.attrs["imaging:frame rate"] = 100.0
            for key, value in dict(attrs).items():
                h5.attrs[key] = value
            for key, value in content.items():
                if value is None:
                    continue
                options = {}
                if np.ndim(value) > 1 and len(value):
                    options = dict(hdf5plugin.Zstd(clevel=1), fletcher32=True)
                    options["chunks"] = (min(3, n), *np.shape(value)[1:])
                h5.create_dataset(f"events/{key}", data=value, **options)
        return path

    return write


@pytest.fixture
def join():
    """Concatenate; close what is still open at the end of the test."""
    opened = []

    def concatenate(*args, **kwargs):
        data = concatenated_hdf5_data(*args, **kwargs)
        opened.append(data)
        return data

    yield concatenate
    for data in opened:
        data.close()


@pytest.fixture
def digest():
    """Return what tells the bytes of files."""

    def digests(paths):
        return [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]

    return digests
