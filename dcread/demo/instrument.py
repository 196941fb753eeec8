"""The instrument of a made-up measurement: camera, sensors, metadata and logs."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import numpy as np

from ..concat.new_file import new_file
from . import rtdc, scene

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

    import h5py
    from numpy.typing import NDArray

PIXEL_SIZE = 0.34  # um
FRAME_RATE = 3000.0  # 1/s
SAMPLE_RATE = 500_000  # 1/s
SAMPLES = 400


def expose(rng: np.random.Generator, ideal: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the 8-bit image that a camera with shot noise takes."""
    noise = rng.standard_normal(ideal.shape, dtype=np.float32)
    noise *= np.sqrt(np.maximum(ideal, 0.0)) * np.float32(0.13)
    noise += ideal
    return np.rint(noise).clip(0, 255).astype(np.uint8)


def slow_features(
    rng: np.random.Generator, frame: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    """Return what the instrument's sensors wrote, one entry a frame."""
    time = (frame - frame[0]) / FRAME_RATE + 0.25
    wander = np.cumsum(rng.normal(0.0, 0.002, len(frame)))
    return {
        "time": time,
        "temp": 22.8 + 0.02 * time + 0.1 * wander,
        "flow_rate": 0.04 + rng.normal(0.0, 5e-5, len(frame)),
        "pressure": 905.0 + 8.0 * wander + rng.normal(0.0, 0.4, len(frame)),
    }


def make_traces(
    rng: np.random.Generator, cells: scene.Cells, channel: int
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Return raw and median-filtered fluorescence of every event."""
    bright = {1: (60.0, 900.0, 2200.0, 90.0), 2: (45.0, 240.0, 110.0, 700.0)}[channel]
    number = len(cells)
    peak = np.array(bright)[cells.kind] * np.exp(rng.normal(0.0, 0.35, number))
    middle = SAMPLES / 2 + (cells.center_x - 160.0) * 0.6
    width = 4.0 + cells.half_length * 0.5
    samples = np.arange(SAMPLES, dtype=np.float32)
    ideal = np.exp(-0.5 * ((samples - middle[:, None]) / width[:, None]) ** 2)
    ideal = (ideal * peak[:, None]).astype(np.float32)
    noise = rng.standard_normal(ideal.shape, dtype=np.float32)
    raw = np.rint(ideal + 3.0 * noise).astype(np.int16)
    padded = np.pad(raw, ((0, 0), (1, 1)), mode="edge")
    low = np.minimum(padded[:, :-2], padded[:, 2:])
    high = np.maximum(padded[:, :-2], padded[:, 2:])
    return raw, np.clip(raw, low, high)  # the median of three


@contextlib.contextmanager
def new_measurement(path: pathlib.Path, run: str) -> Iterator[h5py.File]:
    """Create a file with the metadata that all files of the measurement share.

    It gets its name when the block has ended without an error, and replaces what is
    there.
    """
    import h5py

    with new_file(path, overwrite=True) as file:
        h5 = h5py.File(file, "w", libver="v110")
        try:
            _write_metadata(h5, run)
            yield h5
        finally:
            h5.close()


def _write_metadata(h5: h5py.File, run: str) -> None:
    index = 2 if run.endswith("2") else 1
    h5.attrs.update(
        {
            "experiment:date": "2026-03-14",
            "experiment:run identifier": run,
            "experiment:run index": index,
            "experiment:sample": "made-up blood",
            "experiment:time": "09:26:53" if index == 1 else "09:27:31",
            "imaging:flash device": "LED (made up)",
            "imaging:flash duration": 2.0,
            "imaging:frame rate": FRAME_RATE,
            "imaging:pixel size": PIXEL_SIZE,
            "imaging:roi position x": 480,
            "imaging:roi position y": 512,
            "imaging:roi size x": scene.WIDTH,
            "imaging:roi size y": scene.HEIGHT,
            "setup:channel width": 20.0,
            "setup:chip region": "channel",
            "setup:flow rate": 0.04,
            "setup:flow rate sample": 0.01,
            "setup:flow rate sheath": 0.03,
            "setup:identifier": "made-up-instrument-0001",
            "setup:medium": "CellCarrierB",
            "setup:module composition": "made up",
            "setup:software version": "dcread demo",
            "setup:temperature": 22.8,
        }
    )


def write_fluorescence_metadata(h5: h5py.File) -> None:
    """Write the metadata that a file with fluorescence traces has."""
    h5.attrs.update(
        {
            f"fluorescence:{key}": value
            for key, value in {
                "bit depth": 16,
                "channel 1 name": "525/50",
                "channel 2 name": "593/46",
                "channel count": 2,
                "channels installed": 2,
                "laser 1 lambda": 488.0,
                "laser 1 power": 8.0,
                "laser 2 lambda": 561.0,
                "laser 2 power": 12.0,
                "laser count": 2,
                "lasers installed": 2,
                "sample rate": SAMPLE_RATE,
                "samples per event": SAMPLES,
                "signal max": 1.0,
                "signal min": -1.0,
                "trace median": 3,
            }.items()
        }
    )


def write_log(h5: h5py.File, size: int, light: scene.Light) -> None:
    """Write the log of the acquisition."""
    bad = np.count_nonzero(light.flash != 1.0)
    rtdc.store_text(
        h5.require_group("logs"),
        "dcread-demo-acquisition",
        [
            "09:26:53 INFO camera: 320x80 px, 3000 frames a second",
            "09:26:53 INFO pump: sample 0.01 ul/s, sheath 0.03 ul/s",
            f"09:27:20 INFO camera: stored {size} frames that showed something",
            f"09:27:20 {'WARNING' if bad else 'INFO'} light: {bad} flashes were off",
        ],
    )


def write_table(
    h5: h5py.File, slow: dict[str, NDArray[np.float64]], light: scene.Light
) -> None:
    """Write what the instrument's monitor saw twice a second."""
    rows = np.searchsorted(slow["time"], np.arange(0.25, slow["time"][-1], 0.5))
    columns = {
        "time": slow["time"][rows],
        "brightness": light.level[rows],
        "temperature": slow["temp"][rows],
        "pressure_sample": slow["pressure"][rows],
    }
    table = np.empty(len(rows), dtype=[(name, "<f8") for name in columns])
    for name, values in columns.items():
        table[name] = values
    rtdc.store(h5.require_group("tables"), "dcread-demo_monitor", table)
